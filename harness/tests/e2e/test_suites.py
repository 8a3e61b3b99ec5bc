"""The suites that come with the project give the answers that are known."""
import json
import os

import program
from program import SOURCE, effects


class Suites(program.Program):
    def suite(self, name, *options, code=0):
        document = self.run_json(os.path.join(SOURCE, "suites", name), "--out", self.path("r"), *options, code=code)
        return {job["id"]: job for job in document["jobs"]}

    def test_quickstart(self):
        jobs = self.suite("quickstart.yaml")
        self.assertEqual(jobs["dense/ref"]["verdict"], "bitwise")
        self.assertEqual(jobs["gemm/ref"]["verdict"], "bitwise")
        self.assertEqual(jobs["control-hash-order"]["outcome"], "xfail")
        self.assertEqual(jobs["control-hash-order"]["depends_on"], ["hash_seed"])
        self.assertEqual(jobs["control-sorted"]["verdict"], "bitwise")

    def test_notebook(self):
        jobs = self.suite("notebook.yaml")
        self.assertEqual(jobs["two-runs"]["verdict"], "bitwise")
        self.assertEqual(len(jobs["two-runs"]["groups"]), 1)
        self.assertIsNotNone(jobs["two-runs"]["groups"][0]["sum"])
        self.assertEqual(jobs["two-runs-unseeded"]["outcome"], "xfail")

    def test_every_kernel_of_ref_and_the_controls(self):
        """All of ref is bitwise and right; controls that must be silent are; those that may fire fail nothing."""
        jobs = self.suite("kernels.yaml", "--only", "*/ref", "--only", "control/*")
        ref = [job for job in jobs.values() if job["backend"] == "ref"]
        self.assertGreaterEqual(len(ref), 36)
        for job in ref:
            with self.subTest(job=job["id"]):
                self.assertEqual((job["verdict"], job["depends_on"], job["calls"]["distinct"]), ("bitwise", [], 1))
                self.assertFalse(job["accuracy"]["inaccurate"], job["accuracy"])
        for name in ("control/openmp-tree", "control/allreduce-tree/ring", "control/allreduce-tree/tree"):
            self.assertIn(jobs[name]["verdict"], ("bitwise", "skipped"), jobs[name])
        for name in ("control/openmp-sum", "control/allreduce-arrival", "control/openblas-isa",
                     "control/openblas-threads"):
            self.assertIn(jobs[name]["outcome"], ("xfail", "xpass", "skipped"), jobs[name])

    def test_the_controls_are_silent_where_they_must_be(self):
        """In few repeats here; in 1,000 as the suite has it."""
        jobs = self.suite("controls.yaml", "--repeats", "5", "--exact-repeats")
        self.assertEqual({name.split("/")[0] for name in jobs}, {"fires", "processes", "calls"})
        for name, job in jobs.items():
            with self.subTest(job=name):
                if name.startswith("fires/"):
                    self.assertIn(job["outcome"], ("xfail", "xpass", "skipped"), job)
                else:
                    self.assertIn(job["verdict"], ("bitwise", "skipped"), job)

    def cells_of(self, name):
        """(kernel, backend, dtype) of every kernel job of a suite."""
        plan = self.run_json(os.path.join(SOURCE, "suites", name), "--list")
        return {(job["kernel"], job["backend"], job["dtype"]) for job in plan["jobs"] if job["kind"] == "kernel"}

    def listed_cells(self):
        """The same of everything that this build has."""
        rows = json.loads(self.samebits("list", "kernels", "--json", code=0).stdout)["kernels"]
        self.assertGreaterEqual(len(rows), 36)
        return {(row["name"], backend, dtype) for row in rows for backend, dtypes in row.items()
                if backend not in ("name", "what it is") for dtype in dtypes.split() if dtype != "-"}

    def test_every_cell_of_the_table_is_in_a_matrix(self):
        """What a CPU computes is in kernels.yaml, what a GPU does in gpu-nightly.yaml, in every element type."""
        listed = self.listed_cells()
        gpu = {cell for cell in listed if cell[1] in ("cublas", "cuda", "cudnn", "nccl")}
        self.assertGreaterEqual(len(listed - gpu), 36 * 4)
        self.assertEqual(sorted(listed - gpu - self.cells_of("kernels.yaml")), [])
        self.assertEqual(sorted(gpu - self.cells_of("gpu-nightly.yaml")), [])

    def test_python_jobs(self):
        jobs = self.suite("commands.yaml", "--skip", "torch_*")
        self.assertEqual(jobs["hash_order"]["depends_on"], ["hash_seed"])
        self.assertEqual(jobs["hash_order"]["verdict"], "config-dependent")
        self.assertEqual((jobs["unseeded_rng"]["verdict"], jobs["unseeded_rng"]["unstable_when"]),
                         ("nondeterministic", {}))
        self.assertEqual(jobs["numpy_mlp"]["verdict"], "bitwise")
        self.assertEqual(effects(jobs["blas_isa"])["isa"], "bits")

    def test_pytorch_jobs(self):
        if not program.works(program.PYTHON, "-c", "import torch"):
            self.skipTest("needs torch: PyTorch is not in every release")
        jobs = self.suite("commands.yaml", "--only", "torch_*")
        self.assertEqual(jobs["torch_threads"]["depends_on"], ["threads"])
        put = jobs["torch_index_put"]
        self.assertEqual(put["verdict"], "nondeterministic")
        self.assertEqual(put["unstable_when"], {"threads": ["2"], "deterministic": ["off"]})


if __name__ == "__main__":
    program.main()
