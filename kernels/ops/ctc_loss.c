/* kernels: connectionist temporal classification (Graves et al., 2006): the loss of every sequence
 * and its gradient, from logits. Label 0 is the blank. */
#include "kernels/dispatch.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Between any two labels a blank must have room, since they may be equal. */
static int derive(size_t *size, const double *attribute, struct sb_error *err) {
    (void)attribute;
    if (size[0] < 2 * size[3] || size[2] < 2)
        return sb_error_set(err, -EINVAL,
                            "%zu labels need %zu steps and an alphabet of 2, not %zu and %zu",
                            size[3], 2 * size[3], size[0], size[2]);
    return 0;
}

/* The blank is no label. */
static void prepare(struct sb_call *call) {
    int32_t *labels = call->operand[1];
    for (size_t i = 0; i < sb_call_elements(call, 1); i++) {
        if (labels[i] == 0)
            labels[i] = 1 + (int32_t)(i % (call->size[2] - 1));
    }
}

/* One sequence: logarithms of probabilities y[t,a], and of paths that go through place s of the
 * labels with blanks around them at step t, up to it and from it on. */
struct sequence {
    size_t t, a, places;
    const int32_t *labels;
    long double *y, *forward, *backward;
    long double scale; /* magnitudes that go into a path's logarithm */
};

static size_t symbol(const struct sequence *of, size_t place) {
    return place % 2 ? (size_t)of->labels[place / 2] : 0;
}

static long double add(long double a, long double b) {
    long double top = fmaxl(a, b);
    return top == -INFINITY ? top : top + log1pl(expl(fminl(a, b) - top));
}

/* Is it allowed to come to a place from the one before the one before? */
static bool skips(const struct sequence *of, size_t place) {
    return place % 2 && place >= 2 && symbol(of, place) != symbol(of, place - 2);
}

static void normalise(const struct sb_call *call, size_t n, struct sequence *of) {
    of->scale = 1;
    for (size_t t = 0; t < of->t; t++) {
        long double top = -INFINITY, sum = 0;
        size_t row = (t * call->size[1] + n) * of->a;
        for (size_t k = 0; k < of->a; k++)
            top = fmaxl(top, sb_call_value(call, 0, row + k));
        for (size_t k = 0; k < of->a; k++)
            sum += expl(sb_call_value(call, 0, row + k) - top);
        long double least = 0;
        for (size_t k = 0; k < of->a; k++) {
            of->y[t * of->a + k] = sb_call_value(call, 0, row + k) - top - logl(sum);
            least = fminl(least, of->y[t * of->a + k]);
        }
        of->scale += fabsl(top) + fabsl(least);
    }
}

static void walk(struct sequence *of) {
    size_t s = of->places;
    for (size_t i = 0; i < of->t * s; i++)
        of->forward[i] = of->backward[i] = -INFINITY;
    for (size_t p = 0; p < 2; p++) {
        of->forward[p] = of->y[symbol(of, p)];
        of->backward[of->t * s - 1 - p] = 0;
    }
    for (size_t t = 1; t < of->t; t++) {
        size_t back = of->t - 1 - t;
        for (size_t p = 0; p < s; p++) {
            const long double *before = of->forward + (t - 1) * s,
                              *after = of->backward + (back + 1) * s,
                              *y = of->y + (back + 1) * of->a;
            long double here = add(before[p], p ? before[p - 1] : -INFINITY);
            if (skips(of, p))
                here = add(here, before[p - 2]);
            of->forward[t * s + p] = here + of->y[t * of->a + symbol(of, p)];
            here = after[p] + y[symbol(of, p)];
            if (p + 1 < s)
                here = add(here, after[p + 1] + y[symbol(of, p + 1)]);
            if (p + 2 < s && skips(of, p + 2))
                here = add(here, after[p + 2] + y[symbol(of, p + 2)]);
            of->backward[back * s + p] = here;
        }
    }
}

static void store(const struct sb_call *call, size_t n, const struct sequence *of,
                  double *const *expected, double *const *scale) {
    const long double *end = of->forward + of->t * of->places - 2;
    long double all = add(end[0], end[1]);
    expected[2][n] = (double)-all;
    scale[2][n] = (double)of->scale;
    for (size_t t = 0; t < of->t; t++) {
        for (size_t k = 0; k < of->a; k++) {
            long double y = expl(of->y[t * of->a + k]), share = 0;
            for (size_t p = 0; p < of->places; p++) {
                if (symbol(of, p) == k)
                    share += expl(of->forward[t * of->places + p] +
                                  of->backward[t * of->places + p] - all);
            }
            size_t at = (t * call->size[1] + n) * of->a + k;
            expected[3][at] = (double)(y - share);
            scale[3][at] = (double)((y + share) * of->scale);
        }
    }
}

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    size_t t = call->size[0], a = call->size[2], l = call->size[3], places = 2 * l + 1;
    long double *room = calloc(t * (a + 2 * places), sizeof *room);
    for (size_t n = 0; room && n < call->size[1]; n++) {
        struct sequence of = {.t = t,
                              .a = a,
                              .places = places,
                              .labels = (const int32_t *)call->operand[1] + n * l,
                              .y = room,
                              .forward = room + t * a,
                              .backward = room + t * (a + places)};
        normalise(call, n, &of);
        walk(&of);
        store(call, n, &of, expected, scale);
    }
    free(room);
}

const struct sb_operation sb_operation_ctc_loss = {
    .name = "ctc_loss",
    .summary = "CTC loss[n] of logits x[t,n,a] against labels[n,l], and its gradient dx",
    .sizes = "tnal",
    .shape = {64, 16, 32, 20},
    .odd = {13, 3, 5, 4},
    .reduced = "t a",
    .matters = "threads isa",
    .operands = {{"x", SB_ROLE_IN, "tna", SB_FILL_NORMAL},
                 {"labels", SB_ROLE_IN, "nl", SB_FILL_LABELS, 'a', true},
                 {"loss", SB_ROLE_OUT, "n", SB_FILL_NOTHING},
                 {"dx", SB_ROLE_OUT, "tna", SB_FILL_NOTHING}},
    .derive = derive,
    .prepare = prepare,
    .oracle = oracle,
};
