"""The example projects of ci/examples: built with an installed samebits as their READMEs say, and with a fault planted."""
import os
import re
import shutil
import subprocess
import tempfile

import program
from program import SAMEBITS, SOURCE

BUILD = os.path.dirname(SAMEBITS)


class Examples(program.Program):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="samebits-install-")
        cls.addClassCleanup(shutil.rmtree, cls.root)
        done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild"], env={**os.environ, "DESTDIR": cls.root},
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        cls.pkgconfig = next(folder for folder, _, names in os.walk(cls.root) if "samebits.pc" in names)
        cls.libraries = os.path.dirname(cls.pkgconfig)

    def setUp(self):
        super().setUp()
        library = os.path.join(self.libraries, "libsamebits.so.0")
        if b"__asan_" in open(library, "rb").read():
            self.skipTest("needs a build without sanitizers: a program that links its library would have to have them too")

    def project(self, name):
        shutil.copytree(os.path.join(SOURCE, "ci", "examples", name), self.path(name))
        return self.path(name)

    def run_there(self, folder, *command, code=0, **environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CK_", "MAKE", "SAMEBITS"))}
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False,
                              env={**kept, "PKG_CONFIG_PATH": self.pkgconfig, "PKG_CONFIG_SYSROOT_DIR": self.root,
                                   "LD_LIBRARY_PATH": self.libraries, **environment})
        if code is not None:
            self.assertEqual(done.returncode, code, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout + done.stderr

    def read(self, *parts):
        with open(os.path.join(*parts), encoding="utf-8") as file:
            return file.read()

    def replace(self, path, old, new):
        text = self.read(path)
        self.assertIn(old, text)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))

    def assert_message(self, text, output):
        """Tensor, index, values, ULP and axis."""
        number = r"-?[\d.]+(e-?\d+)?"
        self.assertRegex(text, output + rf": {number} and {number} are \d+ ulp apart \(threads=[24], .*run 1 against "
                         r"threads=1, .*run 1\); \d+ of \d+ elements? differs?, at most \d+ ulp; the 3 runs with threads=1")

    def configure_automake(self):
        folder = self.project("automake")
        self.run_there(folder, "autoreconf", "-i")
        self.run_there(folder, "./configure")
        return folder

    def test_the_automake_project_passes_and_shows_its_expected_failure(self):
        folder = self.configure_automake()
        for fork in ("yes", "no"):
            said = self.run_there(folder, "make", "check", CK_FORK=fork)
            self.assertRegex(said, r"(?m)^PASS: test_tree$")
            self.assertRegex(said, r"(?m)^XFAIL: test_arrival$")
            self.assertIn("100%: Checks: 1, Failures: 0, Errors: 0", self.read(folder, "test_tree.log"))
            self.assertNotIn("note:", self.read(folder, "test_tree.log"))
            self.assert_message(self.read(folder, "test_arrival.log"), r"dot\[0\]")

    def test_a_fault_planted_in_the_automake_project_is_found(self):
        folder = self.configure_automake()
        self.replace(os.path.join(folder, "dot.c"), "size_t length = PART;", "size_t length = n / omp_get_max_threads() + 1;")
        self.replace(os.path.join(folder, "dot.c"), '#include "dot.h"', '#include "dot.h"\n#include <omp.h>')
        said = self.run_there(folder, "make", "check", code=2)
        self.assertRegex(said, r"(?m)^FAIL: test_tree$")
        self.assert_message(self.read(folder, "test_tree.log"), r"dot\[0\]")

    def test_the_meson_project_passes_and_shows_its_expected_failure(self):
        folder = self.project("meson")
        self.run_there(folder, "meson", "setup", "build")
        for fork in ("yes", "no"):
            said = self.run_there(folder, "meson", "test", "-C", "build", CK_FORK=fork)
            self.assertRegex(said, r"tree +OK")
            self.assertRegex(said, r"arrival +EXPECTEDFAIL")
            self.assert_message(self.read(folder, "build", "meson-logs", "testlog.txt"), r"bias/gradient\[\d+\]")

    def test_faults_planted_in_the_meson_project_are_found(self):
        folder = self.project("meson")
        self.run_there(folder, "meson", "setup", "build")
        test = os.path.join(folder, "test_columns.c")
        original = self.read(test)
        for fault, message in (
                # A race, or memory that nobody wrote: other bits in each run.
                ("sums[3] += (float)getpid();", r"bias/gradient\[3\].* \(threads=1, environment as it is, run 2 against "
                 r"threads=1, environment as it is, run 1\).* it differs from run to run"),
                ('if (getenv("OMP_SCHEDULE")) sums[5] = -sums[5];',
                 r"bias/gradient\[5\].*\(threads=1, OMP_SCHEDULE=dynamic, run 1 against "),
                ('if (getenv("OMP_SCHEDULE")) raise(SIGSEGV);',
                 r"threads=1, OMP_SCHEDULE=dynamic, run 1: killed by signal 11 \(Segmentation fault\)")):
            with self.subTest(fault=fault):
                with open(test, "w", encoding="utf-8") as file:
                    file.write("#include <signal.h>\n#include <unistd.h>\n" +
                               original.replace('    sb_check_output(', f'    {fault}\n    sb_check_output('))
                self.run_there(folder, "meson", "test", "-C", "build", "tree", code=1)
                self.assertRegex(self.read(folder, "build", "meson-logs", "testlog.txt"), message)

    def test_a_main_that_does_not_begin_as_it_has_to_is_told(self):
        folder = self.project("meson")
        self.replace(os.path.join(folder, "test_columns.c"), "    sb_check_begin();\n", "")
        self.run_there(folder, "meson", "setup", "build")
        self.run_there(folder, "meson", "test", "-C", "build", "tree", code=1)
        self.assertIn("threads and environments need a new program for each run: main has to begin with sb_check_begin()",
                      self.read(folder, "build", "meson-logs", "testlog.txt"))

    def test_threads_that_a_project_does_not_have_are_noted(self):
        folder = self.project("meson")
        self.replace(os.path.join(folder, "meson.build"), "dependency('openmp'), ", "")
        self.run_there(folder, "meson", "setup", "build")
        self.run_there(folder, "meson", "test", "-C", "build", "tree")
        self.assertRegex(self.read(folder, "build", "meson-logs", "testlog.txt"),
                         r"test_columns\.c:\d+: note: no run was seen with more than one thread")

    def test_the_library_shows_what_its_headers_declare_and_links_nothing_heavy(self):
        library = os.path.join(self.libraries, "libsamebits.so.0")
        listed = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
        exported = {line.split()[-1] for line in listed.splitlines()}
        include = next(folder for folder, _, names in os.walk(self.root) if "check.h" in names)
        declared = set()
        for header in ("check.h", "error.h", "weights.h"):
            text = re.sub(r"/\*.*?\*/", "", self.read(include, header), flags=re.S)
            text = re.sub(r"(?m)^#(.*\\\n)*.*$", "", text)
            text = re.sub(r"\{[^{}]*\}", "", re.sub(r"\{[^{}]*\}", "", text))  # members of structs
            declared.update(re.findall(r"\b(sb_\w+)(?:\[\w*\])?\s*(?:\(|;)", re.sub(r"(struct|enum) sb_\w+", "", text)))
        declared -= {"sb_check_function"}  # a type
        self.assertEqual(exported, declared)
        linked = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
        self.assertIn("soname: [libsamebits.so.0]", linked)
        self.assertNotRegex(linked, r"NEEDED.*(hdf5|blas|cuda|check|crypto|yaml)")


if __name__ == "__main__":
    program.main()
