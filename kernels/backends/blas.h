/* kernels: what the backends that are BLAS libraries share. */
#ifndef SB_KERNELS_BLAS_H
#define SB_KERNELS_BLAS_H

#include "kernels/dispatch.h"

#include <stdlib.h>

/* n ones of the call's type, f32 or f64; malloc'd, or NULL. */
static inline void *sb_blas_ones(const struct sb_call *call, size_t n) {
    if (call->dtype == SB_DTYPE_F32) {
        float *ones = malloc(n * sizeof *ones);
        for (size_t i = 0; ones && i < n; i++)
            ones[i] = 1;
        return ones;
    }
    double *ones = malloc(n * sizeof *ones);
    for (size_t i = 0; ones && i < n; i++)
        ones[i] = 1;
    return ones;
}

#define SB_BLAS_GAPS "BLAS has vectors, products and norms: no such routine; training takes ref's"

static const struct sb_missing sb_blas_missing[] = {
    /* Measured, OpenBLAS 0.3.21: cblas_ssum of 16 floats or more is wrong on SkylakeX and
     * Cooperlake; cblas_dsum, and other cores, are right. */
    {"sum",
     "BLAS adds absolute values alone (asum); OpenBLAS's own cblas_ssum is wrong with AVX-512"},
    {"mean", "BLAS has no variance"},
    {"adam sgd", "a step is many passes of BLAS's axpy and scal, no routine"},
    {"embedding embedding_gradient", "BLAS has no gather and no scatter"},
    {"allreduce", "BLAS knows no ranks"},
    {"conv2d conv2d_gradient_data conv2d_gradient_filter",
     "in BLAS it is gemm, over copies of the windows that a program makes"},
    {"attention attention_gradient", "in BLAS it is gemm, and a softmax that BLAS has not"},
    {NULL},
};

#endif
