/* kernels: see window.h. */
#include "kernels/ops/window.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sb_window sb_window_of(const struct sb_call *call) {
    bool convolution = strchr(call->operation->sizes, 'k') != NULL;
    return (struct sb_window){.h = sb_call_size(call, 'h'),
                              .w = sb_call_size(call, 'w'),
                              .r = sb_call_size(call, 'r'),
                              .s = sb_call_size(call, 's'),
                              .p = sb_call_size(call, 'p'),
                              .q = sb_call_size(call, 'q'),
                              .stride = (size_t)call->attribute[0],
                              .padding = (size_t)call->attribute[1],
                              .dilation = convolution ? (size_t)call->attribute[2] : 1};
}

bool sb_window_tap(const struct sb_window *window, size_t p, size_t q, size_t r, size_t s,
                   size_t *place) {
    /* Before the image's edge the difference wraps around, and is large. */
    size_t y = p * window->stride + r * window->dilation - window->padding,
           x = q * window->stride + s * window->dilation - window->padding;
    *place = y * window->w + x;
    return y < window->h && x < window->w;
}

static int whole(const char *name, double value, struct sb_error *err) {
    if (value >= 0 && value <= 0x1p20 && value == floor(value))
        return 0;
    return sb_error_set(err, -EINVAL, "%s is %g, not a whole number", name, value);
}

/* Windows of `taps` along an extent. */
static int derive(size_t extent, size_t taps, const double *attribute, double dilation, char letter,
                  size_t *count, struct sb_error *err) {
    size_t stride = (size_t)attribute[0], padding = (size_t)attribute[1];
    size_t reach = (size_t)dilation * (taps - 1) + 1;
    if (extent + 2 * padding < reach)
        return sb_error_set(err, -EINVAL,
                            "a window of %zu is larger than %c, %zu, with a padding of %zu", reach,
                            letter, extent, padding);
    *count = (extent + 2 * padding - reach) / stride + 1;
    return 0;
}

static int check(const double *attribute, double dilation, struct sb_error *err) {
    int rc = whole("stride", attribute[0], err);
    if (rc == 0)
        rc = whole("padding", attribute[1], err);
    if (rc == 0)
        rc = whole("dilation", dilation, err);
    if (rc == 0 && (attribute[0] == 0 || dilation == 0))
        rc = sb_error_set(err, -EINVAL, "%s is 0", attribute[0] == 0 ? "stride" : "dilation");
    return rc;
}

int sb_window_derive_convolution(size_t *size, const double *attribute, struct sb_error *err) {
    int rc = check(attribute, attribute[2], err);
    if (rc == 0)
        rc = derive(size[2], size[5], attribute, attribute[2], 'h', &size[7], err);
    return rc < 0 ? rc : derive(size[3], size[6], attribute, attribute[2], 'w', &size[8], err);
}

int sb_window_derive_pool(size_t *size, const double *attribute, struct sb_error *err) {
    int rc = check(attribute, 1, err);
    if (rc == 0 && (attribute[1] >= (double)size[4] || attribute[1] >= (double)size[5]))
        rc = sb_error_set(err, -EINVAL, "a padding of %g is not less than the window, %zu x %zu",
                          attribute[1], size[4], size[5]);
    if (rc == 0)
        rc = derive(size[2], size[4], attribute, 1, 'h', &size[6], err);
    return rc < 0 ? rc : derive(size[3], size[5], attribute, 1, 'w', &size[7], err);
}

/* Products of one image, one filter and one channel; the index of each operand's element moves with
 * the tap. */
static void add_products(const struct sb_call *call, const size_t operand[3], size_t out,
                         const size_t base[3], long double *sum, double *scale) {
    struct sb_window window = sb_window_of(call);
    for (size_t p = 0; p < window.p; p++) {
        for (size_t q = 0; q < window.q; q++) {
            for (size_t tap = 0, place; tap < window.r * window.s; tap++) {
                if (!sb_window_tap(&window, p, q, tap / window.s, tap % window.s, &place))
                    continue;
                const size_t at[] = {base[0] + place, base[1] + tap, base[2] + p * window.q + q};
                size_t one = out == 0, other = out == 2 ? 1 : 2;
                long double product = (long double)sb_call_value(call, operand[one], at[one]) *
                                      (long double)sb_call_value(call, operand[other], at[other]);
                sum[at[out]] += product;
                scale[at[out]] += (double)fabsl(product);
            }
        }
    }
}

void sb_window_convolution_oracle(const struct sb_call *call, const size_t operand[3], size_t out,
                                  double *const *expected, double *const *scale) {
    size_t channels = sb_call_size(call, 'c'), filters = sb_call_size(call, 'k');
    size_t image = sb_call_size(call, 'h') * sb_call_size(call, 'w'),
           taps = sb_call_size(call, 'r') * sb_call_size(call, 's'),
           windows = sb_call_size(call, 'p') * sb_call_size(call, 'q');
    size_t elements = sb_call_elements(call, operand[out]);
    long double *sum = calloc(elements, sizeof *sum);
    for (size_t n = 0; sum && n < sb_call_size(call, 'n'); n++) {
        for (size_t k = 0; k < filters; k++) {
            for (size_t c = 0; c < channels; c++) {
                const size_t base[] = {(n * channels + c) * image, (k * channels + c) * taps,
                                       (n * filters + k) * windows};
                add_products(call, operand, out, base, sum, scale[operand[out]]);
            }
        }
    }
    for (size_t i = 0; i < elements; i++) /* without memory nothing can be right */
        expected[operand[out]][i] = sum ? (double)sum[i] : (double)NAN;
    free(sum);
}

size_t sb_window_largest(const struct sb_call *call, const struct sb_window *window, size_t x,
                         size_t plane, size_t p, size_t q) {
    size_t largest = 0, place, first = plane * window->h * window->w;
    double most = 0;
    bool any = false;
    for (size_t tap = 0; tap < window->r * window->s; tap++) {
        if (!sb_window_tap(window, p, q, tap / window->s, tap % window->s, &place))
            continue;
        double value = sb_call_value(call, x, first + place);
        if (any && !(value > most) && !(isnan(value) && !isnan(most)))
            continue;
        largest = place;
        most = value;
        any = true;
    }
    return largest;
}

size_t sb_window_count(const struct sb_window *window, bool include_padding, size_t p, size_t q) {
    size_t count = 0, place;
    for (size_t tap = 0; tap < window->r * window->s; tap++)
        count += include_padding ||
                 sb_window_tap(window, p, q, tap / window->s, tap % window->s, &place);
    return count;
}
