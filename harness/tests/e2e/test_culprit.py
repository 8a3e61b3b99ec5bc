"""The call by which bits part, made again in processes of its own: what confirms it, what does not, and who called it."""
import json
import os
import subprocess

import program
from program import PYTHON, SAMEBITS
from traced import ONCE, SAVE, Traced, every_routine

MODULES = os.environ["SAMEBITS_TEST_MODULES"]

# A BLAS of one routine. FAULT: what makes its result another one. `state` is the program's, which a process of the call's own
# does not have; `race` is of time.
LIBRARY = r"""
#include <stdlib.h>
#include <string.h>
#include <time.h>
int stub_state;
void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
                 int ldb, float beta, float *c, int ldc) {
    const char *fault = getenv("FAULT");
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    c[0] = a[0] * b[0] + beta * c[0];
    if (fault && strcmp(fault, "library") == 0) c[0] += 0.5f;
    if (stub_state) c[0] += 0.25f;
    if (fault && strcmp(fault, "race") == 0) c[0] += now.tv_nsec % 1000;
}
"""

CALLER = SAVE + r"""
extern int stub_state;
void cblas_sgemm(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
__attribute__((noinline)) void multiply(float *a, float *c) {
    cblas_sgemm(102, 111, 111, 2, 2, 2, 1, a, 2, a, 2, 1, c, 2);
}
int main(void) {
    float a[4] = {1, 2, 3, 4}, c[4] = {0};
    const char *fault = getenv("FAULT");
    stub_state = fault && strcmp(fault, "state") == 0;
    for (int i = 0; i < 3; i++) {
        a[0] = i + 2;
        multiply(a, c);
    }
    return save(c, sizeof c);
}
"""

# Products by rows and by columns, plain, transposed and conjugated, with m, n and k apart, of all four types.
PRODUCTS = SAVE + r"""
#include <complex.h>
enum { CblasRowMajor = 101, CblasColMajor, CblasNoTrans = 111, CblasTrans, CblasConjTrans };
typedef const void *in;
#define DECLARE(t, factor)                                                                         \
    void cblas_##t##gemm(int, int, int, int, int, int, factor, in, int, in, int, factor, void *, int);  \
    void cblas_##t##gemv(int, int, int, int, factor, in, int, in, int, factor, void *, int);
DECLARE(s, float) DECLARE(d, double) DECLARE(c, in) DECLARE(z, in)
#define PRODUCTS(t, type, FACTOR)                                                                  \
    do {                                                                                           \
        static type a[64], b[64], c[64];                                                           \
        for (int i = 0; i < 64; i++) a[i] = 1 + i % 7 / 8.0, b[i] = 2 - i % 5 / 4.0, c[i] = i % 3;  \
        a[3] *= I * I * 0.5 + (sizeof(type) > sizeof 1.0 || t##_complex) * 0.25 * I;               \
        type alpha = 0.75, beta = 0.5;                                                             \
        cblas_##t##gemm(CblasRowMajor, CblasNoTrans, CblasTrans, 2, 3, 4, FACTOR(alpha), a, 5, b, 6, FACTOR(beta), c, 7);       \
        cblas_##t##gemm(CblasRowMajor, CblasConjTrans, CblasNoTrans, 2, 3, 4, FACTOR(alpha), a, 5, b, 6, FACTOR(beta), c, 7);   \
        cblas_##t##gemm(CblasColMajor, CblasTrans, CblasConjTrans, 2, 3, 4, FACTOR(alpha), a, 5, b, 6, FACTOR(beta), c, 7);     \
        cblas_##t##gemv(CblasColMajor, CblasTrans, 2, 3, FACTOR(alpha), a, 5, b, -2, FACTOR(beta), c, 1);   \
        cblas_##t##gemv(CblasColMajor, CblasNoTrans, 2, 3, FACTOR(alpha), a, 5, b, 1, FACTOR(beta), c, 2);  \
        sum += creal(c[0]) + creal(c[9]);                                                          \
    } while (0)
#define VALUE(x) x
#define ADDRESS(x) &x
enum { s_complex, d_complex = 0, c_complex, z_complex = 1 };
int main(void) {
    double sum = 0;
    PRODUCTS(s, float, VALUE);
    PRODUCTS(d, double, VALUE);
    PRODUCTS(c, float complex, ADDRESS);
    PRODUCTS(z, double complex, ADDRESS);
    return save(&sum, sizeof sum);
}
"""

# OpenBLAS with Fortran's interface alone, as frameworks have one linked in.
FORTRAN_ALONE = r"""
#include <dlfcn.h>
typedef const void *r;
static void *find(const char *name) { return dlsym(dlopen("libopenblas.so.0", RTLD_NOW), name); }
#define FORWARD(t)                                                                                 \
    void t##gemm_(r a, r b, r c, r d, r e, r f, r g, r h, r i, r j, r k, void *l, r m) {           \
        ((void (*)(r, r, r, r, r, r, r, r, r, r, r, void *, r))find(#t "gemm_"))(a, b, c, d, e, f, g, h, i, j, k, l, m);   \
    }                                                                                              \
    void t##gemv_(r a, r b, r c, r d, r e, r f, r g, r h, r i, void *j, r k) {                     \
        ((void (*)(r, r, r, r, r, r, r, r, r, void *, r))find(#t "gemv_"))(a, b, c, d, e, f, g, h, i, j, k);   \
    }
FORWARD(s) FORWARD(d) FORWARD(c) FORWARD(z)
"""


class Culprit(Traced):
    def explained(self, *arguments, code=0):
        """The first cause of the only job."""
        done = self.samebits("explain", "--json", *arguments, "out", code=code)
        job, = json.loads(done.stdout)["jobs"]
        return job["causes"][0]

    def stub(self):
        return self.with_library(CALLER, LIBRARY, "-O1", "-rdynamic")

    def culprit(self, *faults, run_code=1):
        job = self.stub()
        self.samebits("run", "-q", "--out", "out", "--vary", "env:FAULT=" + ",".join(faults), "--", job, code=run_code)
        return self.explained()["culprit"]

    def test_every_listed_routine_is_made_again_with_the_bits_it_had(self):
        names, _, text = every_routine()
        job = self.with_openblas(text)
        self.traced(job)
        calls = {(call[2], call[6]): call[7] for call in self.calls()}
        self.assertEqual({kernel for kernel, _ in calls}, names)
        wanted = [f"{kernel}:{given}" for kernel, given in calls]
        for first in range(0, len(wanted), 50):  # an axis has at most 64 levels
            document, _ = self.traced(job, vary=("env:SAMEBITS_TRACE_CALL=" + ",".join(wanted[first:first + 50]),),
                                      options=(*ONCE[:4], "--out", "kept", "--force"))
            for run in document["runs"]:
                kernel, given = run["cell"]["env:SAMEBITS_TRACE_CALL"].split(":")
                done = subprocess.run([SAMEBITS, "worker", "replay", self.path("kept", "logs", run["id"] + ".call"),
                                       self.path("again.h5")], capture_output=True, text=True, check=False)
                self.assertEqual((done.returncode, done.stdout.strip()), (0, calls.pop((kernel, given))), kernel + done.stderr)
                os.unlink(self.path("again.h5"))
        self.assertEqual(calls, {})

    def test_products_are_made_again_where_a_library_has_fortran_s_interface_alone(self):
        job = self.with_openblas(PRODUCTS)
        self.compile(FORTRAN_ALONE, "-shared", "-fPIC", name="libalone.so")
        self.traced(job)
        calls = self.calls()
        self.assertEqual(len(calls), 20)
        names = [f"{call[2]}:{call[6]}" for call in calls]
        document, _ = self.traced(job, vary=("env:SAMEBITS_TRACE_CALL=" + ",".join(names),), options=(*ONCE[:4], "--out", "kept"))
        outs = dict(zip(names, (call[7] for call in calls)))
        for run in document["runs"]:
            name = run["cell"]["env:SAMEBITS_TRACE_CALL"]
            with open(self.path("kept", "logs", run["id"] + ".call"), "rb") as file:
                whole = file.read()
            library = 8 + 2 * 64  # behind the magic and two names
            alone = self.path("libalone.so").encode()
            with open(self.path("edited"), "wb") as file:
                file.write(whole[:library] + alone.ljust(1024, b"\0") + whole[library + 1024:])
            done = subprocess.run([SAMEBITS, "worker", "replay", self.path("edited"), self.path("again.h5")], capture_output=True,
                                  text=True, check=False)
            self.assertEqual((done.returncode, done.stdout.strip()), (0, outs[name]), name + done.stderr)
            os.unlink(self.path("again.h5"))

    def test_a_library_with_another_result_in_each_configuration_is_confirmed(self):
        culprit = self.culprit("none", "library")
        self.assertEqual((culprit["kernel"], culprit["seq"], culprit["status"]), ("sgemm", 1, "confirmed"))
        self.assertEqual([culprit["replay"][side] for side in ("without", "with")],
                         [{"setting": f"env:FAULT={fault}", "runs": 3, "distinct": 1, "failed": 0}
                          for fault in ("none", "library")])
        self.assertRegex(culprit["frames"][0], r"^job\(multiply\+0x[0-9a-f]+\)$")
        self.assertRegex(culprit["frames"][1], r"^job\(main\+0x[0-9a-f]+\)$")
        done = self.samebits("explain", "out", code=0)
        self.assertIn("sgemm 2x2x2 f32 of libstub.so, call 1 (confirmed)", " ".join(done.stdout.split()))
        self.assertIn("called by job(multiply+", done.stdout)

    def test_a_program_that_the_call_depends_on_leaves_it_suspected(self):
        culprit = self.culprit("none", "state")
        self.assertEqual((culprit["kernel"], culprit["seq"], culprit["status"]), ("sgemm", 1, "suspected"))
        self.assertEqual({culprit["replay"][side]["distinct"] for side in ("without", "with")}, {1})

    def test_a_call_that_differs_from_run_to_run_is_confirmed_by_runs_that_differ(self):
        """Of a race explain asks one thread, which must cure it: so the time counts with several only."""
        library = LIBRARY.replace('strcmp(fault, "race") == 0', 'strcmp(fault, "race") == 0 && atoi(getenv("OMP_NUM_THREADS")) > 1')
        job = self.with_library(CALLER, library)
        self.samebits("run", "-q", "--out", "out", "--vary", "env:FAULT=race", "--vary", "threads=2", "--", job, code=1)
        cause = self.explained()
        self.assertEqual((cause["source"], cause["culprit"]["status"]), ("schedule", "confirmed"))
        self.assertGreater(cause["culprit"]["replay"]["runs"]["distinct"], 1)

    def built_in(self, fault, training="dense", backend="chaos"):
        self.write("suite.yaml", f"""
            version: 1
            jobs:
              - name: planted
                train: {training}
                backend: {backend}
                axes: {{"env:SAMEBITS_CHAOS": [none, "{fault}"]}}
            """)
        os.environ["SAMEBITS_BACKEND_PATH"] = MODULES
        self.addCleanup(os.environ.pop, "SAMEBITS_BACKEND_PATH", None)
        self.samebits("run", "-q", "--out", "out", "--force", "suite.yaml", code=1)
        return self.explained()["culprit"]

    def test_a_call_of_a_built_in_job_is_made_again_and_by_ref(self):
        for training in ("dense", "convnet", "chargpt"):
            with self.subTest(training=training):
                culprit = self.built_in("ulp@adam:1", training)
                self.assertEqual((culprit["kernel"], culprit["backend"], culprit["status"]), ("adam", "chaos", "confirmed"))
                self.assertEqual({culprit["replay"][side]["distinct"] for side in ("without", "with")}, {1})
                self.assertEqual(culprit["on_ref"], {"runs": 2, "vanishes": True, "next": None})

    def test_where_the_call_by_itself_does_not_show_it_ref_in_its_place_does(self):
        """The fault comes with the third call of a process, and a process of its own makes one."""
        culprit = self.built_in("ulp@adam:3")
        self.assertEqual((culprit["kernel"], culprit["status"]), ("adam", "confirmed"))
        self.assertEqual(culprit["on_ref"], {"runs": 2, "vanishes": True, "next": None})

    def test_where_more_than_one_call_differs_ref_in_its_place_names_the_next(self):
        with open(SAMEBITS, "rb") as file:
            if b"__asan_init" in file.read():
                self.skipTest("needs a build without sanitizers: nothing may be preloaded into another")
        self.write("suite.yaml", """
            version: 1
            jobs:
              - name: race
                train: dense
                backend: openmp
                args: {hidden: 64, features: 33, samples: 200, batch_size: 100}
                axes: {threads: [4]}
                repeats: 20
            """)
        document = self.run_json("suite.yaml", "--out", "out", code=None)
        if document["outcome"] == "skipped":
            self.skipTest("needs openmp: not built")
        self.assertEqual(document["jobs"][0]["verdict"], "nondeterministic")
        cause = self.explained()
        self.assertEqual((cause["source"], cause["culprit"]["backend"]), ("schedule", "openmp"))
        self.assertFalse(cause["culprit"]["on_ref"]["vanishes"])

    def test_callers_in_python_are_named(self):
        if not program.works(PYTHON, "-c", "import numpy"):
            self.skipTest("needs numpy: .venv has none")
        self.write("job.py", """
            import os
            import numpy as np


            def forward(x):
                return x @ x


            matrix = np.ones((20, 20), "f")
            for step in range(3):
                matrix = forward(matrix) / 20
            np.save("w.npy", matrix)
            """)
        self.samebits("run", "-q", "--out", "first", "--trace", "--vary", "env:NOTHING=1", "--repeats", "1",
                      "--exact-repeats", "--", PYTHON, "job.py", code=2)
        done = subprocess.run([SAMEBITS, "worker", "trace", self.path("first", "logs", "r00001.trace")], check=True,
                              capture_output=True, text=True)
        call = [line.split("\t") for line in done.stdout.splitlines() if "\tsgemm\t" in line][0]
        self.samebits("run", "-q", "--out", "out", "--trace", "--vary", f"env:SAMEBITS_TRACE_CALL=sgemm:{call[6]}", "--repeats",
                      "1", "--exact-repeats", "--", PYTHON, "job.py", code=2)
        with open(self.path("out", "logs", "r00001.call"), "rb") as file:
            text = file.read().decode("latin-1")
        self.assertIn(self.path("job.py") + ":7 in forward\n" + self.path("job.py") + ":12 in <module>\n", text)

    def test_a_file_that_is_no_saved_call_is_an_error(self):
        good = self.path("out", "logs", "r00001.call")
        job = self.stub()
        self.traced(job)
        self.traced(job, vary=(f"env:SAMEBITS_TRACE_CALL=sgemm:{self.calls()[0][6]}",), options=(*ONCE, "--force"))
        with open(good, "rb") as file:
            whole = file.read()
        # dtype, sizes, operands and options are counted in four bytes, of sgemm in f32: 11, 3, 3 and 11.
        counts = whole.index(bytes([11, 3, 3, 11]), len("sbcall01") + 64)
        fewer = whole[:counts + 3] + bytes([3]) + whole[counts + 4:]
        library = whole.index(self.path("libstub.so").encode())
        for name, damaged, says in (("cut", whole[:-1], "not a saved call, or damaged"),
                                    ("empty", b"", "not a saved call, or damaged"),
                                    ("longer", whole + b"x", "not a saved call, or damaged"),
                                    ("kernel", whole.replace(b"sgemm", b"sgimm", 1), "'sgimm' is no routine of BLAS"),
                                    ("library", whole[:library + 1] + b"x" + whole[library + 2:], "cannot open shared object"),
                                    ("options", fewer, "options that are not those of sgemm")):
            with self.subTest(name=name):
                with open(self.path(name), "wb") as file:
                    file.write(damaged)
                done = subprocess.run([SAMEBITS, "worker", "replay", self.path(name), self.path(name + ".h5")],
                                      capture_output=True, text=True, check=False)
                self.assertIn(done.returncode, (2, 77))
                self.assertIn(says, done.stderr)
        self.assertEqual(subprocess.run([SAMEBITS, "worker", "replay", good, self.path("good.h5")], check=False,
                                        capture_output=True).returncode, 0)


if __name__ == "__main__":
    program.main()
