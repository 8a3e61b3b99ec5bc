/* kernels: attention, softmax(Q·Kᵀ/√d)·V of every head. */
#include "kernels/ops/attention.h"

#include <math.h>

size_t sb_attention_keys(const struct sb_call *call, size_t i) {
    size_t s = call->size[2];
    return call->attribute[0] != 0 ? i % s + 1 : s;
}

long double sb_attention_score(const struct sb_call *call, size_t i, size_t j, long double *scale) {
    size_t s = call->size[2], d = call->size[3];
    long double sum = 0, magnitude = 0, root = sqrtl((long double)d);
    for (size_t e = 0; e < d; e++) {
        long double product = (long double)sb_call_value(call, 0, i * d + e) *
                              (long double)sb_call_value(call, 1, (i / s * s + j) * d + e);
        sum += product;
        magnitude += fabsl(product);
    }
    *scale = magnitude / root;
    return sum / root;
}

/* The largest score is taken out, as everyone does, so that nothing overflows. */
long double sb_attention_log_sum(const struct sb_call *call, size_t i, long double *scale) {
    long double top = -INFINITY, sum = 0, far = 0, one;
    size_t keys = sb_attention_keys(call, i);
    for (size_t j = 0; j < keys; j++) {
        long double score = sb_attention_score(call, i, j, &one);
        far = fmaxl(far, one);
        sum = score > top ? sum * expl(top - score) + 1 : sum + expl(score - top);
        top = fmaxl(top, score);
    }
    *scale = 1 + far + fabsl(logl(sum));
    return top + logl(sum);
}

/* A weight's relative error is the error of its score and that of the sum, so that scores'
 * magnitudes enter the scale. */
static void oracle_row(const struct sb_call *call, size_t i, double *const *expected,
                       double *const *scale) {
    size_t s = call->size[2], d = call->size[3], keys = sb_attention_keys(call, i);
    long double far, all, log_sum = sb_attention_log_sum(call, i, &all);
    expected[4][i] = (double)log_sum;
    scale[4][i] = (double)all;
    for (size_t j = 0; j < keys; j++) {
        long double weight = expl(sb_attention_score(call, i, j, &far) - log_sum);
        for (size_t e = 0; e < d; e++) {
            long double v = sb_call_value(call, 2, (i / s * s + j) * d + e);
            expected[3][i * d + e] += (double)(weight * v);
            scale[3][i * d + e] += (double)(weight * fabsl(v) * (far + all));
        }
    }
}

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    for (size_t i = 0; i < sb_call_elements(call, 4); i++)
        oracle_row(call, i, expected, scale);
}

const struct sb_operation sb_operation_attention = {
    .name = "attention",
    .summary =
        "softmax(q*k^T/sqrt(d))*v of every head of q, k, v[b,h,s,d], and the log of its sums",
    .sizes = "bhsd",
    .shape = {4, 4, 128, 32},
    .odd = {3, 2, 37, 9},
    .reduced = "s d",
    .row = 'b',
    .matters = "threads isa batch alignment",
    .operands = {{"q", SB_ROLE_IN, "bhsd", SB_FILL_NORMAL},
                 {"k", SB_ROLE_IN, "bhsd", SB_FILL_NORMAL},
                 {"v", SB_ROLE_IN, "bhsd", SB_FILL_WIDE},
                 {"y", SB_ROLE_OUT, "bhsd", SB_FILL_NOTHING},
                 {"log_sum", SB_ROLE_OUT, "bhs", SB_FILL_NOTHING}},
    .attributes = {{"causal", 0, 0, 1, "a query sees keys up to its own place only"}},
    .oracle = oracle,
};
