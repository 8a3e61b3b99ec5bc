/* kernels, openmp: windows that move over an image; see kernels/ops/window.h. */
#ifndef SB_KERNELS_OPENMP_WINDOW_H
#define SB_KERNELS_OPENMP_WINDOW_H

#include "kernels/dispatch.h"

struct window {
    size_t h, w, r, s, p, q; /* input, window, output */
    size_t stride, padding, dilation;
};

/* Convolutions have the sizes nchwkrs and then p and q, pools nchwrs. */
static inline struct window window_of(const struct sb_call *call) {
    const size_t *size = call->size;
    bool pool = call->operation->sizes[4] == 'r';
    const size_t *rest = size + (pool ? 4 : 5);
    return (struct window){size[2],
                           size[3],
                           rest[0],
                           rest[1],
                           rest[2],
                           rest[3],
                           (size_t)call->attribute[0],
                           (size_t)call->attribute[1],
                           pool ? 1 : (size_t)call->attribute[2]};
}

/* Row of the image under row r of a window at row p, and the same for columns. Before the image's
 * edge the difference wraps around, and is large. */
static inline size_t row_of(const struct window *window, size_t p, size_t r) {
    return p * window->stride + r * window->dilation - window->padding;
}

static inline size_t column_of(const struct window *window, size_t q, size_t s) {
    return q * window->stride + s * window->dilation - window->padding;
}

/* The place in h × w of tap t of the window at output place i; false: in the padding. */
static inline bool is_inside(const struct window *window, size_t i, size_t t, size_t *at) {
    size_t y = row_of(window, i / window->q, t / window->s),
           x = column_of(window, i % window->q, t % window->s);
    *at = y * window->w + x;
    return y < window->h && x < window->w;
}

#endif
