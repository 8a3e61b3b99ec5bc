/* kernels: gradient of attention, from its inputs, its output and the logs of its sums, out of
 * which the weights are computed again (Dao and others, "FlashAttention", 2022, algorithm 4). */
#include "kernels/numeric.h"
#include "kernels/ops/attention.h"

#include <math.h>
#include <stdlib.h>

enum { Q, K, V, Y, LOG_SUM, DY, DQ, DK, DV };

/* e^score in double and fixed order, so that inputs have the same bits everywhere; scores of normal
 * numbers do not overflow. */
static double weight_of(const struct sb_call *call, size_t i, size_t j) {
    size_t s = call->size[2], d = call->size[3], key = (i / s * s + j) * d;
    double score = 0;
    for (size_t e = 0; e < d; e++)
        score += sb_call_value(call, Q, i * d + e) * sb_call_value(call, K, key + e);
    return sb_exp(score / sb_sqrt((double)d));
}

static void prepare(struct sb_call *call) {
    enum { AT_ONCE = 64 };
    size_t s = call->size[2], d = call->size[3];
    for (size_t i = 0; i < sb_call_elements(call, LOG_SUM); i++) {
        for (size_t first = 0; first < d; first += AT_ONCE) {
            double sum = 0, y[AT_ONCE] = {0};
            size_t n = d - first < AT_ONCE ? d - first : AT_ONCE;
            for (size_t j = 0; j < sb_attention_keys(call, i); j++) {
                double weight = weight_of(call, i, j);
                sum += weight;
                for (size_t e = 0; e < n; e++)
                    y[e] += weight * sb_call_value(call, V, (i / s * s + j) * d + first + e);
            }
            for (size_t e = 0; e < n; e++)
                sb_call_store(call, Y, i * d + first + e, y[e] / sum);
            sb_call_store(call, LOG_SUM, i, sb_log(sum));
        }
    }
}

/* The sum over one head's vectors of a and b, times each other. */
static long double product(const struct sb_call *call, size_t a, size_t i, size_t b, size_t j,
                           long double *magnitude) {
    size_t d = call->size[3];
    long double sum = 0;
    *magnitude = 0;
    for (size_t e = 0; e < d; e++) {
        long double one = (long double)sb_call_value(call, a, i * d + e) *
                          (long double)sb_call_value(call, b, j * d + e);
        sum += one;
        *magnitude += fabsl(one);
    }
    return sum;
}

/* Adds factor times row j of operand a to row i of output o. */
static void add_row(const struct sb_call *call, size_t o, size_t i, size_t a, size_t j,
                    long double factor, long double magnitude, long double *const *sums,
                    double *const *scale) {
    size_t d = call->size[3];
    for (size_t e = 0; e < d; e++) {
        long double value = sb_call_value(call, a, j * d + e);
        sums[o - DQ][i * d + e] += factor * value;
        scale[o][i * d + e] += (double)(magnitude * fabsl(value));
    }
}

/* Query i and all the keys that it sees: dS = P·(dy·v - dy·y), and what becomes of it. */
static void oracle_row(const struct sb_call *call, size_t i, long double *const *sums,
                       double *const *scale) {
    size_t s = call->size[2];
    long double log_sum = sb_call_value(call, LOG_SUM, i), root = sqrtl((long double)call->size[3]);
    long double mean_scale, mean = product(call, DY, i, Y, i, &mean_scale);
    for (size_t j = 0; j < sb_attention_keys(call, i); j++) {
        size_t key = i / s * s + j;
        long double far, slope_scale, slope = product(call, DY, i, V, key, &slope_scale);
        long double weight = expl(sb_attention_score(call, i, j, &far) - log_sum);
        long double weight_scale = weight * (1 + far + fabsl(log_sum));
        long double ds = weight * (slope - mean) / root,
                    ds_scale = weight_scale * (slope_scale + mean_scale) / root;
        add_row(call, DQ, i, K, key, ds, ds_scale, sums, scale);
        add_row(call, DK, key, Q, i, ds, ds_scale, sums, scale);
        add_row(call, DV, key, DY, i, weight, weight_scale, sums, scale);
    }
}

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    size_t elements = sb_call_elements(call, DQ);
    long double *sums[3] = {NULL};
    for (size_t o = 0; o < 3; o++)
        sums[o] = calloc(elements, sizeof **sums);
    bool memory = sums[0] && sums[1] && sums[2];
    for (size_t i = 0; memory && i < sb_call_elements(call, LOG_SUM); i++)
        oracle_row(call, i, sums, scale);
    for (size_t o = 0; o < 3; o++) {
        for (size_t i = 0; i < elements; i++) /* without memory nothing can be right */
            expected[DQ + o][i] = memory ? (double)sums[o][i] : (double)NAN;
        free(sums[o]);
    }
}

const struct sb_operation sb_operation_attention_gradient = {
    .name = "attention_gradient",
    .summary = "gradients of attention with respect to q, k, v[b,h,s,d], from what it computed",
    .sizes = "bhsd",
    .shape = {4, 4, 128, 32},
    .odd = {3, 2, 37, 9},
    .reduced = "s d",
    .row = 'b',
    .matters = "threads isa batch alignment",
    .operands = {{"q", SB_ROLE_IN, "bhsd", SB_FILL_NORMAL},
                 {"k", SB_ROLE_IN, "bhsd", SB_FILL_NORMAL},
                 {"v", SB_ROLE_IN, "bhsd", SB_FILL_WIDE},
                 {"y", SB_ROLE_IN, "bhsd", SB_FILL_NOTHING},
                 {"log_sum", SB_ROLE_IN, "bhs", SB_FILL_NOTHING},
                 {"dy", SB_ROLE_IN, "bhsd", SB_FILL_WIDE},
                 {"dq", SB_ROLE_OUT, "bhsd", SB_FILL_NOTHING},
                 {"dk", SB_ROLE_OUT, "bhsd", SB_FILL_NOTHING},
                 {"dv", SB_ROLE_OUT, "bhsd", SB_FILL_NOTHING}},
    .attributes = {{"causal", 0, 0, 1, "a query sees keys up to its own place only"}},
    .prepare = prepare,
    .oracle = oracle,
};
