"""The axis, the format and the report that docs/extending.md shows, each a file and a line in a copy of the source, built and used."""
import os
import re
import shutil
import struct
import subprocess
import tempfile

import program
from program import SOURCE

EXAMPLE = re.compile(r"^(harness/\S+\.c), and `('\w+',)` in the list `(\w+)` of (\S+/meson\.build):\n\n```c\n(.*?)^```$", re.M | re.S)
HOUR_IN_A_ZONE = "import time\nvalues[0] = float(time.localtime(1e9).tm_hour)"


def shown_examples():
    with open(os.path.join(SOURCE, "docs", "extending.md"), encoding="utf-8") as file:
        return EXAMPLE.findall(file.read())


def add(folder, example):
    """One file and one line."""
    path, entry, plural, build_file, source = example
    with open(os.path.join(folder, path), "x", encoding="utf-8") as file:
        file.write(source)
    with open(os.path.join(folder, build_file), encoding="utf-8") as file:
        before = file.read()
    after = re.sub(rf"^{plural} = \[$", rf"\g<0>\n  {entry}", before, flags=re.M)
    assert after != before, f"{build_file} has no list {plural}"
    with open(os.path.join(folder, build_file), "w", encoding="utf-8") as file:
        file.write(after)


class Worked(program.Program):
    @classmethod
    def setUpClass(cls):
        cls.copy = tempfile.mkdtemp(prefix="samebits-e2e-")
        cls.addClassCleanup(shutil.rmtree, cls.copy, ignore_errors=True)
        for name in ("harness", "kernels", "python", "docs", "meson.build", "meson_options.txt"):
            take = shutil.copytree if os.path.isdir(os.path.join(SOURCE, name)) else shutil.copy
            take(os.path.join(SOURCE, name), os.path.join(cls.copy, name))
        cls.examples = shown_examples()
        for example in cls.examples:
            add(cls.copy, example)
        build = os.path.join(cls.copy, "build")
        options = [f"-D{name}=disabled" for name in ("tests", "openmp", "blis", "onednn", "mpi", "cuda", "cudnn", "nccl", "man")]
        cls.command(["meson", "setup", build, "--werror", "-Doptimization=0", *options])
        cls.command(["ninja", "-C", build, "samebits"])
        cls.program = os.path.join(build, "samebits")

    @classmethod
    def command(cls, words):
        done = subprocess.run(words, cwd=cls.copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", check=False)
        assert done.returncode == 0, " ".join(words) + "\n" + done.stdout[-3000:]

    def run_built(self, *arguments, code=0):
        done = subprocess.run([self.program, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=300,
                              check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_there_is_one_of_each(self):
        self.assertEqual([example[2] for example in self.examples], ["axes", "formats", "reports"])

    def test_the_axis_is_varied_and_the_report_says_what_it_does(self):
        self.assertRegex(self.run_built("list", "axes"), r"timezone +.*zone that programs reckon local time in")
        self.job(body=HOUR_IN_A_ZONE)
        self.run_built("run", "--vary", "timezone=UTC,Asia/Tokyo", "--vary", "hash_seed=0,1", "--report", "csv:a,b.csv", "--",
                       "python3", "job.py", code=1)
        with open(self.path("a,b.csv"), encoding="utf-8") as file:
            self.assertEqual(file.read().splitlines(),
                             ["job,outcome,verdict,depends_on", '"job.py","fail","config-dependent","timezone"'])

    def test_a_level_that_cannot_be_had_is_not_taken_for_one(self):
        self.job()
        said = self.run_built("run", "--vary", "timezone=UTC,Mars/Olympus", "--", "python3", "job.py", code=77)
        self.assertIn("time zone 'Mars/Olympus' is not installed here", said)
        self.assertIn("is no name of a time zone",
                      self.run_built("run", "--vary", "timezone=UTC,../x", "--", "python3", "job.py", code=2))

    def test_the_format_is_read_and_has_the_fingerprint_of_the_same_numbers_elsewhere(self):
        numbers = [i / 3 for i in range(6)]
        with open(self.path("a.idx"), "wb") as file:
            file.write(bytes([0, 0, 0x0D, 2]) + struct.pack(">2I6f", 2, 3, *numbers))
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".ljust(117) + b"\n"
        with open(self.path("a.npy"), "wb") as file:
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack("<6f", *numbers))
        tensor = re.compile(r"([0-9a-f]{32}) +(\w+)\tf32\t2x3\t")
        ours, theirs = (tensor.search(self.run_built("fingerprint", "--tensors", name)).groups() for name in ("a.idx", "a.npy"))
        self.assertEqual(ours, (theirs[0], "array"))

    def test_a_file_that_lies_is_refused(self):
        for sizes in ((2, 4), (2**32 - 1, 2**32 - 1), (2**32 - 1, 2**30)):
            with self.subTest(sizes=sizes):
                with open(self.path("a.idx"), "wb") as file:
                    file.write(bytes([0, 0, 0x0D, 2]) + struct.pack(">2I6f", *sizes, *range(6)))
                self.assertIn("idx: ", self.run_built("fingerprint", "a.idx", code=2))
        with open(self.path("a.idx"), "wb") as file:
            file.write(bytes([0, 0, 0x0D, 9, 0]))
        self.assertIn("ends in its header", self.run_built("fingerprint", "a.idx", code=2))


if __name__ == "__main__":
    program.main()
