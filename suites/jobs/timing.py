"""Times a training by itself, without the seconds in which its framework is imported."""
import contextlib
import json
import time


@contextlib.contextmanager
def timed(facts=None):
    """Writes experiment.json, with `seconds` and these facts in it: samebits takes the cost of an axis from there."""
    begun = time.perf_counter()
    yield
    seconds = time.perf_counter() - begun
    with open("experiment.json", "w", encoding="utf-8") as file:
        json.dump({**(facts or {}), "seconds": seconds}, file)
