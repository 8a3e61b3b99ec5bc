"""Programs that call BLAS, and their traces: what the tests of traces and of culprits share."""
import ctypes
import os
import re
import shutil
import subprocess

import program
from program import SAMEBITS, SOURCE

ONCE = ("--repeats", "1", "--exact-repeats", "--trace", "--out", "out")

SAVE = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int save(const void *values, size_t n) {
    char shape[64];
    FILE *out = fopen("w.npy", "w");
    snprintf(shape, sizeof shape, "{'descr': '|u1', 'fortran_order': False, 'shape': (%zu,), }", n);
    fprintf(out, "%cNUMPY%c%c%c%c%-117s\n", 0x93, 1, 0, 118, 0, shape);
    fwrite(values, 1, n, out);
    return fclose(out) != 0;
}
"""

# Every routine of trace_blas_list.h, by the arguments of its family: c the C interface's, f Fortran's.
FAMILIES = {
    "gemm": ("L, N, T, m, n, k, ALPHA, a, ld, b, ld, BETA, c, ld", "\"N\", \"T\", &m, &n, &k, alpha, a, &ld, b, &ld, beta, c, &ld"),
    "symm": ("L, LEFT, UP, m, n, ALPHA, a, ld, b, ld, BETA, c, ld", "\"L\", \"U\", &m, &n, alpha, a, &ld, b, &ld, beta, c, &ld"),
    "syrk": ("L, UP, N, m, k, ALPHA, a, ld, BETA, c, ld", "\"U\", \"N\", &m, &k, alpha, a, &ld, beta, c, &ld"),
    "herk": ("L, UP, N, m, k, RALPHA, a, ld, RBETA, c, ld", "\"U\", \"N\", &m, &k, alpha, a, &ld, beta, c, &ld"),
    "syr2k": ("L, UP, N, m, k, ALPHA, a, ld, b, ld, BETA, c, ld", "\"U\", \"N\", &m, &k, alpha, a, &ld, b, &ld, beta, c, &ld"),
    "her2k": ("L, UP, N, m, k, ALPHA, a, ld, b, ld, RBETA, c, ld", "\"U\", \"N\", &m, &k, alpha, a, &ld, b, &ld, beta, c, &ld"),
    "trmm": ("L, LEFT, UP, N, UNIT, m, n, ALPHA, a, ld, b, ld", "\"L\", \"U\", \"N\", \"U\", &m, &n, alpha, a, &ld, b, &ld"),
    "gemv": ("L, N, m, n, ALPHA, a, ld, x, two, BETA, y, two", "\"N\", &m, &n, alpha, a, &ld, x, &two, beta, y, &two"),
    "symv": ("L, UP, m, ALPHA, a, ld, x, two, BETA, y, two", "\"U\", &m, alpha, a, &ld, x, &two, beta, y, &two"),
    "trmv": ("L, UP, N, UNIT, m, a, ld, x, two", "\"U\", \"N\", \"U\", &m, a, &ld, x, &two"),
    "ger": ("L, m, n, ALPHA, x, two, y, two, a, ld", "&m, &n, alpha, x, &two, y, &two, a, &ld"),
    "syr": ("L, UP, m, ALPHA, x, two, a, ld", "\"U\", &m, alpha, x, &two, a, &ld"),
    "her": ("L, UP, m, RALPHA, x, two, a, ld", "\"U\", &m, alpha, x, &two, a, &ld"),
    "syr2": ("L, UP, m, ALPHA, x, two, y, two, a, ld", "\"U\", &m, alpha, x, &two, y, &two, a, &ld"),
    "dot": ("m, x, two, y, two", "&m, x, &two, y, &two"),
    "dot_sub": ("m, x, two, y, two, c", None),
    "norm": ("m, x, two", "&m, x, &two"),
    "axpy": ("m, ALPHA, x, two, y, two", "&m, alpha, x, &two, y, &two"),
    "scal": ("m, ALPHA, x, two", "&m, alpha, x, &two"),
    "rscal": ("m, RALPHA, x, two", "&m, alpha, x, &two"),
}

EVERY_ROUTINE = SAVE + r"""
enum { L = 102, N = 111, T = 112, UP = 121, UNIT = 132, LEFT = 141, BYTES = 2048 };
static int m = 4, n = 4, k = 4, ld = 6, two = 2;
static char a[BYTES], b[BYTES], c[BYTES], x[BYTES], y[BYTES], alpha[16], beta[16];
static char all[200 * 6 * BYTES];
static size_t used;
static void fill(int twofold) {
    char *at[] = {a, b, c, x, y};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < BYTES / (twofold ? 8 : 4); j++)
            if (twofold) ((double *)at[i])[j] = 1 + ((i * 31 + j * 7) % 17) / 16.0;
            else ((float *)at[i])[j] = 1 + ((i * 31 + j * 7) % 17) / 16.0f;
    for (int j = 0; j < 2; j++)
        if (twofold) { ((double *)alpha)[j] = 0.75; ((double *)beta)[j] = 0.5; }
        else { ((float *)alpha)[j] = 0.75f; ((float *)beta)[j] = 0.5f; }
}
static void keep(double value) {
    char *at[] = {a, b, c, x, y};
    for (int i = 0; i < 5; i++, used += BYTES) memcpy(all + used, at[i], BYTES);
    memcpy(all + used, &value, sizeof value);
    used += sizeof value;
}
DECLARATIONS
int main(void) {
CALLS
    return save(all, used);
}
"""


def every_routine():
    """Routines by name, and a program that calls each one of them under both its names."""
    with open(os.path.join(SOURCE, "harness/probe/trace_blas_list.h"), encoding="utf-8") as file:
        listed = re.findall(r"^SB_(CBLAS_)?ROUTINE\((\w+), (\w+), (\w)\)", file.read(), re.M)
    declarations, calls = [], []
    for only_c, name, family, letter in listed:
        real = {"s": "float", "c": "float", "d": "double", "z": "double"}[letter]
        gives = real if family in ("dot", "norm") else "void"
        by_value = {"ALPHA": f"*({real} *)alpha" if letter in "sd" else "(void *)alpha",
                    "BETA": f"*({real} *)beta" if letter in "sd" else "(void *)beta",
                    "RALPHA": f"*({real} *)alpha", "RBETA": f"*({real} *)beta"}
        for symbol, arguments in ((f"cblas_{name}", FAMILIES[family][0]),
                                  (f"{name}_", None if only_c else FAMILIES[family][1])):
            if not arguments:
                continue
            words = [by_value.get(word, word) for word in arguments.split(", ")]
            types = []
            for word in words:
                types.append(real if word.startswith(f"*({real}") else "const char *" if word.startswith('"')
                             else "int" if word in ("L", "N", "T", "UP", "UNIT", "LEFT", "m", "n", "k", "ld", "two")
                             else "void *")
            declarations.append(f"{gives} {symbol}({', '.join(types)});")
            call = f"{symbol}({', '.join(words)})"
            calls.append(f"    fill({int(letter in 'dz')}); " +
                         (f"keep({call});" if gives != "void" else f"{call}; keep(0);"))
    return {name for _, name, _, _ in listed}, len(calls), EVERY_ROUTINE.replace("DECLARATIONS", "\n".join(declarations)).replace(
        "CALLS", "\n".join(calls))


class Traced(program.Program):
    def compile(self, text, *flags, name="job", compiler="cc"):
        found = shutil.which(compiler)
        if not found:
            self.skipTest("needs mpi: no mpicc" if compiler == "mpicc" else "needs a C compiler")
        self.write(f"{name}.c", text)
        done = subprocess.run([found, "-D_GNU_SOURCE", "-w", f"-I{SOURCE}/harness/include", f"{name}.c", "-o", name,
                               *flags], cwd=self.folder, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.path(name)

    def with_openblas(self, text, *flags):
        try:
            ctypes.CDLL("libopenblas.so.0")
        except OSError:
            self.skipTest("needs openblas: libopenblas.so.0 not found")
        return self.compile(text, "-l:libopenblas.so.0", *flags)

    def with_library(self, text, library, *flags):
        """Compiles `text` against a library compiled from the other."""
        self.compile(library, "-shared", "-fPIC", name="libstub.so")
        return self.compile(text, self.path("libstub.so"), f"-Wl,-rpath,{self.folder}", *flags)

    def calls(self, run="r00001"):
        """Lines of a run's trace: [call, step, kernel, library, dtype, shape, in, out]."""
        done = subprocess.run([SAMEBITS, "worker", "trace", self.path("out", "logs", f"{run}.trace")], check=True,
                              capture_output=True, text=True)
        return [line.split("\t") for line in done.stdout.splitlines()]

    def traced(self, *command, vary=("env:NOTHING=1",), options=ONCE, code=2, **more):
        """A result of traced runs, and the first one's `observed.trace`."""
        result = self.adhoc(*vary, command=command, options=options, code=code, **more)
        self.assertEqual({run["status"] for run in result["runs"]}, {"ok"})
        return result, result["runs"][0]["observed"]["trace"]
