/* kernels, ref: see ref_gemm.h. Blocks are packed as in every fast gemm (Goto and van de Geijn,
 * 2008); what is given up against those is freedom of order, which is the point. */
#include "kernels/backends/ref_gemm.h"
#include "kernels/parallel.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define REAL float
#define BYTES 16
#define ROWS 4
#define NAME baseline_f32
#define TARGET
#include "kernels/backends/ref_gemm_kernel.h"

#define REAL double
#define BYTES 16
#define ROWS 4
#define NAME baseline_f64
#define TARGET
#include "kernels/backends/ref_gemm_kernel.h"

#ifdef __x86_64__
#define REAL float
#define BYTES 32
#define ROWS 6
#define NAME avx2_f32
#define TARGET __attribute__((target("avx2")))
#include "kernels/backends/ref_gemm_kernel.h"

#define REAL double
#define BYTES 32
#define ROWS 6
#define NAME avx2_f64
#define TARGET __attribute__((target("avx2")))
#include "kernels/backends/ref_gemm_kernel.h"

#define REAL float
#define BYTES 64
#define ROWS 8
#define NAME avx512_f32
#define TARGET __attribute__((target("avx512f")))
#include "kernels/backends/ref_gemm_kernel.h"

#define REAL double
#define BYTES 64
#define ROWS 8
#define NAME avx512_f64
#define TARGET __attribute__((target("avx512f")))
#include "kernels/backends/ref_gemm_kernel.h"

static bool has_avx512(void) {
    return __builtin_cpu_supports("avx512f");
}

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2");
}
#endif

static bool always(void) {
    return true;
}

const struct sb_ref_path sb_ref_paths[] = {
#ifdef __x86_64__
    {"avx512", has_avx512, {8, 8}, {32, 16}, avx512_f32, avx512_f64},
    {"avx2", has_avx2, {6, 6}, {16, 8}, avx2_f32, avx2_f64},
#endif
    {"baseline", always, {4, 4}, {8, 4}, baseline_f32, baseline_f64},
    {NULL},
};

const struct sb_ref_path *sb_ref_path_here(void) {
    const struct sb_ref_path *path = sb_ref_paths;
    while (!path->usable())
        path++;
    return path;
}

/* Of one packed block: k, columns of B and rows of A (a multiple of 4, 6 and 8). Chosen for a cache
 * of 1 MiB. */
enum { BLOCK_K = 256, BLOCK_N = 512, BLOCK_M = 96 };

#define REAL float
#define KERNEL f32
#define WHICH 0
#define RECTANGLE rectangle_f32
#define SMALL small_f32
#define PACK pack_f32
#include "kernels/backends/ref_gemm_blocks.h"

#define REAL double
#define KERNEL f64
#define WHICH 1
#define RECTANGLE rectangle_f64
#define SMALL small_f64
#define PACK pack_f64
#include "kernels/backends/ref_gemm_blocks.h"

/* One product, shared out along the longer side of C. */
struct product {
    const struct sb_ref_path *path;
    enum sb_dtype dtype;
    bool transpose_a, transpose_b, by_rows;
    size_t m, n, k;
    const void *a, *b;
    void *c;
    atomic_bool failed;
};

static void piece(void *context, unsigned i, unsigned n) {
    struct product *p = context;
    size_t m0 = p->by_rows ? p->m * i / n : 0, m1 = p->by_rows ? p->m * (i + 1) / n : p->m;
    size_t n0 = p->by_rows ? 0 : p->n * i / n, n1 = p->by_rows ? p->n : p->n * (i + 1) / n;
    /* Element (row, column) of op(A) is a[row * a_row + column * a_column]. */
    size_t a_row = p->transpose_a ? 1 : p->k, a_column = p->transpose_a ? p->m : 1;
    size_t b_row = p->transpose_b ? 1 : p->n, b_column = p->transpose_b ? p->k : 1;
    bool done;
    if (p->dtype == SB_DTYPE_F32)
        done = rectangle_f32(p->path, m1 - m0, n1 - n0, p->k, (const float *)p->a + m0 * a_row,
                             a_row, a_column, (const float *)p->b + n0 * b_column, b_row, b_column,
                             (float *)p->c + m0 * p->n + n0, p->n);
    else
        done = rectangle_f64(p->path, m1 - m0, n1 - n0, p->k, (const double *)p->a + m0 * a_row,
                             a_row, a_column, (const double *)p->b + n0 * b_column, b_row, b_column,
                             (double *)p->c + m0 * p->n + n0, p->n);
    if (!done)
        atomic_store(&p->failed, true);
}

int sb_ref_gemm(const struct sb_ref_path *path, unsigned threads, enum sb_dtype dtype,
                bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const void *a,
                const void *b, void *c, struct sb_error *err) {
    struct product product = {.path = path,
                              .dtype = dtype,
                              .transpose_a = transpose_a,
                              .transpose_b = transpose_b,
                              .by_rows = m >= n,
                              .m = m,
                              .n = n,
                              .k = k,
                              .a = a,
                              .b = b,
                              .c = c};
    size_t longer = m >= n ? m : n;
    /* A thread costs about as much as 64³ multiplications. */
    double worth = (double)m * (double)n * (double)k / (64.0 * 64 * 64);
    if (threads > worth)
        threads = worth < 1 ? 1 : (unsigned)worth;
    if (threads > longer)
        threads = (unsigned)longer;
    sb_parallel(threads, piece, &product);
    if (atomic_load(&product.failed))
        return sb_error_errno(err, -ENOMEM, "gemm");
    return 0;
}
