/* Stage 3: which variables of an observed environment are kept. Environments of CI jobs hold
 * tokens and passwords, and journals and results are uploaded: so a list says what stays, not what
 * goes. */
#include "base/cleanup.h"
#include "run/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Globs over names, of variables that are known to change what a program computes or loads. */
static const char *const kept[] = {
    /* the system: loader, allocator, locale, where things are found */
    "PATH",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LD_BIND_NOW",
    "GLIBC_TUNABLES",
    "MALLOC_*",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "SOURCE_DATE_EPOCH",
    /* interpreters; PYTHONHASHSEED among them */
    "PYTHON*",
    /* threads */
    "*_NUM_THREADS",
    "*_THREADS",
    "OMP_*",
    "GOMP_*",
    "KMP_*",
    "TBB_*",
    /* libraries */
    "OPENBLAS_*",
    "BLIS_*",
    "MKL_*",
    "ONEDNN_*",
    "DNNL_*",
    "NPY_*",
    "HDF5_*",
    "ATEN_*",
    /* frameworks */
    "TF_*",
    "XLA_*",
    "JAX_*",
    "TORCH_*",
    "TORCHINDUCTOR_*",
    "PYTORCH_*",
    "KERAS_BACKEND",
    /* accelerators */
    "CUDA_*",
    "CUBLAS_*",
    "CUDNN_*",
    "NCCL_*",
    "NVIDIA_TF32_OVERRIDE",
    "HIP_*",
    "ROCR_*",
    /* built-in jobs */
    "SAMEBITS_DETERMINISTIC",
    "SAMEBITS_HASH_SEED",
    "SAMEBITS_SEED",
};

/* Names that the patterns above would let through and that hold secrets all the same. */
static const char *const never[] = {"*TOKEN*", "*SECRET*", "*PASSWORD*", "*CREDENTIAL*", "*_KEY"};

static bool matches_one(const char *const *patterns, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++) {
        if (sb_glob_match(patterns[i], name))
            return true;
    }
    return false;
}

static bool is_kept(const char *item, const struct sb_strings *names) {
    char name[128];
    size_t length = strcspn(item, "=");
    if (length >= sizeof name)
        return false;
    memcpy(name, item, length);
    name[length] = '\0';
    if (names && sb_strings_contain(names, name))
        return true;
    return matches_one(kept, sizeof kept / sizeof *kept, name) &&
           !matches_one(never, sizeof never / sizeof *never, name);
}

void sb_observation_filter(struct sb_observation *seen, const struct sb_strings *names) {
    for (size_t i = 0; i < seen->n_processes; i++) {
        char **to = seen->processes[i].environment;
        for (char **from = to; from && *from; from++) {
            if (is_kept(*from, names))
                *to++ = *from;
            else
                free(*from);
        }
        if (to)
            *to = NULL;
    }
}

/* ---- What the axes of a job set ---------------------------------------------------------------
 */

static bool is_in(char *const *environment, const char *item) {
    for (; environment && *environment; environment++) {
        if (strcmp(*environment, item) == 0)
            return true;
    }
    return false;
}

static int add_name(struct sb_strings *names, const char *item) {
    char *name = strndup(item, strcspn(item, "="));
    if (!name || !sb_strings_contain(names, name))
        return sb_strings_take(names, name);
    free(name);
    return 0;
}

static int add_cell(const struct sb_plan *plan, const struct sb_job_plan *job,
                    const struct sb_cell *cell, char *const *base, struct sb_strings *names) {
    SB_CLEANUP(sb_setup_clear) struct sb_setup setup = {0};
    int rc = sb_setup_make(plan, job, cell, base, &setup, NULL);
    for (char **item = setup.environment; rc == 0 && item && *item; item++) {
        if (!is_in(base, *item))
            rc = add_name(names, *item);
    }
    return rc;
}

/* Marks the levels of a cell; false when each was seen in a cell before. */
static bool has_new_level(const struct sb_job_plan *job, const struct sb_cell *cell, bool *seen) {
    bool new_level = false;
    for (size_t i = 0, first = 0; i < job->n_axes; first += job->axes[i++].n_levels) {
        if (job->axes[i].n_levels && !seen[first + cell->level[i]])
            new_level = seen[first + cell->level[i]] = true;
    }
    return new_level;
}

int sb_names_set_by_axes(const struct sb_plan *plan, const struct sb_job_plan *job,
                         char *const *base, struct sb_strings *names, struct sb_error *err) {
    size_t n_levels = 0;
    for (size_t i = 0; i < job->n_axes; i++)
        n_levels += job->axes[i].n_levels;
    SB_AUTO_FREE bool *seen = calloc(n_levels + 1, sizeof *seen);
    SB_AUTO_STRINGS struct sb_strings found = {0};
    int rc = seen ? 0 : -ENOMEM;
    /* A level may be what the variable was already: then no cell shows that it is set. */
    for (size_t i = 0; rc == 0 && i < job->n_axes; i++) {
        if (strncmp(job->axes[i].name, "env:", 4) == 0)
            rc = add_name(&found, job->axes[i].name + 4);
    }
    for (size_t i = 0; rc == 0 && i < job->n_cells; i++) {
        /* A cell that cannot be set up is its runs' failure. */
        if (has_new_level(job, &job->cells[i], seen) &&
            add_cell(plan, job, &job->cells[i], base, &found) == -ENOMEM)
            rc = -ENOMEM;
    }
    if (rc < 0)
        return sb_error_errno(err, rc, "planning runs");
    *names = found;
    found = (struct sb_strings){0};
    return 0;
}
