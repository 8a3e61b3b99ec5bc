/* kernels, ref: CTC loss and its gradient, in double and fixed order, rounded once when stored. */
#include "kernels/backends/ref_kernels.h"
#include "kernels/numeric.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* As logarithms: y[t,a], paths up to place s of the labels with blanks around them, from it on. */
struct sequence {
    size_t t, a, places;
    const int32_t *labels;
    double *y, *forward, *backward;
};

static size_t symbol(const struct sequence *of, size_t place) {
    return place % 2 ? (size_t)of->labels[place / 2] : 0;
}

static double add(double a, double b) {
    double top = a > b ? a : b, low = a > b ? b : a;
    return low == (double)-INFINITY ? top : top + sb_log(1 + sb_exp(low - top));
}

static bool skips(const struct sequence *of, size_t place) {
    return place % 2 && place >= 2 && symbol(of, place) != symbol(of, place - 2);
}

static void normalise(const struct sb_call *call, size_t n, struct sequence *of) {
    for (size_t t = 0; t < of->t; t++) {
        size_t row = (t * call->size[1] + n) * of->a;
        double *y = of->y + t * of->a, top = sb_call_value(call, 0, row), sum = 0;
        for (size_t k = 0; k < of->a; k++) {
            y[k] = sb_call_value(call, 0, row + k);
            top = y[k] > top ? y[k] : top;
        }
        for (size_t k = 0; k < of->a; k++)
            sum += sb_exp(y[k] - top);
        for (size_t k = 0; k < of->a; k++)
            y[k] = y[k] - top - sb_log(sum);
    }
}

static void walk_forward(struct sequence *of) {
    size_t s = of->places;
    for (size_t p = 0; p < s; p++)
        of->forward[p] = p < 2 ? of->y[symbol(of, p)] : (double)-INFINITY;
    for (size_t t = 1; t < of->t; t++) {
        const double *before = of->forward + (t - 1) * s;
        for (size_t p = 0; p < s; p++) {
            double here = p ? add(before[p], before[p - 1]) : before[p];
            if (skips(of, p))
                here = add(here, before[p - 2]);
            of->forward[t * s + p] = here + of->y[t * of->a + symbol(of, p)];
        }
    }
}

static void walk_backward(struct sequence *of) {
    size_t s = of->places;
    for (size_t p = 0; p < s; p++)
        of->backward[(of->t - 1) * s + p] = p + 2 >= s ? 0 : (double)-INFINITY;
    for (size_t t = of->t - 1; t-- > 0;) {
        const double *after = of->backward + (t + 1) * s, *y = of->y + (t + 1) * of->a;
        for (size_t p = 0; p < s; p++) {
            double here = after[p] + y[symbol(of, p)];
            if (p + 1 < s)
                here = add(here, after[p + 1] + y[symbol(of, p + 1)]);
            if (p + 2 < s && skips(of, p + 2))
                here = add(here, after[p + 2] + y[symbol(of, p + 2)]);
            of->backward[t * s + p] = here;
        }
    }
}

static void store(const struct sb_call *call, size_t n, const struct sequence *of) {
    const double *end = of->forward + of->t * of->places - 2;
    double all = add(end[0], end[1]);
    sb_call_store(call, 2, n, -all);
    for (size_t t = 0; t < of->t; t++) {
        for (size_t k = 0; k < of->a; k++) {
            double share = 0;
            for (size_t p = 0; p < of->places; p++) {
                double both =
                    of->forward[t * of->places + p] + of->backward[t * of->places + p] - all;
                if (symbol(of, p) == k && both > (double)-INFINITY)
                    share += sb_exp(both);
            }
            sb_call_store(call, 3, (t * call->size[1] + n) * of->a + k,
                          sb_exp(of->y[t * of->a + k]) - share);
        }
    }
}

static int check(const struct sb_call *call, struct sb_error *err) {
    const int32_t *labels = call->operand[1];
    for (size_t i = 0; i < sb_call_elements(call, 1); i++) {
        if (labels[i] < 1 || (size_t)labels[i] >= call->size[2])
            return sb_error_set(err, -EDOM, "label %d is none of 1 to %zu", labels[i],
                                call->size[2] - 1);
    }
    return 0;
}

SB_REF_DECLARE(ctc_loss) {
    (void)state;
    size_t t = call->size[0], a = call->size[2], l = call->size[3], places = 2 * l + 1;
    int rc = check(call, err);
    if (rc < 0)
        return rc;
    double *room = calloc(t * (a + 2 * places), sizeof *room);
    if (!room)
        return sb_error_errno(err, -ENOMEM, "paths");
    for (size_t n = 0; n < call->size[1]; n++) {
        struct sequence of = {.t = t,
                              .a = a,
                              .places = places,
                              .labels = (const int32_t *)call->operand[1] + n * l,
                              .y = room,
                              .forward = room + t * a,
                              .backward = room + t * (a + places)};
        normalise(call, n, &of);
        walk_forward(&of);
        walk_backward(&of);
        store(call, n, &of);
    }
    free(room);
    return 0;
}
