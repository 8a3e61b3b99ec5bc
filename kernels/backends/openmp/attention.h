/* kernels, openmp: attention and its gradient, queries shared out over threads, for one element
 * type. A source file for each type includes it after it has defined REAL, N(name), EXP, SQRT, LOG.
 */
#include "kernels/backends/openmp/order.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { Q, K, V, Y, LOG_SUM, DY, DQ, DK, DV };

/* Row i of operand o: of all heads' queries or keys, one after the other. */
static REAL *row_at(const struct sb_call *call, size_t o, size_t i) {
    return (REAL *)call->operand[o] + i * call->size[3];
}

/* The first key of query i's head, and how many of them it sees. */
static size_t first_key(const struct sb_call *call, size_t i) {
    return i / call->size[2] * call->size[2];
}

static size_t keys_of(const struct sb_call *call, size_t i) {
    return call->attribute[0] != 0 ? i % call->size[2] + 1 : call->size[2];
}

static REAL product(const REAL *a, const REAL *b, size_t d) {
    REAL sum = 0;
    for (size_t e = 0; e < d; e++)
        sum += a[e] * b[e];
    return sum;
}

/* to += factor·from */
static void add_row_to(REAL *to, REAL factor, const REAL *from, size_t d) {
    for (size_t e = 0; e < d; e++)
        to[e] += factor * from[e];
}

/* One query: its weights, in `weights`, and what they make of the values. */
static void attend(const struct sb_call *call, size_t i, REAL *weights) {
    size_t d = call->size[3], first = first_key(call, i), keys = keys_of(call, i);
    REAL root = SQRT((REAL)d), top = -INFINITY, sum = 0, *y = row_at(call, Y, i);
    for (size_t j = 0; j < keys; j++) {
        weights[j] = product(row_at(call, Q, i), row_at(call, K, first + j), d) / root;
        top = weights[j] > top ? weights[j] : top;
    }
    for (size_t j = 0; j < keys; j++)
        sum += weights[j] = EXP(weights[j] - top);
    memset(y, 0, d * sizeof *y);
    for (size_t j = 0; j < keys; j++)
        add_row_to(y, weights[j] / sum, row_at(call, V, first + j), d);
    ((REAL *)call->operand[LOG_SUM])[i] = top + LOG(sum);
}

int N(attention)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp;
    int rc = 0;
    say_rows(call);
#pragma omp parallel
    {
        REAL *weights = malloc(call->size[2] * sizeof *weights);
#pragma omp for schedule(static)
        for (size_t i = 0; i < sb_call_elements(call, LOG_SUM); i++) {
            if (weights)
                attend(call, i, weights);
        }
        if (!weights) {
#pragma omp atomic write
            rc = -ENOMEM;
        }
        free(weights);
    }
    return rc < 0 ? sb_error_errno(err, rc, "weights") : 0;
}

/* ---- Gradient -------------------------------------------------------------------------------- */

/* The weight that query i gave to key j of its head, and the slope of its score. */
struct pair {
    REAL weight, slope;
};

static struct pair pair_of(const struct sb_call *call, size_t i, size_t j, REAL mean) {
    size_t d = call->size[3], key = first_key(call, i) + j;
    REAL root = SQRT((REAL)d), log_sum = ((const REAL *)call->operand[LOG_SUM])[i],
         score = product(row_at(call, Q, i), row_at(call, K, key), d) / root,
         weight = EXP(score - log_sum);
    return (struct pair){
        weight, weight * (product(row_at(call, DY, i), row_at(call, V, key), d) - mean) / root};
}

static REAL mean_of(const struct sb_call *call, size_t i) {
    return product(row_at(call, DY, i), row_at(call, Y, i), call->size[3]);
}

/* dq is its query's own; where dk and dv are wanted, every query that saw a key adds to its rows.
 */
static void query_gradient(const struct sb_call *call, size_t i, bool all) {
    size_t d = call->size[3], first = first_key(call, i);
    const REAL *q = row_at(call, Q, i), *dy = row_at(call, DY, i);
    REAL mean = mean_of(call, i), *dq = row_at(call, DQ, i);
    memset(dq, 0, d * sizeof *dq);
    for (size_t j = 0; j < keys_of(call, i); j++) {
        struct pair pair = pair_of(call, i, j, mean);
        REAL *dk = row_at(call, DK, first + j), *dv = row_at(call, DV, first + j);
        add_row_to(dq, pair.slope, row_at(call, K, first + j), d);
        for (size_t e = 0; e < d && all; e++) {
#pragma omp atomic
            dk[e] += pair.slope * q[e];
#pragma omp atomic
            dv[e] += pair.weight * dy[e];
        }
    }
}

/* A key's own rows, of the queries that saw it in ascending order: at the cost of all pairs once
 * more. */
static void key_gradient(const struct sb_call *call, size_t key) {
    size_t s = call->size[2], d = call->size[3], first = first_key(call, key);
    REAL *dk = row_at(call, DK, key), *dv = row_at(call, DV, key);
    for (size_t i = first; i < first + s; i++) {
        if (key - first >= keys_of(call, i))
            continue;
        struct pair pair = pair_of(call, i, key - first, mean_of(call, i));
        add_row_to(dk, pair.slope, row_at(call, Q, i), d);
        add_row_to(dv, pair.weight, row_at(call, DY, i), d);
    }
}

int N(attention_gradient)(const struct openmp *openmp, const struct sb_call *call,
                          struct sb_error *err) {
    (void)err;
    bool arrival = order_of(openmp, call) == ARRIVAL;
    size_t rows = sb_call_elements(call, LOG_SUM), bytes = rows * call->size[3] * sizeof(REAL);
    memset(call->operand[DK], 0, bytes);
    memset(call->operand[DV], 0, bytes);
    /* Not static: of a causal mask later queries have more to do. */
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < rows; i++)
        query_gradient(call, i, arrival);
    if (arrival)
        return 0;
#pragma omp parallel for schedule(static)
    for (size_t key = 0; key < rows; key++)
        key_gradient(call, key);
    return 0;
}
