"""Runs that abort, hang, fork daemons, fill disks or write rubbish are reported as what they are; the others are kept."""
import os
import subprocess
import time

import program
from program import processes_with


class Hostile(program.Program):
    def mixed(self, bad, good=3, options=(), code=2):
        """One level of {what} misbehaves, the other does not."""
        self.job(body=f"""
            import signal, subprocess, time
            if sys.argv[2] == "bad":
                {bad}
            """)
        document = self.adhoc("what=good,bad", code=code, options=["--timeout", "5s", *options],
                              command=[program.PYTHON, "job.py", "w.npy", "{what}"])
        runs = {"good": [], "bad": []}
        for run in document["runs"]:
            runs[run["cell"]["what"]].append(run)
        self.assertGreaterEqual(len(runs["good"]), good)
        self.assertEqual({run["status"] for run in runs["good"]}, {"ok"})
        self.assertEqual(document["jobs"][0]["outcome"], "error")
        return runs["bad"], document

    def statuses(self, bad, **more):
        runs, _ = self.mixed(bad, **more)
        return {run["status"] for run in runs}

    def test_an_exit_code_is_a_crash(self):
        runs, _ = self.mixed("sys.exit(3)")
        self.assertEqual({(run["status"], run["exit"]) for run in runs}, {("crashed", 3)})

    def test_an_abort_is_a_crash_with_its_signal(self):
        runs, _ = self.mixed("os.abort()")
        self.assertEqual({(run["status"], run["signal"]) for run in runs}, {("crashed", 6)})

    def test_a_hang_is_a_timeout(self):
        self.assertEqual(self.statuses("time.sleep(600)", options=["--timeout", "1s"]), {"timeout"})

    def test_a_hang_that_ignores_term_is_a_timeout_too(self):
        self.assertEqual(self.statuses("signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
                                       options=["--timeout", "1s"]), {"timeout"})

    def test_no_weights(self):
        self.assertEqual(self.statuses("sys.exit(0)"), {"no-weights"})

    def test_truncated_weights(self):
        self.assertEqual(self.statuses("open('w.h5', 'wb').write(b'\\x89HDF\\r\\n\\x1a\\n' + b'\\x00' * 40); sys.exit(0)",
                                       options=["--weights", "w.*"]), {"bad-weights"})

    def test_a_program_that_cannot_be_started(self):
        document = self.adhoc("threads=1", command=["./nowhere"], code=2)
        self.assertEqual({run["status"] for run in document["runs"]}, {"spawn-failed"})
        self.assertIn("No such file", document["runs"][0]["message"])

    def test_a_daemon_does_not_outlive_its_run(self):
        self.job(body="""
            import subprocess
            subprocess.Popen(["setsid", "sh", "-c", "sleep 61.25 & sleep 61.25"])
            """)
        self.adhoc("threads=1", command=[program.PYTHON, "job.py"])
        time.sleep(0.2)
        self.assertEqual(processes_with("61.25"), [])

    def test_a_gigabyte_of_output_fills_no_disk(self):
        self.job(body="""
            block = b'x' * (1 << 20)
            for _ in range(1024):
                os.write(1, block)
            """)
        document = self.adhoc("threads=1", command=[program.PYTHON, "job.py"], options=["--out", "r", "--repeats", "2", "--exact-repeats"])
        self.assertEqual({run["status"] for run in document["runs"]}, {"ok"})
        size = sum(os.path.getsize(os.path.join(folder, name))
                   for folder, _, names in os.walk(self.path("r")) for name in names)
        self.assertLess(size, 200 << 20)

    def test_closed_descriptors_are_no_harm(self):
        self.job(body="os.close(0); os.close(1); os.close(2)")
        document = self.adhoc("threads=1", command=[program.PYTHON, "job.py"])
        self.assertEqual({run["status"] for run in document["runs"]}, {"ok"})

    def test_a_link_out_of_the_folder_is_not_followed(self):
        self.write("../" + os.path.basename(self.folder) + "-secret.npy", "secret")
        secret = self.folder + "-secret.npy"
        self.addCleanup(os.unlink, secret)
        self.job(body=f"os.symlink({secret!r}, 'w.npy'); sys.exit(0)")
        document = self.adhoc("threads=1", command=[program.PYTHON, "job.py"], options=["--weights", "w.npy"], code=2)
        self.assertEqual({run["status"] for run in document["runs"]} - {"no-weights", "bad-weights"}, set())

    def test_a_full_disk_is_the_runs_own_error(self):
        small = self.path("small")
        os.mkdir(small)
        self.mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", small)
        self.job("small/job.py", """
            if sys.argv[2] == "bad":
                open("big", "wb").write(b"x" * (64 << 20))
            """)
        document = self.adhoc("what=good,bad", code=2, cwd=small,
                              options=["--isolate", "inplace", "--out", self.path("r")],
                              command=[program.PYTHON, "job.py", "w.npy", "{what}"])
        statuses = {(run["cell"]["what"], run["status"]) for run in document["runs"]}
        self.assertEqual(statuses, {("good", "ok"), ("bad", "crashed")})

    def test_a_full_disk_under_the_results_is_said_and_loses_nothing(self):
        small = self.path("small")
        os.mkdir(small)
        self.mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", small)
        self.job(body="values = [float(sys.argv[2])] * 100000")
        levels = "x=" + ",".join(map(str, range(1, 9)))
        command = ["run", "-q", "--out", "small/r", "--vary", levels, "--", program.PYTHON, "job.py", "w.npy", "{x}"]
        done = self.samebits(*command, code=2)
        self.assertIn("No space left", done.stderr)
        subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
        self.samebits("run", "--resume", *command[1:], code=1)

    def test_hostile_names_break_no_report(self):
        self.job(body="""
            if sys.argv[2] == "b":
                values[0] = 9.0
            """)
        level = "<&|\x01\n\"\u00fc"
        done = self.samebits("run", "--out", "r", "--vary", f"x=a,{level}", "--report", "junit:j.xml", "--report",
                             "json:j.json", "--", program.PYTHON, "job.py", "w.npy", "{x}")
        self.assertIn(done.returncode, (0, 1), done.stderr)
        subprocess.run(["xmllint", "--noout", "j.xml"], cwd=self.folder, check=True)
        self.samebits("report", "r", code=0)


if __name__ == "__main__":
    program.main()
