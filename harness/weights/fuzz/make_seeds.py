#!/usr/bin/env python3
"""Writes the seeds of every format below corpus/, beside this file: small files that reach as much of a reader as can be.

    .venv/bin/python3 harness/weights/fuzz/make_seeds.py

The files are kept in git; this says where they come from. Regressions (regression-*) are not touched.
"""
import io
import json
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import h5py
import numpy

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def save(kind, name, data):
    folder = os.path.join(CORPUS, kind)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


# ---- npy, npz --------------------------------------------------------------------------------------------------------


def npy(array, version=(1, 0)):
    stream = io.BytesIO()
    numpy.lib.format.write_array(stream, numpy.asanyarray(array), version=version)
    return stream.getvalue()


def archive(members, compression=zipfile.ZIP_STORED, wide=False):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as made:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            with made.open(info, "w", force_zip64=wide) as member:
                member.write(data)
    return stream.getvalue()


def numpy_seeds():
    grid = numpy.arange(6, dtype="f4").reshape(2, 3)
    arrays = {"c": grid, "fortran": numpy.asfortranarray(grid), "big-endian": grid.astype(">f8"),
              "scalar": numpy.float16(1), "empty": numpy.zeros((0, 3), "i2"), "bool": numpy.array([True, False]),
              "complex": numpy.ones(2, "c8"), "text": numpy.array(["ab"]), "record": numpy.zeros(1, "i4,f4")}
    for name, array in arrays.items():
        save("npy", name, npy(array))
    save("npy", "version-2", npy(grid, (2, 0)))
    save("npy", "version-3", npy(grid, (3, 0)))
    members = [(name + ".npy", npy(array)) for name, array in arrays.items()]
    save("npz", "stored", archive(members[:4]))
    save("npz", "deflated", archive(members[4:] + [("note.txt", b"no array")], zipfile.ZIP_DEFLATED))
    save("npz", "wide", archive(members[1:3], wide=True))


# ---- safetensors -----------------------------------------------------------------------------------------------------


def safetensors(header, data):
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def safetensors_seeds():
    sizes = {"BOOL": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "F16": 2, "BF16": 2, "F32": 4, "F64": 8, "F4": 0}
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for dtype, size in sizes.items():
        header["layer." + dtype] = {"dtype": dtype, "shape": [2, 1], "data_offsets": [at, at + 2 * size]}
        at += 2 * size
    save("safetensors", "types", safetensors(header, bytes(at)))
    save("safetensors", "scalar", safetensors({"s\n\\": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
                                               "e": {"dtype": "F32", "shape": [0], "data_offsets": [4, 4]}}, bytes(4)))
    save("safetensors", "nothing", safetensors({}, b""))


# ---- HDF5, Keras -----------------------------------------------------------------------------------------------------


def hdf5(fill, **options):
    stream = io.BytesIO()
    with h5py.File(stream, "w", **options) as file:
        fill(file)
    return stream.getvalue()


def layouts(file):
    values = numpy.arange(60, dtype="f4").reshape(6, 10)
    group = file.create_group("layers/dense/vars")
    group.create_dataset("0", data=values)
    group.create_dataset("1", data=values, chunks=(4, 4), compression="gzip", shuffle=True, fletcher32=True)
    group.create_dataset("2", data=values, chunks=(5, 4), compression="lzf")
    group.create_dataset("3", shape=(8, 8), dtype=">f8", chunks=(4, 4), fillvalue=3)


def types_and_links(file):
    file["bool"] = numpy.array([True, False])
    file["complex"] = numpy.ones(2, "c8")
    file["text"] = "hello"
    file["half"] = numpy.float16(1)
    file["integer"] = numpy.arange(3, dtype=">i2")
    brain = file.create_dataset("bfloat16", data=numpy.zeros(2, "V2"))
    brain.attrs["dtype"] = "bfloat16"
    file["empty"] = h5py.Empty("f4")
    file["again"] = file["half"]
    file["soft"] = h5py.SoftLink("/half")
    file["external"] = h5py.ExternalLink("other.h5", "/w")
    file.create_group("g")["up"] = file["/"]


def chunk_indices(file):
    """One for each way in which chunks are found, and filters of libhdf5's own."""
    values = numpy.arange(24, dtype="i2").reshape(4, 6)
    file.create_dataset("single", data=values, chunks=(4, 6))
    file.create_dataset("fixed", data=values, chunks=(2, 2))
    file.create_dataset("extensible", data=values, chunks=(2, 3), maxshape=(None, 6))
    file.create_dataset("tree", data=values, chunks=(2, 3), maxshape=(None, None))
    file.create_dataset("scaled", data=values, chunks=(2, 3), scaleoffset=True)


def elsewhere_and_odd(file):
    file.create_dataset("z-external", (4,), "u1", external=[("other.raw", 0, 4)])
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "w", (4,))
    file.create_virtual_dataset("y-virtual", layout)
    file["type"] = numpy.dtype("f4")
    file["record"] = numpy.zeros(2, "i4,f8")
    file["reference"] = file["type"].ref
    file["enum"] = numpy.zeros(2, h5py.enum_dtype({"red": 0, "blue": 1}, "u1"))
    for i in range(12):
        file[f"many/{i}"] = numpy.float32(i)


def one_variable(file):
    file["layers/dense/vars/0"] = numpy.arange(4, dtype="f4")


def legacy(file):
    layer = file.create_group("model_weights/dense_1")
    layer["dense_1/kernel:0"] = numpy.ones((2, 2), "f4")
    layer.attrs["weight_names"] = [b"dense_1/kernel:0"]
    file["model_weights"].attrs["layer_names"] = [b"dense_1"]


def hdf5_seeds():
    save("hdf5", "layouts", hdf5(layouts))
    save("hdf5", "layouts-latest", hdf5(layouts, libver="latest"))
    save("hdf5", "types-and-links", hdf5(types_and_links))
    save("hdf5", "types-and-links-latest", hdf5(types_and_links, libver="latest"))
    save("hdf5", "chunk-indices", hdf5(chunk_indices))
    save("hdf5", "chunk-indices-latest", hdf5(chunk_indices, libver="latest"))
    save("hdf5", "elsewhere-and-odd", hdf5(elsewhere_and_odd))
    save("hdf5", "many-latest", hdf5(elsewhere_and_odd, libver="latest"))
    save("hdf5", "user-block", hdf5(one_variable, userblock_size=512))
    save("hdf5", "legacy", hdf5(legacy))
    save("hdf5", "one", hdf5(one_variable, libver="latest"))
    weights = hdf5(one_variable, libver="latest")
    members = [("metadata.json", b'{"keras_version": "3.0.0"}'), ("config.json", b"{}"), ("model.weights.h5", weights)]
    save("keras", "stored", archive(members))
    save("keras", "deflated", archive(members, zipfile.ZIP_DEFLATED))


# ---- PyTorch ---------------------------------------------------------------------------------------------------------


def torch_modules():
    """As much of torch as a pickle names; the reader executes none of it."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "BFloat16Storage", "BoolStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def rebuild(kind):
        def made():
            raise NotImplementedError
        made.__module__, made.__name__, made.__qualname__ = "torch._utils", kind, kind
        setattr(utils, kind, made)
    rebuild("_rebuild_tensor_v2")
    rebuild("_rebuild_parameter")
    sys.modules.update({"torch": torch, "torch._utils": utils})
    return torch, utils


class Storage:
    def __init__(self, kind, key, n):
        self.id = ("storage", kind, key, "cpu", n)


class Call:
    """Pickled as a call of a function."""
    def __init__(self, function, *arguments):
        self.called = (function, arguments)

    def __reduce__(self):
        return self.called


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.id if isinstance(obj, Storage) else None


def checkpoint(value, storages, order=b"little", protocol=2):
    stream = io.BytesIO()
    Pickler(stream, protocol).dump(value)
    members = [("m/data.pkl", stream.getvalue()), ("m/byteorder", order)]
    return archive(members + [(f"m/data/{key}", data) for key, data in storages.items()] + [("m/version", b"3\n")])


def pytorch_seeds():
    torch, utils = torch_modules()

    def tensor(storage, offset, size, stride):
        return Call(utils._rebuild_tensor_v2, storage, offset, size, stride, False, OrderedDict())
    floats = Storage(torch.FloatStorage, "0", 12)
    small = Storage(torch.BFloat16Storage, "1", 4)
    flags = Storage(torch.BoolStorage, "2", 2)
    parameter = Call(utils._rebuild_parameter, tensor(small, 0, (4,), (1,)), True, OrderedDict())
    storages = {"0": bytes(48), "1": bytes(8), "2": b"\0\1"}
    state = OrderedDict([("a.weight", tensor(floats, 0, (3, 4), (4, 1))), ("a.turned", tensor(floats, 0, (4, 3), (1, 4))),
                         ("b", parameter), ("flags", tensor(flags, 1, (), ()))])
    save("pytorch", "state", checkpoint(state, storages))
    save("pytorch", "big-endian", checkpoint({"model": state, "epoch": 3, "lr": 0.5, "names": ["x", None, True]},
                                             storages, b"big"))
    for protocol in (3, 4):
        save("pytorch", f"protocol-{protocol}", checkpoint({"w": tensor(floats, 2, (2, 2), (4, 2)), "n": -1 << 70,
                                                            "s": {1, 2}}, storages, protocol=protocol))


if __name__ == "__main__":
    numpy_seeds()
    safetensors_seeds()
    hdf5_seeds()
    pytorch_seeds()
