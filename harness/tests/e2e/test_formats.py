"""One set of tensors through each ecosystem's own writer has one fingerprint."""
import json
import os
import struct
import subprocess
import unittest

import program

# Every writer gets the same values under the same names; bfloat16 only goes where it is known.
TENSORS = '''
import numpy as np
random = np.random.RandomState(7)
values = {
    "dense/kernel": random.standard_normal((5, 3)).astype("f4"),
    "dense/bias": np.array([0.0, -0.0, np.inf], "f4"),
    "step": np.int64(41),
    "half": random.standard_normal(9).astype("f2"),
    "wide": random.standard_normal((2, 3, 4)),
    "flag": np.array([True, False, True]),
    "empty": np.zeros((0, 4), "f4"),
    "z": (random.standard_normal(3) + 1j * random.standard_normal(3)).astype("c8"),
    "bytes": np.arange(256, dtype="u1"),
}
'''

WRITERS = {
    "w.h5": ("h5py", '''
import h5py
with h5py.File("w.h5", "w") as file:
    for name, value in values.items():
        file[name] = value
'''),
    "chunked.h5": ("h5py", '''
import h5py
with h5py.File("chunked.h5", "w", libver="latest", track_order=True) as file:
    for name, value in reversed(list(values.items())):
        more = dict(chunks=True, compression="gzip", shuffle=True, fletcher32=True) if value.size > 1 else {}
        file.create_dataset(name, data=value, **more)
'''),
    "w.npz": ("numpy", 'np.savez("w.npz", **values)'),
    "compressed.npz": ("numpy", '''
turned = {name: np.asfortranarray(value) if np.ndim(value) else value for name, value in values.items()}
np.savez_compressed("compressed.npz", **turned)
'''),
    "w.pt": ("torch", '''
import torch
torch.save({name: torch.as_tensor(value) for name, value in values.items()}, "w.pt")
'''),
    "views.pt": ("torch", '''
import torch
tensors = {name: torch.as_tensor(value) for name, value in values.items()}
base = torch.zeros(3, 9)
base[:, 2:7] = tensors["dense/kernel"].t()
nested = {"dense": {"kernel": base[:, 2:7].t(), "bias": torch.nn.Parameter(tensors.pop("dense/bias"))}}
tensors.pop("dense/kernel")
torch.save({**tensors, **nested, "epoch": 3, "note": "text"}, "views.pt")
'''),
    "w.keras": ("h5py", '''
import h5py, zipfile
with h5py.File("model.weights.h5", "w") as file:
    for name, value in values.items():
        file[name] = value
with zipfile.ZipFile("w.keras", "w") as archive:
    archive.writestr("metadata.json", '{"date_saved": "today"}')
    archive.writestr("config.json", "{}")
    archive.write("model.weights.h5")
'''),
}


# By what suites/requirements.txt has.
PACKAGED = {
    "w.safetensors": """
from safetensors.numpy import save_file
values["z"] = values["z"].astype("c8")
save_file({name: np.array(value, order="C") for name, value in values.items()}, "w.safetensors")
""",
    "raw.onnx": """
from onnx import helper, numpy_helper, save
save(helper.make_model(helper.make_graph([], "g", [], [], [numpy_helper.from_array(np.asarray(value), name)
                                                           for name, value in values.items()])), "raw.onnx")
""",
    "typed.onnx": """
from onnx import helper, save
save(helper.make_model(helper.make_graph([], "g", [], [], [
    helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype), np.shape(value),
                       np.asarray(value).ravel()) for name, value in values.items()])), "typed.onnx")
""",
    "external.onnx": """
from onnx import helper, numpy_helper, save
model = helper.make_model(helper.make_graph([], "g", [], [], [numpy_helper.from_array(np.asarray(value), name)
                                                           for name, value in values.items()]))
save(model, "external.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
""",
}

# TensorFlow's writers: of tensors under names, and of objects, whose names it makes up; the latter are read back by
# TensorFlow and written by h5py.
TENSORFLOW = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import h5py
import tensorflow as tf
tf.raw_ops.SaveV2(prefix="bundle", tensor_names=list(values), shape_and_slices=[""] * len(values),
                  tensors=[tf.constant(value) for value in values.values()])
root = tf.Module()
root.variables_of_it = [tf.Variable(value) for value in values.values()]
tf.train.Checkpoint(root=root).write("checkpoint")
tf.saved_model.save(root, "saved")
for prefix, copy in (("checkpoint", "checkpoint.h5"), ("saved/variables/variables", "saved.h5")):
    reader = tf.train.load_checkpoint(prefix)
    with h5py.File(copy, "w") as file:
        for name, dtype in reader.get_variable_to_dtype_map().items():
            if dtype != tf.string:
                file[name] = reader.get_tensor(name)
"""

# GGUF has fewer types, and no scalars: what it has, once more in safetensors.
GGUF = """
import gguf
from safetensors.numpy import save_file
values = {name: value for name, value in values.items() if np.ndim(value) and value.dtype.kind == "f" and value.size}
blocks = gguf.quants.quantize(random.standard_normal((4, 512)).astype("f4"), gguf.GGMLQuantizationType.Q8_0)
for name, endianess in (("little", gguf.GGUFEndian.LITTLE), ("big", gguf.GGUFEndian.BIG)):
    writer = gguf.GGUFWriter(name + ".gguf", "llama", endianess=endianess)
    writer.add_array("words", ["a", "b"])
    for key, value in values.items():
        writer.add_tensor(key, value)
    if name == "little":
        writer.add_tensor("blocks", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
save_file(values, "big.safetensors")
save_file({**values, "blocks": blocks}, "little.safetensors")
"""

# The same model twice: the counters in the names of its layers go on.
KERAS = """
import os
os.environ["KERAS_BACKEND"] = "jax"
import keras
import numpy as np
for i in range(2):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    model.set_weights([np.full(weight.shape, k, "f4") for k, weight in enumerate(model.get_weights())])
    model.save_weights(f"{i}.weights.h5")
    model.save(f"{i}.keras")
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))
    model.save(f"{i}.h5")
"""


def safetensors(tensors):
    """The bytes of a file of f32 tensors of one dimension."""
    header, data = {}, b""
    for name, values in tensors.items():
        content = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": [len(values)], "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def has(module):
    """Is the module there for the interpreter that jobs run under?"""
    return subprocess.run([program.PYTHON, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


class Formats(program.Program):
    def test_the_same_tensors_have_one_fingerprint_in_every_format(self):
        written = []
        for name, (module, code) in WRITERS.items():
            if not has(module):
                continue
            self.write("writer.py", TENSORS + code)
            subprocess.run([program.PYTHON, "writer.py"], cwd=self.folder, check=True)
            written.append(name)
        if len(written) < 3:
            raise unittest.SkipTest("needs h5py, NumPy and PyTorch")
        lines = self.samebits("fingerprint", *written, code=0).stdout.splitlines()
        found = {line.split("  ", 1)[1]: line.split("  ", 1)[0] for line in lines}
        self.assertEqual(len(set(found.values())), 1, found)
        with open(os.path.join(program.SOURCE, "docs", "fingerprint.md"), encoding="utf-8") as page:
            self.write("script.py", page.read().split("```python\n")[1].split("```")[0])
        script = subprocess.run([program.PYTHON, "script.py", "w.h5"], cwd=self.folder, check=True, text=True, capture_output=True)
        self.assertEqual(set(self.prints("--digest", "sha256", *written)), {script.stdout.strip()})
        for name in written[1:]:
            done = self.samebits("compare", written[0], name, code=0)
            self.assertIn("identical: 0 of 9 tensors differ", done.stdout)

    def packaged(self, code):
        """Runs code under the interpreter that has the packages."""
        if not os.path.exists(program.FRAMEWORKS):
            self.skipTest("needs packages: ci/install-deps --frameworks")
        self.write("writer.py", code)
        subprocess.run([program.FRAMEWORKS, "writer.py"], cwd=self.folder, check=True, capture_output=True)

    def prints(self, *names):
        lines = self.samebits("fingerprint", *names, code=0).stdout.splitlines()
        return [line.split("  ", 1)[0] for line in lines]

    def test_packages_of_their_own_write_the_same(self):
        for code in PACKAGED.values():
            self.packaged(TENSORS + code)
        self.packaged(TENSORS + WRITERS["w.h5"][1])
        self.assertEqual(len(set(self.prints("w.h5", *PACKAGED))), 1)

    def test_tensorflow_writes_the_same(self):
        self.packaged(TENSORS + WRITERS["w.h5"][1] + TENSORFLOW)
        for one, other in (("w.h5", "bundle"), ("checkpoint.h5", "checkpoint"), ("saved.h5", "saved")):
            with self.subTest(other=other):
                self.assertEqual(*self.prints(one, other))
        # However they are called, these are the values that went in.
        done = self.samebits("fingerprint", "--tensors", "checkpoint", code=0).stdout
        for digest in (line.split()[0] for line in self.samebits("fingerprint", "--tensors", "w.h5").stdout.splitlines()[1:]):
            self.assertIn(digest, done)

    def test_gguf_of_either_byte_order_is_what_safetensors_has(self):
        self.packaged(TENSORS + GGUF)
        for name in ("big", "little"):
            one, other = self.prints(name + ".gguf", name + ".safetensors")
            self.assertEqual(one, other)

    def test_keras_writes_the_same_weights_twice(self):
        self.packaged(KERAS)
        self.assertEqual(len(set(self.prints("0.weights.h5", "1.weights.h5", "0.keras", "1.keras"))), 1)
        # In the older layout the second model's layers are called dense_2 and dense_3.
        compare = ("compare", "0.h5", "1.h5")
        self.assertIn("28 of 28 tensors differ", self.samebits(*compare, code=1).stdout)
        self.assertIn("identical: 0 of 14", self.samebits(*compare, "--match-by", "order", code=0).stdout)

    SHARDS = {"model-00001-of-00002.safetensors": {"b": [1, 2], "a": [3]}, "model-00002-of-00002.safetensors": {"c": [4]}}

    def shards(self, weight_map=None, folder="."):
        """Writes them, and an index of where the tensors are, or are said to be."""
        for name, tensors in self.SHARDS.items():
            self.save(os.path.join(folder, name), safetensors(tensors))
        truth = {tensor: name for name, tensors in self.SHARDS.items() for tensor in tensors}
        self.write(os.path.join(folder, "model.safetensors.index.json"),
                   json.dumps({"metadata": {}, "weight_map": weight_map if weight_map is not None else truth}))
        return truth

    def save(self, name, data):
        self.write(name, "")
        with open(self.path(name), "wb") as file:
            file.write(data)

    def test_shards_are_one_file(self):
        self.shards()
        self.save("whole.safetensors", safetensors({"a": [3], "b": [1, 2], "c": [4]}))
        one, other = self.prints("whole.safetensors", "model.safetensors.index.json")
        self.assertEqual(one, other)
        self.samebits("compare", "whole.safetensors", "model.safetensors.index.json", code=0)

    def test_shards_that_are_not_as_the_index_says_are_refused(self):
        truth = self.shards()
        names = list(self.SHARDS)
        for weight_map, says in (({**truth, "d": names[0]}, "the index names 4 tensors, the files have 3"),
                                 ({**truth, "a": names[1]}, "'a' is in a file where the index has not put it"),
                                 ({"a": names[0], "b": names[0]}, None),
                                 ({"a": names[0], "c": names[1]}, "'b' is in a file"),
                                 ({**truth, "c": "../x.safetensors"}, "no file of its own folder"),
                                 ({**truth, "c": "none.safetensors"}, "does not lie beside it"),
                                 ({**truth, "c": "model.safetensors.index.json"}, "does not lie beside it"),
                                 ({**truth, "c": 7}, "names no file"), ([], "no object weight_map")):
            with self.subTest(says=says):
                self.shards(weight_map)
                done = self.samebits("fingerprint", "model.safetensors.index.json", code=2 if says else 0)
                self.assertIn(says or "", done.stderr)
        self.shards()
        os.rename(self.path(names[0]), self.path("elsewhere"))
        os.symlink("elsewhere", self.path(names[0]))
        done = self.samebits("fingerprint", "model.safetensors.index.json", code=2)
        self.assertIn("does not lie beside it", done.stderr)

    def test_a_run_that_saves_shards_keeps_and_compares_them(self):
        self.shards(folder="out")
        self.write("train.sh", "cp out/* . && if [ $SAMEBITS_THREADS = 2 ]; then cp other " + list(self.SHARDS)[1] + "; fi")
        self.save("other", safetensors({"c": [5]}))
        result = self.run_json("--isolate", "copy", "--vary", "threads=1,2", "--weights", "model*", "--", "sh", "train.sh",
                               code=1)
        job, = result["jobs"]
        self.assertEqual(job["depends_on"], ["threads"])
        self.assertEqual(job["worst"]["tensor"], "model.safetensors.index.json:c")

    def test_parts_are_kept_with_the_file_that_was_named(self):
        # Names of shards by which nothing says that they are some.
        self.save("1", safetensors({"a": [1], "b": [2]}))
        self.save("2", safetensors({"a": [1], "b": [3]}))
        self.save("log", b"no weights")
        self.write("index.json", json.dumps({"weight_map": {"a": "x.safetensors", "b": "x.safetensors"}}))
        self.write("train.sh", "mkdir -p m && cp log m/log && cp $SAMEBITS_THREADS m/x.safetensors && cp index.json m/w.index.json")
        result = self.run_json("--out", "out", "--vary", "threads=1,2", "--weights", "m/w.index.json", "--", "sh",
                               "train.sh", code=1)
        self.assertEqual(result["jobs"][0]["worst"]["tensor"], "b")
        runs = {run["cell"]["threads"]: run["id"] for run in result["runs"]}
        compared = json.loads(self.samebits("compare", "--json", f"out/{runs['1']}", f"out/{runs['2']}", code=1).stdout)
        self.assertEqual([tensor["name"] for tensor in compared["tensors"] if tensor["state"] != "same"], ["b"])
        kept = {name for _, _, names in os.walk(os.path.join(self.folder, "out", "weights")) for name in names}
        self.assertEqual(kept, {"w.index.json", "x.safetensors", ".samebits-parts"})
        result = self.run_json("--vary", "threads=1", "--weights", "m/w.index.json", "--", "sh", "-c",
                               "mkdir m && cp index.json m/w.index.json", code=2)
        self.assertIn("(m/w.index.json: it needs 'x.safetensors'", result["jobs"][0]["reason"])

    def test_a_whole_module_is_refused_with_what_to_save_instead(self):
        if not has("torch"):
            raise unittest.SkipTest("needs PyTorch")
        self.write("writer.py", 'import torch; torch.save(torch.nn.Linear(2, 2), "m.pt")')
        subprocess.run([program.PYTHON, "writer.py"], cwd=self.folder, check=True)
        done = self.samebits("fingerprint", "m.pt", code=2)
        self.assertIn("torch.nn.modules.linear.Linear", done.stderr)
        self.assertIn("state_dict()", done.stderr)

    def test_a_run_may_save_any_of_them(self):
        if not has("torch"):
            raise unittest.SkipTest("needs PyTorch")
        self.write("train.py", "import torch\ntorch.manual_seed(0)\n"
                               "torch.save(torch.nn.Linear(2, 2).state_dict(), 'm.pt')")
        done = self.samebits("run", "--vary", "hash_seed=0,1", "--json", "--", program.PYTHON, "train.py", code=0)
        self.assertIn('"bitwise"', done.stdout)


if __name__ == "__main__":
    program.main()
