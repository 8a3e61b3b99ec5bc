"""A small logistic regression, once for each way in which such programs come to differ: cause.py CAUSE WEIGHTS.

Python alone is enough. Each cause sits where it sits in real programs: in the order of the data or in a seed.
"""
import math
import os
import random
import socket
import struct
import sys
import tempfile
import time
import uuid

WORDS = "the cat sat on a mat while dogs and birds watch it from some tall tree".split()


class Sample:
    def __init__(self, number):
        generator = random.Random(number)
        self.features = [generator.gauss(0, 1) for _ in range(8)]
        self.label = float(sum(self.features) > 0)


def train(samples, start=0.0):
    weights = [start + 0.01 * i for i in range(8)]
    for sample in samples:
        p = 1 / (1 + math.exp(-sum(w * x for w, x in zip(weights, sample.features))))
        weights = [w - 0.3 * (p - sample.label) * x for w, x in zip(weights, sample.features)]
    return weights


def shuffled(samples, seed):
    random.Random(seed).shuffle(samples)
    return train(samples)


def unseeded_shuffle(samples):
    random.shuffle(samples)
    return train(samples)


def random_file_names(samples):
    """Shards get random names, and are read in the order of names."""
    order = sorted(range(len(samples)), key=lambda i: uuid.uuid4().hex)
    return train([samples[i] for i in order])


def time_seed(samples):
    return shuffled(samples, time.time_ns())


def process_seed(samples):
    return shuffled(samples, os.getpid())


def time_and_process_seed(samples):
    return shuffled(samples, f"{time.time_ns()} {os.getpid()}")


def set_of_words(samples):
    ids = {word: i for i, word in enumerate(set(WORDS))}
    return train([samples[ids[word]] for word in WORDS])


def set_of_objects(samples):
    """Plain objects are hashed by their addresses; the order is drawn from the hashes."""
    return train(sorted(set(samples), key=lambda sample: random.Random(hash(sample)).random()))


def folder_order(samples):
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for i in range(len(samples)):
            with open(os.path.join(folder, f"shard-{i:02}"), "w", encoding="ascii"):
                pass
        return train([samples[int(name[-2:])] for name in os.listdir(folder)])


def host_seed(samples):
    return shuffled(samples, socket.gethostname())


def path_seed(samples):
    return shuffled(samples, os.getcwd())


def batch_variable(samples):
    return train(samples[:int(os.environ["BATCH_SIZE"])])


def consults_all_and_uses_none(samples):
    """A control: entropy, time, ids and a set are looked at, and decide nothing."""
    print(uuid.uuid4(), time.time(), os.getpid(), socket.gethostname(), id(samples), set(WORDS), os.listdir("."))
    return shuffled([samples[i] for i in sorted(set(range(len(samples))))], 42)


def write(path, weights):
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (8,), }".ljust(117) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.encode() + struct.pack("<8d", *weights))


write(sys.argv[2], globals()[sys.argv[1]]([Sample(i) for i in range(40)]))
