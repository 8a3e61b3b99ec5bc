"""NumPy's generators and sums, as scripts use them.

usage: numpy_training.py WEIGHTS softmax|legacy|generator|spawned|unseeded
"""
import sys

import numpy as np
from timing import timed

path, kind = sys.argv[1:3]


def softmax():
    """A softmax regression: matrix products of BLAS, NumPy's own exponential and sums, and a rate that decays.

    The rate is a scalar, which NumPy 1 computes in float64 and NumPy 2 in float32 (NEP 50).
    """
    random = np.random.RandomState(0)
    rows, labels = random.standard_normal((512, 64)).astype("f4"), random.randint(0, 10, 512)
    kernel = np.zeros((64, 10), "f4")
    for step in range(20):
        rate = np.float32(0.1 / 512) / (1 + 0.1 * step)
        logits = rows @ kernel
        share = np.exp(logits - logits.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        share[np.arange(512), labels] -= 1
        kernel -= rate * (rows.T @ share)
    return {"kernel": kernel}


def legacy():
    np.random.seed(1)
    return {"drawn": np.random.standard_normal(100), "order": np.random.permutation(100)}


def generator():
    random = np.random.default_rng(1)
    return {"drawn": random.standard_normal(100), "order": random.permutation(100)}


def spawned():
    """A stream for each worker, all from one seed."""
    return {f"worker/{i}": np.random.default_rng(child).standard_normal(10)
            for i, child in enumerate(np.random.SeedSequence(1).spawn(4))}


def unseeded():
    np.random.seed(1)  # of the legacy generator alone
    return {"drawn": np.random.default_rng().standard_normal(100)}


with timed():
    tensors = {"softmax": softmax, "legacy": legacy, "generator": generator, "spawned": spawned, "unseeded": unseeded}[kind]()
np.savez(path, **tensors)
