"""What a training script can do for samebits: seed everything, trace every step, and say what it is.

One file that needs nothing but Python; it uses random, NumPy, TensorFlow, PyTorch and JAX where they are. None of
them is imported here before the script does: what is not imported yet is seeded the moment that it is. For the same
reason this imports at its start only what Python itself has imported by then, so that a script that has a module of
the same name as one of Python's still gets its own.
"""
import os
import sys

__version__ = "0.1.0"

# ---- Seeds -----------------------------------------------------------------------------------------------------------

_seed = None  # of the last set_seeds
_forks = {"count": 0, "seed": None, "registered": False}


def _seed_random(module, seed, deterministic, own):
    module.seed(seed)
    _forks["seed"] = seed
    if not _forks["registered"] and hasattr(os, "register_at_fork"):
        # Python gives a process made by fork a seed of the system's; this comes after it, and takes that back.
        os.register_at_fork(before=lambda: _forks.update(count=_forks["count"] + 1),
                            after_in_child=lambda: module.seed(f"samebits fork {_forks['seed']} {_forks['count']}"))
        _forks["registered"] = True
    if own:
        _seed_own_randoms(module, seed)
    return "seeded"


def _seed_own_randoms(module, seed):
    """A random.Random() without a seed draws one from a stream that begins at `seed`, not from the system."""
    original = getattr(module.Random.seed, "_original", module.Random.seed)
    stream = module.Random()
    original(stream, f"samebits random {seed}")

    def seed_of(self, a=None, version=2):
        # Names of temporary files must differ between processes that run side by side.
        frame = sys._getframe(1)
        names = {frame.f_globals.get("__name__"), frame.f_back and frame.f_back.f_globals.get("__name__")}
        if a is None and "tempfile" not in names:
            a = stream.getrandbits(128)
        return original(self, a, version)

    seed_of._original = original
    module.Random.seed = seed_of
    module.seed = module._inst.seed


def _seed_numpy(module, seed, deterministic, own):
    module.random.seed(seed % 2**32)
    if not own:
        return "seeded"
    # Every generator that is made without a seed, RandomState among them, asks this for one.
    bits = sys.modules.get("numpy.random.bit_generator")
    if not hasattr(bits, "randbits"):
        return "seeded; default_rng() without a seed is not"
    import random
    bits.randbits = random.Random(f"samebits numpy {seed}").getrandbits
    return "seeded"


def _seed_torch(module, seed, deterministic, own):
    if deterministic:
        # Read when CUDA starts, which importing does not do.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        module.use_deterministic_algorithms(True)
        module.backends.cudnn.benchmark = False
    module.manual_seed(seed)  # of every device, also of those that start later
    return "seeded"


def _seed_tensorflow(module, seed, deterministic, own):
    module.random.set_seed(seed)
    if deterministic:
        module.config.experimental.enable_op_determinism()
    return "seeded"


def _seed_jax(module, seed, deterministic, own):
    return "nothing to seed: its keys are explicit"


_SEEDERS = {"random": _seed_random, "numpy": _seed_numpy, "torch": _seed_torch, "tensorflow": _seed_tensorflow,
            "jax": _seed_jax}


def set_seeds(seed=None, deterministic=None, own_generators=False):
    """Seeds random, NumPy, TensorFlow, PyTorch and JAX: those that are imported now, and others when they are.

    seed: of all of them; None is SAMEBITS_SEED, or 0. deterministic: also ask PyTorch and TensorFlow for deterministic
    algorithms; None is SAMEBITS_DETERMINISTIC=1. own_generators: generators that a script makes without a seed
    (numpy.random.default_rng(), random.Random()) get one too; what reads os.urandom itself does not.
    Returns {"seed", "deterministic", "done": {name: what was done}, "when_imported": [name…], "hash_seed"}; "done" grows
    as more is imported. hash_seed is PYTHONHASHSEED, which only the one who starts Python can set.
    """
    if seed is None:
        seed = int(os.environ.get("SAMEBITS_SEED") or 0)
    if deterministic is None:
        deterministic = os.environ.get("SAMEBITS_DETERMINISTIC") == "1"
    global _seed
    _seed = seed
    did = {"seed": seed, "deterministic": deterministic, "done": {}, "when_imported": [],
           "hash_seed": os.environ.get("PYTHONHASHSEED")}

    def seed_one(name, module):
        try:
            did["done"][name] = _SEEDERS[name](module, seed, deterministic, own_generators)
        except AttributeError as error:  # a module of the script's own, of that name
            did["done"][name] = f"not seeded: {error}"
        if name in did["when_imported"]:
            did["when_imported"].remove(name)

    _hook.forget("seeds")  # the last call counts
    for name in _SEEDERS:
        module = sys.modules.get(name)
        # One that is being imported right now, by whom this is called, is not whole yet.
        if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
            seed_one(name, module)
        else:
            did["when_imported"].append(name)
            _hook.add(name, "seeds", seed_one)
    return did


class _OnImport:
    """Finds modules as they are found without it, and does something right after some were executed."""

    def __init__(self):
        self._actions, self._finding = {}, set()

    def add(self, name, purpose, action):
        """action(name, module), once; of one purpose the last that was given."""
        self._actions.setdefault(name, {})[purpose] = action
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def forget(self, purpose):
        for actions in self._actions.values():
            actions.pop(purpose, None)

    def act(self, module):
        name = module.__spec__.name
        for action in self._actions.pop(name, {}).values():
            action(name, module)

    def find_spec(self, name, path=None, target=None):
        # Another one of these, of another copy of this file, asks this one in its turn.
        if not self._actions.get(name) or name in self._finding:
            return None
        self._finding.add(name)
        try:
            return self._find(name, path, target)
        finally:
            self._finding.discard(name)

    def _find(self, name, path, target):
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find and finder is not self else None
            if spec is None:
                continue
            if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                spec.loader = _ActingLoader(spec.loader, self)
            return spec
        return None


_hook = _OnImport()


class _ActingLoader:
    def __init__(self, loader, hook):
        self._loader, self._hook = loader, hook

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._hook.act(module)


# ---- Digests ---------------------------------------------------------------------------------------------------------


def _digest_function():
    """(name, function from bytes to 16 bytes): XXH3-128 by a package or the library samebits links; else BLAKE2b."""
    try:
        import xxhash
        return "xxh3", xxhash.xxh3_128_digest
    except ImportError:
        pass
    try:
        import ctypes
        function = ctypes.CDLL("libxxhash.so.0").XXH3_128bits
    except (ImportError, OSError, AttributeError):
        import hashlib
        return "blake2b", lambda data: hashlib.blake2b(data, digest_size=16).digest()

    class Halves(ctypes.Structure):
        _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]

    function.restype, function.argtypes = Halves, [ctypes.c_void_p, ctypes.c_size_t]

    def xxh3(data):
        found = function(data, len(data))
        return found.high.to_bytes(8, "big") + found.low.to_bytes(8, "big")
    return "xxh3", xxh3


_digest_parts = None


def _digest(data):
    global _digest_parts
    _digest_parts = _digest_parts or _digest_function()
    return _digest_parts[1](data)


def digest_name():
    """'xxh3' (XXH3 128-bit, seed 0, high half first), or 'blake2b' (16 bytes of it) where no XXH3 was found."""
    global _digest_parts
    _digest_parts = _digest_parts or _digest_function()
    return _digest_parts[0]


# The dtypes of the trace's shapes, by NumPy's kind and size; bfloat16 and the eight-bit floats by their names.
_DTYPES = {"b1": 0, "i1": 1, "i2": 2, "i4": 3, "i8": 4, "u1": 5, "u2": 6, "u4": 7, "u8": 8, "f2": 9, "f4": 11, "f8": 12,
           "c8": 15, "c16": 16}
_NAMED_DTYPES = {"bfloat16": 10, "float8_e4m3fn": 13, "float8_e5m2": 14}
_TORCH_DTYPES = {"bool": 0, "int8": 1, "int16": 2, "int32": 3, "int64": 4, "uint8": 5, "float16": 9, "float32": 11,
                 "float64": 12, "complex64": 15, "complex128": 16, **_NAMED_DTYPES}


def _numpy(array):
    """The array of NumPy, TensorFlow, PyTorch, JAX or Python as (dtype id, shape, its bytes in C order)."""
    if type(array).__module__.split(".")[0] == "torch" or hasattr(array, "detach"):
        array = array.detach().cpu().resolve_conj().resolve_neg().contiguous()
        if str(array.dtype) in ("torch.bfloat16", "torch.float8_e4m3fn", "torch.float8_e5m2"):
            import torch
            named = _NAMED_DTYPES[str(array.dtype)[len("torch."):]]
            bits = array.view(torch.int16 if array.element_size() == 2 else torch.uint8)
            return named, tuple(array.shape), bits.numpy().tobytes()
    import numpy
    array = numpy.asarray(array)
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and sys.byteorder == "big"):
        array = array.astype(array.dtype.newbyteorder("<"))
    named = _NAMED_DTYPES.get(array.dtype.name, _DTYPES.get(array.dtype.kind + str(array.dtype.itemsize)))
    if named is None:
        raise TypeError(f"samebits: no digest of dtype {array.dtype}")
    return named, array.shape, array.tobytes(order="C")


def digest(array):
    """Of all bits of an array, in their order, as 32 hex digits; with XXH3, samebits' digest of that tensor."""
    return _digest(_numpy(array)[2]).hex()


# ---- Traces ----------------------------------------------------------------------------------------------------------


class Trace:
    """A trace of calls in samebits' format: little-endian, "sbtrace1" and then records (harness/base/trace.h).

    Where the digest is not XXH3, the backend of every record says which it is: "torch+blake2b".
    """

    def __init__(self, path):
        import struct
        import threading
        self._pack, self._thread = struct.pack, threading.get_native_id
        self._file = open(path, "ab")
        self._file.write(b"sbtrace1")
        self._names, self._shapes, self._calls = {}, {}, 0
        self._lock = threading.RLock()
        self.step = 0

    def _name(self, text):
        data = text.encode()[:255]
        if data not in self._names:
            number = self._names[data] = len(self._names) % 65536
            self._file.write(self._pack("<cHB", b"N", number, len(data)) + data)
        return self._names[data]

    def _shape(self, dtype, sizes):
        key = (dtype, tuple(sizes)[:16])
        if key not in self._shapes:
            number = self._shapes[key] = len(self._shapes)
            self._file.write(self._pack(f"<cIBB{len(key[1])}Q", b"S", number, dtype, len(key[1]), *key[1]))
        return self._shapes[key]

    def record(self, name, backend, into, out):
        """One call: lists of arrays that went in and came out. Several have the digest of their digests."""
        into, out = [_numpy(array) for array in into], [_numpy(array) for array in out]
        dtype, sizes = (out or into)[0][:2] if out or into else (0, ())
        self.call(name, backend, dtype, sizes, *[_of_several([_digest(item[2]) for item in side]) for side in (into, out)])

    def call(self, name, backend, dtype, sizes, into, out, times=None):
        """The same, of what has its digests."""
        if digest_name() != "xxh3":
            backend += "+" + digest_name()
        with self._lock:
            self._calls += 1
            ids = self._name(name), self._name(backend), self._shape(dtype, sizes)
            thread = self._thread() & 0xffffffff
            self._file.write(self._pack("<cHHIIIQ", b"C", *ids, thread, self.step, self._calls) + into + out)

    @staticmethod
    def clock():
        """What `times` of a call consist of; here nobody asks for the share of time that is seen."""
        return 0

    def close(self):
        self._file.close()


def _of_several(digests):
    if not digests:
        return bytes(16)
    return digests[0] if len(digests) == 1 else _digest(b"".join(digests))


_trace = None


def _current():
    """The trace that SAMEBITS_TRACE names, or None."""
    global _trace
    path = os.environ.get("SAMEBITS_TRACE")
    if path and (_trace is None or _trace[0] != (path, os.getpid())):
        # A process made by fork must not write what its parent had in its buffer.
        _trace = ((path, os.getpid()), Trace(path))
        import atexit
        atexit.register(_trace[1].close)
    return _trace[1] if path else None


def trace(name, array, backend="python"):
    """Notes the digest of an array under `name`, if SAMEBITS_TRACE names a file; returns the array."""
    into = _current()
    if into:
        into.record(name, backend, [], [array])
    return array


def step(number=None):
    """Says that training goes on with this step, or with the next one."""
    into = _current()
    if into:
        into.step = into.step + 1 if number is None else number


def keras_callback():
    """A Keras callback that notes all weights, the optimizer's too, after each batch; steps count from 1."""
    import keras

    class Tracing(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            step()

        def on_train_batch_end(self, batch, logs=None):
            for variable in self.model.variables + getattr(self.model.optimizer, "variables", []):
                if str(variable.dtype) != "string":
                    trace(getattr(variable, "path", variable.name), keras.ops.convert_to_numpy(variable), "keras")
    return Tracing()


def torch_hook(model, optimizer):
    """Notes every gradient before, and every weight after, each step of the optimizer; returns a function that ends it."""
    original = optimizer.step

    def noting_step(*arguments, **more):
        step()
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                trace(name + ".grad", parameter.grad, "torch")
        result = original(*arguments, **more)
        for name, tensor in model.state_dict().items():
            trace(name, tensor, "torch")
        return result

    optimizer.step = noting_step

    def end():
        optimizer.step = original
    return end


# Operations of PyTorch whose result is memory that nobody wrote yet, and those that read nothing of what they write into.
_EMPTY = ("empty", "new_empty", "resize_", "set_")
_FILL = ("fill_", "zero_", "copy_", "uniform_", "normal_", "random_", "bernoulli_", "exponential_", "geometric_", "cauchy_",
         "log_normal_")


class _NoDigest(Exception):
    """An argument whose bits this cannot have: then nothing can be said of the operation."""


def _torch_digest(tensor):
    """Of dtype, shape, strides and elements."""
    import ctypes
    import torch
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter) or tensor.layout != torch.strided or \
            tensor.device.type == "meta" or tensor.is_quantized:
        raise _NoDigest
    elements = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    n = elements.numel() * elements.element_size()
    data = (ctypes.c_char * n).from_address(elements.data_ptr()) if n else b""
    return _digest(f"{tensor.dtype} {tuple(tensor.shape)} {tensor.stride()}".encode() + _digest(data))


def _torch_result(tensor):
    """(dtype id, shape) of the trace."""
    dtype = _TORCH_DTYPES.get(str(tensor.dtype)[len("torch."):])
    if dtype is None:
        raise _NoDigest
    return dtype, tuple(tensor.shape)


class _TorchOperation:
    """What the schema of an operation says: is it to be noted, what does it write, does it draw random numbers?"""

    def __init__(self, function):
        schema, self.name = getattr(function, "_schema", None), str(function)
        self.noted = schema is not None
        if not self.noted:  # an operator that is made of functions
            return
        base = schema.name.split("::")[-1]
        writes = [argument for argument in schema.arguments if argument.alias_info and argument.alias_info.is_write]
        view = any(value.alias_info and not value.alias_info.is_write for value in schema.returns)
        self.noted = not view and not base.startswith(_EMPTY) and not schema.name.startswith("profiler::")
        self.written = {argument.name for argument in writes}
        # Of an argument out=, and of what is filled, the old elements do not go in.
        self.ignored = self.written if base in _FILL else {argument.name for argument in writes if argument.kwarg_only}
        self.places = [argument.name for argument in schema.arguments]
        self.random = any(str(tag).endswith("nondeterministic_seeded") for tag in getattr(function, "tags", ())) or \
            "generator" in self.places or "dropout" in base


def _describe(value, parts):
    """All that an operation is given, in bytes: of tensors the digests."""
    import torch
    if isinstance(value, torch.Tensor):
        parts.append(_torch_digest(value))
    elif isinstance(value, torch.Generator):
        parts.append(_torch_digest(value.get_state()))
    elif isinstance(value, (list, tuple)):
        parts.append(b"(")
        for item in value:
            _describe(item, parts)
        parts.append(b")")
    elif value is None or isinstance(value, (bool, int, float, complex, str, torch.dtype, torch.device, torch.layout,
                                             torch.memory_format)):
        parts.append(repr(value).encode() + b",")
    else:
        raise _NoDigest


def _torch_inputs(operation, arguments):
    import torch
    parts = []
    for name, value in arguments.items():
        parts.append(name.encode() + b"=")
        if name in operation.ignored and isinstance(value, torch.Tensor):
            parts.append(f"{value.dtype} {tuple(value.shape)}".encode())
        else:
            _describe(value, parts)
    if operation.random and arguments.get("generator") is None:
        cuda = any(isinstance(value, torch.Tensor) and value.is_cuda for value in arguments.values())
        _describe(torch.cuda.get_rng_state() if cuda else torch.default_generator.get_state(), parts)
    return _digest(b"".join(parts))


def _torch_outputs(operation, arguments, result):
    """The tensors that came out, and those that were written into."""
    import torch
    found = []

    def add(value):
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            for item in value:
                add(item)
    add(result)
    for name in sorted(operation.written):
        add(arguments.get(name))
    return found


def _torch_output_digest(tensors):
    return _digest(b"".join(map(_torch_digest, tensors)))


def torch_operations(into=None, keep=None):
    """A TorchDispatchMode that notes each operation, with the digests of what went in and of what came out.

    What goes in are tensors, before the call, which may write into them, numbers and all else that it is given, and of an
    operation that draws random numbers the state of its generator. Views compute nothing and are not noted, nor is memory
    that nobody wrote (torch.empty). into: a function that gives the trace; None is the file that SAMEBITS_TRACE names.
    keep: see Keeper of inject/kept.py.
    """
    from torch.utils._python_dispatch import TorchDispatchMode
    into, known = into or _current, {}

    class Operations(TorchDispatchMode):
        # What is called in here is not dispatched again.
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            trace, kwargs = into(), kwargs or {}
            operation = known.get(function) or known.setdefault(function, _TorchOperation(function))
            if trace is None or not operation.noted:
                return function(*args, **kwargs)
            times, before, arguments = [trace.clock()], None, {**dict(zip(operation.places, args)), **kwargs}
            try:
                before = _torch_inputs(operation, arguments)
            except (_NoDigest, RuntimeError):
                pass
            kept = keep(operation, before, args, kwargs) if keep and before else None
            times.append(trace.clock())
            result = function(*args, **kwargs)
            times.append(trace.clock())
            if kept:
                kept()
            outputs = _torch_outputs(operation, arguments, result) if before else []
            try:
                after = outputs and (*_torch_result(outputs[0]), before, _torch_output_digest(outputs))
            except (_NoDigest, RuntimeError):
                after = None
            if after:
                trace.call(operation.name, "torch", *after, times)
            return result
    return Operations()


# ---- Facts -----------------------------------------------------------------------------------------------------------


def _git(*arguments):
    import subprocess
    try:
        done = subprocess.run(("git", *arguments), capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _versions():
    names = ("tensorflow", "keras", "torch", "jax", "numpy", "scipy", "sklearn")
    return {name: getattr(sys.modules[name], "__version__", None) for name in names if name in sys.modules}


def _cuda():
    """(CUDA, cuDNN) that the framework in use was built with, None without."""
    torch, tensorflow = sys.modules.get("torch"), sys.modules.get("tensorflow")
    if torch is not None:
        cudnn = torch.backends.cudnn.version()
        return torch.version.cuda, None if cudnn is None else str(cudnn)
    if tensorflow is not None:
        built = tensorflow.sysconfig.get_build_info()
        return built.get("cuda_version"), built.get("cudnn_version")
    return None, None


def experiment(seed=None, **facts):
    """What experiment.json holds, under the keys of the notebook's checklist; `facts` are added, or replace.

    Of the job's own: dataset_id, dataset_sha256, shuffle_buffer, batch_size, tokenizer_mode, max_len. They are null
    where the job does not say them.
    """
    import platform
    cuda, cudnn = _cuda()
    status = _git("status", "--porcelain")
    versions = _versions()
    framework = next((name for name in ("tensorflow", "torch", "jax") if name in versions), None)
    if seed is None:
        given = os.environ.get("SAMEBITS_SEED")
        seed = int(given) if _seed is None and given else _seed
    known = {
        "seed": seed, "deterministic_ops": os.environ.get("SAMEBITS_DETERMINISTIC") == "1",
        "framework": framework and f"{framework} {versions[framework]}", "cuda": cuda, "cudnn": cudnn,
        "python": platform.python_version(), "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": None if status is None else bool(status), "dataset_id": None, "dataset_sha256": None,
        "shuffle_buffer": None, "batch_size": None, "tokenizer_mode": None, "max_len": None, "versions": versions,
        "machine": platform.machine(), "system": platform.platform(), "cpus": len(os.sched_getaffinity(0)),
        "hash_seed": os.environ.get("PYTHONHASHSEED")}
    return {**known, **facts}
