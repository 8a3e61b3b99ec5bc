"""An operation of PyTorch as a script made it: kept in a file, and made again by itself.

    python3 kept.py FILE OUTPUTS [CALLS]

makes it CALLS times, from the same inputs each time: OUTPUTS, a safetensors file, has the bytes of what came out of the first
and the digest of each. It prints the first digest, as a trace has it. FILE lies beside FILE.json, as `samebits explain` keeps
both. What the script had set of PyTorch's own settings is set again.
"""
import os
import sys

NAME = "operation"  # in the folder of the run's traces
MOST_BYTES = 1 << 30
MOST_CALLS, ABOUT_S = 100, 0.5  # how often it is made again in one process, where threads are to meet


def settings(torch):
    """Those that change what an operation computes, as (how to set it, value) by their names."""
    backends, found = torch.backends, {}

    def add(name, value, change):
        found[name] = (change, value)
    add("threads", torch.get_num_threads(), torch.set_num_threads)
    add("deterministic", torch.are_deterministic_algorithms_enabled(), torch.use_deterministic_algorithms)
    add("dtype", torch.get_default_dtype(), torch.set_default_dtype)
    if hasattr(torch, "set_float32_matmul_precision"):
        add("matmul", torch.get_float32_matmul_precision(), torch.set_float32_matmul_precision)
    for backend, names in ((backends.mkldnn, ("enabled",)), (backends.cudnn, ("enabled", "benchmark", "deterministic"))):
        for name in names:
            if hasattr(backend, name):
                add(f"{backend.__name__}.{name}", getattr(backend, name),
                    lambda value, backend=backend, name=name: setattr(backend, name, value))
    return found


# ---- Kept ------------------------------------------------------------------------------------------------------------


def _plain(value, storages):
    """Without gradients; memory that arguments share is counted once."""
    import torch
    if isinstance(value, torch.Tensor):
        value = value.detach()
        storage = value.untyped_storage() if hasattr(value, "untyped_storage") else value.storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item, storages) for item in value]
    return value


def _frames(own):
    """Who called, innermost first."""
    frame, found = sys._getframe(1), []
    while frame and len(found) < 32:
        code = frame.f_code
        if code.co_filename not in own:
            found.append(f"{code.co_filename}:{frame.f_lineno} in {code.co_name}")
        frame = frame.f_back
    return found


class Keeper:
    """Keeps the first operation that SAMEBITS_TRACE_CALL means, "NAME:DIGEST of its inputs"."""

    def __init__(self, samebits, torch):
        from torch.utils import _python_dispatch
        self._torch, self._own = torch, {samebits.__file__, __file__, _python_dispatch.__file__}
        self._path = os.environ["SAMEBITS_TRACE"].rpartition("/")[0] + "/" + NAME
        self._wanted = os.environ["SAMEBITS_TRACE_CALL"]
        self._begun = {name: value for name, (_, value) in settings(torch).items()}

    def __call__(self, operation, digest, args, kwargs):
        """Before the call, which may write into what it is given; returns what is to be called after it, or None."""
        if f"{operation.name}:{digest.hex()}" != self._wanted:
            return None
        import time
        self._wanted = None
        try:
            self._save(operation, args, kwargs)
        except Exception:  # an argument that no file can hold, a full disk: nothing that the script should see
            return None
        began = time.monotonic()
        return lambda: self._save_head(time.monotonic() - began)  # without which the file is none

    def _save(self, operation, args, kwargs):
        torch, storages = self._torch, {}
        kept = {"name": operation.name, "args": _plain(args, storages),
                "kwargs": {name: _plain(value, storages) for name, value in kwargs.items()},
                "state": None, "cuda_state": None,
                "settings": {name: value for name, (_, value) in settings(torch).items() if value != self._begun[name]}}
        if operation.random:
            kept["state"] = torch.default_generator.get_state()
            kept["cuda_state"] = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
        if sum(storages.values()) > MOST_BYTES:
            raise MemoryError(f"more than {MOST_BYTES} bytes of tensors")
        with open(self._path, "xb") as file:  # of several processes the first
            torch.save(kept, file)

    def _save_head(self, seconds):
        import json
        calls = min(max(int(ABOUT_S / max(seconds, 1e-6)), 1), MOST_CALLS)
        head = {"python": sys.executable, "search": os.path.dirname(os.path.dirname(self._torch.__file__)), "calls": calls,
                "frames": _frames(self._own)}
        try:
            with open(self._path + ".json", "x", encoding="utf-8") as file:
                json.dump(head, file)
        except OSError:
            pass


# ---- Made again ------------------------------------------------------------------------------------------------------


def _write(path, parts):
    """Bytes by their names, as tensors."""
    import json
    entries, at = {}, 0
    for name, data in parts.items():
        entries[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(entries).encode()
    text = text.ljust((len(text) + 7) // 8 * 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for data in parts.values():
            file.write(data)


def make_again(path, outputs, calls):
    import copy
    import json
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    import samebits
    with open(path + ".json", encoding="utf-8") as file:
        sys.path.append(json.load(file)["search"])  # where the script found it otherwise
    import torch
    kept = torch.load(path, weights_only=False)
    if os.environ.get("SAMEBITS_DETERMINISTIC") == "1":
        torch.use_deterministic_algorithms(True)
    known = settings(torch)
    for name, value in kept["settings"].items():
        known[name][0](value)
    space, name, overload = kept["name"].split(".")
    function = getattr(getattr(getattr(torch.ops, space), name), overload)
    operation, parts, digests = samebits._TorchOperation(function), {}, []
    with torch.no_grad():
        for _ in range(calls):
            args, kwargs = copy.deepcopy((kept["args"], kept["kwargs"]))
            if kept["state"] is not None:
                torch.default_generator.set_state(kept["state"])
            if kept["cuda_state"] is not None:
                torch.cuda.set_rng_state(kept["cuda_state"])
            result, arguments = function(*args, **kwargs), {**dict(zip(operation.places, args)), **kwargs}
            tensors = samebits._torch_outputs(operation, arguments, result)
            digests.append(samebits._torch_output_digest(tensors))
            parts = parts or {f"output/{i}": samebits._numpy(tensor)[2] for i, tensor in enumerate(tensors)}
    _write(outputs, {**parts, "digests": b"".join(digests)})
    print(digests[0].hex())


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: kept.py FILE OUTPUTS [CALLS]")
    make_again(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) == 4 else 1)
