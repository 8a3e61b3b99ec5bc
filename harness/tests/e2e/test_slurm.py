"""`run --launcher slurm`: the runs of a plan as tasks of a real Slurm, which is started for this test alone."""
import atexit
import json
import os
import shlex
import signal
import subprocess
import time

import cluster
import program

PYTHON = "/usr/bin/python3"

SUITE = """
version: 1
defaults: {repeats: 3, weights: w.npy, axes: {hash_seed: ["0", "1"]}}
jobs:
  - {name: same, command: [%(python)s, same.py]}
  - {name: seed, command: [%(python)s, seed.py]}
  - {name: random, command: [%(python)s, random_.py]}
  - {name: crash, command: [%(python)s, crash.py]}
  - {name: slow, command: [%(python)s, slow.py], timeout: 1s, repeats: 1, axes: {hash_seed: ["0"]}}
""" % {"python": PYTHON}


class Slurm(program.Program):
    cluster = None

    def setUp(self):
        if cluster.missing():
            self.skipTest(f"needs slurm: there is no {cluster.missing()}")
        super().setUp()
        if not Slurm.cluster:
            Slurm.cluster = cluster.Cluster()
            atexit.register(Slurm.cluster.stop)
            Slurm.cluster.start()

    def environment(self, **more):
        return {**self.cluster.environment, **more}

    def slurm(self, *arguments, code, out="r", **more):
        return self.samebits("run", "-q", "--launcher", "slurm", "--out", out, *arguments, code=code,
                             env=self.environment(**more))

    def start(self, *arguments):
        return subprocess.Popen([program.SAMEBITS, "run", "-q", "--launcher", "slurm", "--out", "r", *arguments],
                                cwd=self.folder, env={**os.environ, **self.environment()}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self, out="r"):
        with open(self.path(out, "result.json"), encoding="utf-8") as file:
            return json.load(file)

    def assert_nothing_is_left(self, out="r"):
        self.cluster.wait_for(lambda: not self.cluster.tasks(), "the end of all tasks")
        self.assertFalse(os.path.exists(self.path(out, "slurm")))

    def test_verdicts_and_fingerprints_are_those_of_this_machine(self):
        self.job("same.py")
        self.job("seed.py", "values = [float(hash('x%d' % i) % 1000) for i in range(256)]")
        self.job("random_.py", "values = [float(byte) for byte in os.urandom(256)]")
        self.job("crash.py", "print('about to fail', flush=True); sys.exit(3)")
        self.job("slow.py", "import time; time.sleep(30)")
        self.write("s.yaml", SUITE)
        self.slurm("s.yaml", code=2)
        self.samebits("run", "-q", "--out", "here", "s.yaml", code=2)
        there, here = self.result(), self.result("here")
        for key in ("name", "verdict", "outcome", "depends_on", "runs", "failed", "grade"):
            if key != "runs":
                self.assertEqual([job[key] for job in there["jobs"]], [job[key] for job in here["jobs"]], key)
        self.assertEqual([job["verdict"] for job in there["jobs"]][:3], ["bitwise", "config-dependent", "nondeterministic"])
        for name in ("same", "seed"):
            self.assertEqual(*({run["id"]: (run["cell"], run["fingerprint"]) for run in result["runs"] if run["job"] == name}
                               for result in (there, here)))
        by_job = {name: [run for run in there["runs"] if run["job"] == name] for name in ("same", "crash", "slow")}
        self.assertEqual({(run["status"], run["exit"]) for run in by_job["crash"]}, {("crashed", 3)})
        self.assertIn("last line of its log: about to fail", by_job["crash"][0]["message"])
        self.assertEqual([run["status"] for run in by_job["slow"]], ["timeout"])
        # One copy of each weights, no more.
        kept = {run["fingerprint"].replace(":", "-") for run in there["runs"] if run["fingerprint"]}
        self.assertEqual(set(os.listdir(self.path("r", "weights"))), kept)
        # A round of six is one array, and what came after it for want of evidence were others.
        machines = [there["manifest"]["machines"][run["machine"]]["host"] for run in there["runs"]]
        self.assertEqual(set(machines), {"n1", "n2"})
        self.assertEqual(there["isolation"]["mode"], here["isolation"]["mode"])
        self.assert_nothing_is_left()

    def test_a_round_larger_than_an_array_may_be_becomes_several(self):
        self.job()
        before = self.cluster.call("squeue", "-h", "-t", "all", "-o", "%F").split()
        self.slurm("--repeats", "14", "--vary", "env:X=1", "--", PYTHON, "job.py", "w.npy", code=0)
        after = self.cluster.call("squeue", "-h", "-t", "all", "-o", "%F").split()
        self.assertEqual(len(set(after) - set(before)), 3)  # 6 + 6 + 2
        self.assertEqual([run["id"] for run in self.result()["runs"]], [f"r{i:05}" for i in range(1, 15)])
        self.assertEqual({run["status"] for run in self.result()["runs"]}, {"ok"})

    def test_a_run_has_the_environment_of_who_waits_and_the_cpus_of_its_level(self):
        self.job(body="print(json.dumps([dict(os.environ), len(os.sched_getaffinity(0))]))".replace("json", "__import__('json')"))
        if self.cluster.cpus < 2:
            self.skipTest("needs two CPUs: of a node")
        self.slurm("--vary", "hash_seed=0,1", "--vary", "threads=1,all", "--repeats", "1", "--exact-repeats", "--",
                   PYTHON, "job.py", code=2, PYTHONHASHSEED="7", SAMEBITS_TEST="kept\n as it is")
        runs = self.result()["runs"]
        self.assertEqual({run["cell"]["threads"] for run in runs}, {"1", "2"})  # `all` of a node
        for run in runs:
            with open(self.path("r", run["log"]), encoding="utf-8") as file:
                environment, cpus = json.loads(file.read())
            self.assertEqual(environment["PYTHONHASHSEED"], run["cell"]["hash_seed"])
            self.assertEqual(environment["SAMEBITS_TEST"], "kept\n as it is")
            self.assertEqual([name for name in environment if name.startswith("SLURM")], ["SLURM_CONF"])  # our own
            self.assertNotIn("SLURMD_NODENAME", environment)
            self.assertEqual(cpus, int(run["cell"]["threads"]))

    def test_a_task_that_is_cancelled_is_an_error_of_its_run_and_no_divergence(self):
        self.job(body="import time; time.sleep(0.1 if os.path.exists('%s') else 8)" % self.path("go"))
        options = ("--vary", "env:X=1", "--repeats", "3", "--", PYTHON, "job.py", "w.npy")
        running = self.start(*options)
        self.cluster.wait_for(lambda: len(self.cluster.tasks("RUNNING")) >= 2, "tasks")
        time.sleep(1)
        lost = self.cluster.tasks("RUNNING")[0]
        self.cluster.call("scancel", lost)
        self.write("go", "")
        running.communicate(timeout=60)
        self.assertEqual(running.returncode, 2)
        result = self.result()
        self.assertEqual(sorted(run["status"] for run in result["runs"]), ["interrupted", "ok", "ok"])
        message, = (run["message"] for run in result["runs"] if run["message"])
        self.assertRegex(message, f"^Slurm task {lost} on n[12]: CANCELLED before the run had ended$")
        job, = result["jobs"]
        self.assertEqual((job["outcome"], job["failed"]), ("error", 1))
        self.assertNotEqual(job["verdict"], "nondeterministic")
        self.samebits("merge", "-q", "r", "--out", "merged", code=2)
        self.assertEqual(self.result("merged")["jobs"][0]["failed"], 1)
        self.slurm("--resume", *options, code=0)
        self.assertEqual([run["status"] for run in self.result()["runs"]], ["ok"] * 3)

    def test_sigint_ends_the_tasks_and_resume_goes_on(self):
        self.job(body="import time; time.sleep(0.1 if os.environ['X'] == '1' or os.path.exists('%s') else 60)" % self.path("go"))
        options = ("--vary", "env:X=1,2", "--vary", "hash_seed=0,1", "--repeats", "2", "--exact-repeats", "--", PYTHON, "job.py")
        running = self.start(*options)
        # The reference cell comes first; then tasks that do not end.
        self.cluster.wait_for(lambda: self.finished() >= 2, "two runs")
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 130, said)
        self.assert_nothing_is_left()
        before = self.result()["runs"]
        self.assertLessEqual({run["status"] for run in before}, {"ok", "interrupted"})
        self.assertEqual(program.processes_with(self.path("job.py")), [])
        self.write("go", "")
        goes_on = shlex.split(next(line for line in said.splitlines() if "this goes on: " in line).split("this goes on: ")[1])
        done = self.samebits(*goes_on[1:], code=0, env=self.environment())
        self.assertEqual(done.stderr, "")
        self.assertEqual([run["status"] for run in self.result()["runs"]], ["ok"] * 8)

    def finished(self):
        """Runs in the journal."""
        path = self.path("r", "journal")
        if not os.path.exists(path):
            return 0
        with open(path, encoding="utf-8") as file:
            return sum('"status":"ok"' in line for line in file)

    def test_what_a_killed_samebits_left_at_work_is_ended_and_its_results_are_taken_in(self):
        began = os.path.join(self.cluster.folder, "began")  # what runs write in their own directory is nobody else's
        self.job(body="""
            import time
            open('%s', 'a').write(os.environ['X'] + ' ')
            while not os.path.exists('%s' + os.environ['X']):
                time.sleep(0.05)
            """ % (began, self.path("go")))
        options = ("--vary", "env:X=1,2", "--repeats", "2", "--exact-repeats", "--", PYTHON, "job.py")
        running = self.start(*options)
        self.cluster.wait_for(lambda: len(self.cluster.tasks("RUNNING")) >= 1, "a task")
        running.kill()
        running.communicate()
        # The reference cell's runs end all the same, and nobody has noted it.
        self.write("go1", "")
        self.cluster.wait_for(lambda: sum('"status":"ok"' in text for text in self.spools()) == 2, "two runs")
        self.assertEqual(self.finished(), 0)
        self.assertTrue(self.cluster.tasks())
        going_on = self.start("--resume", *options)
        self.cluster.wait_for(lambda: self.finished() == 2, "what was done to be taken in")
        self.write("go2", "")
        _, said = going_on.communicate(timeout=60)
        self.assertEqual((going_on.returncode, said), (0, ""))
        self.assertEqual([run["status"] for run in self.result()["runs"]], ["ok"] * 4)
        with open(began, encoding="utf-8") as file:
            self.assertEqual(file.read().split().count("1"), 2)  # not again
        self.assert_nothing_is_left()

    def spools(self):
        texts = []
        for path, _, names in os.walk(self.path("r", "slurm")):
            for name in names:
                if name.endswith(".spool"):
                    with open(os.path.join(path, name), encoding="utf-8") as file:
                        texts.append(file.read())
        return texts

    def test_nothing_more_is_started_after_a_divergence_when_that_is_asked_for(self):
        self.job(body="values[0] = float(os.getpid()); import time; time.sleep(0.2)")
        self.slurm("--stop-after", "first-divergence", "--vary", "env:X=1", "--repeats", "30", "--", PYTHON, "job.py", "w.npy", code=1)
        result = self.result()
        self.assertEqual(result["jobs"][0]["verdict"], "nondeterministic")
        self.assertLess(len(result["runs"]), 30)
        self.assert_nothing_is_left()

    def test_in_place_all_runs_of_a_round_are_one_task(self):
        self.job()
        self.slurm("--isolate", "inplace", "--vary", "env:X=1", "--", PYTHON, "job.py", "w.npy", code=0)
        result = self.result()
        self.assertEqual(result["isolation"]["mode"], "inplace")
        self.assertEqual(len({run["machine"] for run in result["runs"]}), 1)
        self.assertFalse(os.path.exists(self.path("w.npy")))

    def test_built_in_jobs_and_rerun(self):
        self.write("s.yaml", "version: 1\njobs:\n  - {name: d, train: dense, backend: ref, args: {epochs: 1}, axes: {hash_seed: ['0']}}\n")
        self.slurm("s.yaml", code=0)
        self.samebits("run", "-q", "--out", "here", "s.yaml", code=0)
        self.assertEqual(self.result()["jobs"][0]["groups"][0]["fingerprint"], self.result("here")["jobs"][0]["groups"][0]["fingerprint"])
        self.assertFalse(os.path.exists(self.path("r", "work")))
        before = len(self.cluster.call("squeue", "-h", "-t", "all", "-o", "%F").split())
        done = self.samebits("rerun", "r", "r00002", code=0, env=self.environment())
        self.assertIn("  same\n", done.stdout)
        self.assertEqual(len(self.cluster.call("squeue", "-h", "-t", "all", "-o", "%F").split()), before + 1)
        done = self.samebits("rerun", "r", "r00002", code=0, env={"PATH": self.path("none")})
        self.assertIn("# there is no sbatch on PATH: done on this machine", done.stdout)

    def test_the_recipe_waits_in_a_task_of_its_own(self):
        self.job(body="print(sorted(name for name in os.environ if name.startswith('SLURM')))")
        os.symlink(program.SOURCE, self.path(".samebits"))
        done = subprocess.run(["sbatch", "--wait", "--output=said", ".samebits/ci/slurm/samebits.sbatch"], cwd=self.folder,
                              env={**os.environ, **self.environment(
                                  SAMEBITS=program.SAMEBITS, SAMEBITS_COMMAND=f"{PYTHON} job.py",
                                  SAMEBITS_OPTIONS="--vary\nenv:X=1\n--launcher-arg=--comment=a test")},
                              capture_output=True, text=True, check=False, timeout=120)
        with open(self.path("said"), encoding="utf-8") as file:
            self.assertEqual((done.returncode, done.stderr), (0, ""), file.read())
        result = self.result("samebits-out")
        self.assertEqual([run["status"] for run in result["runs"]], ["ok"] * 3)
        self.assertEqual(len(result["manifest"]["machines"][0]["host"]), 2)
        with open(self.path("samebits-out", result["runs"][0]["log"]), encoding="utf-8") as file:
            self.assertEqual(file.read(), "['SLURM_CONF']\n")
        self.assertTrue(os.path.exists(self.path("samebits-out", "report.html")))

    def test_merge_finds_that_bits_follow_the_node(self):
        if not self.cluster.has_local:
            self.skipTest("needs mounts: a folder that differs between nodes")
        self.job(body="values[0] = float(open('%s').read())" % os.path.join(self.cluster.local, "where"))
        options = ("--vary", "env:X=1", "--repeats", "8", "--exact-repeats", "--", PYTHON, "job.py", "w.npy")
        self.slurm(*options, code=1)
        self.assertEqual(self.result()["jobs"][0]["verdict"], "nondeterministic")
        self.samebits("merge", "-q", "r", "--out", "merged", code=1)
        job, = self.result("merged")["jobs"]
        self.assertEqual((job["verdict"], job["depends_on"]), ("config-dependent", ["host"]))

    def test_a_results_folder_that_a_node_does_not_have_is_said(self):
        if not self.cluster.has_local:
            self.skipTest("needs mounts: a folder that differs between nodes")
        self.job()
        out = os.path.join(self.cluster.local, "results")
        done = self.slurm("--launcher-arg=--nodelist=n2", "--vary", "env:X=1", "--", PYTHON, "job.py", "w.npy", code=2, out=out)
        self.assertIn(f"{out} is not there on n2: with --launcher slurm the results folder (--out) has to lie on a file "
                      "system that all nodes share; its other runs are left out", done.stderr)
        self.assertEqual(self.result(out)["runs"][0]["status"], "spawn-failed")

    def test_what_slurm_refuses_is_said(self):
        self.job()
        command = ("--vary", "env:X=1", "--", PYTHON, "job.py", "w.npy")
        done = self.slurm("--launcher-arg=--constraint=none", *command, code=2)
        self.assertIn("sbatch: error: Batch job submission failed: Invalid feature specification", done.stderr)
        done = self.slurm(*command, code=2, out="r2", SBATCH_PARTITION="none")
        self.assertIn("samebits run: --launcher slurm: sinfo", done.stderr)
        self.assertFalse(os.path.exists(self.path("r2")))
        done = self.slurm(*command, code=2, PATH=self.path("none"))
        self.assertIn("samebits run: --launcher slurm: there is no sbatch on PATH", done.stderr)


if __name__ == "__main__":
    program.main()
