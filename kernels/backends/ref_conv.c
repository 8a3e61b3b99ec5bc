/* kernels, ref: convolution and its gradients, as products of matrices in fixed order.
 *
 * The images' elements under each tap of a window are laid out as rows of a matrix, one column a
 * window; windows of all images are counted through. Whatever threads there are, each element of a
 * result is summed in the order that stands beside its function. */
#include "kernels/backends/ref_kernels.h"
#include "kernels/ops/window.h"
#include "kernels/parallel.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Windows in one matrix. For the gradient of filters sums are formed over so many, so that it is
 * part of the result; elsewhere it is only the size of a cache. */
enum { WINDOWS = 512 };

/* One call, cut into units of work that may be done by anyone at any time. */
struct convolution {
    const struct sb_ref *ref;
    const struct sb_call *call;
    struct sb_window window;
    size_t images, channels, filters, taps, area, windows; /* windows of one image */
    size_t units, unit_windows, unit_channels, unit_filters;
    void (*unit)(struct convolution *convolution, size_t unit);
    void *transposed; /* filters as [c·r·s,k] */
    atomic_bool failed;
};

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* ⌈a / b⌉ */
static size_t parts(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* A product within a unit: others run beside it. */
static bool product(struct convolution *convolution, bool transpose_b, size_t m, size_t n, size_t k,
                    const void *a, const void *b, void *c) {
    int rc = sb_ref_gemm(convolution->ref->path, 1, convolution->call->dtype, false, transpose_b, m,
                         n, k, a, b, c, NULL);
    if (rc < 0)
        atomic_store(&convolution->failed, true);
    return rc == 0;
}

/* Room for so many elements of each of two matrices; without memory the call fails. */
static void *room(struct convolution *convolution, size_t first, size_t second, void **at_second) {
    size_t size = sb_dtype_size(convolution->call->dtype);
    char *memory = malloc((first + second) * size);
    if (memory)
        *at_second = memory + first * size;
    else
        atomic_store(&convolution->failed, true);
    return memory;
}

#define REAL float
#define N(name) name##_f32
#include "kernels/backends/ref_conv_plain.h"

#define REAL double
#define N(name) name##_f64
#include "kernels/backends/ref_conv_plain.h"

static void piece(void *context, unsigned i, unsigned n) {
    struct convolution *convolution = context;
    size_t end = convolution->units * (i + 1) / n;
    for (size_t unit = convolution->units * i / n; unit < end; unit++)
        convolution->unit(convolution, unit);
}

static int run(struct convolution *convolution, struct sb_error *err) {
    /* As for the product itself, a thread costs about as much as 64³ multiplications. */
    double work = (double)convolution->images * (double)convolution->windows *
                  (double)convolution->filters *
                  (double)(convolution->channels * convolution->taps);
    size_t worth = (size_t)(work / (64.0 * 64 * 64)) + 1;
    size_t threads = smaller(smaller(convolution->ref->threads, convolution->units), worth);
    sb_parallel((unsigned)threads, piece, convolution);
    return atomic_load(&convolution->failed) ? sb_error_errno(err, -ENOMEM, "convolution") : 0;
}

static struct convolution begin(void *state, const struct sb_call *call) {
    struct sb_window window = sb_window_of(call);
    return (struct convolution){.ref = state,
                                .call = call,
                                .window = window,
                                .images = sb_call_size(call, 'n'),
                                .channels = sb_call_size(call, 'c'),
                                .filters = sb_call_size(call, 'k'),
                                .taps = window.r * window.s,
                                .area = window.h * window.w,
                                .windows = window.p * window.q};
}

/* Ascending c, r, s: the bits of the naive loop. Padding is zeros that are multiplied like others,
 * so that an infinite filter makes it NaN. */
SB_REF_DECLARE(conv2d) {
    struct convolution convolution = begin(state, call);
    size_t all = convolution.images * convolution.windows;
    convolution.unit_windows =
        smaller(WINDOWS, larger(64, parts(all, larger(1, convolution.ref->threads))));
    convolution.units = parts(all, convolution.unit_windows);
    convolution.unit = call->dtype == SB_DTYPE_F32 ? forward_f32 : forward_f64;
    return run(&convolution, err);
}

/* Ascending k under each tap, then r, s. */
SB_REF_DECLARE(conv2d_gradient_data) {
    enum { ROWS = 128, ELEMENTS = 1 << 20 };
    struct convolution convolution = begin(state, call);
    size_t rows = smaller(ROWS, ELEMENTS / larger(1, convolution.windows));
    convolution.unit_channels = smaller(larger(1, rows / convolution.taps), convolution.channels);
    convolution.units = convolution.images * parts(convolution.channels, convolution.unit_channels);
    convolution.unit = call->dtype == SB_DTYPE_F32 ? data_f32 : data_f64;
    convolution.transposed = malloc(sb_call_elements(call, 0) * sb_dtype_size(call->dtype));
    if (!convolution.transposed)
        return sb_error_errno(err, -ENOMEM, "convolution");
    (call->dtype == SB_DTYPE_F32 ? transpose_f32 : transpose_f64)(&convolution);
    int rc = run(&convolution, err);
    free(convolution.transposed);
    return rc;
}

/* Ascending n, p, q within groups of WINDOWS, then the groups. */
SB_REF_DECLARE(conv2d_gradient_filter) {
    enum { ROWS = 128 };
    struct convolution convolution = begin(state, call);
    convolution.unit_channels = smaller(larger(1, ROWS / convolution.taps), convolution.channels);
    size_t blocks = parts(convolution.channels, convolution.unit_channels);
    size_t splits =
        smaller(parts(larger(1, convolution.ref->threads), blocks), convolution.filters);
    convolution.unit_filters = parts(convolution.filters, splits);
    convolution.units = blocks * parts(convolution.filters, convolution.unit_filters);
    convolution.unit = call->dtype == SB_DTYPE_F32 ? filter_f32 : filter_f64;
    return run(&convolution, err);
}
