"""Weights files for the benchmark, and what it is measured against in Python.

    weights.py make FOLDER       a.h5, a2.h5, b.h5, c.h5, a.safetensors
    weights.py hashlib FOLDER    seconds that h5py and hashlib take for a digest of a.h5's tensors
    weights.py compare FOLDER    seconds that NumPy takes to compare a.h5 and c.h5 as `samebits compare` does
"""
import hashlib
import json
import os
import shutil
import struct
import sys
import time

import h5py
import numpy as np

TENSORS, ELEMENTS = 16, 1 << 24  # 16 tensors of 64 MiB


def make(folder):
    random = np.random.default_rng(0)
    base = random.standard_normal(ELEMENTS, dtype=np.float32)
    header = {f"t{i:02}": {"dtype": "F32", "shape": [ELEMENTS], "data_offsets": [4 * i * ELEMENTS, 4 * (i + 1) * ELEMENTS]}
              for i in range(TENSORS)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "a.safetensors"), "wb") as safetensors, \
            h5py.File(os.path.join(folder, "a.h5"), "w") as a, h5py.File(os.path.join(folder, "c.h5"), "w") as c:
        safetensors.write(struct.pack("<Q", len(text)) + text)
        for i in range(TENSORS):
            values = base + np.float32(i)
            a[f"t{i:02}"] = values
            c[f"t{i:02}"] = values * np.float32(1.0001)
            safetensors.write(values.tobytes())
    shutil.copy(os.path.join(folder, "a.h5"), os.path.join(folder, "a2.h5"))
    shutil.copy(os.path.join(folder, "a.h5"), os.path.join(folder, "b.h5"))
    with h5py.File(os.path.join(folder, "b.h5"), "r+") as b:
        b["t07"][12345] = np.nextafter(b["t07"][12345], np.float32(np.inf))


def digest(folder):
    sha = hashlib.sha256()
    with h5py.File(os.path.join(folder, "a.h5"), "r") as file:
        for name in sorted(file):
            sha.update(file[name][()].tobytes())


def ordered(values):
    """Integers that count floats in order, so that their difference is a distance in ULP."""
    bits = values.view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def compare(folder):
    with h5py.File(os.path.join(folder, "a.h5"), "r") as a, h5py.File(os.path.join(folder, "c.h5"), "r") as c:
        for name in sorted(a):
            x, y = a[name][()], c[name][()]
            differ = x.view(np.uint32) != y.view(np.uint32)
            distance = np.abs(x.astype(np.float64) - y)
            with np.errstate(divide="ignore", invalid="ignore"):
                relative = distance / np.abs(y)
            ulp = np.abs(ordered(x) - ordered(y))
            _ = (differ.mean(), differ.argmax(), distance.max(), np.nanmax(relative), ulp.max(), ulp.argmax(),
                 (distance <= 1e-5 + 1.3e-6 * np.abs(y)).all(), np.bincount(np.log2(ulp + 1).astype(np.int64)))


if __name__ == "__main__":
    began = time.monotonic()
    {"make": make, "hashlib": digest, "compare": compare}[sys.argv[1]](sys.argv[2])
    if sys.argv[1] != "make":
        print(time.monotonic() - began)
