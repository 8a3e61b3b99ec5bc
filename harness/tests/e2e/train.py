"""What train.py is in the documentation: seeded, and the same at any number of threads and of workers."""
import argparse
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--workers", type=int, default=0, help="threads that prepare batches")
arguments = parser.parse_args()

random = np.random.RandomState(0)
rows, weights = random.standard_normal((64, 8)).astype("f4"), random.standard_normal(8).astype("f4")


def prepare(batch):
    return (batch - batch.mean(axis=0)) / batch.std(axis=0)


batches = np.split(rows, 4)
if arguments.workers:
    with ThreadPoolExecutor(arguments.workers) as pool:
        batches = list(pool.map(prepare, batches))
else:
    batches = list(map(prepare, batches))
for batch in batches:
    weights -= np.float32(0.1) * (batch * (batch * weights).sum(axis=1, keepdims=True)).mean(axis=0)
with h5py.File("model.h5", "w") as file:
    file["dense/kernel"] = weights
