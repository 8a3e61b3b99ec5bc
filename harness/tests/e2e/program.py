"""End-to-end tests: runs the built program as a user does, and speaks TAP.

SAMEBITS names the program, SAMEBITS_SOURCE the source tree; both are set by meson.
"""
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest

SAMEBITS = os.environ["SAMEBITS"]
SOURCE = os.environ["SAMEBITS_SOURCE"]
PYTHON = os.path.join(SOURCE, ".venv", "bin", "python3")  # with NumPy and h5py: ci/install-deps --frameworks
FRAMEWORKS = os.path.join(SOURCE, ".venv-frameworks", "bin", "python3")  # with suites/requirements.txt

# A job without any framework: writes one f32 tensor as an npy file. Its body may use `values`, a list of 256 floats.
NPY_JOB = '''
import os, struct, sys
values = [float(i % 7) + 0.5 for i in range(256)]
{body}
header = "{{'descr': '<f4', 'fortran_order': False, 'shape': (%d,), }}" % len(values)
header += " " * (118 - len(header) - 1) + "\\n"
with open(sys.argv[1] if len(sys.argv) > 1 else "w.npy", "wb") as file:
    file.write(b"\\x93NUMPY\\x01\\x00" + struct.pack("<H", 118) + header.encode() + struct.pack("<%df" % len(values), *values))
'''


class Program(unittest.TestCase):
    """A folder of its own for each test, and the program in it."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="samebits-e2e-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text))
        os.chmod(path, mode)
        return path

    def mount(self, *arguments):
        """mount(8) until the end of the test, which is skipped where mounts are not allowed."""
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0 and not works("unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/tmp"):
            self.skipTest("needs mounts: " + done.stderr.strip().split("\n")[0])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(subprocess.run, ["umount", "-l", arguments[-1]], check=False)

    def job(self, name="job.py", body=""):
        return self.write(name, NPY_JOB.format(body=textwrap.dedent(body)))

    def samebits(self, *arguments, code=None, cwd=None, env=None, timeout=300):
        """Runs it and returns the finished process; fails unless the exit code is `code`."""
        environment = dict(os.environ)
        environment.update(env or {})
        if arguments[:1] == ("run",) and "--spread" not in arguments:
            arguments = ("run", "--spread", "0", *arguments[1:])  # jobs of tests take no second
        done = subprocess.run([SAMEBITS, *arguments], cwd=cwd or self.folder, env=environment, timeout=timeout,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="surrogateescape",
                              check=False)
        # The comparison's coroutines make AddressSanitizer remark on them; it finds nothing there.
        done.stderr = "".join(line for line in done.stderr.splitlines(keepends=True)
                              if "ASan doesn't fully support makecontext" not in line)
        if code is not None and done.returncode != code:
            self.fail(f"exit {done.returncode}, not {code}: samebits {' '.join(arguments)}\n"
                      f"--- stdout\n{done.stdout[-3000:]}\n--- stderr\n{done.stderr[-3000:]}")
        return done

    def run_json(self, *arguments, code=0, **more):
        """`samebits run --json …` and its document."""
        done = self.samebits("run", "--json", *arguments, code=code, **more)
        return json.loads(done.stdout)

    def adhoc(self, *vary, command, code=0, options=(), **more):
        axes = [argument for axis in vary for argument in ("--vary", axis)]
        return self.run_json(*axes, *options, "--", *command, code=code, **more)


def works(*command):
    if not shutil.which(command[0]):
        return False
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def effects(job):
    return {axis["name"]: axis["effect"] for axis in job["axes"]}


def processes_with(text):
    """Pids whose command line holds `text`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if text.encode() in file.read() and int(pid) != os.getpid():
                    found.append(int(pid))
    return found


class TapResult(unittest.TestResult):
    def __init__(self, out):
        super().__init__()
        self.out, self.count = out, 0

    def point(self, ok, test, note=""):
        self.count += 1
        name = test._testMethodName.removeprefix("test_")
        print(f"{'ok' if ok else 'not ok'} {self.count} - {name}{note}", file=self.out, flush=True)

    def addSuccess(self, test):
        self.point(True, test)

    def addSkip(self, test, reason):
        self.point(True, test, f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.point(False, test)
        for line in self.failures[-1][1].splitlines():
            print(f"# {line}", file=self.out)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is None:
            return
        self.point(False, test, f" {subtest._subDescription()}")
        for line in (self.failures + self.errors)[-1][1].splitlines():
            print(f"# {line}", file=self.out)

    def addError(self, test, err):
        super().addError(test, err)
        self.point(False, test)
        for line in self.errors[-1][1].splitlines():
            print(f"# {line}", file=self.out)


def main():
    names = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell started this in the background
    loader = unittest.defaultTestLoader
    module = sys.modules["__main__"]
    suite = loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)
    real = sys.stdout
    with contextlib.redirect_stdout(io.StringIO()):
        result = TapResult(real)
        print("TAP version 13", file=real)
        suite.run(result)
    print(f"1..{result.count}", file=real)
    sys.exit(0 if result.wasSuccessful() else 1)


__all__ = ["Program", "SAMEBITS", "SOURCE", "PYTHON", "FRAMEWORKS", "effects", "works", "processes_with", "main", "signal"]
