/* kernels, openmp: convolution and pooling, images and channels shared out over threads, each
 * computed by one of them, for one element type. A source file for each type includes it after it
 * has defined REAL and N(name). */
#include "kernels/backends/openmp/order.h"
#include "kernels/backends/openmp/window.h"

#include <string.h>

/* ---- Convolution ----------------------------------------------------------------------------- */

/* y += x under tap (r, s), times a factor; or dx under it += dy times the factor. */
static void add_tap(const struct window *window, size_t r, size_t s, REAL factor, const REAL *from,
                    REAL *to, bool gradient) {
    for (size_t p = 0; p < window->p; p++) {
        size_t row = row_of(window, p, r);
        for (size_t q = 0; q < window->q && row < window->h; q++) {
            size_t column = column_of(window, q, s), at = row * window->w + column,
                   i = p * window->q + q;
            if (column >= window->w)
                continue;
            if (gradient)
                to[at] += from[i] * factor;
            else
                to[i] += from[at] * factor;
        }
    }
}

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
                for (size_t t = 0; t < taps; t++)
                    add_tap(&window, t / window.s, t % window.s, w[c * taps + t], x + c * area, y,
                            false);
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
            const REAL *w = (const REAL *)call->operand[0] + c * taps,
                       *dy = (const REAL *)call->operand[1] + n * filters * places;
            REAL *dx = (REAL *)call->operand[2] + (n * channels + c) * area;
            memset(dx, 0, area * sizeof *dx);
            for (size_t k = 0; k < filters; k++) {
                for (size_t t = 0; t < taps; t++)
                    add_tap(&window, t / window.s, t % window.s, w[k * channels * taps + t],
                            dy + k * places, dx, true);
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
