"""Interruption loses nothing: SIGINT, kill -9 at any moment, a second samebits, and going on from what is there."""
import json
import os
import random
import shlex
import signal
import subprocess
import time

import program
from program import processes_with

# What may differ between a result that was made in one go and one that was resumed.
TIMES = {"started", "elapsed_s", "wall_s", "cpu_s", "max_rss_kb", "cost", "cost_sd", "lists"}


def without_times(value):
    if isinstance(value, dict):
        kept = {key: without_times(item) for key, item in value.items() if key not in TIMES}
        if "samples" in kept:  # how often a run was looked at, and what was caught of it, is a matter of time
            for key in ("samples", "processes", "libraries", "threads"):
                kept.pop(key, None)
        return kept
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value


class Interruption(program.Program):
    COMMAND = ("--vary", "hash_seed=0,1,2", "--vary", "threads=1", "--repeats", "4", "--exact-repeats")

    def test_sigint_ends_a_wait_for_another_second(self):
        self.job()
        running = subprocess.Popen([program.SAMEBITS, "run", "-q", "--out", "r", "--vary", "env:X=1", "--repeats", "2", "--spread", "600",
                                    "--", program.PYTHON, "job.py"], cwd=self.folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until = time.monotonic() + 60
        while time.monotonic() < until and not (os.path.exists(self.path("r/journal"))
                                                and b"r00001" in open(self.path("r/journal"), "rb").read()):
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
        self.assertEqual(running.returncode, 130)
        self.assertEqual([run["status"] for run in self.result()["runs"] if run["status"] == "ok"], ["ok"])
        self.samebits("run", "-q", "--resume", "--out", "r", "--vary", "env:X=1", "--repeats", "2", "--", program.PYTHON, "job.py", code=0)

    def start(self, *options, job="job.py"):
        return subprocess.Popen([program.SAMEBITS, "run", "-q", "--out", "r", *self.COMMAND, *options, "--", program.PYTHON, job],
                                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def result(self):
        with open(self.path("r", "result.json"), encoding="utf-8") as file:
            return json.load(file)

    def test_sigint_leaves_no_process_and_no_lost_result(self):
        self.job(body="import time; time.sleep(0.3); marker = 'samebits-interrupt-test'")
        running = self.start()
        time.sleep(1.5)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 130)
        line = next(line for line in said.splitlines() if "this goes on: " in line)
        goes_on = shlex.split(line.split("this goes on: ")[1])
        self.assertEqual(goes_on[:5], [program.SAMEBITS, "run", "--resume", "--out", "r"])
        self.assertNotIn("--out", goes_on[5:])
        self.assertEqual(processes_with(self.path("job.py")), [])
        before = self.result()
        self.assertEqual(before["exit_code"], 130)
        finished = {run["id"] for run in before["runs"] if run["status"] == "ok"}
        self.assertTrue(finished)
        done = self.samebits(*goes_on[1:], code=0)
        self.assertEqual(done.stderr, "")
        self.assertEqual({run["status"] for run in self.result()["runs"]}, {"ok"})
        self.assertEqual(len(self.result()["runs"]), 12)

    def test_a_job_is_not_said_to_have_been_left_out_when_it_had_begun(self):
        self.job(body="import time; time.sleep(30)")
        running = self.start()
        time.sleep(1.0)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
        job, = self.result()["jobs"]
        self.assertEqual((job["outcome"], job["reason"]), ("skipped", "interrupted before a run of it had ended"))

    def test_a_job_that_was_cut_short_is_not_as_required(self):
        self.job(body="import time; os.path.exists('fast') or time.sleep(os.environ['SAMEBITS_THREADS'] == '2' and 30)")
        command = ("--out", "r", "--vary", "threads=1,2", "-j", "1", "--", "python3", "job.py")
        running = subprocess.Popen([program.SAMEBITS, "run", *command], cwd=self.folder, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        logs = self.path("r", "logs")
        for _ in range(300):
            time.sleep(0.1)
            if os.path.isdir(logs) and len(os.listdir(logs)) > 3:
                break  # the reference cell's three runs are over
        running.send_signal(signal.SIGINT)
        shown, _ = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 130)
        job, = self.result()["jobs"]
        self.assertEqual((job["outcome"], job["reason"]), ("error", "interrupted before all of its runs had ended"))
        self.assertEqual(job["missing"], {"cells": 1, "of": 2, "levels": {"threads": ["2"]}})
        self.assertEqual(job["limits"], [])
        self.assertIn("INTERRUPTED  1 job: without an answer", shown)
        self.assertIn("no run of threads=2 did", shown)
        self.write("fast", "")
        self.samebits("run", "--resume", *command)
        job, = self.result()["jobs"]
        self.assertEqual((job["outcome"], job["missing"]), ("pass", None))

    def test_a_second_samebits_on_the_same_folder_is_refused(self):
        self.job(body="import time; time.sleep(0.5)")
        running = self.start()
        time.sleep(0.7)
        done = self.samebits("run", "--out", "r", "--resume", *self.COMMAND, "--", program.PYTHON, "job.py", code=2)
        self.assertIn(str(running.pid), done.stderr)
        running.communicate(timeout=60)
        self.assertEqual(running.returncode, 0)

    def test_kill_at_100_random_moments_and_resume_give_the_same_result(self):
        # Long enough to be seen on a busy machine: a run that was not is another result.
        self.job(body="import time; time.sleep(0.04); values = [float(hash('x%d' % i) % 1000) for i in range(256)]")
        options = [*self.COMMAND, "--", program.PYTHON, "job.py"]
        whole = self.samebits("run", "-q", "--out", "r", *options, code=1)
        self.assertEqual(whole.stdout, "")
        self.assertEqual(whole.stderr.count("\n"), 1)
        self.assertIn("FAIL  job.py  config-dependent: depends on hash_seed", whole.stderr)
        expected = without_times(self.result())  # of the same folder: in place, runs can see it, which is said
        subprocess.run(["rm", "-rf", self.path("r")], check=True)
        chance = random.Random(20260101)
        began = time.monotonic()
        self.samebits("run", "-q", "--out", "r", *options, code=1)
        duration = time.monotonic() - began
        kills = 0
        while kills < 100:
            subprocess.run(["rm", "-rf", self.path("r")], check=True)
            resume = []
            for _ in range(5):
                running = self.start(*resume)
                try:
                    running.communicate(timeout=chance.uniform(0, duration * 1.1))
                    break
                except subprocess.TimeoutExpired:
                    running.kill()
                    running.communicate()
                    kills += 1
                if os.path.exists(self.path("r", "plan.json")):
                    resume = ["--resume"]
            done = self.samebits("run", "-q", "--out", "r", *resume, *options)
            if done.returncode == 2 and not resume and "--force" in done.stderr:
                done = self.samebits("run", "-q", "--out", "r", "--resume", *options)
            self.assertEqual((done.returncode, done.stderr), (1, whole.stderr))
            self.assertEqual(without_times(self.result()), expected)
        time.sleep(0.5)
        self.assertEqual(processes_with(self.path("job.py")), [])

    def test_resume_refuses_another_plan(self):
        self.job()
        self.samebits("run", "-q", "--out", "r", *self.COMMAND, "--", program.PYTHON, "job.py", code=0)
        done = self.samebits("run", "--out", "r", "--resume", "--vary", "hash_seed=0,9", "--", program.PYTHON, "job.py", code=2)
        for words in ("job 'job.py': axes", '"2"', '"9"', "--force"):
            self.assertIn(words, done.stderr)
        for options, word in ((["--seed", "9"], "seed"), (["--exclude", "x"], "exclude"), (["--shard", "1/2"], "shard")):
            done = self.samebits("run", "--out", "r", "--resume", *options, *self.COMMAND, "--", program.PYTHON, "job.py", code=2)
            self.assertIn(word + " was ", done.stderr)
        self.assertTrue(os.path.exists(self.path("r", "result.json")))

    def test_more_evidence_may_be_asked_for_when_going_on(self):
        self.job(body="values[0] = float(sys.argv[2])")
        command = ["--out", "r", "--vary", "x=1,2", "--", program.PYTHON, "job.py", "w.npy", "{x}"]
        self.samebits("run", "-q", "--exact-repeats", *command, code=2)
        self.assertEqual(self.result()["jobs"][0]["verdict"], "inconclusive")
        self.samebits("run", "-q", "--resume", *command, code=1)
        self.assertEqual(self.result()["jobs"][0]["verdict"], "config-dependent")
        self.assertGreater(self.result()["jobs"][0]["runs"], 6)
        done = self.samebits("run", "-q", "--resume", "--repeats", "6", *command, code=2)
        self.assertIn("repeats was 3 when this result was begun, now 6", done.stderr)

    def test_rerun_does_one_run_again(self):
        self.job(body="values = [float(hash('x%d' % i) % 1000) for i in range(256)]")
        self.samebits("run", "-q", "--out", "r", *self.COMMAND, "--", program.PYTHON, "job.py", code=1)
        done = self.samebits("rerun", "r", "r00005", code=0)
        self.assertIn("PYTHONHASHSEED=", done.stdout)
        self.assertIn("same", done.stdout)
        done = self.samebits("rerun", "r", "r99999", code=2)
        self.assertIn("r00001", done.stderr)


if __name__ == "__main__":
    program.main()
