"""The commands that the documentation shows are run as they stand."""
import json
import os
import re
import shlex
import subprocess

import program
from program import SOURCE

TRAIN = '''
import argparse, h5py, numpy as np
parser = argparse.ArgumentParser()
parser.add_argument("out", nargs="?", default="model.h5")
parser.add_argument("--lr", type=float, default=0.1)
arguments = parser.parse_args()
rng = np.random.RandomState(0)
x, w = rng.standard_normal((64, 8)).astype("f4"), rng.standard_normal(8).astype("f4")
for _ in range(5):
    w -= np.float32(arguments.lr) * (x * (x * w).sum(axis=1, keepdims=True)).mean(axis=0)
with h5py.File(arguments.out, "w") as file:
    file["dense/kernel"] = w
'''


def commands(name):
    """Lines of indented blocks that call the program."""
    with open(os.path.join(SOURCE, name), encoding="utf-8") as file:
        for line in file:
            match = re.match(r"^    (?:\$ )?(?:build/)?samebits (.*)$", line)
            if match and not match.group(1)[0].isdigit() and "…" not in line:
                yield match.group(1)


class Docs(program.Program):
    def setUp(self):
        super().setUp()
        self.write("train.py", TRAIN)
        self.path_variable = os.path.dirname(program.PYTHON) + os.pathsep + os.environ["PATH"]

    def test_the_readmes_commands_run_as_they_stand(self):
        shown = list(commands("README.md"))
        self.assertGreaterEqual(len(shown), 5)
        for line in shown:
            with self.subTest(line=line):
                done = self.samebits(*shlex.split(line), env={"PATH": self.path_variable})
                self.assertIn(done.returncode, (0, 1), f"{line}\n{done.stdout}{done.stderr}")

    def test_the_readme_shows_a_report_as_it_is_printed(self):
        with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as file:
            readme = file.read()
        done = self.samebits("run", "--vary", "threads=1,2", "--vary", "hash_seed=0,1", "--", "python3", "train.py",
                             env={"PATH": self.path_variable, "LC_ALL": "C.UTF-8"})
        for words in ("run to run", "verdict", "evidence", "threads", "hash_seed", "train.py", "replays"):
            self.assertIn(words, done.stdout)
            self.assertIn(words, readme)
        first = done.stdout.splitlines()[0]
        self.assertIn(first, readme)

    def test_the_suite_of_the_kernels_page_runs(self):
        with open(os.path.join(SOURCE, "docs", "kernels.md"), encoding="utf-8") as file:
            suite = re.search(r"```yaml\n(version: 1\n.*?)```", file.read(), re.S).group(1)
        self.write("kernels.yaml", suite)
        done = self.samebits("run", "kernels.yaml", "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        jobs = {job["id"]: job for job in json.loads(done.stdout)["jobs"]}
        self.assertEqual(jobs["gemm/ref"]["verdict"], "bitwise")
        self.assertEqual(jobs["gemm/ref"]["calls"]["distinct"], 1)
        self.assertFalse(jobs["gemm/ref"]["accuracy"]["inaccurate"])

    def test_every_document_that_is_linked_exists(self):
        with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as file:
            for target in re.findall(r"\]\(([^)]+)\)", file.read()):
                self.assertTrue(os.path.exists(os.path.join(SOURCE, target)), target)

    def test_commands_of_the_other_documents_are_known(self):
        for name in os.listdir(os.path.join(SOURCE, "docs")):
            for line in commands(os.path.join("docs", name)):
                done = subprocess.run([program.SAMEBITS, shlex.split(line)[0], "--help"], check=False,
                                      capture_output=True)
                self.assertEqual(done.returncode, 0, line)


if __name__ == "__main__":
    program.main()
