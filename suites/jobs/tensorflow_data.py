"""Input pipelines of tf.data, and seeds of operations: what a training sees of them becomes the weights that are saved.

usage: tensorflow_data.py WEIGHTS KIND [KNOB=VALUE]...
  shuffle   buffer_size=64, [seed=N], [reshuffle=0|1]: three epochs
  map       deterministic=0|1: four calls at once, of uneven length
  text      tokens=record|function: a TFRecord of tokens made beforehand, or words numbered by tf.py_function on the way
  seeds     [global=N], [operation=N], [before=N]: random operations, `before` others drawn first
"""
import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow as tf
from timing import timed

path, kind = sys.argv[1:3]
knobs = dict(argument.split("=", 1) for argument in sys.argv[3:])
TEXTS = ["the cat sat on the mat", "dogs chase the cat", "a mat is not a dog", "cats and dogs and mats"] * 8


def number(knob):
    return int(knobs[knob]) if knob in knobs else None


def shuffled():
    data = tf.data.Dataset.range(256).shuffle(64, seed=number("seed"), reshuffle_each_iteration=knobs.get("reshuffle", "1") == "1")
    return {f"epoch/{epoch}": np.array(list(data.as_numpy_iterator())) for epoch in range(3)}


def mapped():
    def uneven(i):
        length = 1 + tf.random.stateless_uniform([], [7, i], 0, 2000, tf.int32)
        return tf.cast(i, tf.float32) + 0 * tf.reduce_sum(tf.sort(tf.random.stateless_uniform([length * 20], [i, 1])))

    data = tf.data.Dataset.range(400).map(uneven, num_parallel_calls=4, deterministic=knobs["deterministic"] == "1")
    return {"order": np.array(list(data.as_numpy_iterator()))}


def tokenised():
    """The weights of a bag of words after some steps, so that a word's number matters and its place in a batch does too."""
    if knobs["tokens"] == "record":
        words = sorted({word for text in TEXTS for word in text.split()})
        with tempfile.TemporaryDirectory() as folder:
            name = os.path.join(folder, "text.tfrecord")
            with tf.io.TFRecordWriter(name) as writer:
                for text in TEXTS:
                    ids = tf.train.Int64List(value=[words.index(word) for word in text.split()])
                    feature = {"ids": tf.train.Feature(int64_list=ids)}
                    writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
            feature = {"ids": tf.io.RaggedFeature(tf.int64)}
            data = tf.data.TFRecordDataset(name).map(lambda record: tf.io.parse_single_example(record, feature)["ids"])
            rows = list(data.as_numpy_iterator())
    else:
        # As scripts number their words: in the order in which a set yields them.
        words = list({word for text in TEXTS for word in text.split()})

        def ids(text):
            return np.array([words.index(word) for word in text.numpy().decode().split()], np.int64)

        data = tf.data.Dataset.from_tensor_slices(TEXTS).map(lambda text: tf.py_function(ids, [text], tf.int64))
        rows = list(data.as_numpy_iterator())
    table = np.linspace(-1, 1, len(words)).astype(np.float32)
    for row in rows:
        table[row] -= np.float32(0.1) * table[row].mean()
    return {"embedding": table}


def drawn():
    if number("global") is not None:
        tf.random.set_seed(number("global"))
    for _ in range(number("before") or 0):
        tf.random.uniform([1])
    return {"kernel": tf.random.normal([8, 4], seed=number("operation")).numpy()}


if os.environ.get("SAMEBITS_DETERMINISTIC") == "1":
    tf.config.experimental.enable_op_determinism()
with timed():
    tensors = {"shuffle": shuffled, "map": mapped, "text": tokenised, "seeds": drawn}[kind]()
np.savez(path, **tensors)
