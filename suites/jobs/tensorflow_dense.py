"""The notebook's program as it is written today: two dense layers in Keras 3, and each of its knobs an option.

usage: tensorflow_dense.py WEIGHTS [KNOB=VALUE]...
"""
import hashlib
import os
import random
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import keras
import numpy as np
import samebits
import tensorflow as tf
from timing import timed

path = sys.argv[1]
knobs = dict(argument.split("=", 1) for argument in sys.argv[2:])
seeds = knobs.get("seeds", "python+numpy+tf").split("+")
if "python" in seeds:
    random.seed(42)
if "numpy" in seeds:
    np.random.seed(42)
if "tf" in seeds:
    tf.random.set_seed(42)
# TensorFlow has pools of its own, which know nothing of OMP_NUM_THREADS.
threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
tf.config.threading.set_intra_op_parallelism_threads(int(knobs.get("intra", threads)))
tf.config.threading.set_inter_op_parallelism_threads(int(knobs.get("inter", threads)))
if os.environ.get("SAMEBITS_DETERMINISTIC") == "1":
    tf.config.experimental.enable_op_determinism()

rows = np.random.default_rng(7).standard_normal((256, 16)).astype(np.float32)
labels = (rows.sum(1) > 0).astype(np.int32)
data = tf.data.Dataset.from_tensor_slices((rows, labels))
shuffle = knobs.get("shuffle", "none")
if shuffle != "none":
    data = data.shuffle(256, seed=42 if shuffle == "seeded" else None)
model = keras.Sequential([keras.layers.Input((16,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
facts = samebits.experiment(seed=42 if knobs.get("seeds") != "none" else None, dataset_id="256 x 16 normals, default_rng(7)",
                            dataset_sha256=hashlib.sha256(rows.tobytes() + labels.tobytes()).hexdigest(),
                            shuffle_buffer=256 if shuffle != "none" else None, batch_size=16)
with timed(facts):
    model.fit(data.batch(16), epochs=3, shuffle=False, verbose=0)
model.save_weights(path)
