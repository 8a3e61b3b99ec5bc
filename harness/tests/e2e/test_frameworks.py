"""The suites in the frameworks that people train with give the answers that are known."""
import os

import program
from program import SOURCE, effects


class Frameworks(program.Program):
    def needs(self, interpreter, module, said):
        if not program.works(interpreter, "-c", "import " + module):
            self.skipTest(f"needs {said}: ci/install-deps --frameworks")

    def verdicts(self, suite, expected, apart=()):
        """Runs it; every verdict but of those jobs `apart` is as expected. The jobs, by name."""
        document = self.run_json(os.path.join(SOURCE, "suites", suite), "--out", self.path("r"), code=0,
                                 timeout=1200)
        jobs = {job["id"]: job for job in document["jobs"]}
        self.assertEqual({name: job["verdict"] for name, job in jobs.items() if name not in apart}, expected)
        for name in apart:
            self.assertEqual(jobs[name]["outcome"], "pass", jobs[name]["reason"])
        for name, verdict in expected.items():
            if verdict == "config-dependent":
                self.assertEqual(len(jobs[name]["depends_on"]), 1, name)
        return jobs

    def test_pytorch(self):
        """Verdicts that rest on seeds; what threads change is the CPU's and its BLAS's affair."""
        self.needs(program.PYTHON, "torch", "torch")
        jobs = self.verdicts("pytorch.yaml", {
            "index_put": "nondeterministic", "unseeded": "nondeterministic",
            "loader-torch-seed-alone": "nondeterministic", "loader-seeded": "bitwise",
            "workers-torch-seed-alone": "bitwise", "workers-init-fn": "bitwise",
            "workers-numpy-seed-alone": "nondeterministic",
            "gloo/two-ranks": "bitwise", "gloo/four-ranks": "config-dependent"},
            apart=("mlp", "convolution", "embedding"))
        self.assertEqual(jobs["gloo/four-ranks"]["depends_on"], ["order"])

    def test_tensorflow(self):
        """The notebook in TensorFlow: what its seeds do, and which of its statements hold in Keras 3."""
        self.needs(program.FRAMEWORKS, "tensorflow", "tensorflow")
        jobs = self.verdicts("tensorflow.yaml", {
            "two-runs": "bitwise", "two-runs-unseeded": "nondeterministic",
            "seed-python": "bitwise", "seed-numpy": "nondeterministic", "seed-tensorflow": "nondeterministic",
            "shuffle-global-seed": "bitwise", "shuffle-unseeded": "nondeterministic", "shuffle-seeded": "bitwise",
            "data/shuffle-seeded": "config-dependent", "data/shuffle-unseeded": "nondeterministic",
            "data/map-in-order": "bitwise", "data/map-as-ready": "nondeterministic",
            "data/tokens-in-a-record": "bitwise", "data/tokens-by-a-function": "config-dependent",
            "operation/no-seed": "nondeterministic", "operation/global-seed": "config-dependent",
            "operation/own-seed": "bitwise", "operation/both-seeds": "bitwise"},
            apart=("configuration", "pools"))
        self.assertEqual(effects(jobs["configuration"])["hash_seed"], "none")
        self.assertEqual(jobs["data/tokens-by-a-function"]["depends_on"], ["hash_seed"])

    def test_jax(self):
        self.needs(program.FRAMEWORKS, "jax", "packages")
        self.verdicts("jax.yaml", {"key-from-the-clock": "nondeterministic", "jit": "config-dependent",
                                   "devices": "config-dependent"}, apart=("step",))

    def test_numpy(self):
        """Debian's NumPy beside a newer one; where Debian's is that new too, versions show nothing."""
        self.needs(program.FRAMEWORKS, "numpy", "packages")
        old = program.works(program.PYTHON, "-c", "import numpy; assert int(numpy.__version__.split('.')[0]) < 2")
        self.verdicts("numpy.yaml", {
            "legacy-seed": "bitwise", "generator": "bitwise", "spawned-streams": "bitwise",
            "generator-unseeded": "nondeterministic", "version/legacy-seed": "bitwise",
            **({"version/softmax": "config-dependent"} if old else {})},
            apart=("softmax",) + (() if old else ("version/softmax",)))

    def test_scikit_learn(self):
        self.needs(program.FRAMEWORKS, "sklearn", "packages")
        self.verdicts("sklearn.yaml", {
            "kmeans-unseeded": "nondeterministic", "logistic-unseeded": "nondeterministic",
            "boosting-unseeded": "nondeterministic", "logistic": "bitwise"}, apart=("kmeans", "boosting"))

    def test_costs(self):
        """Each has its ratio and spread, of the time that it says its training took: less than the process did."""
        self.needs(program.PYTHON, "torch", "torch")
        self.needs(program.FRAMEWORKS, "tensorflow, jax, sklearn", "packages")
        document = self.run_json(os.path.join(SOURCE, "suites", "cost.yaml"), "--only", "pytorch/mlp", "--only", "numpy/softmax",
                                 "--repeats", "2", "--exact-repeats", "--out", self.path("r"), code=0,
                                 timeout=1200)
        for job in document["jobs"]:
            self.assertGreater(job["cost"]["deterministic"], 0)
            self.assertGreaterEqual(job["cost_sd"]["deterministic"], 0)
        for run in document["runs"]:
            self.assertLess(run["observed"]["experiment"]["seconds"], run["wall_s"])
        self.assertEqual(len(document["runs"]), 8)


if __name__ == "__main__":
    program.main()
