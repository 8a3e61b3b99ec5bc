"""`samebits explain` of unmodified scripts whose kernels are linked into a framework: the operation by which bits part."""
import glob
import json
import os
import subprocess
import unittest.mock

import program
from program import FRAMEWORKS, PYTHON

# What changes between the levels of env:ATEN_CPU_CAPABILITY is PyTorch's own code, such as that of its exponential; no BLAS.
TRAINING = """
import os
import numpy
import torch

{before}
torch.set_num_threads(1)
x = torch.from_numpy(numpy.random.RandomState(0).standard_normal(20000).astype("f"))
weight = torch.nn.Parameter(torch.ones(20000))
optimizer = torch.optim.SGD([weight], lr=0.001)
for step in range(5):
    optimizer.zero_grad()
    loss = {function}(x * weight).sum()
    loss.backward()
    optimizer.step()
numpy.savez("w.npz", weight=weight.detach().numpy(), loss=loss.detach().numpy())
"""

# Other bits that no operation makes: a number, a seed, memory, and an operation's argument that is no tensor.
DATA = """
import os
import numpy
import torch

fault = float(os.environ["FAULT"])
torch.manual_seed(int(fault))
torch.set_num_threads(1)
rubbish = torch.empty(100000)
drawn = torch.nn.functional.dropout(torch.rand(9), 0.5)
weight = torch.nn.Parameter(torch.ones(9))
optimizer = torch.optim.SGD([weight], lr=0.25 + fault)
for step in range(3):
    optimizer.zero_grad()
    (weight * (1 + fault) + drawn).sum().backward()
    optimizer.step()
numpy.savez("w.npz", weight=weight.detach().numpy())
"""

# As suites/jobs/torch_index_put.py, so often that threads meet on a busy machine too.
RACE = """
import os
import numpy
import torch

torch.manual_seed(0)
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
index, value = torch.randint(0, 1000, (200000,)), torch.randn(200000, 8)
table = torch.zeros(1000, 8)
for _ in range(30):
    table.index_put_((index,), value, accumulate=True)
numpy.savez("w.npz", table=table.numpy())
"""

# What PyTorch makes of numbers below the normal ones is no setting that it can be asked for.
DENORMALS = """
import os
import numpy
import torch

torch.set_num_threads(1)
torch.set_flush_denormal(os.environ["FAULT"] == "1")
numpy.savez("w.npz", w=(torch.full((1000,), 1e-20) * torch.full((1000,), 1e-20)).numpy())
"""

KERAS = """
import os
import numpy
import keras

keras.utils.set_random_seed(0)
random = numpy.random.RandomState(0)
x, y = random.standard_normal((64, 8)).astype("f"), random.standard_normal((64, 2)).astype("f")
y[40] += float(os.environ["FAULT"])  # of the sixth batch
model = keras.Sequential([keras.layers.Input((8,)), keras.layers.Dense(4, name="first"), keras.layers.Dense(2)])
model.compile("sgd", "mse")
model.fit(x, y, batch_size=8, verbose=0, shuffle=False)
numpy.savez("w.npz", *model.get_weights())
"""


class Operations(program.Program):
    def needs(self, interpreter, modules, said):
        if not program.works(interpreter, "-c", "import " + modules):
            self.skipTest(f"needs {said}: ci/install-deps --frameworks")

    def needs_avx2(self):
        self.needs(PYTHON, "torch", "torch")
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            if " avx2" not in file.read():
                self.skipTest("needs avx2: two instruction sets that differ")

    def explained(self, script, vary, interpreter=PYTHON, options=()):
        """(The first cause, what is printed of it.)"""
        self.write("train.py", script)
        self.samebits("run", "-q", "--out", "out", "--weights", "w.npz", "--vary", vary, "--", interpreter, "train.py",
                      code=None, timeout=1100)
        done = self.samebits("explain", "--json", *options, "out", code=0, timeout=1100)
        job, = json.loads(done.stdout)["jobs"]
        return job["causes"][0], " ".join(self.samebits("explain", *options, "out", code=0).stdout.split())

    def kept(self):
        path, = glob.glob(self.path("out/explain/*/logs/*.operation"))
        return path

    def trace(self):
        """Of the run that kept it."""
        with open(self.kept().replace(".operation", ".trace"), "rb") as file:
            return file.read()

    def made_again(self, kept, **variables):
        """By hand: the digest of what comes out."""
        command = [PYTHON, os.path.join(program.SOURCE, "python/inject/kept.py"), kept, self.path("o.safetensors"), "3"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env={**os.environ, **variables})
        return bytes.fromhex(done.stdout)

    def isa(self, before="", function="torch.exp"):
        self.needs_avx2()
        return self.explained(TRAINING.format(before=before, function=function), "env:ATEN_CPU_CAPABILITY=default,avx2")

    def test_an_operation_of_pytorch_is_named_and_how_the_difference_grows(self):
        cause, shown = self.isa()
        self.assertEqual({key: cause["culprit"][key] for key in ("step", "kernel", "backend", "call", "status")},
                         {"step": 1, "kernel": "aten.exp.default", "backend": "torch", "call": "aten.exp.default 20000 f32",
                          "status": "confirmed"})
        self.assertEqual(cause["culprit"]["replay"], {
            "without": {"setting": "env:ATEN_CPU_CAPABILITY=default", "runs": 3, "distinct": 1, "failed": 0},
            "with": {"setting": "env:ATEN_CPU_CAPABILITY=avx2", "runs": 3, "distinct": 1, "failed": 0}, "calls": 1})
        line = TRAINING.split("\n").index("    loss = {function}(x * weight).sum()") + 1
        self.assertEqual(cause["culprit"]["frames"][0], f"{self.path('train.py')}:{line} in <module>")
        self.assertEqual(cause["traced"]["by"], "framework operations")
        self.assertNotIn("note", cause["traced"])
        self.assertEqual([point["step"] for point in cause["growth"]], [1, 2, 3, 4, 5])
        self.assertGreater(cause["growth"][4]["share"], 0)
        self.assertIn("whose output is not: aten.exp.default 20000 f32 of torch", shown)
        self.assertRegex(shown, r"traced by framework operation: \d+% of the CPU time.* the difference begins at step \d")

    def test_an_operation_that_only_backward_makes_is_named(self):
        cause, _ = self.isa(before="""
class Backward(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x * 2
    @staticmethod
    def backward(context, gradient):
        return gradient * context.saved_tensors[0].exp()
""", function="Backward.apply")
        self.assertEqual({key: cause["culprit"][key] for key in ("step", "kernel", "status")},
                         {"step": 1, "kernel": "aten.exp.default", "status": "confirmed"})
        self.assertRegex(cause["culprit"]["frames"][0], r"/train\.py:\d+ in backward$")

    def test_an_operation_that_draws_is_made_again_from_the_same_state(self):
        self.needs_avx2()
        cause, _ = self.explained("import numpy, torch\ntorch.manual_seed(1)\ntorch.rand(7)\nnumpy.savez('w.npz', torch.randn(999))\n",
                                  "env:ATEN_CPU_CAPABILITY=default,avx2")
        self.assertEqual(cause["culprit"]["status"], "confirmed")
        self.assertIn("randn", cause["culprit"]["kernel"])
        self.assertIn(self.made_again(self.kept(), ATEN_CPU_CAPABILITY="default"), self.trace())

    def test_what_the_script_set_is_set_again_as_one_run_had_it(self):
        """A sum by one thread, of two that there would be: made again without that it has other bits."""
        self.needs(PYTHON, "torch", "torch")
        variables = unittest.mock.patch.dict(os.environ, OMP_NUM_THREADS="2")
        variables.start()
        self.addCleanup(variables.stop)
        cause, _ = self.explained("""
import os, numpy, torch
torch.set_num_threads(int(os.environ["ITS_THREADS"]))
numbers = torch.from_numpy(numpy.random.RandomState(0).standard_normal(200000).astype("f"))
numpy.savez("w.npz", numbers.sum().numpy())
""", "env:ITS_THREADS=1,2")
        self.assertEqual((cause["culprit"]["kernel"], cause["culprit"]["status"]), ("aten.sum.default", "suspected"))
        self.assertIn(self.made_again(self.kept()), self.trace())
        without = f"import torch; kept = torch.load({self.kept()!r}); kept['settings'].clear(); torch.save(kept, 'without')"
        subprocess.run([PYTHON, "-c", without], cwd=self.folder, check=True)
        os.rename(self.kept() + ".json", self.path("without.json"))
        self.assertNotIn(self.made_again(self.path("without")), self.trace())

    def test_what_depends_on_more_than_inputs_and_settings_stays_suspected(self):
        self.needs(PYTHON, "torch", "torch")
        cause, shown = self.explained(DENORMALS, "env:FAULT=0,1")
        self.assertEqual({key: cause["culprit"][key] for key in ("kernel", "status")},
                         {"kernel": "aten.mul.Tensor", "status": "suspected"})
        self.assertEqual([cause["culprit"]["replay"][side]["distinct"] for side in ("without", "with")], [1, 1])

    def test_what_no_operation_makes_is_blamed_on_none(self):
        self.needs(PYTHON, "torch", "torch")
        cause, shown = self.explained(DATA, "env:FAULT=0,1")
        self.assertIsNone(cause["culprit"])
        self.assertIn("no operation has equal inputs and another output", cause["traced"]["note"])
        self.assertIn("no operation has equal inputs and another output", shown)
        self.assertEqual(cause["growth"][0]["step"], 1)
        self.assertGreater(cause["growth"][0]["share"], 0)

    def test_a_program_that_fails_with_it_keeps_the_answer_it_had(self):
        cause, shown = self.isa(before="""
from torch.utils._python_dispatch import _get_current_dispatch_mode
if _get_current_dispatch_mode() is not None:
    raise SystemExit("no modes here")
""")
        self.assertEqual((cause["status"], cause["culprit"], cause["traced"]["by"]),
                         ("confirmed", None, "calls between libraries"))
        self.assertIn("does not end well (crashed", cause["traced"]["note"])
        self.assertIn("no modes here", shown)

    def test_a_program_that_gives_other_bits_with_it_keeps_the_answer_it_had(self):
        cause, shown = self.isa(before="""
from torch.utils._python_dispatch import _get_current_dispatch_mode
mode = _get_current_dispatch_mode()
""", function="(2 if mode else 1) * torch.exp")
        self.assertEqual((cause["culprit"], cause["traced"]["by"]), (None, "calls between libraries"))
        self.assertIn("changes the program's bits", shown)

    def test_where_the_bounds_leave_no_time_that_is_said(self):
        self.needs_avx2()
        cause, shown = self.explained(TRAINING.format(before="", function="torch.exp"), "env:ATEN_CPU_CAPABILITY=default,avx2",
                                      options=("--runs", "6"))
        self.assertEqual((cause["status"], cause["culprit"]), ("confirmed", None))
        self.assertIn("no time was left for a trace by framework operation", cause["traced"]["note"])
        self.assertIn("no time was left to make it again by itself", shown)  # since the second search had six runs more

    def test_a_race_in_pytorch_is_named(self):
        self.needs(PYTHON, "torch", "torch")
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("needs two CPUs: a race")
        self.write("train.py", RACE)
        result = self.adhoc("threads=2", command=(PYTHON, "train.py"), options=("--out", "out", "--weights", "w.npz", "--repeats",
                                                                                "6"), code=1, timeout=1100)
        self.assertEqual(result["jobs"][0]["verdict"], "nondeterministic")
        job, = json.loads(self.samebits("explain", "--json", "out", code=0, timeout=1100).stdout)["jobs"]
        cause = job["causes"][0]
        self.assertEqual((cause["source"], cause["traced"]), ("schedule", {**cause["traced"], "by": "framework operations"}))
        self.assertEqual((cause["culprit"]["kernel"], cause["culprit"]["status"]), ("aten.index_put_.default", "confirmed"))
        self.assertGreater(cause["culprit"]["replay"]["calls"], 1)

    def test_of_keras_the_step_and_the_weights_are_named(self):
        self.needs(FRAMEWORKS, "keras, tensorflow", "tensorflow")
        cause, shown = self.explained(KERAS, "env:FAULT=0,1", interpreter=FRAMEWORKS)
        self.assertEqual({key: cause["culprit"][key] for key in ("step", "kernel", "backend")},
                         {"step": 6, "kernel": "sequential/first/kernel", "backend": "keras"})
        self.assertIn("first weights that differ: sequential/first/kernel 8x4 f32, after step 6", shown)
        self.assertEqual([(point["step"], point["share"] > 0) for point in cause["growth"]],
                         [(1, False), (2, False), (3, False), (4, False), (6, True), (8, True)])
        self.assertRegex(shown, "the difference begins at step 6")


if __name__ == "__main__":
    program.main()
