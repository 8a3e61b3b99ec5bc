"""Known faults, planted by the backend `chaos` of the tests, are found and named for what they are."""
import json
import os
import subprocess

import program
from program import SAMEBITS

MODULES = os.environ["SAMEBITS_TEST_MODULES"]
VARIABLE = "SAMEBITS_CHAOS"


class Chaos(program.Program):
    def kernel(self, kernel, faults, shape, calls=1, options=(), code=None):
        """The job's result over levels of the planted fault."""
        self.write("suite.yaml", f"""
            version: 1
            jobs:
              - name: planted
                kernel: {kernel}
                backend: chaos
                shapes: [{shape}]
                args: {{calls: {calls}}}
                axes: {{"env:{VARIABLE}": [{', '.join(f'"{fault}"' for fault in faults)}]}}
            """)
        document = self.run_json("suite.yaml", "--out", "out", *options, code=code,
                                 env={"SAMEBITS_BACKEND_PATH": MODULES})
        return document["jobs"][0]

    def test_without_a_fault_the_bits_are_those_of_ref(self):
        job = self.kernel("gemm", ["none", "ulp@sum:1"], [20, 30, 40], code=0)
        self.assertEqual(job["verdict"], "bitwise")
        self.assertLess(job["accuracy"]["max_rel_vs_f64"], job["accuracy"]["tolerance"])

    def test_one_unit_in_the_last_place_is_found_and_measured(self):
        job = self.kernel("gemm", ["none", "ulp@gemm:1"], [20, 30, 40], code=1)
        self.assertEqual((job["verdict"], job["depends_on"]), ("config-dependent", [f"env:{VARIABLE}"]))
        worst = job["worst"]
        self.assertEqual((worst["max_ulp"], worst["worst_index"], worst["share"]), (1, [10, 0], 1 / 600))
        self.assertEqual(job["grade"], "rounding")
        self.assertEqual(job["witness"]["differs_in"], [f"env:{VARIABLE}"])

    def test_levels_that_a_backend_does_not_support_are_left_out_and_that_is_said(self):
        """What was left out is neither a divergence nor a failure, and hides none of either."""
        job = self.kernel("gemm", ["none", "refuse@gemm:1", "ulp@sum:1"], [20, 30, 40], code=0)
        self.assertEqual((job["outcome"], job["verdict"], job["depends_on"]), ("pass", "bitwise", []))
        self.assertEqual((job["runs"], job["failed"]), (6, 0))
        self.assertEqual(job["limits"], [f"not supported here, and left out: 3 runs, at env:{VARIABLE}=refuse@gemm:1 "
                                         "(backend 'chaos': gemm: refused as planted)"])
        self.assertEqual(job["axes"][0]["effect"], "unknown")
        # As the reference, and beside a true difference.
        job = self.kernel("gemm", ["refuse@gemm:1", "none", "ulp@gemm:1"], [20, 30, 40], options=["--force"], code=1)
        self.assertEqual((job["verdict"], job["depends_on"]), ("config-dependent", [f"env:{VARIABLE}"]))
        self.assertIn("left out", job["limits"][0])
        # Where no level is supported, the job is skipped.
        job = self.kernel("gemm", ["refuse@gemm:1"], [20, 30, 40], options=["--force"], code=77)
        self.assertEqual((job["outcome"], job["reason"]), ("skipped", "backend 'chaos': gemm: refused as planted"))

    def test_a_run_that_fails_beside_unsupported_ones_is_an_error(self):
        job = self.kernel("gemm", ["none", "refuse@gemm:1", "no such fault"], [20, 30, 40], code=2)
        self.assertEqual((job["outcome"], job["runs"], job["failed"]), ("error", 6, 3))
        self.assertIn("left out", job["limits"][0])

    def test_a_swapped_pair_is_a_permutation(self):
        job = self.kernel("gemm", ["none", "swap@gemm:1"], [20, 30, 40], code=1)
        self.assertEqual((job["verdict"], job["grade"]), ("config-dependent", "permutation"))
        self.assertEqual(job["worst"]["share"], 2 / 600)

    def test_the_sign_of_a_zero_is_a_difference(self):
        job = self.kernel("relu", ["none", "zero@relu:1"], [1000], code=1)
        self.assertEqual((job["verdict"], job["depends_on"]), ("config-dependent", [f"env:{VARIABLE}"]))
        self.assertEqual((job["worst"]["max_abs"], job["worst"]["share"]), (0, 1 / 1000))

    def test_the_payload_of_a_nan_is_a_difference(self):
        job = self.kernel("gemm", ["nan=1@gemm:1", "nan=2@gemm:1"], [20, 30, 40])
        self.assertEqual((job["verdict"], job["depends_on"]), ("config-dependent", [f"env:{VARIABLE}"]))
        self.assertEqual((job["distinct"], job["worst"]["index"]), (2, [0, 0]))
        self.assertTrue(job["accuracy"]["inaccurate"])

    def test_a_fault_in_a_later_call_of_one_process_is_found(self):
        job = self.kernel("gemm", ["none", "ulp@gemm:4"], [20, 30, 40], calls=5, code=1)
        self.assertEqual((job["calls"]["n"], job["calls"]["distinct"], len(job["calls"]["differ_in"]) >= 3), (5, 2, True))
        self.assertEqual((job["verdict"], job["unstable_when"]),
                         ("nondeterministic", {f"env:{VARIABLE}": ["ulp@gemm:4"]}))

    def test_a_race_is_nondeterministic_and_its_fixed_tree_is_not(self):
        job = self.kernel("sum", ["tree@sum:1", "race@sum:1"], [10007], options=("--repeats", "12"), code=1)
        self.assertEqual(job["verdict"], "nondeterministic")
        self.assertEqual(job["unstable_when"], {f"env:{VARIABLE}": ["race@sum:1"]})

    def test_the_fixed_tree_is_silent_over_1000_repeats(self):
        job = self.kernel("sum", ["tree@sum:1"], [10007], calls=100, options=("--repeats", "10", "--exact-repeats"),
                          code=0)
        self.assertEqual((job["runs"], job["calls"]["n"], job["calls"]["distinct"]), (10, 100, 1))
        self.assertEqual(job["verdict"], "bitwise")

    def training(self, fault, arguments="{}"):
        self.write("suite.yaml", f"""
            version: 1
            jobs:
              - name: planted
                train: dense
                backend: chaos
                args: {arguments}
                axes: {{"env:{VARIABLE}": [none, "{fault}"]}}
            """)
        return self.run_json("suite.yaml", "--out", "out", code=1, env={"SAMEBITS_BACKEND_PATH": MODULES})["jobs"][0]

    def test_one_unit_in_a_training_changes_what_it_learns(self):
        job = self.training("ulp@adam:1")
        self.assertEqual((job["verdict"], job["depends_on"]), ("config-dependent", [f"env:{VARIABLE}"]))

    def test_the_growth_of_a_difference_is_told_step_by_step(self):
        """adam:9 is the first variable's in the third step."""
        job = self.training("ulp@adam:9", "{save_steps: true, epochs: 6}")
        growth = {point["step"]: point for point in job["growth"]}
        self.assertEqual(list(growth), [*range(1, 17), 18, 20, 22, 24, 26, 28, 30, 32, 36, 40])
        self.assertEqual([(growth[step]["max_ulp"], growth[step]["share"]) for step in (1, 2, 3)],
                         [(0, 0), (0, 0), (1, 1 / 58)])
        self.assertGreater(growth[40]["share"], growth[3]["share"])
        said = " ".join(self.samebits("report", "out", code=None).stdout.split())
        self.assertIn("It begins at step 3: ", said)
        self.assertIn("; at step 40 it is ", said)

    def test_weights_that_a_program_saves_on_the_way_tell_their_growth_too(self):
        self.write("job.py", program.NPY_JOB.format(body="").replace(
            "header =", """
for step in range(1, 5):
    if step == 3 and os.environ.get("FAULT") == "1": values[7] += 2**-10
    values = [value * 2 for value in values]
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (256,), }".ljust(117) + chr(10)
    with open(f"step-{step}.npy", "wb") as file:
        file.write(b"\\x93NUMPY\\x01\\x00" + struct.pack("<H", 118) + text.encode() + struct.pack("<256f", *values))
header =""", 1))
        job = self.adhoc("env:FAULT=0,1", options=("--weights", "step-*.npy"), command=("python3", "job.py"), code=1)["jobs"][0]
        self.assertEqual([(point["step"], point["max_abs"]) for point in job["growth"]],
                         [(1, 0), (2, 0), (3, 2**-9), (4, 2**-8)])

    def test_weights_without_steps_have_no_growth(self):
        job = self.kernel("gemm", ["none", "ulp@gemm:1"], [20, 30, 40], code=1)
        self.assertIsNone(job["growth"])

    def test_steps_that_another_process_made_are_not_there(self):
        self.write("suite.yaml", """
            version: 1
            jobs:
              - {name: both, train: dense, args: {save_steps: true}, axes: {resume: [none, 7]}}
            """)
        job = self.run_json("suite.yaml", "--out", "out", code=None)["jobs"][0]
        self.assertIn("save_steps and resume do not go together", json.dumps(job))

    def trace(self, fault):
        name = fault.split("@")[0]
        environment = dict(os.environ, SAMEBITS_BACKEND_PATH=MODULES, SAMEBITS_TRACE=self.path(name))
        environment[VARIABLE] = fault
        subprocess.run([SAMEBITS, "worker", "train", "dense", "--backend", "chaos", "--weights", self.path("w.h5")],
                       env=environment, check=True, capture_output=True)
        return subprocess.run([SAMEBITS, "worker", "trace", self.path(name)], check=True, capture_output=True,
                              text=True).stdout.splitlines()

    def test_the_first_call_that_differs_in_two_traces_is_the_planted_one(self):
        good, bad = self.trace("none"), self.trace("ulp@gemm:4")
        self.assertEqual(len(good), len(bad))
        first = next(i for i, pair in enumerate(zip(good, bad)) if pair[0] != pair[1])
        kernels = [line.split("\t")[2] for line in good[:first + 1]]
        self.assertEqual((kernels[-1], kernels.count("gemm")), ("gemm", 4))

    def test_every_fault_of_a_study_is_named_and_nothing_else(self):
        """In small what ci/bench does with 5,000; ulp, swap, stale and order in calls drawn at random."""
        done = subprocess.run([os.path.join(MODULES, "injection"), "240"], capture_output=True, text=True, check=False,
                              env=dict(os.environ, SAMEBITS_BACKEND_PATH=MODULES))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^all +240 planted +240 named +240 rightly")
        self.assertIn("without a fault: 24 runs, 0 of them with a culprit", done.stdout)

    def test_a_fault_that_is_not_well_written_is_an_error(self):
        job = self.kernel("gemm", ["none", "ulp"], [4, 4, 4], code=2)
        self.assertIn("is not like ulp@gemm:3", job["reason"])


if __name__ == "__main__":
    program.main()
