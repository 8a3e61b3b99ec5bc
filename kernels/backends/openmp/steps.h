/* kernels, openmp: functions of single elements, and steps of optimizers: every element is computed
 * by one thread alone, for one element type. A source file for each type includes it after it has
 * defined REAL, N(name), EXP, SQRT, TANH, ERF. */
#include "kernels/backends/openmp/order.h"
#include "kernels/train/rng.h"

#include <math.h>

/* ---- gelu ------------------------------------------------------------------------------------ */

#define ROOT_2_PI ((REAL)0.797884560802865355879892119868763737)
#define CUBIC ((REAL)0.044715)

static REAL share_of(REAL x, bool by_tanh) {
    return by_tanh ? TANH(ROOT_2_PI * (x + CUBIC * x * x * x)) : ERF(x * (REAL)M_SQRT1_2);
}

int N(gelu)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp, (void)err;
    const REAL *x = call->operand[0];
    REAL *y = call->operand[1];
    bool by_tanh = call->attribute[0] != 0;
    say_elements(call);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < call->size[0]; i++)
        y[i] = x[i] / 2 * (1 + share_of(x[i], by_tanh));
    return 0;
}

/* Far out the slope of the share is 0, and x² times it would be ∞·0. */
static REAL slope_of(REAL x, bool by_tanh) {
    REAL share = share_of(x, by_tanh), slope = 0;
    if (by_tanh && share * share < 1)
        slope = (1 - share * share) * ROOT_2_PI * (1 + 3 * CUBIC * x * x);
    else if (!by_tanh)
        slope = ROOT_2_PI * EXP(-x * x / 2);
    return (1 + share) / 2 + (slope != 0 ? x / 2 * slope : 0);
}

int N(gelu_gradient)(const struct openmp *openmp, const struct sb_call *call,
                     struct sb_error *err) {
    (void)openmp, (void)err;
    const REAL *x = call->operand[0], *dy = call->operand[1];
    REAL *dx = call->operand[2];
    bool by_tanh = call->attribute[0] != 0;
    say_elements(call);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < call->size[0]; i++)
        dx[i] = dy[i] * slope_of(x[i], by_tanh);
    return 0;
}

/* ---- Dropout --------------------------------------------------------------------------------- */

/* Four elements to a block of Philox, whose number is their place: no thread asks another how far
 * the stream is. An element that is dropped is +0, also where it was no number. */
int N(dropout)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp, (void)err;
    const REAL *x = call->operand[0];
    REAL *y = call->operand[1], *mask = call->operand[2];
    size_t n = call->size[0];
    uint64_t seed = (uint64_t)call->attribute[1];
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    double rate = call->attribute[0];
    REAL factor = (REAL)(1 / (1 - rate));
    say_elements(call);
#pragma omp parallel for schedule(static)
    for (size_t block = 0; block < (n + 3) / 4; block++) {
        const uint32_t counter[4] = {(uint32_t)block, (uint32_t)((uint64_t)block >> 32)};
        uint32_t words[4];
        sb_philox(counter, key, words);
        for (size_t i = 4 * block; i < n && i < 4 * block + 4; i++) {
            bool kept = (double)(words[i % 4] >> 8) * 0x1p-24 >= rate;
            mask[i] = kept;
            y[i] = kept ? x[i] * factor : 0;
        }
    }
    return 0;
}

/* ---- Optimizers, by the formulas that ops/sgd.c and ops/adam.c give ----------------------------
 */

int N(sgd)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp, (void)err;
    REAL *w = call->operand[0], *m = call->operand[1];
    const REAL *g = call->operand[2];
    REAL rate = (REAL)call->attribute[0], momentum = (REAL)call->attribute[1],
         decay = (REAL)(call->attribute[2] * call->attribute[0]);
    bool nesterov = call->attribute[3] != 0;
    say_elements(call);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < call->size[0]; i++) {
        REAL step = g[i] * rate;
        m[i] = m[i] * momentum - step;
        w[i] -= w[i] * decay;
        w[i] += nesterov ? m[i] * momentum - step : m[i];
    }
    return 0;
}

int N(adam)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp, (void)err;
    REAL *w = call->operand[0], *m = call->operand[1], *v = call->operand[2];
    const REAL *g = call->operand[3];
    double beta_1 = call->attribute[1], beta_2 = call->attribute[2], step = call->attribute[4];
    REAL alpha = (REAL)(call->attribute[0] * sqrt(1 - pow(beta_2, step)) / (1 - pow(beta_1, step)));
    REAL rest_1 = (REAL)(1 - beta_1), rest_2 = (REAL)(1 - beta_2),
         epsilon = (REAL)call->attribute[3];
    say_elements(call);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < call->size[0]; i++) {
        m[i] += (g[i] - m[i]) * rest_1;
        v[i] += (g[i] * g[i] - v[i]) * rest_2;
        w[i] -= m[i] * alpha / (SQRT(v[i]) + epsilon);
    }
    return 0;
}
