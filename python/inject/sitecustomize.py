"""Brings the helper into an unmodified script: what samebits puts in front of PYTHONPATH.

SAMEBITS_INJECT lists what it does there: "seeds" (`samebits run --inject-seeds`), which it also does without the
variable, and "operations", a trace by the framework's operations (`samebits explain`).

Python imports the first sitecustomize that it finds, before the script. This one leaves things as they were without
it: its folder goes from the search path, and the sitecustomize that it hid is run.
"""
import sys


def _search_as_without_this():
    here = __file__[:-len("/sitecustomize.py")]
    sys.path[:] = [folder for folder in sys.path if folder != here]
    sys.path_importer_cache.pop(here, None)
    return here


def _run_hidden():
    # As importlib has them; this imports nothing that Python had not imported by now.
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder
    spec = PathFinder.find_spec("sitecustomize")
    if spec is None or spec.loader is None:
        return
    module = sys.modules["sitecustomize"] = module_from_spec(spec)
    spec.loader.exec_module(module)


def _load(path, name):
    """By a name of its own, so that a script finds, or lacks, the samebits that it has without this."""
    with open(path, encoding="utf-8") as file:
        code = compile(file.read(), path, "exec")
    module = type(sys)(name)
    module.__file__ = path
    sys.modules[name] = module
    exec(code, module.__dict__)
    return module


def _inject(here):
    samebits = _load(here[:here.rindex("/")] + "/samebits.py", "_samebits_injected")
    what = samebits.os.environ.get("SAMEBITS_INJECT", "seeds").split(",")
    if "seeds" in what:
        samebits.set_seeds(own_generators=True)
    if "operations" in what:
        def load(file):
            return _load(here + "/" + file, "_samebits_injected_" + file[:-len(".py")])
        load("operations.py").begin(samebits, load)


_inject(_search_as_without_this())
_run_hidden()
