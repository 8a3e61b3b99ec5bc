"""What was run is part of a result: another program, or another tree, is never taken for the same."""
import json
import os
import signal
import subprocess
import sys
import time

import program

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main")
PYTHON = sys.executable


class Identity(program.Program):
    RUN = ("--vary", "threads=1", "--repeats", "3", "--exact-repeats")

    def git(self, *arguments):
        subprocess.run([*GIT, *arguments], cwd=self.folder, check=True, capture_output=True)

    def commit(self):
        if not os.path.exists(self.path(".git")):
            self.git("init")
        self.git("add", "-A", ":!r", ":!a", ":!b")
        self.git("commit", "-m", "a")

    def scaled(self, factor, name="job.py", body=""):
        return self.job(name, body=f"{body}\nvalues = [{factor} * value for value in values]")

    def run_into(self, out, *options, command=(PYTHON, "job.py"), code=0, cwd=None):
        self.samebits("run", "-q", "--out", out, *self.RUN, *options, "--", *command, code=code, cwd=cwd)
        return self.result(out, cwd)

    def read(self, path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    def result(self, out, cwd=None):
        with open(os.path.join(cwd or self.folder, out, "result.json"), encoding="utf-8") as file:
            return json.load(file)

    def interrupt(self, out, *options, command, cwd=None, meanwhile=None):
        """A run of which some runs have ended; or, with `meanwhile`, all of them, which is called when one had."""
        running = subprocess.Popen([program.SAMEBITS, "run", "-q", "--out", out, *self.RUN, *options, "--", *command],
                                   cwd=cwd or self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        journal = os.path.join(cwd or self.folder, out, "journal")
        until = time.monotonic() + 60
        while time.monotonic() < until and not (os.path.exists(journal) and b"r00" in open(journal, "rb").read()):
            time.sleep(0.02)
        if meanwhile:
            meanwhile()
        else:
            running.send_signal(signal.SIGINT)
        _, self.said = running.communicate(timeout=120)
        if not meanwhile:
            self.assertEqual(running.returncode, 130, self.said)
        return self.result(out, cwd)

    # ---- What is hashed

    def test_files_that_the_command_names_stand_in_the_manifest(self):
        self.job()
        self.write("a.yaml", "1")
        self.write("b.yaml", "2")
        self.write("-odd", "3")
        self.write("pkg/__main__.py", "import runpy; runpy.run_path('job.py')")
        self.write("tool", "#!/bin/sh\nexec \"$@\"\n", mode=0o755)
        os.mkdir(self.path("data"))
        with open(self.path("huge.bin"), "wb") as file:
            file.truncate(300 << 20)
        options = ("--vary", "config=a.yaml,b.yaml")
        manifest = self.run_into("r", *options, command=("./tool", "python3", "-m", "pkg", "w.npy", "-odd", "data", "none",
                                                         "huge.bin", "--config={config}"))["manifest"]
        named = manifest["program"]
        self.assertEqual(set(named), {"./tool", "pkg/__main__.py", "-odd", "a.yaml", "b.yaml", "huge.bin"})
        self.assertEqual(named.pop("huge.bin"), f"not hashed: {300 << 20} bytes")
        for digest in named.values():
            self.assertRegex(digest, r"^xxh3:[0-9a-f]{32}$")
        self.assertEqual(len(set(named.values())), 5)

    def test_weights_are_no_part_of_the_program(self):
        self.job()
        self.write("w.npy", "left over")
        for weights, argument in (("w.npy", "{weights}"), ("w.npy", "./w.npy"), ("*.npy", "w.npy")):
            with self.subTest(weights=weights, argument=argument):
                result = self.run_into("r", "--force", "--weights", weights, command=(PYTHON, "job.py", argument))
                self.assertEqual(set(result["manifest"]["program"]), {PYTHON, "job.py"})

    def test_what_runs_write_spoils_no_answer(self):
        modes = ["copy", "inplace"]
        if any(program.works("unshare", flags, "true") for flags in ("-m", "-Urm")):
            modes.append("overlay")
        for mode in modes:
            with self.subTest(mode=mode):
                self.job(body="with open(sys.argv[2], 'a') as log: log.write('x')")
                self.write("w.npy", "left over")
                self.write("log.txt", "x")
                self.write("outside/log.txt", "x")
                work = self.path("work-" + mode)
                os.makedirs(work)
                for name in ("job.py", "w.npy", "log.txt"):
                    os.rename(self.path(name), os.path.join(work, name))
                for log in ("log.txt", self.path("outside/log.txt")):
                    result = self.run_into("r", "--force", "--isolate", mode, command=(PYTHON, "job.py", "w.npy", log),
                                           cwd=work)
                    self.assertEqual(result["isolation"]["mode"], mode)
                    self.assertEqual(result["jobs"][0]["distinct"], 1)
                    self.assertEqual(set(result["manifest"]["program"]) - {"log.txt"}, {PYTHON, "job.py", "w.npy"})
                self.assertEqual(self.read(os.path.join(work, "w.npy")), "left over")
                self.assertEqual(self.read(os.path.join(work, "log.txt")), "x")
                self.assertEqual(self.read(self.path("outside/log.txt")), "xxxx")  # as every run wrote it

    def test_an_edit_while_runs_are_under_way_spoils_the_answer(self):
        slow = "import time; time.sleep(0.2)"
        for name, command in (("job.py", "../job.py"), ("pkg.yaml", "../pkg.yaml")):
            with self.subTest(name=name):
                self.scaled(1, body=slow)
                self.write("pkg.yaml", "1")
                os.makedirs(self.path("work"), exist_ok=True)
                result = self.interrupt(
                    "r-" + name, command=(PYTHON, "../job.py", "w.npy", command), cwd=self.path("work"),
                    meanwhile=lambda: self.scaled(2, body=slow) if name == "job.py" else self.write("pkg.yaml", "2"))
                job, = result["jobs"]
                self.assertEqual((job["outcome"], result["exit_code"]), ("error", 2))
                self.assertIn(f"changed while the runs were under way: {command}", job["reason"])

    def test_an_edit_of_a_module_is_said_where_bits_differ(self):
        work = self.path("work")
        os.mkdir(work)
        for text, says in (("2", True), ("1 ", False)):
            with self.subTest(text=text):
                self.job(body="import time; time.sleep(0.3); values[0] = float(open('../module.py').read())")
                self.write("module.py", "1")
                if says:
                    self.commit()
                result = self.interrupt("../r" + text.strip(), command=(PYTHON, "../job.py"), cwd=work,
                                        meanwhile=lambda: self.write("module.py", text))
                self.assertEqual(result["jobs"][0]["distinct"], 2 if says else 1)
                self.assertEqual("what is not committed changed while" in self.said, says, self.said)

    # ---- --resume

    def resume(self, *says, command, code=2):
        done = self.samebits("run", "-q", "--out", "r", "--resume", *self.RUN, "--", *command, code=code)
        for words in says:
            self.assertIn(words, done.stderr)
        return done.stderr

    def test_resume_refuses_another_program_and_another_tree(self):
        body = "import time; time.sleep(0.2)"
        command = (PYTHON, "job.py", "w.npy", "a.yaml")
        self.scaled(1, body=body)
        self.write("a.yaml", "1")
        self.write("module.py", "1")
        self.commit()
        self.write("module.py", "2")
        self.interrupt("r", command=command)
        self.scaled(2, body=body)
        self.resume("changed since this result was begun: job.py", "--force", "another --out", command=command)
        self.scaled(1, body=body)
        self.write("a.yaml", "2")
        self.resume("begun: a.yaml", command=command)
        os.unlink(self.path("a.yaml"))
        self.resume("begun: a.yaml (gone)", command=command)
        self.write("a.yaml", "1")
        self.write("module.py", "3")
        self.assertNotIn("job.py", self.resume("begun: what is not committed; ", command=command))
        self.git("checkout", "module.py")
        self.resume("begun: what is not committed; ", command=command)
        self.write("module.py", "2")
        self.git("add", "module.py")  # the same file
        self.resume(command=command, code=0)
        self.commit()
        self.resume("begun: the commit (", command=command)

    def test_the_state_of_the_tree_is_kept_for_a_samebits_that_is_killed(self):
        self.job(body="import time; time.sleep(0.3)")
        self.commit()
        running = subprocess.Popen([program.SAMEBITS, "run", "-q", "--out", "r", *self.RUN, "--", PYTHON, "job.py"],
                                   cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while time.monotonic() < until and b"r00" not in (open(self.path("r/journal"), "rb").read()
                                                          if os.path.exists(self.path("r/journal")) else b""):
            time.sleep(0.02)
        time.sleep(0.1)
        running.kill()
        running.communicate()
        self.git("commit", "--allow-empty", "-m", "b")
        self.resume("begun: the commit (", command=(PYTHON, "job.py"))

    def test_an_output_that_a_killed_run_left_behind_keeps_nothing_from_going_on(self):
        self.job()
        command = (PYTHON, "job.py", "w.npy")
        self.run_into("r", command=command)
        self.write("w.npy", "left over")
        self.resume(command=command, code=0)

    def test_a_result_of_before_is_gone_on_with(self):
        self.job()
        self.commit()
        self.run_into("r")
        with open(self.path("r/plan.json"), encoding="utf-8") as file:
            plan = json.load(file)
        self.assertFalse(plan["git"]["dirty"])
        del plan["program"], plan["git"]
        plan["inputs"] = None
        self.write("r/plan.json", json.dumps(plan))
        self.scaled(2)
        self.resume(command=(PYTHON, "job.py"), code=0)

    # ---- Two results

    def shards(self, between):
        axes = ("--vary", "hash_seed=0,1")
        self.run_into("a", "--force", *axes, "--shard", "1/2")
        between()
        self.run_into("b", "--force", *axes, "--shard", "2/2")
        return self.samebits("merge", "a", "b", "--out", "r", "--force")

    def test_shards_of_different_programs_are_not_merged(self):
        self.scaled(1)
        done = self.shards(lambda: self.scaled(2))
        self.assertEqual(done.returncode, 2)
        self.assertIn("the file job.py is", done.stderr)
        done = self.shards(lambda: None)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_shards_of_a_tree_with_different_changes_are_not_merged(self):
        self.job()
        self.write("module.py", "1")
        self.commit()
        for before, between, code in (("1", "2", 2), ("2", "2", 0), ("2", "3", 2), ("2", "1", 2)):
            with self.subTest(before=before, between=between):
                self.write("module.py", before)
                done = self.shards(lambda: self.write("module.py", between))
                self.assertEqual(done.returncode, code, done.stderr)
                if code:
                    self.assertIn("the digest of uncommitted changes", done.stderr)

    def test_a_program_that_was_built_on_each_host_may_differ(self):
        self.write("tool", f"#!/bin/sh\nexec {PYTHON} job.py\n", mode=0o755)
        self.job()
        for name in "ab":
            self.run_into(name, "--vary", "hash_seed=0,1", "--shard", f"{'ab'.index(name) + 1}/2", command=("./tool",))
            self.write("tool", f"#!/bin/sh\nexec {PYTHON} ./job.py\n", mode=0o755)
        done = self.samebits("merge", "a", "b", "--out", "r", code=2)
        self.assertIn("the file ./tool of ", done.stderr)
        result = self.result("b")
        result["manifest"]["host"] = "another"
        self.write("b/result.json", json.dumps(result))
        self.samebits("merge", "a", "b", "--out", "r")
        self.assertTrue(os.path.exists(self.path("r/result.json")))

    def test_what_changed_between_two_results_is_named(self):
        self.scaled(1)
        self.write("module.py", "1")
        self.commit()
        self.write("module.py", "2")
        self.run_into("a")
        self.samebits("baseline", "save", "a", code=0)
        self.run_into("c")
        self.assertEqual(self.samebits("diff-manifest", "a", "c", code=0).stdout, "the same\n")
        time.sleep(1.1)  # results are told apart by the second
        self.scaled(2)
        self.write("module.py", "3")
        self.run_into("b")
        self.assertEqual(self.samebits("diff-manifest", "a", "b", code=1).stdout,
                         "job.py changed\nuncommitted changes differ\n")
        self.assertIn("job.py changed; uncommitted changes differ", self.samebits("history", "a", "b", code=0).stdout)
        said = self.samebits("baseline", "check", "b", code=1).stdout
        self.assertIn("job.py changed", said)
        self.assertIn("uncommitted changes differ", said)
        for name in ("program", "git"):  # of before there was a word of it
            result = self.result("a")
            (result["manifest"] if name == "program" else result["manifest"]["git"]).pop("program" if name == "program" else "changes")
            self.write("a/result.json", json.dumps(result))
        self.assertEqual(self.samebits("diff-manifest", "a", "b", code=0).stdout, "the same\n")

    # ---- explain, rerun

    def experiments(self):
        return set(os.listdir(self.path("r/explain")))

    def explain(self, *options, code=0):
        return self.samebits("explain", "r", *options, code=code).stdout

    def test_explain_answers_for_the_program_as_it_is_now(self):
        self.job(body="values[0] = float(int.from_bytes(os.urandom(2), 'little'))")
        self.run_into("r", code=1)
        said = self.explain()
        self.assertIn("entropy (confirmed)", said)
        self.assertNotIn("changed", said)
        before = self.experiments()
        self.assertEqual(self.explain(), said)
        self.assertEqual(self.experiments(), before)
        self.job(body="values[0] = float(os.getpid())")
        now = self.explain()
        self.assertIn("changed since this result was made: job.py", now)
        self.assertIn("what follows is true of the program as it is now", now)
        self.assertIn("pid (", now)
        self.assertNotIn("entropy", now)
        self.assertTrue(before < self.experiments())
        self.assertEqual(json.loads(self.explain("--json"))["changed"], "job.py")
        self.assertIn("# changed since then: job.py", self.samebits("rerun", "-n", "r", "r00001", code=0).stdout)

    def test_an_edit_while_it_explains_leaves_no_answer(self):
        self.job("x.py", body="values[0] = float(int.from_bytes(os.urandom(2), 'little'))")
        work = self.path("work")
        os.mkdir(work)
        self.run_into("r", command=(PYTHON, "../x.py"), code=1, cwd=work)
        running = subprocess.Popen([program.SAMEBITS, "explain", "r"], cwd=work, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while running.poll() is None and not os.path.exists(os.path.join(work, "r", "explain")):
            time.sleep(0.02)
        self.job("x.py", body="values[0] = 1.0")
        out, said = running.communicate(timeout=120)
        self.assertEqual((running.returncode, out), (2, ""))
        self.assertIn("changed while its runs were under way: ../x.py", said)
        self.assertFalse(os.path.exists(os.path.join(work, "r", "explain")))

    def test_runs_start_where_nothing_else_is_under_way(self):
        """What a thread holds is held for ever in what is forked beside it: git is asked by another process."""
        self.write("bin/git", "#!/bin/sh\nsleep 1\nexit 1\n", 0o755)
        self.job(body="""
            def parent(pid):
                return int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
            values = [float(len(os.listdir(f"/proc/{parent(os.getppid())}/task")))]
            """)
        document = self.run_json(*self.RUN, "--", PYTHON, "job.py", env={"PATH": self.path("bin") + ":" + os.environ["PATH"]})
        self.assertEqual([run["sum"] for run in document["runs"]], [1.0, 1.0, 1.0])
        self.assertIsNone(document["manifest"]["git"])

    # ---- A git that hangs

    def hanging(self):
        """The environment in which git, and what it started, hang; the folder of what they say of themselves."""
        self.write("bin/git", "#!/bin/sh\nsleep 600 &\necho $$ $! >hung.tmp\nmv hung.tmp hung\nwait\n", 0o755)
        self.job()
        return dict(os.environ, PATH=self.path("bin") + ":" + os.environ["PATH"])

    def hung(self):
        with open(self.path("hung"), encoding="utf-8") as file:
            return [int(pid) for pid in file.read().split()]

    def assert_gone(self, pids):
        until = time.monotonic() + 20
        while time.monotonic() < until and any(os.path.exists(f"/proc/{pid}/exe") for pid in pids):
            time.sleep(0.05)
        self.assertEqual([pid for pid in pids if os.path.exists(f"/proc/{pid}/exe")], [])

    def wait_for(self, name):
        until = time.monotonic() + 60
        while time.monotonic() < until and not os.path.exists(self.path(name)):
            time.sleep(0.02)
        self.assertTrue(os.path.exists(self.path(name)), name)

    def test_a_git_that_hangs_is_not_waited_for_without_end(self):
        environment = self.hanging()
        done = self.samebits("run", "-q", "--out", "r", *self.RUN, "--", PYTHON, "job.py", code=0, env=environment)
        self.assertIn("waiting for `git status`, 30 s at most", done.stderr)
        self.assertIn("`git status` has not answered: the commit is not known", done.stderr)
        self.assertIsNone(self.result("r")["manifest"]["git"])
        self.assert_gone(self.hung())

    def test_an_interrupt_ends_the_wait_for_git(self):
        environment = self.hanging()
        running = subprocess.Popen([program.SAMEBITS, "run", "-q", "--out", "r", *self.RUN, "--", PYTHON, "job.py"],
                                   cwd=self.folder, env=environment, stderr=subprocess.PIPE, text=True)
        said = running.stderr.readline()
        self.assertIn("waiting for `git status`", said)
        before = time.monotonic()
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        self.assertLess(time.monotonic() - before, 20)  # not the rest of 30 s
        self.assertIn("has not answered", said)
        self.assertEqual(len(self.result("r")["runs"]), 3)
        self.assert_gone(self.hung())

    def test_git_ends_with_samebits(self):
        environment = self.hanging()
        self.write("slow.py", "import time\ntime.sleep(600)\n")
        running = subprocess.Popen([program.SAMEBITS, "run", "-q", "--out", "r", *self.RUN, "--", PYTHON, "slow.py"],
                                   cwd=self.folder, env=environment)
        self.wait_for("hung")
        running.kill()
        running.wait(timeout=60)
        self.assert_gone(self.hung())


if __name__ == "__main__":
    program.main()
