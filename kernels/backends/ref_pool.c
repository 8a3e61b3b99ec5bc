/* kernels, ref: pooling, forward and backward. Channels are independent; within one, windows are
 * walked in order, and what they say of an element is added in that order. */
#include "kernels/backends/ref_kernels.h"
#include "kernels/ops/window.h"
#include "kernels/parallel.h"

/* One call, shared out by planes: images times channels. */
struct pool {
    const struct sb_call *call;
    struct sb_window window;
    size_t planes, area, windows;
    void (*plane)(const struct pool *pool, size_t plane);
};

/* A window's taps within the image: rows [y, y_end), columns [x, x_end). */
struct taps {
    size_t y, y_end, x, x_end;
};

static struct taps taps_of(const struct sb_window *window, size_t p, size_t q) {
    size_t y = p * window->stride, x = q * window->stride, padding = window->padding;
    size_t y_end = y + window->r - padding, x_end = x + window->s - padding;
    return (struct taps){.y = y < padding ? 0 : y - padding,
                         .y_end = y_end < window->h ? y_end : window->h,
                         .x = x < padding ? 0 : x - padding,
                         .x_end = x_end < window->w ? x_end : window->w};
}

/* What the sum over a window is divided by. */
static double count_of(const struct pool *pool, const struct taps *taps) {
    if (pool->call->attribute[2] != 0)
        return (double)(pool->window.r * pool->window.s);
    return (double)((taps->y_end - taps->y) * (taps->x_end - taps->x));
}

#define REAL float
#define N(name) name##_f32
#include "kernels/backends/ref_pool_plain.h"

#define REAL double
#define N(name) name##_f64
#include "kernels/backends/ref_pool_plain.h"

static void piece(void *context, unsigned i, unsigned n) {
    const struct pool *pool = context;
    for (size_t plane = pool->planes * i / n; plane < pool->planes * (i + 1) / n; plane++)
        pool->plane(pool, plane);
}

static int run(void *state, const struct sb_call *call,
               void (*plane)(const struct pool *pool, size_t plane)) {
    const struct sb_ref *ref = state;
    struct sb_window window = sb_window_of(call);
    struct pool pool = {.call = call,
                        .window = window,
                        .planes = sb_call_size(call, 'n') * sb_call_size(call, 'c'),
                        .area = window.h * window.w,
                        .windows = window.p * window.q,
                        .plane = plane};
    /* A thread costs about as much as a hundred thousand elements. */
    double worth = (double)pool.planes * (double)(pool.windows * window.r * window.s) / 1e5 + 1;
    double threads = ref->threads < worth ? ref->threads : worth;
    if (threads > (double)pool.planes)
        threads = (double)pool.planes;
    sb_parallel((unsigned)threads, piece, &pool);
    return 0;
}

#define DEFINE(name)                                                                               \
    SB_REF_DECLARE(name) {                                                                         \
        (void)err;                                                                                 \
        return run(state, call, call->dtype == SB_DTYPE_F32 ? name##_f32 : name##_f64);            \
    }
DEFINE(max_pool)
DEFINE(max_pool_gradient)
DEFINE(average_pool)
DEFINE(average_pool_gradient)
