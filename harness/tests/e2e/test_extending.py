"""The backend that docs/extending.md shows is built against what an installation has, and used by it."""
import json
import os
import re
import shutil
import subprocess
import tempfile

import program
from program import SAMEBITS, SOURCE

SUITE = """
version: 1
jobs:
  - name: product
    kernel: gemm
    backend: [ref, blocks]
    shapes: [[9, 11, 6400]]
    args: {calls: 50}
    axes: {deterministic: [off, on], threads: [1, 4]}
    require: {repeats: ignore, threads: ignore, deterministic: ignore}
  - name: transposed
    kernel: gemm
    backend: blocks
    shapes: [[9, 11, 640]]
    args: {transpose_a: 1}
  - name: other
    kernel: sum
    backend: blocks
"""


def shown_source():
    with open(os.path.join(SOURCE, "docs", "extending.md"), encoding="utf-8") as file:
        return re.search(r"^```c\n(/\* cc .*?)^```$", file.read(), re.M | re.S).group(1)


class Extending(program.Program):
    @classmethod
    def setUpClass(cls):
        cls.destination = tempfile.mkdtemp(prefix="samebits-e2e-")
        cls.addClassCleanup(shutil.rmtree, cls.destination, ignore_errors=True)
        subprocess.run(["meson", "install", "-C", os.path.dirname(SAMEBITS), "--no-rebuild", "--destdir",
                        cls.destination], check=True, capture_output=True)

    def setUp(self):
        super().setUp()
        self.installed = self.find("bin", "samebits")
        self.headers = os.path.dirname(os.path.dirname(os.path.dirname(self.find("kernels", "dispatch.h"))))
        self.modules = self.path("modules")
        os.mkdir(self.modules)

    def find(self, folder, name):
        for where, _, names in os.walk(self.destination):
            if name in names and os.path.basename(where) == folder:
                return os.path.join(where, name)
        return self.fail(f"{folder}/{name} is not installed")

    def build(self, source):
        subprocess.run(["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-pthread",
                        f"-I{self.headers}", self.write("backend.c", source), "-o",
                        os.path.join(self.modules, "samebits-backend-blocks.so")], check=True)

    def run_installed(self, *arguments, path=None):
        environment = dict(os.environ)
        environment.pop("SAMEBITS_BACKEND_PATH", None)
        if path:
            environment["SAMEBITS_BACKEND_PATH"] = path
        return subprocess.run([self.installed, *arguments], cwd=self.folder, env=environment, capture_output=True,
                              text=True, timeout=300, check=False)

    def test_what_seeds_python_is_found_where_it_is_installed(self):
        self.job(body="import random; values = [random.random()]")
        done = self.run_installed("run", "--inject-seeds", "--repeats", "2", "--vary", "hash_seed=0,1", "--out", "out",
                                  "--", "python3", "job.py")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Python seeded with 0", done.stdout)

    def test_the_example_is_built_and_multiplies(self):
        self.build(shown_source())
        self.write("suite.yaml", SUITE)
        done = self.run_installed("run", "suite.yaml", "--out", "out", "--exact-repeats", path=self.modules)
        with open(self.path("out", "result.json"), encoding="utf-8") as file:
            document = json.load(file)
        jobs = {(job["name"], job["backend"]): job for job in document["jobs"]}
        ref, blocks = jobs["product", "ref"], jobs["product", "blocks"]
        self.assertEqual(document["exit_code"], 0, done.stdout + done.stderr)
        self.assertEqual(ref["verdict"], "bitwise", done.stdout + done.stderr)
        self.assertGreater(blocks["calls"]["distinct"], 1, done.stdout)  # in the order of arrival, at 4 threads
        self.assertLess(blocks["accuracy"]["max_rel_vs_f64"], blocks["accuracy"]["tolerance"])
        self.assertEqual(jobs["transposed", "blocks"]["verdict"], "skipped")
        self.assertIn("transposed operands are not written yet", jobs["transposed", "blocks"]["reason"])
        self.assertEqual(jobs["other", "blocks"]["verdict"], "skipped")
        self.assertIn("no kernel 'sum'", jobs["other", "blocks"]["reason"])

    def test_calls_that_differ_within_a_process_contradict_a_claim(self):
        """Every process gives the same results in the same order, so that no two runs differ."""
        source = shown_source().replace("[i] = 0;", "[i] = (float)(number % 2);")
        source = source.replace("    unsigned started", "    static unsigned number;\n    number++;\n    unsigned started")
        self.build(source)
        self.write("suite.yaml", "version: 1\njobs:\n  - name: j\n    kernel: gemm\n    backend: blocks\n"
                                 "    shape: [5, 7, 9]\n    axes: {deterministic: [on]}\n")
        done = self.run_installed("run", "suite.yaml", "--out", "out", path=self.modules)
        with open(self.path("out", "result.json"), encoding="utf-8") as file:
            document = json.load(file)
        job = document["jobs"][0]
        self.assertEqual((done.returncode, job["verdict"]), (1, "nondeterministic"), done.stdout + done.stderr)
        self.assertEqual(job["calls"]["distinct"], 2)
        self.assertEqual(len({run["fingerprint"] for run in document["runs"]}), 1)
        self.assertEqual([len(group["runs"]) > 0 for group in job["groups"]], [True, False])
        self.assertTrue(job["claims"][0]["contradicted"])
        self.assertIn("CONTRADICTION", done.stdout)

    def test_it_is_listed_where_the_path_has_it_and_unknown_where_not(self):
        self.build(shown_source())
        listed = self.run_installed("list", "backends", path=self.modules).stdout
        self.assertRegex(listed, r"blocks +here +products in blocks")
        kernels = self.run_installed("list", "kernels", path=self.modules).stdout.splitlines()
        self.assertIn(" blocks ", kernels[0])
        self.write("suite.yaml", SUITE)
        done = self.run_installed("run", "suite.yaml")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"suite.yaml:6:20: unknown backend 'blocks'")

    def test_an_installed_program_finds_the_modules_that_came_with_it(self):
        listed = self.run_installed("list", "backends").stdout
        for name in ("openmp", "blis", "onednn", "onednn3"):
            with self.subTest(name=name):
                self.assertRegex(listed, rf"{name} +(OpenMP|not built|\d+\.\d+)")

    def test_a_backend_for_another_version_is_refused(self):
        self.build(shown_source().replace(".api = SB_BACKEND_API", ".api = SB_BACKEND_API + 1"))
        listed = self.run_installed("list", "backends", path=self.modules).stdout
        self.assertIn("is made for version", listed)


if __name__ == "__main__":
    program.main()
