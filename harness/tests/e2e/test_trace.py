#!/usr/bin/env python3
"""Traces of kernel calls in any process: what is seen, under which names, and the culprit that two traces show."""
import ctypes
import os
import re
import subprocess
import sys
from random import Random

import program
from program import SAMEBITS, SOURCE
from traced import ONCE, SAVE, Traced, every_routine

FAULTS = 20  # planted in each kernel
TWICE = ("--repeats", "2", "--exact-repeats", "--trace", "--out", "out")

# A library with what it is asked for: adds 1 to the first element of C, and FAULT to it in call FAULT.
STUB = r"""
#include <stdint.h>
#include <stdlib.h>
static int calls;
static void work(float *c) {
    const char *fault = getenv("FAULT");
    c[0] += 1;
    if (fault && ++calls == atoi(fault)) c[0] += 0.5f;
}
#define FORTRAN(name, integer) \
    void name(const char *ta, const char *tb, const integer *m, const integer *n, const integer *k, const float *alpha, \
              const float *a, const integer *lda, const float *b, const integer *ldb, const float *beta, float *c, \
              const integer *ldc) { work(c); }
#define CBLAS(name, integer, fortran) \
    void name(int order, int ta, int tb, integer m, integer n, integer k, float alpha, const float *a, integer lda, \
              const float *b, integer ldb, float beta, float *c, integer ldc) \
    { fortran("N", "N", &m, &n, &k, &alpha, a, &lda, b, &ldb, &beta, c, &ldc); }
FORTRAN(sgemm_, int)
FORTRAN(sgemm_64_, int64_t)
FORTRAN(sgemm64_, int64_t)
FORTRAN(scipy_sgemm_, int)
FORTRAN(scipy_sgemm_64_, int64_t)
CBLAS(cblas_sgemm, int, sgemm_)
CBLAS(cblas_sgemm64_, int64_t, sgemm_64_)
CBLAS(cblas_sgemm_64, int64_t, sgemm_64_)
CBLAS(scipy_cblas_sgemm, int, scipy_sgemm_)
CBLAS(scipy_cblas_sgemm64_, int64_t, scipy_sgemm_64_)
"""

# The name has 32 bit integers elsewhere.
WIDE = r"""
#include <stdint.h>
void cblas_dgemm(int order, int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const double *a, int64_t lda,
                 const double *b, int64_t ldb, double beta, double *c, int64_t ldc)
{ c[0] = (m >> 32) + 10 * (lda >> 32) + 100 * (ldc >> 32); }
"""

CALLS_WIDE = SAVE + r"""
void cblas_dgemm(int, int, int, int64_t, int64_t, int64_t, double, const double *, int64_t, const double *, int64_t, double,
                 double *, int64_t);
int main(void) {
    double a[4] = {1, 2, 3, 4}, c[4] = {0};
    cblas_dgemm(102, 111, 111, (1LL << 32) + 2, 2, 2, 1, a, (2LL << 32) + 2, a, 2, 0, c, (3LL << 32) + 2);
    return save(c, sizeof c) || c[0] != 321;
}
"""

# Found by no search that the dynamic linker would make for the program.
ELSEWHERE = SAVE + r"""
#include <dlfcn.h>
int main(void) {
    int two = 2;
    float a[4] = {1, 2, 3, 4}, c[4] = {0}, one = 1;
    void *library = dlopen("./libstub.so", RTLD_NOW | RTLD_LOCAL);
    void (*sgemm)() = (void (*)())dlsym(RTLD_DEFAULT, "sgemm_");
    if (!library || !sgemm) return 1;
    sgemm("N", "N", &two, &two, &two, &one, a, &two, a, &two, &one, c, &two);
    return save(c, sizeof c) || c[0] != 1;
}
"""

# A limit on the size of files that leaves no room for a trace.
LIMITED = SAVE + r"""
#include <sys/resource.h>
double cblas_ddot(int, const double *, int, const double *, int);
int main(void) {
    struct rlimit limit = {65536, 65536};
    double x[3] = {1, 2, 3}, sum = 0;
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 10; i++) sum += cblas_ddot(3, x, 1, x, 1);
    return save(&sum, sizeof sum) || sum != 140;
}
"""

NAMES = SAVE + r"""
#define FORTRAN(name, integer) { integer two = 2; \
    void name(const char *, const char *, const integer *, const integer *, const integer *, const float *, \
              const float *, const integer *, const float *, const integer *, const float *, float *, const integer *); \
    name("N", "N", &two, &two, &two, &one, a, &two, a, &two, &one, c, &two); }
#define CBLAS(name, integer) { integer two = 2; \
    void name(int, int, int, integer, integer, integer, float, const float *, integer, const float *, integer, float, \
              float *, integer); \
    name(102, 111, 111, two, two, two, one, a, two, a, two, one, c, two); }
int main(void) {
    float a[4] = {1, 2, 3, 4}, c[4] = {0}, one = 1;
    if (getenv("DATA")) a[0] = atof(getenv("DATA"));
    FORTRAN(sgemm_, int)
    FORTRAN(sgemm_64_, int64_t)
    FORTRAN(sgemm64_, int64_t)
    FORTRAN(scipy_sgemm_, int)
    FORTRAN(scipy_sgemm_64_, int64_t)
    CBLAS(cblas_sgemm, int)
    CBLAS(cblas_sgemm64_, int64_t)
    CBLAS(cblas_sgemm_64, int64_t)
    CBLAS(scipy_cblas_sgemm, int)
    CBLAS(scipy_cblas_sgemm64_, int64_t)
    c[1] += a[0];
    return save(c, sizeof c);
}
"""

# What a matrix holds between its columns, and what a factor of zero hides, are no inputs.
LOGICAL = SAVE + r"""
void cblas_sgemm(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
int main(void) {
    float dense[4] = {1, 2, 3, 4}, wide[8] = {1, 2, 77, 78, 3, 4, 79, 80}, other[4] = {1, 2, 3, 5};
    float zero[4] = {0}, any[4] = {5, 6, 7, 8}, by_rows[4] = {1, 3, 2, 4}, c[4] = {0};
    cblas_sgemm(102, 111, 111, 2, 2, 2, 1, dense, 2, dense, 2, 0, zero, 2);
    cblas_sgemm(102, 111, 111, 2, 2, 2, 1, wide, 4, dense, 2, 0, any, 2);
    cblas_sgemm(102, 111, 111, 2, 2, 2, 1, other, 2, dense, 2, 0, c, 2);
    cblas_sgemm(101, 111, 111, 2, 2, 2, 1, by_rows, 2, by_rows, 2, 0, c, 2);
    cblas_sgemm(102, 111, 111, 2, 2, 2, 1, dense, 2, dense, 2, 1, any, 2);
    return save(c, sizeof c);
}
"""

# Pairs of calls that differ in what they must not read: the other triangle, by columns and by rows, and a unit diagonal.
TRIANGLES = SAVE + r"""
void cblas_ssymm(int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
void cblas_strmm(int, int, int, int, int, int, int, float, const float *, int, float *, int);
void cblas_ssyrk(int, int, int, int, int, float, const float *, int, float, float *, int);
int main(void) {
    float b[4] = {1, 2, 3, 4}, c[4];
    for (int i = 0; i < 2; i++) {
        float upper[4] = {1, 90 + i, 2, 3}, lower[4] = {1, 2, 90 + i, 3}, unit[4] = {90 + i, 91 + i, 2, 92 + i};
        cblas_ssymm(102, 141, 121, 2, 2, 1, upper, 2, b, 2, 0, c, 2);
        cblas_ssymm(101, 141, 121, 2, 2, 1, lower, 2, b, 2, 0, c, 2);
        cblas_ssymm(102, 141, 122, 2, 2, 1, lower, 2, b, 2, 0, c, 2);
        memcpy(c, b, sizeof c);
        cblas_strmm(102, 141, 121, 111, 132, 2, 2, 1, unit, 2, c, 2);
        float sums[4] = {1, 90 + i, 2, 3};
        cblas_ssyrk(102, 121, 111, 2, 2, 1, b, 2, 1, sums, 2);
    }
    return save(c, sizeof c);
}
"""

POINTS_OF_PYTHON = """
import ctypes
library = ctypes.CDLL(None)
if hasattr(library, "sb_trace_point"):
    data = (ctypes.c_double * 6)(*range(6))
    library.sb_trace_point(b"logits", data, b"f64", 2, (ctypes.c_uint64 * 2)(2, 3))
"""

# A call with digests of its own, in which nearly all of the time is spent; and one of no known dtype.
CALL_OF_PYTHON = """
import ctypes, time
library = ctypes.CDLL(None)
library.sb_trace_clock.restype = ctypes.c_uint64
began = called = library.sb_trace_clock()
until = time.process_time() + 1
while time.process_time() < until:
    pass
times = (ctypes.c_uint64 * 3)(began, called, library.sb_trace_clock())
for dtype in (b"f32", b"f33"):
    library.sb_trace_call(b"op", b"torch", 3, dtype, 2, (ctypes.c_uint64 * 2)(2, 3), bytes(range(16)), b"\\x01" * 16, times)
"""

# 1 + 400 + 10 + 5 + 7 calls: of the main thread, of four threads, of a child that leaves by _exit, of one that aborts,
# and of a program that is exec'd; then an end without any ado.
PROCESSES = SAVE + r"""
#include <pthread.h>
#include <sys/wait.h>
double cblas_ddot(int, const double *, int, const double *, int);
static const double x[3] = {1, 2, 3};
static double sum;
static void calls(int n) { for (int i = 0; i < n; i++) { double y[3] = {i, n, 1}; sum += cblas_ddot(3, x, 1, y, 1); } }
static void *thread(void *n) { for (int i = 0; i < 100; i++) cblas_ddot(3, x, 1, (double *)n, 1); return NULL; }
int main(int n, char **words) {
    pthread_t threads[4];
    if (n > 1) { calls(7); return 0; }
    calls(1);
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, thread, (void *)x);
    if (fork() == 0) { calls(10); _exit(0); }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    if (fork() == 0) { calls(5); abort(); }
    if (fork() == 0) { execl(words[0], words[0], "again", NULL); _exit(1); }
    while (wait(NULL) > 0) ;
    if (save(&sum, sizeof sum)) return 1;
    _exit(0);
}
"""

POINTS = SAVE + r"""
#include <samebits/trace.h>
int main(void) {
    const uint64_t dims[2] = {2, 3};
    float loss[6] = {0};
    for (int step = 1; step <= 5; step++) {
        loss[0] = step + (getenv("FAULT") && step >= 4 ? atof(getenv("FAULT")) : 0);
        sb_trace("loss", loss, "f32", 2, dims);
        sb_trace("st\tep", &step, "i32", 0, NULL);
    }
    sb_trace("odd", loss, "f99", 0, NULL);
    return save(loss, sizeof loss);
}
"""

MPI = SAVE + r"""
#include <mpi.h>
double cblas_ddot(int, const double *, int, const double *, int);
int main(int n, char **words) {
    int rank;
    float mine[3] = {1, 2, 3}, all[3] = {0}, sums[3] = {0};
    MPI_Init(&n, &words);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    const char *fault = getenv("FAULT");
    for (int step = 1; step <= 3; step++) {
        mine[0] = rank + step + (fault && rank == 1 && step == 2 ? atof(fault) : 0);
        MPI_Allreduce(mine, all, 3, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        MPI_Allreduce(MPI_IN_PLACE, all, 3, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        sums[0] += all[0];
    }
    MPI_Reduce(mine, all, 3, MPI_FLOAT, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rank == 0 && save(sums, sizeof sums)) return 1;
    return MPI_Finalize();
}
"""


class Trace(Traced):
    def with_stub(self, text, stub=STUB):
        return self.with_library(text, stub)

    def test_every_listed_routine_is_traced_and_gives_what_it_gave(self):
        names, calls, text = every_routine()
        job = self.with_openblas(text)
        result, trace = self.traced(job)
        self.assertEqual({call[2] for call in self.calls()}, names)
        self.assertEqual((trace["calls"], trace["lost"], trace["processes"]), (calls, 0, 1))
        without = self.adhoc("env:NOTHING=1", command=(job,), options=(*ONCE[:3], "--out", "without"), code=2)
        self.assertIsNotNone(result["runs"][0]["fingerprint"])
        self.assertEqual(without["runs"][0]["fingerprint"], result["runs"][0]["fingerprint"])
        self.assertIsNone(without["runs"][0]["observed"]["trace"])
        # Both interfaces did the same: so a routine's two calls have the same digests, but for those with factors that
        # the C interface takes by their address.
        digests = {}
        for call in self.calls():
            digests.setdefault(call[2], set()).add((call[6], call[7]))
        self.assertEqual({len(found) for found in digests.values()}, {1})

    def test_every_name_of_a_routine_is_known_and_a_call_within_a_call_does_not_count(self):
        self.traced(self.with_stub(NAMES))
        calls = self.calls()
        self.assertEqual([call[2:6] for call in calls], [["sgemm", "libstub.so", "f32", "2x2x2"]] * 10)
        self.assertEqual([call[7] != calls[i - 1][7] for i, call in enumerate(calls)], [True] * 10)

    def test_wide_integers_reach_a_library_that_has_them_under_the_names_of_narrow_ones(self):
        self.traced(self.with_stub(CALLS_WIDE, WIDE))
        self.assertEqual([call[5] for call in self.calls()], ["2x2x2"])

    def test_a_limit_on_files_costs_the_trace_and_not_the_run(self):
        result, trace = self.traced(self.with_openblas(LIMITED))
        self.assertEqual((self.calls(), trace["calls"], trace["lost"]), ([], 0, 10))
        self.assertIsNotNone(result["runs"][0]["fingerprint"])

    def test_inputs_are_the_elements_that_count(self):
        self.traced(self.with_openblas(LOGICAL))
        inputs = [call[6] for call in self.calls()]
        outputs = [call[7] for call in self.calls()]
        self.assertEqual((inputs[0], outputs[0]), (inputs[1], outputs[1]))
        self.assertEqual(len(set(inputs)), 4)
        self.assertNotEqual(outputs[0], outputs[2])

    def test_a_triangle_is_all_that_counts_of_a_matrix_that_is_one(self):
        self.traced(self.with_openblas(TRIANGLES))
        digests = [call[6:] for call in self.calls()]
        self.assertEqual(digests[:5], digests[5:])
        self.assertEqual(len({tuple(pair) for pair in digests}), 5)

    def test_points_in_python(self):
        self.job(body=POINTS_OF_PYTHON)
        self.traced(sys.executable, "-S", "job.py")
        self.assertEqual([call[2:6] for call in self.calls()], [["logits", "sb_trace", "f64", "2x3"]])

    def test_calls_that_python_digested(self):
        self.job(body=CALL_OF_PYTHON)
        _, trace = self.traced(sys.executable, "-S", "job.py")
        self.assertEqual([call[1:] for call in self.calls()],
                         [["3", "op", "torch", "f32", "2x3", bytes(range(16)).hex(), "01" * 16]])
        self.assertEqual((trace["calls"], trace["lost"]), (1, 1))
        self.assertGreater(trace["cpu_share"], 0.5)

    def test_threads_children_and_sudden_ends_lose_nothing(self):
        _, trace = self.traced(self.with_openblas(PROCESSES, "-pthread"))
        self.assertEqual((trace["calls"], trace["lost"], trace["processes"]), (423, 0, 4))
        calls = self.calls()
        self.assertEqual(len(calls), 423)
        self.assertEqual({call[2] for call in calls}, {"ddot"})

    def test_a_library_that_only_a_plugin_knows_is_found(self):
        self.with_stub(NAMES)
        self.compile(NAMES.replace("int main", "int plugin"), "-shared", "-fPIC", self.path("libstub.so"),
                     f"-Wl,-rpath,{self.folder}", name="plugin.so")
        self.write("job.py", "import ctypes\nctypes.CDLL('./plugin.so').plugin()\n")
        _, trace = self.traced(sys.executable, "-S", "job.py")
        self.assertEqual(trace["calls"], 10)

    def test_a_library_that_nobody_else_would_find_is_found_at_last(self):
        self.compile(STUB, "-shared", "-fPIC", name="libstub.so")
        _, trace = self.traced(self.compile(ELSEWHERE))
        self.assertEqual(trace["calls"], 1)

    def test_the_culprit_is_the_first_call_with_equal_inputs_and_other_outputs(self):
        job = self.with_stub(NAMES)
        result, _ = self.traced(job, vary=("env:FAULT=0,4",), options=TWICE)
        culprit = result["jobs"][0]["culprit"]
        self.assertEqual({key: culprit[key] for key in ("seq", "kernel", "backend", "call", "status", "step", "program")},
                         {"seq": 4, "kernel": "sgemm", "backend": "libstub.so", "call": "sgemm 2x2x2 f32",
                          "status": "suspected", "step": None, "program": "job"})
        self.assertEqual(len(self.calls(result["jobs"][0]["witness"]["b"])), 10)

    def test_other_data_is_no_culprit(self):
        result, _ = self.traced(self.with_stub(NAMES), vary=("env:DATA=1,2",), options=TWICE)
        job = result["jobs"][0]
        self.assertIsNone(job["culprit"])
        self.assertIn("call 1, sgemm 2x2x2 f32 of libstub.so, had other inputs:", job["trace"]["notes"][0])

    def test_what_is_not_traced_is_said(self):
        self.job(body="values[0] = float(os.environ['DATA'])")
        result, trace = self.traced(sys.executable, "-S", "job.py", vary=("env:DATA=1,2",), options=TWICE)
        self.assertEqual((trace["calls"], trace["cpu_share"]), (0, 0))
        notes = result["jobs"][0]["trace"]["notes"]
        self.assertEqual(notes[0], "no call was traced: what differs is not seen")
        self.assertIn("traced calls took 0% of a run's CPU time", notes[1])
        shown = self.samebits("report", "out", code=0).stdout
        self.assertIn("traced    no call was traced", shown)

    def test_a_programs_own_points_are_noted_in_every_kind_of_program(self):
        for flags in (("-pie", "-fPIE"), ("-no-pie",)):
            with self.subTest(flags=flags):
                job = self.compile(POINTS, *flags)
                self.assertEqual(subprocess.run([job], cwd=self.folder, check=False).returncode, 0)
                result, trace = self.traced(job, vary=("env:FAULT=0,1",), options=(*TWICE, "--force"))
                self.assertEqual((trace["calls"], trace["lost"]), (10, 1))
                self.assertEqual([call[2:6] for call in self.calls()[:2]],
                                 [["loss", "sb_trace", "f32", "2x3"], ["st?ep", "sb_trace", "i32", ""]])
                culprit = result["jobs"][0]["culprit"]
                self.assertEqual((culprit["kernel"], culprit["seq"]), ("loss", 7))

    def test_built_in_jobs_have_the_same_option(self):
        self.write("suite.yaml", """
            version: 1
            jobs:
              - name: planted
                train: dense
                backend: chaos
                axes: {"env:SAMEBITS_CHAOS": [none, "ulp@adam:3"]}
            """)
        result = self.run_json("suite.yaml", "--out", "out", "--trace", code=1,
                               env={"SAMEBITS_BACKEND_PATH": os.environ["SAMEBITS_TEST_MODULES"]})
        culprit = result["jobs"][0]["culprit"]
        self.assertEqual(culprit["kernel"], "adam")
        calls = self.calls(result["jobs"][0]["witness"]["a"])[:culprit["seq"]]
        self.assertEqual([call[2] for call in calls].count("adam"), 3)
        self.assertEqual(culprit["step"], int(calls[-1][1]))
        self.assertIsNone(result["runs"][0]["observed"]["trace"]["cpu_share"])

    def test_planted_faults_are_named_and_nothing_else_is(self):
        random = Random(1)
        faults = [f"{random.choice(('ulp', 'swap'))}@{kernel}:{random.randint(1, most)}"
                  for kernel, most in (("gemm", 200), ("adam", 100), ("bias_add", 80), ("relu", 40), ("bias_gradient", 80))
                  for _ in range(FAULTS)]
        jobs = "".join(f"""
              - name: "{number}"
                train: dense
                backend: chaos
                axes: {{"env:SAMEBITS_CHAOS": [none, "{fault}"]}}""" for number, fault in enumerate(faults))
        self.write("suite.yaml", f"""
            version: 1
            defaults: {{repeats: 2}}
            jobs:{jobs}
            """)
        result = self.run_json("suite.yaml", "--out", "out", "--trace", "--exact-repeats", code=2,
                               env={"SAMEBITS_BACKEND_PATH": os.environ["SAMEBITS_TEST_MODULES"]})
        named = 0
        for fault, job in zip(faults, result["jobs"]):
            with self.subTest(fault=fault):
                if job["distinct"] == 1:  # it was lost in rounding, or never came
                    self.assertIsNone(job["culprit"])
                    continue
                _, kernel, number = re.split("[@:]", fault)
                before = self.calls(job["witness"]["a"])[:job["culprit"]["seq"]]
                self.assertEqual((before[-1][2], [call[2] for call in before].count(kernel)), (kernel, int(number)))
                named += 1
        self.assertGreater(named, len(faults) / 5)

    def test_reductions_of_mpi_are_traced_and_blamed_for_nothing_that_went_in(self):
        self.compile(MPI, compiler="mpicc")
        allow = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        result, trace = self.traced("mpirun", "--oversubscribe", "--bind-to", "none", "-n", "2", "./job",
                                    vary=("env:FAULT=0,1",), options=TWICE, env=allow)
        self.assertEqual((trace["calls"], trace["processes"]), (14, 2))
        kernels = [call[2] for call in self.calls()]
        self.assertEqual(kernels, (["MPI_Allreduce"] * 6 + ["MPI_Reduce"]) * 2)
        self.assertEqual({call[5] for call in self.calls()}, {"3x4x2"})
        job = result["jobs"][0]
        self.assertIsNone(job["culprit"])
        self.assertIn("had other inputs", job["trace"]["notes"][0])

    def test_numpy_is_traced(self):
        if not program.works(program.PYTHON, "-c", "import numpy"):
            self.skipTest("needs numpy: .venv has none")
        self.write("job.py", """
            import numpy as np
            a, b = np.ones((30, 20), "f"), np.ones((20, 10), "f")
            np.save("w.npy", sum(a @ b for _ in range(5)) + (a @ b[:, 0])[:, None])
            """)
        self.traced(program.PYTHON, "job.py")
        # NumPy tries its sdot when it is imported.
        self.assertEqual([call[2] for call in self.calls() if call[2] != "sdot"], ["sgemm"] * 5 + ["sgemv"])

    def test_the_first_gemm_of_a_training_in_pytorch_is_the_culprit(self):
        if not program.works(program.PYTHON, "-c", "import torch, h5py"):
            self.skipTest("needs torch: .venv has none")
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("needs two CPUs: one thread computes like another")
        environment = {"OPENBLAS_CORETYPE": "Haswell"}
        result, _ = self.traced(program.PYTHON, os.path.join(SOURCE, "suites/jobs/torch_threads.py"), "w.h5",
                                vary=("threads=1,2",), options=(*TWICE, "--weights", "w.h5"), env=environment)
        culprit = result["jobs"][0]["culprit"]
        first = next(i for i, call in enumerate(self.calls(), 1) if call[2] == "sgemm")
        self.assertEqual((culprit["kernel"], culprit["seq"]), ("sgemm", first))


if __name__ == "__main__":
    program.main()
