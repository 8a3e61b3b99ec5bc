"""The GPU backends as a user meets them, with stand-ins for CUDA's libraries: no device, controls, claims."""
import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys

import program
from program import SAMEBITS, SOURCE

NONE = {"SAMEBITS_STANDIN_DEVICES": "0"}
NIGHTLY = os.path.join(SOURCE, "suites", "gpu-nightly.yaml")


class Gpu(program.Program):
    def gpu_check(self, env):
        return subprocess.run([os.path.join(SOURCE, "ci", "gpu-check"), os.path.dirname(SAMEBITS)],
                              env={**os.environ, **env}, cwd=self.folder, capture_output=True, text=True, check=False)

    def jobs(self, text, code=0, **more):
        self.write("s.yaml", text)
        return {job["id"]: job for job in self.run_json("s.yaml", "--out", "r", code=code, **more)["jobs"]}

    def test_without_a_device_jobs_are_skipped(self):
        jobs = self.jobs("""\
            version: 1
            jobs:
              - {name: a, kernel: gemm, backend: [cublas, cuda]}
            """, code=77, env=NONE)
        self.assertEqual({job["outcome"] for job in jobs.values()}, {"skipped"})
        self.assertIn("no CUDA device", jobs["a/cublas"]["reason"])

    def test_gpu_check_without_a_device(self):
        done = self.gpu_check(NONE)
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn("no CUDA device", done.stderr)

    def test_gpu_check_takes_no_stand_in_for_a_gpu(self):
        before = os.path.exists(os.path.join(SOURCE, "suites", "expected"))
        done = self.gpu_check({})
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn("stand-in", done.stderr)
        self.assertEqual(os.path.exists(os.path.join(SOURCE, "suites", "expected")), before)

    def test_gpu_check_keeps_a_result_under_the_devices_name(self):
        sys.dont_write_bytecode = True
        loader = importlib.machinery.SourceFileLoader("gpu_check", os.path.join(SOURCE, "ci", "gpu-check"))
        gpu_check = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_check", loader))
        loader.exec_module(gpu_check)
        self.assertEqual(gpu_check.name_of_folder("NVIDIA H100 80GB HBM3"), "nvidia-h100-80gb-hbm3")
        self.write("s.yaml", "version: 1\njobs:\n  - {name: a, kernel: sum, backend: cuda, algorithm: tree, shape: [99]}\n")
        self.samebits("run", "s.yaml", "--out", "r", "--report", f"markdown:{self.path('r', 'result.md')}", code=0)
        gpu_check.keep(self.path("r"), self.path("kept", "a-gpu"), {"cuda": {"core": "a GPU"}})
        self.assertEqual(sorted(os.listdir(self.path("kept", "a-gpu"))), ["device.json", "result.json", "result.md"])

    def test_the_device_is_called_a_stand_in_wherever_it_is_named(self):
        self.assertIn("stand-in", self.samebits("list", "backends", code=0).stdout)

    def test_atomics_are_controls_that_fire_and_their_twins_hold(self):
        jobs = self.jobs("""\
            version: 1
            jobs:
              - {name: atomic, kernel: sum, backend: cuda, algorithm: atomic, shape: [5000], expect: nondeterministic}
              - {name: tree, kernel: sum, backend: cuda, algorithm: tree, shape: [5000]}
              - {name: symv, kernel: symv, backend: cublas, algorithm: atomics, shape: [65], expect: nondeterministic}
              - {name: lt, kernel: gemm, backend: cublas, algorithm: [lt_1, lt_7], shape: [33, 20, 17]}
            """)
        self.assertEqual({name: job["outcome"] for name, job in jobs.items()},
                         {"atomic": "xfail", "tree": "pass", "symv": "xfail", "lt/lt_1": "pass", "lt/lt_7": "skipped"})
        self.assertIn("cublasLt proposes 3 algorithms", jobs["lt/lt_7"]["reason"])

    if os.environ.get("SAMEBITS_CUDNN"):

        def test_a_claim_that_is_not_true_is_said_first(self):
            suite = """\
                version: 1
                jobs:
                  - name: data
                    kernel: conv2d_gradient_data
                    backend: cudnn
                    algorithm: algo_0
                    shape: [2, 3, 9, 8, 5, 3, 3]
                    require: {repeats: ignore}
                """
            self.write("s.yaml", suite)
            for lies in ("", "1"):
                env = {"SAMEBITS_STANDIN_LIES": lies} if lies else {}
                shown = self.samebits("run", "s.yaml", "--out", "r" + lies, env=env).stdout
                self.assertEqual("CONTRADICTION" in shown.upper(), bool(lies), shown)

    def test_the_nightly_suite_names_every_algorithm_of_every_gpu_backend(self):
        with open(NIGHTLY, encoding="utf-8") as file:
            nightly = file.read()
        named = set(re.findall(r"[a-z0-9_]+", nightly))
        for backend in ("cublas", "cuda", "cudnn", "nccl"):
            names = self.algorithms(backend)
            self.assertTrue(names or backend in ("cudnn", "nccl"), f"{backend} names none")
            for name in names:
                self.assertIn(name, named)
        self.samebits("run", NIGHTLY, "--list", code=0)

    def algorithms(self, backend):
        """What a wrong name is answered with, of every kernel of the backend."""
        found = set()
        listed = self.samebits("worker", "describe", backend)
        kernels = program.json.loads(listed.stdout)["kernels"] if listed.returncode == 0 else []
        for kernel in kernels:
            self.write("a.yaml", "version: 1\njobs:\n  - {name: a, kernel: %s, backend: %s, algorithm: zz}\n"
                       % (kernel, backend))
            choices = re.search(r"choices: ([^)]*)", self.samebits("run", "a.yaml", code=2).stderr)
            if choices:
                found.update(choices.group(1).split())
        return found - {"none"}


if __name__ == "__main__":
    program.main()
