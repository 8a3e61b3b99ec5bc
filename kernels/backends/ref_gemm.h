/* kernels, ref: matrix product in fixed order. */
#ifndef SB_KERNELS_REF_GEMM_H
#define SB_KERNELS_REF_GEMM_H

#include <samebits/error.h>
#include <samebits/weights.h>

#include <stdbool.h>
#include <stddef.h>

/* One width of vectors; the bits are the same with each (tests compare them). */
struct sb_ref_path {
    const char *name; /* "avx512", "avx2", "baseline" */
    bool (*usable)(void);
    unsigned rows[2], columns[2]; /* of a block, for f32 and f64; at most 8 rows, 32 columns */
    void (*f32)(size_t k, const float *a, const float *b, float *c, size_t ldc);
    void (*f64)(size_t k, const double *a, const double *b, double *c, size_t ldc);
};
extern const struct sb_ref_path sb_ref_paths[]; /* fastest first; ends with a NULL name */
const struct sb_ref_path *sb_ref_path_here(void);

/* C[m,n] = op(A)[m,k] · op(B)[k,n]; a transposed operand is stored [k,m], [n,k]. Each element is
 * summed from 0 over ascending k, product and sum rounded to the type: the bits of the naive loop,
 * whatever the threads and the path. Payloads of NaNs excepted. 0 or -ENOMEM. */
int sb_ref_gemm(const struct sb_ref_path *path, unsigned threads, enum sb_dtype dtype,
                bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const void *a,
                const void *b, void *c, struct sb_error *err);

#endif
