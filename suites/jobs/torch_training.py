"""Small trainings in PyTorch, one for each way in which its bits are known to hold or to change.

usage: torch_training.py WEIGHTS KIND [seeds=none]
"""
import os
import random
import sys

import h5py
import numpy as np
import torch
from timing import timed


class Rows(torch.utils.data.Dataset):
    """Noise is added to each row by NumPy's global generator, in the process that loads it."""

    def __init__(self, rows, labels):
        self.rows, self.labels = rows, labels

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i] + np.random.standard_normal(self.rows.shape[1]).astype(np.float32), self.labels[i]


def seed_worker(worker):
    """What PyTorch's notes on reproducibility ask for: its own seed of the worker, for NumPy and random too."""
    seed = torch.initial_seed() % 2**32
    np.random.seed(seed)
    random.seed(seed)


def train(model, batches, loss):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for rows, labels in batches:
        optimizer.zero_grad()
        loss(model(rows), labels).backward()
        optimizer.step()
    return {name.replace(".", "/"): value.detach().numpy() for name, value in model.state_dict().items()}


def mlp():
    model = torch.nn.Sequential(torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
    batch = torch.randn(256, 784), torch.randint(0, 10, (256,))
    return train(model, [batch] * 10, torch.nn.functional.cross_entropy)


def convolution():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
                                torch.nn.Linear(8 * 7 * 7, 10))
    batch = torch.randn(32, 3, 16, 16), torch.randint(0, 10, (32,))
    return train(model, [batch] * 5, torch.nn.functional.cross_entropy)


def embedding():
    model = torch.nn.Sequential(torch.nn.Embedding(100, 16), torch.nn.Flatten(), torch.nn.Linear(16 * 8, 4))
    batch = torch.randint(0, 100, (64, 8)), torch.randint(0, 4, (64,))
    return train(model, [batch] * 10, torch.nn.functional.cross_entropy)


def loader(workers, init=None):
    rows = torch.randn(64, 16).numpy()
    data = torch.utils.data.DataLoader(Rows(rows, torch.randint(0, 2, (64,))), 16, shuffle=True, num_workers=workers,
                                       worker_init_fn=init)
    return train(torch.nn.Linear(16, 2), data, torch.nn.functional.cross_entropy)


KINDS = {"mlp": mlp, "convolution": convolution, "embedding": embedding, "loader": lambda: loader(0),
         "workers": lambda: loader(2), "workers-seeded": lambda: loader(2, seed_worker)}

path, kind = sys.argv[1:3]
seeds = dict(argument.split("=", 1) for argument in sys.argv[3:]).get("seeds", "torch+numpy")
if "torch" in seeds:
    torch.manual_seed(0)
if "numpy" in seeds:
    np.random.seed(0)
if os.environ.get("SAMEBITS_DETERMINISTIC") == "1":
    torch.use_deterministic_algorithms(True)
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
with timed():
    weights = KINDS[kind]()
with h5py.File(path, "w") as file:
    for name, value in weights.items():
        file[name] = value
