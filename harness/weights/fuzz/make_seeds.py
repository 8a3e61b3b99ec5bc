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


def shards_seeds():
    """Their files are no part of the seed: a fuzz target finds the input itself under the name `part`."""
    save("shards", "one", json.dumps({"metadata": {"total_size": 4}, "weight_map": {"w": "part", "v\n": "part"}}).encode())
    save("shards", "two", json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "../x", "c": 7}}).encode())


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


# ---- GGUF --------------------------------------------------------------------------------------------------------------


def gguf(pairs, tensors, version=3, order="<"):
    """pairs: bytes as they stand; tensors: (name, dims with the innermost first, type, data)."""
    def text(value):
        return struct.pack(order + "Q", len(value)) + value
    head = b"GGUF" + struct.pack(order + "IQQ", version, len(tensors), len(pairs))
    for key, kind, value in pairs:
        head += text(key) + struct.pack(order + "I", kind) + value
    data = b""
    for name, dims, kind, elements in tensors:
        head += text(name) + struct.pack(order + f"I{len(dims)}Q", len(dims), *dims)
        head += struct.pack(order + "IQ", kind, len(data))
        data += elements + bytes(-len(elements) % 32)
    return head + bytes(-len(head) % 32) + data


def gguf_seeds():
    floats = struct.pack("<6f", *range(6))
    words = struct.pack("<IQ", 8, 2) + struct.pack("<Q", 1) + b"a" + struct.pack("<Q", 2) + b"bb"
    pairs = [(b"general.alignment", 4, struct.pack("<I", 32)), (b"words", 9, words), (b"flag", 7, b"\1"),
             (b"numbers", 9, struct.pack("<IQ", 4, 3) + bytes(12)), (b"name", 8, struct.pack("<Q", 3) + b"abc"),
             (b"nested", 9, struct.pack("<IQIQB", 9, 1, 0, 1, 7)), (b"last", 12, bytes(8))]
    save("gguf", "types", gguf(pairs, [(b"a.weight", (3, 2), 0, floats), (b"half", (2,), 1, bytes(4)), (b"brain", (2,), 30, bytes(4)),
                                       (b"q4_0", (64, 2), 2, bytes(72)), (b"q6_k", (256,), 14, bytes(210)),
                                       (b"i64", (1,), 27, bytes(8)), (b"scalar", (), 28, bytes(8))]))
    save("gguf", "version-2", gguf([], [(b"w", (2,), 0, floats[:8])], version=2))
    save("gguf", "big-endian", gguf([], [(b"w", (2,), 0, struct.pack(">2f", 1, 2))], order=">"))
    save("gguf", "nothing", gguf(pairs[:1], []))


# ---- ONNX --------------------------------------------------------------------------------------------------------------


def number(value):
    """A varint; negative numbers take ten bytes."""
    value &= 2**64 - 1
    made = b""
    while value > 0x7f:
        made += bytes([value & 0x7f | 0x80])
        value >>= 7
    return made + bytes([value])


def field(key, content):
    """An int, or bytes with their length."""
    if isinstance(content, int):
        return number(key << 3) + number(content)
    return number(key << 3 | 2) + number(len(content)) + content


def onnx(*fields):
    node = field(1, b"x") + field(2, b"y") + field(4, b"Identity")
    graph = field(1, node) + field(2, b"g") + b"".join(fields)
    return field(1, 8) + field(2, b"maker") + field(7, graph) + field(8, field(2, 17))


def initializer(name, kind, dims, data):
    return field(5, b"".join(field(1, dim) for dim in dims) + field(2, kind) + field(8, name) + data)


def onnx_seeds():
    floats = struct.pack("<6f", *range(6))
    spread = b"".join(number(4 << 3 | 5) + struct.pack("<f", value) for value in range(2))
    save("onnx", "raw", onnx(initializer(b"a.weight", 1, (2, 3), field(9, floats)), initializer(b"b", 16, (2,), field(9, bytes(4))),
                             initializer(b"empty", 11, (0,), field(9, b"")), initializer(b"f8", 17, (1,), field(9, b"\1"))))
    save("onnx", "typed", onnx(initializer(b"floats", 1, (2, 3), field(4, floats)), initializer(b"spread", 1, (2,), spread),
                               initializer(b"small", 3, (2,), field(5, number(-1) + number(1))),
                               initializer(b"large", 7, (2,), field(7, number(-2)) + field(7, 3)),
                               initializer(b"flag", 9, (), field(5, 1)), initializer(b"complex", 14, (1,), field(4, floats[:8])),
                               initializer(b"double", 11, (1,), field(10, bytes(8))),
                               initializer(b"unsigned", 13, (1,), field(11, number(2**63)))))
    packed = field(5, field(1, number(2) + number(1)) + field(2, 6) + field(8, b"packed dims") + field(5, number(1) + number(2)))
    sparse = field(15, field(1, field(1, 1) + field(2, 1) + field(8, b"sparse") + field(9, bytes(4))))
    save("onnx", "odd", onnx(packed, sparse, initializer(b"text", 8, (1,), field(6, b"hello")), initializer(b"int4", 22, (2,), field(5, 7))))
    elsewhere = field(13, field(1, b"location") + field(2, b"weights.bin")) + field(14, 1)
    save("onnx", "external", onnx(initializer(b"w", 1, (2,), elsewhere)))


# ---- TensorBundle ------------------------------------------------------------------------------------------------------


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def table(blocks):
    """blocks: lists of (key, value), of which each begins with a whole key."""
    made, index = b"", []

    def append(pairs):
        nonlocal made
        block, last = b"", b""
        for key, value in pairs:
            shared = len(os.path.commonprefix([key, last])) if block else 0
            block += number(shared) + number(len(key) - shared) + number(len(value)) + key[shared:] + value
            last = key
        block += struct.pack("<II", 0, 1)
        handle = number(len(made)) + number(len(block))
        crc = crc32c(block + b"\0")
        made += block + b"\0" + struct.pack("<I", ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff)
        return handle
    for pairs in blocks:
        index.append((pairs[-1][0], append(pairs)))
    footer = append([]) + append(index)
    return made + footer + bytes(40 - len(footer)) + struct.pack("<Q", 0xdb4775248b80fb57)


def tensorbundle_seeds():
    def entry(kind, dims, offset, size, more=b""):
        shape = b"".join(field(2, field(1, dim)) for dim in dims)
        return field(1, kind) + field(2, shape) + (field(4, offset) if offset else b"") + field(5, size) + more
    header = (b"", field(1, 1) + field(3, field(1, 1)))
    pairs = [(b"dense/bias", entry(1, (2,), 24, 8)), (b"dense/kernel", entry(1, (2, 3), 0, 24)),
             (b"flag", entry(10, (), 32, 1)), (b"text", entry(7, (1,), 33, 3))]
    save("tensorbundle", "one.index", table([[header] + pairs]))
    save("tensorbundle", "blocks.index", table([[header] + pairs[:1], pairs[1:2], pairs[2:]]))
    sliced = entry(1, (4,), 0, 16, field(7, field(1, b"")))
    save("tensorbundle", "odd.index", table([[(b"", field(1, 2) + field(2, 1)), (b"int4", entry(29, (2,), 0, 1)), (b"sliced", sliced),
                                              (b"w", entry(1, (1,), 0, 4, field(3, 1)))]]))


if __name__ == "__main__":
    numpy_seeds()
    safetensors_seeds()
    shards_seeds()
    hdf5_seeds()
    pytorch_seeds()
    gguf_seeds()
    onnx_seeds()
    tensorbundle_seeds()
