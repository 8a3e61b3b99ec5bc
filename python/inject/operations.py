"""Traces an unmodified script by its framework's operations: what `samebits explain` brings into it.

Of PyTorch each operation, of Keras the weights after each step; and some of the weights themselves, so that it can be
said how a difference grows. Nothing is seeded, and nothing is imported that the script does not import.
"""
import os

MOST_SNAPSHOTS, MOST_BYTES = 20, 128 << 20  # of weights, in one run
MOST_HEADER = 64 << 20  # a safetensors header is at most 100 million bytes

# By the ids of the trace's dtypes.
NAMES = ("bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "bf16", "f32", "f64", "f8_e4m3", "f8_e5m2", "c64",
         "c128")
SAFETENSORS = ("BOOL", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2")


class LibraryTrace:
    """The trace that the preloaded library writes, a file for each process: sb_trace_call of samebits/trace.h."""

    def __init__(self, library, ctypes, digest):
        self._library, self._dims = library, ctypes.c_uint64
        self._digest = "" if digest == "xxh3" else "+" + digest
        library.sb_trace_clock.restype = ctypes.c_uint64
        library.sb_trace_call.restype = None
        library.sb_trace_call.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_char_p,
                                          ctypes.c_uint, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
        self.clock, self.step = library.sb_trace_clock, 0

    def call(self, name, backend, dtype, sizes, into, out, times=None):
        sizes = tuple(sizes)[:16]
        self._library.sb_trace_call(name.encode(), (backend + self._digest).encode(), self.step, NAMES[dtype].encode(), len(sizes),
                                    (self._dims * len(sizes))(*sizes), into, out, times and (self._dims * 3)(*times))


_trace = None  # where there is none, as in a program that the library is not in


def trace():
    return _trace


def _begin_trace(samebits):
    """When a framework is imported: what this needs, that has imported too."""
    global _trace
    import ctypes
    library = ctypes.CDLL(None)
    if _trace is None and hasattr(library, "sb_trace_call"):
        _trace = LibraryTrace(library, ctypes, samebits.digest_name())


class Snapshots:
    """Weights after the steps 1, 2, 3, 4, 6, 8, 12… and the last, as step-N/NAME of one safetensors file.

    Its header has room for all of them, so that the file is whole after each.
    """

    def __init__(self):
        # Beside the traces of the run, from where it is gathered with them.
        folder = os.environ.get("SAMEBITS_TRACE", "").rpartition("/")[0]
        self._path = folder + "/steps.safetensors"
        self._file, self._entries, self._at, self._head = None, {}, 0, 0
        self._left = None if folder else 0
        self._process, self._last = os.getpid(), 0

    def wanted(self, step):
        return self._left not in (0, 1) and step // (step & -step) in (1, 3)  # one is left for the last

    def add(self, step, weights):
        """weights: {name: (dtype id, shape, bytes)}."""
        weights = {name: weight for name, weight in weights.items() if weight[0] < len(SAFETENSORS)}
        if self._left is None:
            self._begin(weights)
        # Not of processes made by fork.
        if not self._left or not weights or step <= self._last or os.getpid() != self._process:
            return
        import json
        entries, at = dict(self._entries), self._at
        for name, (dtype, shape, data) in weights.items():
            entries[f"step-{step}/{name}"] = {"dtype": SAFETENSORS[dtype], "shape": list(shape),
                                              "data_offsets": [at, at + len(data)]}
            at += len(data)
        text = json.dumps(entries, separators=(",", ":")).encode()
        if len(text) > self._head or at > MOST_BYTES:  # other weights than the first time
            self._left = 0
            return
        self._file.seek(8 + self._head + self._at)
        for weight in weights.values():
            self._file.write(weight[2])
        self._file.seek(0)
        self._file.write(self._head.to_bytes(8, "little") + text.ljust(self._head))
        self._file.flush()
        self._entries, self._at, self._left, self._last = entries, at, self._left - 1, step

    def _begin(self, weights):
        size = sum(len(weight[2]) for weight in weights.values())
        line = sum(6 * len(name) + 250 for name in weights)  # at the most, in the header
        self._left = min(MOST_SNAPSHOTS, MOST_BYTES // size, MOST_HEADER // line) if size else 0
        self._head = (self._left * line + 15) // 8 * 8
        if self._left < 2:
            self._left = 0
            return
        try:  # of several processes the first
            self._file = open(self._path, "xb")
        except OSError:
            self._left = 0


def begin(samebits, load):
    """load(NAME.py) gives another file of this folder as a module."""
    samebits._hook.add("torch", "operations", lambda name, module: _begin_torch(samebits, module, load))
    samebits._hook.add("keras", "operations", lambda name, module: _begin_keras(samebits, module))


# ---- PyTorch ---------------------------------------------------------------------------------------------------------


def _begin_torch(samebits, torch, load):
    import atexit
    _begin_trace(samebits)
    steps = _TorchSteps(samebits, torch)
    keep = load("kept.py").Keeper(samebits, torch) if os.environ.get("SAMEBITS_TRACE_CALL") else None
    mode = samebits.torch_operations(lambda: None if steps.reading else trace(), keep)
    mode.__enter__()

    def end():
        mode.__exit__(None, None, None)
        steps.end()
    atexit.register(end)


class _TorchSteps:
    """Counts the steps of all optimizers, and keeps their weights after some."""

    def __init__(self, samebits, torch):
        self._samebits, self._snapshots, self._count, self._inside, self._last = samebits, Snapshots(), 0, False, None
        self.reading = False
        made = torch.optim.Optimizer.__init__

        def init(optimizer, *arguments, **more):
            made(optimizer, *arguments, **more)
            if trace() and not trace().step:
                trace().step = 1
            kind = type(optimizer)
            if not hasattr(kind.step, "_samebits_original"):
                kind.step = self._counted(kind.step)
        torch.optim.Optimizer.__init__ = init

    def _counted(self, original):
        import functools
        import weakref

        @functools.wraps(original)
        def step(optimizer, *arguments, **more):
            if self._inside:  # of a step that is made of another's
                return original(optimizer, *arguments, **more)
            self._inside = True
            try:
                result = original(optimizer, *arguments, **more)
            finally:
                self._inside = False
            self._count += 1
            self._last = weakref.ref(optimizer)
            if self._snapshots.wanted(self._count):
                self._keep(optimizer)
            if trace():
                trace().step = self._count + 1
            return result
        step._samebits_original = original
        return step

    def _keep(self, optimizer):
        self.reading = True  # what reads them is none of the script's operations
        try:
            self._snapshots.add(self._count, {f"{i}.{j}": self._samebits._numpy(weight)
                                              for i, group in enumerate(optimizer.param_groups)
                                              for j, weight in enumerate(group["params"])})
        finally:
            self.reading = False

    def end(self):
        """Where the script still holds it by then, the last step's weights."""
        optimizer = self._last and self._last()
        if optimizer is not None:
            self._keep(optimizer)


# ---- Keras -----------------------------------------------------------------------------------------------------------


def _begin_keras(samebits, keras):
    import functools
    import inspect
    _begin_trace(samebits)
    fit = keras.Model.fit
    steps = {"count": 0}
    snapshots = Snapshots()

    def weights(model):
        # Its backend JAX keeps them elsewhere while it trains.
        if hasattr(model, "jax_state_sync"):
            model.jax_state_sync()
        found = {}
        for variable in model.variables + getattr(model.optimizer, "variables", []):
            if str(variable.dtype) != "string":
                found[getattr(variable, "path", variable.name)] = samebits._numpy(keras.ops.convert_to_numpy(variable))
        return found

    def note(model, keep):
        found, into = weights(model), trace()
        for name, (dtype, shape, data) in found.items():
            if into:
                into.step = steps["count"]
                into.call(name, "keras", dtype, shape, bytes(16), samebits._digest(data))
        if keep and steps["count"]:
            snapshots.add(steps["count"], found)

    class Tracing(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            note(self.model, False)

        def on_train_batch_end(self, batch, logs=None):
            steps["count"] += 1
            note(self.model, snapshots.wanted(steps["count"]))

        def on_train_end(self, logs=None):
            note(self.model, True)

    @functools.wraps(fit)
    def traced_fit(self, *arguments, **more):
        bound = inspect.signature(fit).bind(self, *arguments, **more)
        given = bound.arguments.get("callbacks")
        if isinstance(given, keras.callbacks.CallbackList):
            given.append(Tracing())
        else:
            given = given if isinstance(given, (list, tuple)) else [given] if given else []
            bound.arguments["callbacks"] = [*given, Tracing()]
        return fit(*bound.args, **bound.kwargs)
    keras.Model.fit = traced_fit
