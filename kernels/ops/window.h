/* kernels: windows that move over an image, for convolutions and pooling. */
#ifndef SB_KERNELS_WINDOW_H
#define SB_KERNELS_WINDOW_H

#include "kernels/dispatch.h"

/* Images are [n,c,h,w]. Tap (r, s) of the window at (p, q) is element (p·stride + r·dilation -
 * padding, q·stride + s·dilation - padding) of a channel's h × w; outside of it lies the padding.
 */
struct sb_window {
    size_t h, w, r, s, p, q; /* input, window, output */
    size_t stride, padding, dilation;
};

/* Attributes that operations with windows begin with. */
#define SB_WINDOW_STRIDE                                                                           \
    { "stride", 1, 1, 64, "elements from one window to the next, both ways" }
#define SB_WINDOW_STRIDE_2                                                                         \
    { "stride", 2, 1, 64, "elements from one window to the next, both ways" }
#define SB_WINDOW_PADDING                                                                          \
    { "padding", 1, 0, 64, "elements added on each of the four sides" }
#define SB_WINDOW_DILATION                                                                         \
    { "dilation", 1, 1, 64, "elements from one tap of a window to the next, both ways" }
#define SB_WINDOW_INCLUDE_PADDING                                                                  \
    { "include_padding", 0, 0, 1, "divide by all of a window, padding included" }

/* Of a call that has the sizes h w r s p q and the attributes stride and padding, and dilation
 * where there are windows of a convolution (those of a pool have 1). */
struct sb_window sb_window_of(const struct sb_call *call);

/* The place of a tap in its h × w; false: in the padding. */
bool sb_window_tap(const struct sb_window *window, size_t p, size_t q, size_t r, size_t s,
                   size_t *place);

/* For `derive`: p and q of convolutions of sizes nchwkrs, and of pools of sizes nchwrs. A pool's
 * windows must not lie in the padding alone. */
int sb_window_derive_convolution(size_t *size, const double *attribute, struct sb_error *err);
int sb_window_derive_pool(size_t *size, const double *attribute, struct sb_error *err);

/* The oracle of all three products of a convolution: `operand` are those of x, w and y, of which
 * the one at place `out` is the sum of products of the other two. */
void sb_window_convolution_oracle(const struct sb_call *call, const size_t operand[3], size_t out,
                                  double *const *expected, double *const *scale);

/* The place in h × w of the largest element of a pool's window of `plane` (n·c) of operand x: the
 * first of those that are equal, in order of the window; a NaN is larger than all else. */
size_t sb_window_largest(const struct sb_call *call, const struct sb_window *window, size_t x,
                         size_t plane, size_t p, size_t q);

/* What a pool divides the sum of a window by: its taps, or those that are not padding. */
size_t sb_window_count(const struct sb_window *window, bool include_padding, size_t p, size_t q);

#endif
