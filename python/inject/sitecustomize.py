"""Seeds an unmodified script: what `samebits run --inject-seeds` puts in front of PYTHONPATH.

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


def _seed(here):
    """By a name of its own, so that a script finds, or lacks, the samebits that it has without this."""
    path = here[:here.rindex("/")] + "/samebits.py"
    with open(path, encoding="utf-8") as file:
        code = compile(file.read(), path, "exec")
    module = type(sys)("_samebits_injected")
    module.__file__ = path
    sys.modules[module.__name__] = module
    exec(code, module.__dict__)
    module.set_seeds(own_generators=True)


_seed(_search_as_without_this())
_run_hidden()
