"""The Python helper, and --inject-seeds, which is the helper in a script that does not know of it."""
import json
import os
import subprocess
import textwrap

import program
from program import FRAMEWORKS, PYTHON, SAMEBITS, SOURCE

HELPER = os.path.join(SOURCE, "python")
DRAW = "import random; values = [random.random() for _ in range(9)]"


class Injected(program.Program):
    def verdict(self, *command, options=(), code=0, **more):
        document = self.run_json("--repeats", "3", "--vary", "hash_seed=0,1", "--out", self.path("r"), "--force",
                                 *options, "--", *command, code=code, **more)
        return document["jobs"][0]["verdict"], document

    def test_an_unseeded_generator_has_the_same_bits_with_it_alone(self):
        job = os.path.join(SOURCE, "suites/jobs/unseeded_rng.py")
        self.assertEqual(self.verdict(PYTHON, job, code=1)[0], "nondeterministic")
        verdict, document = self.verdict(PYTHON, job, options=["--inject-seeds"])
        self.assertEqual(verdict, "bitwise")
        self.assertEqual(document["manifest"]["injected_seed"], "0")
        self.assertNotIn("injected_seed", self.verdict(PYTHON, job, code=1)[1]["manifest"])

    def test_the_seed_is_the_environments_and_another_one_gives_other_bits(self):
        job, found = self.job(body=DRAW), set()
        for seed in ("1", "2"):
            verdict, document = self.verdict("python3", job, options=["--inject-seeds"], env={"SAMEBITS_SEED": seed})
            self.assertEqual((verdict, document["manifest"]["injected_seed"]), ("bitwise", seed))
            found.add(document["jobs"][0]["groups"][0]["fingerprint"])
        self.assertEqual(len(found), 2)
        done = self.samebits("run", "--inject-seeds", "--", "python3", job, code=2, env={"SAMEBITS_SEED": "x"})
        self.assertIn("SAMEBITS_SEED: 'x' is not a whole number", done.stderr)

    def test_processes_made_by_fork_are_seeded_and_differ_from_each_other(self):
        job = self.job(body="""
            import random
            values = []
            for _ in range(2):
                end, start = os.pipe()
                if os.fork() == 0:
                    os.write(start, struct.pack("<d", random.random()))
                    os._exit(0)
                values.append(struct.unpack("<d", os.read(end, 8))[0])
            assert values[0] != values[1], values
            """)
        self.assertEqual(self.verdict("python3", job, code=1)[0], "nondeterministic")
        self.assertEqual(self.verdict("python3", job, options=["--inject-seeds"])[0], "bitwise")

    def test_generators_of_a_scripts_own_are_seeded_and_unlike(self):
        job = self.job(body="""
            import random
            values = [random.Random().random(), random.Random().random()]
            assert values[0] != values[1], values
            """)
        self.assertEqual(self.verdict("python3", job, code=1)[0], "nondeterministic")
        self.assertEqual(self.verdict("python3", job, options=["--inject-seeds"])[0], "bitwise")

    def test_a_rerun_and_a_resumed_run_are_seeded_alike(self):
        job = self.job(body=DRAW)
        self.verdict("python3", job, options=["--inject-seeds"], env={"SAMEBITS_SEED": "5"})
        done = self.samebits("rerun", "r", "r00001", code=0)
        self.assertIn("export SAMEBITS_SEED=5\n", done.stdout)
        self.assertRegex(done.stdout, r"export PYTHONPATH=\S*python/inject")
        again = ("run", "--resume", "--out", "r", "--repeats", "3", "--vary", "hash_seed=0,1")
        self.assertIn("injected_seed was \"5\"", self.samebits(*again, "--", "python3", job, code=2).stderr)

    def test_a_script_that_seeds_itself_by_another_copy_gets_its_own_seed(self):
        job = self.job(body="""
            import samebits
            samebits.set_seeds(3)
            import numpy
            values = numpy.random.rand(9)
            numpy.random.seed(3)
            assert (values == numpy.random.rand(9)).all()
            """)
        self.assertEqual(self.verdict(PYTHON, job, options=["--inject-seeds"], env={"PYTHONPATH": HELPER})[0], "bitwise")

    def test_it_hides_neither_sitecustomize_nor_modules_of_the_users_own(self):
        """What a script finds, and where it looks, is the same with it and without."""
        self.write("mine/sitecustomize.py", "import builtins\nbuiltins.customized = __name__\n")
        self.write("mine/samebits.py", "ours = 'mine'\n")
        self.write("ctypes.py", "ours = 'mine'\n")
        self.write("platform.py", "ours = 'mine'\n")
        job = self.job(body="""
            import builtins, ctypes, platform, samebits
            found = [builtins.customized, ctypes.ours, platform.ours, samebits.ours, sys.modules["sitecustomize"].__file__,
                     *sys.path, *sorted(name for name in sys.modules if "samebits_injected" not in name)]
            values = list(map(float, "\\n".join(found).encode()))
            """)
        found = set()
        for options in ([], ["--inject-seeds"]):
            document = self.verdict("python3", job, options=options, env={"PYTHONPATH": self.path("mine")})[1]
            self.assertEqual(document["jobs"][0]["verdict"], "bitwise")
            found.add(document["jobs"][0]["groups"][0]["fingerprint"])
        self.assertEqual(len(found), 1)

    def test_frameworks_are_seeded_when_they_are_imported(self):
        if not program.works(PYTHON, "-c", "import torch"):
            self.skipTest("needs torch: PyTorch is not in every release")
        job = self.job(body="import torch; values = torch.rand(9).tolist()")
        self.assertEqual(self.verdict(PYTHON, job, code=1)[0], "nondeterministic")
        self.assertEqual(self.verdict(PYTHON, job, options=["--inject-seeds"])[0], "bitwise")


class Helper(program.Program):
    def python(self, text, interpreter="python3", **env):
        path = self.write("script.py", text)
        done = subprocess.run([interpreter, path], cwd=self.folder, capture_output=True, text=True, check=False,
                              env={**os.environ, "PYTHONPATH": HELPER, "PYTHONDONTWRITEBYTECODE": "1", **env})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def trace(self, path):
        done = subprocess.run([SAMEBITS, "worker", "trace", path], capture_output=True, text=True, check=True)
        keys = ("call", "step", "name", "backend", "dtype", "shape", "into", "out")
        return [dict(zip(keys, line.split("\t"))) for line in done.stdout.splitlines()]

    def test_set_seeds_says_what_it_did_and_imports_nothing(self):
        did = json.loads(self.python("""
            import json, random, sys, samebits
            did = samebits.set_seeds()
            assert not {"numpy", "torch", "tensorflow", "jax"} & set(sys.modules)
            did["drawn"] = random.random()
            random.seed(7)
            did["expected"] = random.random()
            print(json.dumps(did))
            """, SAMEBITS_SEED="7", SAMEBITS_DETERMINISTIC="1", PYTHONHASHSEED="3"))
        self.assertEqual((did["seed"], did["deterministic"], did["hash_seed"]), (7, True, "3"))
        self.assertEqual(did["done"], {"random": "seeded"})
        self.assertEqual(did["when_imported"], ["numpy", "torch", "tensorflow", "jax"])
        self.assertEqual(did["drawn"], did["expected"])

    def test_set_seeds_seeds_numpy_before_and_after_its_import(self):
        for script in ("import numpy, samebits\ndid = samebits.set_seeds(3)",
                       "import samebits\ndid = samebits.set_seeds(3)\nimport numpy"):
            self.python(script + """
assert did["done"]["numpy"] == "seeded", did
drawn = numpy.random.rand()
numpy.random.seed(3)
assert drawn == numpy.random.rand()
""", interpreter=PYTHON)

    def test_deterministic_asks_pytorch_for_its_algorithms(self):
        if not program.works(PYTHON, "-c", "import torch"):
            self.skipTest("needs torch: PyTorch is not in every release")
        self.python("""
            import samebits
            samebits.set_seeds(deterministic=True)
            import torch
            assert torch.are_deterministic_algorithms_enabled()
            """, interpreter=PYTHON)

    def test_a_traced_array_has_the_digest_that_its_fingerprint_has(self):
        self.python("""
            import numpy, samebits
            array = numpy.arange(12, dtype=numpy.float32).reshape(3, 4)
            numpy.save("w.npy", array)
            samebits.step(4)
            samebits.trace("w", array)
            samebits.trace("transposed", array.T)
            samebits.trace("swapped", array.astype(">f4"))
            print(samebits.digest_name())
            """, interpreter=PYTHON, SAMEBITS_TRACE=self.path("t"))
        calls = self.trace(self.path("t"))
        tensors = self.samebits("fingerprint", "--tensors", "w.npy", code=0).stdout
        self.assertEqual([call["name"] for call in calls], ["w", "transposed", "swapped"])
        self.assertEqual((calls[0]["step"], calls[0]["dtype"], calls[0]["shape"]), ("4", "f32", "3x4"))
        self.assertIn(calls[0]["out"], tensors)
        self.assertNotEqual(calls[0]["out"], calls[1]["out"])  # the same values in another order
        self.assertEqual(calls[0]["out"], calls[2]["out"])

    def test_a_digest_without_xxh3_is_named_in_the_trace(self):
        self.python("""
            import sys
            sys.modules["xxhash"] = sys.modules["ctypes"] = None
            import samebits
            import array
            into = samebits.Trace("t")
            samebits._numpy = lambda value: (11, (2,), bytes(value))
            into.record("w", "python", [], [array.array("f", [1, 2])])
            into.close()
            """)
        self.assertEqual(self.trace(self.path("t"))[0]["backend"], "python+blake2b")

    def test_a_hook_and_a_mode_note_what_pytorch_does(self):
        if not program.works(PYTHON, "-c", "import torch"):
            self.skipTest("needs torch: PyTorch is not in every release")
        script = """
            import sys, samebits, torch
            samebits.set_seeds(0)
            model = torch.nn.Linear(3, 2)
            optimizer = torch.optim.SGD(model.parameters(), lr=float(sys.argv[1]) if sys.argv[1:] else 0.1)
            end = samebits.torch_hook(model, optimizer)
            for _ in range(2):
                optimizer.zero_grad()
                with samebits.torch_operations():
                    model(torch.ones(4, 3)).sum().backward()
                optimizer.step()
            end()
            optimizer.step()
            """
        for name in ("a", "b"):
            self.python(script, interpreter=PYTHON, SAMEBITS_TRACE=self.path(name))
        first, second = self.trace(self.path("a")), self.trace(self.path("b"))
        without_thread = [(call["name"], call["out"], call["into"]) for call in first]
        self.assertEqual(without_thread, [(call["name"], call["out"], call["into"]) for call in second])
        names = [call["name"] for call in first]
        for name in ("weight.grad", "bias.grad", "weight", "bias"):
            self.assertEqual(names.count(name), 2, names)
        self.assertIn("aten.addmm.default", names)
        weights = [call["out"] for call in first if call["name"] == "weight"]
        self.assertNotEqual(*weights)
        self.assertEqual([call["step"] for call in first if call["name"] == "weight"], ["1", "2"])

    def test_a_mode_sees_the_threads_that_backward_goes_on_in(self):
        """Where backward calls backward deep enough, PyTorch takes a thread of its own for the rest."""
        if not program.works(PYTHON, "-c", "import torch"):
            self.skipTest("needs torch: PyTorch is not in every release")
        found = self.python("""
            import samebits, threading, torch
            threads = set()
            samebits.torch_operations().__enter__()
            class Deep(torch.autograd.Function):
                @staticmethod
                def forward(context, x, n):
                    context.n = n
                    return x.clone()
                @staticmethod
                def backward(context, gradient):
                    threads.add(threading.get_native_id())
                    if context.n < 70:
                        with torch.enable_grad():
                            Deep.apply(torch.ones(2, requires_grad=True), context.n + 1).sum().backward()
                    return gradient.exp(), None
            Deep.apply(torch.ones(2, requires_grad=True), 0).sum().backward()
            print(len(threads))
            """, interpreter=PYTHON, SAMEBITS_TRACE=self.path("t"))
        self.assertGreater(int(found), 1)
        self.assertEqual([call["name"] for call in self.trace(self.path("t"))].count("aten.exp.default"), 71)

    def test_a_callback_notes_keras_weights_after_each_step(self):
        if not program.works(FRAMEWORKS, "-c", "import keras, jax"):
            self.skipTest("needs packages: ci/install-deps --frameworks")
        self.python("""
            import samebits
            samebits.set_seeds(0)
            import keras, numpy
            model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
            model.compile("adam", "mse")
            model.fit(numpy.ones((8, 3)), numpy.ones((8, 2)), batch_size=4, verbose=0,
                      callbacks=[samebits.keras_callback()])
            """, interpreter=FRAMEWORKS, SAMEBITS_TRACE=self.path("t"), KERAS_BACKEND="jax")
        kernels = [call for call in self.trace(self.path("t")) if call["name"].endswith("dense/kernel")]
        self.assertEqual([call["step"] for call in kernels], ["1", "2"])
        self.assertNotEqual(kernels[0]["out"], kernels[1]["out"])

    def test_experiment_json_beside_a_result_has_what_its_jobs_say(self):
        self.write("train.py", f"""
            import sys
            sys.path.insert(0, {HELPER!r})
            import json, samebits
            samebits.set_seeds(7)
            facts = samebits.experiment(dataset_id="toy", dataset_sha256="ab", shuffle_buffer=100, batch_size=16,
                                        tokenizer_mode="words", max_len=32, rate=0.5)
            json.dump(facts, open("experiment.json", "w"))
            """ + textwrap.indent(program.NPY_JOB.format(body=""), " " * 12))
        self.run_json("--vary", "hash_seed=0,1", "--vary", "deterministic=off,on", "--out", self.path("r"), "--weights",
                      "w.npy", "--", "python3", "train.py", code=0)
        with open(self.path("r", "experiment.json"), encoding="utf-8") as file:
            found = json.load(file)
        self.assertEqual({key: found[key] for key in ("seed", "dataset_id", "dataset_sha256", "shuffle_buffer", "batch_size",
                                                      "tokenizer_mode", "max_len", "deterministic_ops")},
                         {"seed": 7, "dataset_id": "toy", "dataset_sha256": "ab", "shuffle_buffer": 100, "batch_size": 16,
                          "tokenizer_mode": "words", "max_len": 32, "deterministic_ops": [False, True]})
        for key in ("framework", "cuda", "cudnn", "python", "git_commit", "git_dirty", "versions", "cpu", "kernel"):
            self.assertIn(key, found)
        job, = found["jobs"]
        self.assertEqual((job["rate"], job["hash_seed"]), (0.5, ["0", "1"]))

    def test_an_experiment_json_that_is_none_is_said_and_spoils_nothing(self):
        job = self.job(body="import os; os.system(os.environ['MAKE'])")
        for make, says in (("echo '[1' > experiment.json", "experiment.json:2:0: "),
                           ("echo 7 > experiment.json", "experiment.json"),
                           ("yes | head -c 100000 > experiment.json", "experiment.json: larger than 16 KiB"),
                           ("ln -s /etc/passwd experiment.json", None)):
            document = self.run_json("--vary", "hash_seed=0", "--weights", "w.npy", "--", "python3", job, code=0,
                                     env={"MAKE": make})
            for run in document["runs"]:
                self.assertEqual(run["status"], "ok")
                self.assertNotIn("experiment", run["observed"])
                if says:
                    self.assertIn("experiment.json was not read: " + says, run["message"])

    def test_an_experiment_has_the_notebooks_keys(self):
        facts = json.loads(self.python("""
            import json, samebits
            print(json.dumps(samebits.experiment(seed=42, batch_size=16, mine=1)))
            """, SAMEBITS_DETERMINISTIC="1"))
        for key in ("seed", "deterministic_ops", "framework", "cuda", "cudnn", "python", "git_commit", "git_dirty",
                    "dataset_id", "dataset_sha256", "shuffle_buffer", "batch_size", "tokenizer_mode", "max_len"):
            self.assertIn(key, facts)
        self.assertEqual((facts["seed"], facts["batch_size"], facts["mine"], facts["deterministic_ops"]),
                         (42, 16, 1, True))
        self.assertIsNone(facts["framework"])


if __name__ == "__main__":
    program.main()
