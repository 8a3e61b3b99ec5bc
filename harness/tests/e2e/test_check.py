"""ci/check counts every test point, and takes no skipped test for a passed one."""
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os

import program

LOADER = importlib.machinery.SourceFileLoader("check", os.path.join(program.SOURCE, "ci", "check"))
check = importlib.util.module_from_spec(importlib.util.spec_from_loader("check", LOADER))
program.sys.dont_write_bytecode = True
LOADER.exec_module(check)

# In meson's place: leaves the planted log where ci/check looks, and ends as it is told.
MESON = """
    #!/bin/sh
    [ "$1" = test ] || exit 3
    mkdir -p build/meson-logs
    [ ! -f planted ] || cp planted build/meson-logs/testlog.json
    exit "$(cat code)"
    """


class Check(program.Program):
    def count(self, *tests, code=0):
        """The exit code and the lines of ci/check over results (stdout, meson's word) of planted programs."""
        self.write("bin/meson", MESON.strip(), 0o755)
        self.write("code", str(code))
        if tests:
            self.write("planted", "".join(json.dumps({"name": f"p{i}", "stdout": out, "result": result}) + "\n"
                                          for i, (out, result) in enumerate(tests)))
        done = program.subprocess.run([os.path.join(program.SOURCE, "ci", "check"), "build"], cwd=self.folder,
                                      env={**os.environ, "PATH": self.path("bin") + ":" + os.environ["PATH"]},
                                      capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.splitlines()

    def test_points_are_counted_by_name(self):
        code, lines = self.count(("ok 1 - a\nok 2 - b\n1..2\n", "OK"), ("", "OK"))
        self.assertEqual((code, lines), (0, ["3 passed, 0 failed"]))

    def test_a_failed_point_fails_the_whole(self):
        code, lines = self.count(("ok 1 - a\nnot ok 2 - b\n1..2\n", "FAIL"), code=1)
        self.assertEqual((code, lines), (1, ["FAIL p0: b", "1 passed, 1 failed"]))

    def test_a_failure_says_why(self):
        long = "".join(f"# line {i}\n" for i in range(100))
        code, lines = self.count((f"ok 1 - a\n# of a\nnot ok 2 - b\n# Traceback\n#   1 != 2\nok 3 - c\n# of c\nnot ok 4 - d\n{long}1..4\n",
                                  "FAIL"), code=1)
        self.assertEqual((code, lines[:4]), (1, ["FAIL p0: b", "     Traceback", "       1 != 2", "FAIL p0: d"]))
        self.assertEqual((lines[4], lines[19:22]), ("     line 0", ["     line 15", "    (60 lines)", "     line 76"]))
        self.assertEqual(lines[-2:], ["     line 99", "2 passed, 2 failed"])
        self.write("planted", json.dumps({"name": "p", "result": "FAIL", "stdout": "ok 1 - a\n", "stderr": "leak of 8 bytes\n"}))
        self.assertIn("    leak of 8 bytes", self.count(code=1)[1])

    def test_a_skip_that_this_machine_could_run_is_a_failure(self):
        for out in ("ok 1 - a # SKIP needs python3: x\n1..1\n", "# SKIP needs python3: x\nok 1 - a\n1..1\n",
                    "1..0 # SKIP needs python3: x\n"):
            code, lines = self.count((out, "SKIP"))
            self.assertEqual((code, lines[-1]), (1, "0 passed, 1 failed"), lines)
            self.assertIn("though this machine could run it: needs python3: x", lines[0])

    def test_a_skip_for_no_known_reason_is_a_failure(self):
        for reason in ("no time", "needs luck: to pass"):
            code, lines = self.count((f"# SKIP {reason}\nok 1 - a\n1..1\n", "OK"))
            self.assertEqual((code, lines[-1]), (1, "0 passed, 1 failed"))

    def test_a_skip_for_what_is_really_missing_is_counted(self):
        check.CAPABILITIES["a unicorn"] = lambda build: False
        self.addCleanup(check.CAPABILITIES.pop, "a unicorn")
        known = {}
        self.assertFalse(check.unjustified("needs a unicorn: to ride", "build", known))
        self.assertTrue(check.unjustified("needs python3: to run", "build", known))
        points = check.result_lines({"name": "p", "result": "OK",
                                     "stdout": "ok 1 - a\n# SKIP needs a unicorn: to ride\nok 2 - b\nok 3 - c\n1..3\n"})
        self.assertEqual([skip for _, _, skip in points], [None, "needs a unicorn: to ride", None])

    def test_a_skip_hides_no_failure(self):
        code, lines = self.count(("# SKIP needs python3: x\nnot ok 1 - a\n1..1\n", "FAIL"), code=1)
        self.assertEqual((code, lines), (1, ["FAIL p0: a", "0 passed, 1 failed"]))

    def test_no_tests_at_all_is_a_failure(self):
        code, lines = self.count()
        self.assertEqual((code, lines), (1, ["FAIL no test was found", "0 passed, 1 failed"]))

    def test_an_older_log_is_not_counted(self):
        self.write("build/meson-logs/testlog.json", json.dumps({"name": "old", "stdout": "ok 1 - a\n", "result": "OK"}))
        self.assertEqual(self.count(code=1)[0], 1)

    def test_a_program_that_died_is_a_failure(self):
        code, lines = self.count(("ok 1 - a\n", "TIMEOUT"), code=1)
        self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed"))

    def test_mesons_own_failure_is_one(self):
        code, lines = self.count(("ok 1 - a\n1..1\n", "OK"), code=2)
        self.assertEqual((code, lines), (1, ["FAIL meson test ended with 2", "1 passed, 1 failed"]))

    def test_every_capability_can_be_asked_for(self):
        answers = {}
        with contextlib.redirect_stdout(io.StringIO()):
            for name, has in check.CAPABILITIES.items():
                if name not in ("glibc's malloc", "a build without sanitizers"):  # they ask meson about a build folder
                    answers[name] = has("build")
        self.assertTrue(all(isinstance(answer, bool) for answer in answers.values()), answers)
        self.assertTrue(answers["python3"])


if __name__ == "__main__":
    program.main()
