/* base: which variables of an environment may change what a program computes, and are worth
 * keeping. The rest, where secrets are, is kept nowhere. */
#include "base/text.h"

#include <string.h>

static const char *const patterns[] = {
    "PATH",           "LANG",         "LANGUAGE",        "LC_*",      "TZ",
    "TMPDIR",         "LD_PRELOAD",   "LD_LIBRARY_PATH", "PYTHON*",   "VIRTUAL_ENV",
    "CONDA_PREFIX",   "OMP_*",        "GOMP_*",          "KMP_*",     "*_NUM_THREADS",
    "OPENBLAS_*",     "GOTO_*",       "BLIS_*",          "MKL_*",     "ONEDNN_*",
    "DNNL_*",         "TF_*",         "XLA_*",           "JAX_*",     "ATEN_*",
    "TORCH*",         "PYTORCH_*",    "NPY_*",           "CUDA_*",    "CUBLAS*",
    "CUDNN_*",        "NVIDIA_TF32*", "NCCL_*",          "HDF5_*",    "MALLOC_*",
    "GLIBC_TUNABLES", "SAMEBITS_*",   "VECLIB_*",        "NUMEXPR_*", "NUMBA_*",
    "OMPI_MCA_*",
};
static const char *const secrets[] = {"*KEY*",  "*TOKEN*",      "*SECRET*",
                                      "*PASS*", "*CREDENTIAL*", "*AUTH*"};

static bool matches(const char *name, const char *const *globs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (sb_glob_match(globs[i], name))
            return true;
    }
    return false;
}

bool sb_environment_matters(const char *name) {
    return matches(name, patterns, sizeof patterns / sizeof *patterns) &&
           !matches(name, secrets, sizeof secrets / sizeof *secrets);
}
