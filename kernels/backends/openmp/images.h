/* kernels, openmp: convolution and pooling, images and channels shared out over threads, each
 * computed by one of them, for one element type. A source file for each type includes it after it
 * has defined REAL and N(name). */
#include "kernels/backends/openmp/order.h"
#include "kernels/backends/openmp/window.h"

#include <string.h>

/* ---- Convolution ----------------------------------------------------------------------------- */

int N(conv2d)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp, (void)err;
    const struct window window = window_of(call);
    size_t channels = call->size[1], filters = call->size[4], area = window.h * window.w,
           taps = window.r * window.s, places = window.p * window.q;
    say_rows(call);
#pragma omp parallel for schedule(static) collapse(2)
    for (size_t n = 0; n < call->size[0]; n++) {
        for (size_t k = 0; k < filters; k++) {
            const REAL *x = (const REAL *)call->operand[0] + n * channels * area,
                       *w = (const REAL *)call->operand[1] + k * channels * taps;
            REAL *y = (REAL *)call->operand[2] + (n * filters + k) * places;
            memset(y, 0, places * sizeof *y);
            for (size_t c = 0; c < channels; c++) {
                for (size_t i = 0; i < places; i++) {
                    for (size_t t = 0, at; t < taps; t++) {
                        if (is_inside(&window, i, t, &at))
                            y[i] += x[c * area + at] * w[c * taps + t];
                    }
                }
            }
        }
    }
    return 0;
}

int N(conv2d_gradient_data)(const struct openmp *openmp, const struct sb_call *call,
                            struct sb_error *err) {
    (void)openmp, (void)err;
    const struct window window = window_of(call);
    size_t channels = call->size[1], filters = call->size[4], area = window.h * window.w,
           taps = window.r * window.s, places = window.p * window.q;
    say_rows(call);
#pragma omp parallel for schedule(static) collapse(2)
    for (size_t n = 0; n < call->size[0]; n++) {
        for (size_t c = 0; c < channels; c++) {
            const REAL *w = call->operand[0],
                       *dy = (const REAL *)call->operand[1] + n * filters * places;
            REAL *dx = (REAL *)call->operand[2] + (n * channels + c) * area;
            memset(dx, 0, area * sizeof *dx);
            for (size_t k = 0; k < filters; k++) {
                for (size_t i = 0; i < places; i++) {
                    for (size_t t = 0, at; t < taps; t++) {
                        if (is_inside(&window, i, t, &at))
                            dx[at] += dy[k * places + i] * w[(k * channels + c) * taps + t];
                    }
                }
            }
        }
    }
    return 0;
}

/* ---- Pooling: a plane is a channel of an image ------------------------------------------------
 */

/* The first of the largest elements; a NaN is larger than all else. */
static size_t largest(const struct window *window, const REAL *x, size_t i) {
    size_t best = SIZE_MAX;
    for (size_t t = 0, at; t < window->r * window->s; t++) {
        if (is_inside(window, i, t, &at) &&
            (best == SIZE_MAX || x[at] > x[best] || (x[at] != x[at] && x[best] == x[best])))
            best = at;
    }
    return best;
}

int N(max_pool)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp, (void)err;
    const struct window window = window_of(call);
    size_t places = window.p * window.q;
    say_rows(call);
#pragma omp parallel for schedule(static)
    for (size_t plane = 0; plane < call->size[0] * call->size[1]; plane++) {
        const REAL *x = (const REAL *)call->operand[0] + plane * window.h * window.w;
        REAL *y = (REAL *)call->operand[1] + plane * places;
        for (size_t i = 0; i < places; i++)
            y[i] = x[largest(&window, x, i)];
    }
    return 0;
}

int N(max_pool_gradient)(const struct openmp *openmp, const struct sb_call *call,
                         struct sb_error *err) {
    (void)openmp, (void)err;
    const struct window window = window_of(call);
    size_t area = window.h * window.w, places = window.p * window.q;
    say_rows(call);
#pragma omp parallel for schedule(static)
    for (size_t plane = 0; plane < call->size[0] * call->size[1]; plane++) {
        const REAL *x = (const REAL *)call->operand[0] + plane * area,
                   *dy = (const REAL *)call->operand[2] + plane * places;
        REAL *dx = (REAL *)call->operand[3] + plane * area;
        memset(dx, 0, area * sizeof *dx);
        for (size_t i = 0; i < places; i++)
            dx[largest(&window, x, i)] += dy[i];
    }
    return 0;
}

/* What the window at place i is divided by. */
static REAL count(const struct window *window, const struct sb_call *call, size_t i) {
    size_t taps = window->r * window->s, n = 0;
    for (size_t t = 0, at; t < taps; t++)
        n += is_inside(window, i, t, &at);
    return (REAL)(call->attribute[2] != 0 ? taps : n);
}

int N(average_pool)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp, (void)err;
    const struct window window = window_of(call);
    size_t places = window.p * window.q;
    say_rows(call);
#pragma omp parallel for schedule(static)
    for (size_t plane = 0; plane < call->size[0] * call->size[1]; plane++) {
        const REAL *x = (const REAL *)call->operand[0] + plane * window.h * window.w;
        REAL *y = (REAL *)call->operand[1] + plane * places;
        for (size_t i = 0; i < places; i++) {
            REAL sum = 0;
            for (size_t t = 0, at; t < window.r * window.s; t++)
                sum += is_inside(&window, i, t, &at) ? x[at] : 0;
            y[i] = sum / count(&window, call, i);
        }
    }
    return 0;
}

int N(average_pool_gradient)(const struct openmp *openmp, const struct sb_call *call,
                             struct sb_error *err) {
    (void)openmp, (void)err;
    const struct window window = window_of(call);
    size_t area = window.h * window.w, places = window.p * window.q;
    say_rows(call);
#pragma omp parallel for schedule(static)
    for (size_t plane = 0; plane < call->size[0] * call->size[1]; plane++) {
        const REAL *dy = (const REAL *)call->operand[0] + plane * places;
        REAL *dx = (REAL *)call->operand[1] + plane * area;
        memset(dx, 0, area * sizeof *dx);
        for (size_t i = 0; i < places; i++) {
            REAL share = dy[i] / count(&window, call, i);
            for (size_t t = 0, at; t < window.r * window.s; t++) {
                if (is_inside(&window, i, t, &at))
                    dx[at] += share;
            }
        }
    }
    return 0;
}
