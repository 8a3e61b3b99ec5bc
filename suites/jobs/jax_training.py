"""A small training step in JAX: compiled or not, on one device or split over two that the CPU pretends to be.

usage: jax_training.py WEIGHTS [key=N|time] [jit=on|off] [devices=N]
XLA_FLAGS=--xla_force_host_platform_device_count=N makes the devices.
"""
import os
import sys
import time

path = sys.argv[1]
knobs = dict(argument.split("=", 1) for argument in sys.argv[2:])
devices = int(knobs.get("devices", "1"))
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}".strip()
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from timing import timed

key = knobs.get("key", "0")
keys = jax.random.split(jax.random.key(time.time_ns() % 2**32 if key == "time" else int(key)), 4)
params = {"hidden": jax.random.normal(keys[0], (32, 64)) / 6, "out": jax.random.normal(keys[1], (64, 4)) / 8}
rows, labels = jax.random.normal(keys[2], (256, 32)), jax.random.randint(keys[3], (256,), 0, 4)
mesh = Mesh(np.array(jax.devices()), ("data",))
rows = jax.device_put(rows, NamedSharding(mesh, PartitionSpec("data")))
labels = jax.device_put(labels, NamedSharding(mesh, PartitionSpec("data")))
params = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))


def loss(params, rows, labels):
    logits = jnp.tanh(rows @ params["hidden"]) @ params["out"]
    return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels])


def step(params, rows, labels):
    return jax.tree.map(lambda p, g: p - 0.5 * g, params, jax.grad(loss)(params, rows, labels))


if knobs.get("jit", "on") == "on":
    step = jax.jit(step)
with timed():
    for _ in range(10):
        params = jax.block_until_ready(step(params, rows, labels))
np.savez(path, **{name: np.asarray(value) for name, value in params.items()})
