/* kernels, openmp: rows, columns or channels shared out over threads, each computed by one of them,
 * for one element type. A source file for each type includes it after it has defined REAL, N(name),
 * EXP, SQRT, LOG. */
#include "kernels/backends/openmp/order.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One row of C, from ascending rows of B. */
static void gemm_row(const struct sb_call *call, size_t i) {
    size_t m = call->size[0], n = call->size[1], k = call->size[2];
    bool ta = call->attribute[0] != 0, tb = call->attribute[1] != 0;
    const REAL *a = call->operand[0], *b = call->operand[1];
    REAL *c = (REAL *)call->operand[2] + i * n;
    memset(c, 0, n * sizeof *c);
    for (size_t p = 0; p < k; p++) {
        REAL factor = ta ? a[p * m + i] : a[i * k + p];
        if (tb) {
            for (size_t j = 0; j < n; j++)
                c[j] += factor * b[j * k + p];
        } else {
            for (size_t j = 0; j < n; j++)
                c[j] += factor * b[p * n + j];
        }
    }
}

int N(gemm)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp, (void)err;
    say_rows(call);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < call->size[0]; i++)
        gemm_row(call, i);
    return 0;
}

int N(gemv)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp, (void)err;
    size_t m = call->size[0], n = call->size[1];
    const REAL *a = call->operand[0], *x = call->operand[1];
    REAL *y = call->operand[2];
    say_rows(call);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < m; i++) {
        REAL sum = 0;
        for (size_t j = 0; j < n; j++)
            sum += a[i * n + j] * x[j];
        y[i] = sum;
    }
    return 0;
}

int N(bias_add)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp, (void)err;
    size_t b = call->size[0], n = call->size[1];
    const REAL *bias = call->operand[0];
    REAL *x = call->operand[1];
    say_rows(call);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < b; i++) {
        for (size_t j = 0; j < n; j++)
            x[i * n + j] += bias[j];
    }
    return 0;
}

int N(relu)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp, (void)err;
    const REAL *x = call->operand[0];
    REAL *y = call->operand[1];
    say_elements(call);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < call->size[0]; i++)
        y[i] = x[i] > 0 || x[i] != x[i] ? x[i] : 0; /* a NaN stays one */
    return 0;
}

int N(relu_gradient)(const struct openmp *openmp, const struct sb_call *call,
                     struct sb_error *err) {
    (void)openmp, (void)err;
    const REAL *y = call->operand[0], *dy = call->operand[1];
    REAL *dx = call->operand[2];
    say_elements(call);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < call->size[0]; i++)
        dx[i] = y[i] > 0 ? dy[i] : 0;
    return 0;
}

int N(softmax)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp, (void)err;
    size_t b = call->size[0], c = call->size[1];
    say_rows(call);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < b; i++) {
        const REAL *x = (const REAL *)call->operand[0] + i * c;
        REAL *y = (REAL *)call->operand[1] + i * c, top = x[0], sum = 0;
        for (size_t j = 1; j < c; j++)
            top = x[j] > top ? x[j] : top;
        for (size_t j = 0; j < c; j++)
            sum += y[j] = EXP(x[j] - top);
        for (size_t j = 0; j < c; j++)
            y[j] /= sum;
    }
    return 0;
}

int N(softmax_gradient)(const struct openmp *openmp, const struct sb_call *call,
                        struct sb_error *err) {
    (void)openmp, (void)err;
    size_t b = call->size[0], c = call->size[1];
    say_rows(call);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < b; i++) {
        const REAL *y = (const REAL *)call->operand[0] + i * c,
                   *dy = (const REAL *)call->operand[1] + i * c;
        REAL *dx = (REAL *)call->operand[2] + i * c, sum = 0;
        for (size_t j = 0; j < c; j++)
            sum += y[j] * dy[j];
        for (size_t j = 0; j < c; j++)
            dx[j] = y[j] * (dy[j] - sum);
    }
    return 0;
}

/* `blocks` runs of `length` elements, their starts `stride` apart: a row, or a channel of images.
 */
struct group {
    size_t blocks, length, stride;
};

static void moments(const REAL *x, struct group group, double epsilon, REAL *mean, REAL *variance,
                    REAL *inverse) {
    REAL n = (REAL)(group.blocks * group.length), sum = 0, squares = 0;
    for (size_t b = 0; b < group.blocks; b++) {
        for (size_t i = 0; i < group.length; i++)
            sum += x[b * group.stride + i];
    }
    *mean = sum / n;
    for (size_t b = 0; b < group.blocks; b++) {
        for (size_t i = 0; i < group.length; i++) {
            REAL far = x[b * group.stride + i] - *mean;
            squares += far * far;
        }
    }
    *variance = squares / n;
    *inverse = 1 / SQRT(*variance + (REAL)epsilon);
}

int N(layernorm)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp, (void)err;
    size_t b = call->size[0], n = call->size[1];
    const REAL *gamma = call->operand[1], *beta = call->operand[2];
    say_rows(call);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < b; i++) {
        const REAL *x = (const REAL *)call->operand[0] + i * n;
        REAL *y = (REAL *)call->operand[3] + i * n, variance, *mean = (REAL *)call->operand[4] + i,
             *inverse = (REAL *)call->operand[5] + i;
        moments(x, (struct group){1, n, n}, call->attribute[0], mean, &variance, inverse);
        for (size_t j = 0; j < n; j++)
            y[j] = (x[j] - *mean) * *inverse * gamma[j] + beta[j];
    }
    return 0;
}

static void batchnorm_channel(const struct sb_call *call, size_t c) {
    size_t area = call->size[2] * call->size[3];
    struct group group = {call->size[0], area, call->size[1] * area};
    const REAL *x = (const REAL *)call->operand[0] + c * area;
    REAL gamma = ((const REAL *)call->operand[1])[c], beta = ((const REAL *)call->operand[2])[c];
    REAL *running_mean = (REAL *)call->operand[3] + c,
         *running_variance = (REAL *)call->operand[4] + c, *y = (REAL *)call->operand[5] + c * area,
         *mean = (REAL *)call->operand[6] + c, *inverse = (REAL *)call->operand[7] + c, variance;
    moments(x, group, call->attribute[0], mean, &variance, inverse);
    REAL n = (REAL)(group.blocks * group.length), factor = (REAL)call->attribute[1],
         unbiased = n > 1 ? n / (n - 1) : 1;
    *running_mean = *running_mean * (1 - factor) + *mean * factor;
    *running_variance = *running_variance * (1 - factor) + variance * unbiased * factor;
    for (size_t b = 0; b < group.blocks; b++) {
        for (size_t i = b * group.stride; i < b * group.stride + area; i++)
            y[i] = (x[i] - *mean) * *inverse * gamma + beta;
    }
}

int N(batchnorm)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp, (void)err;
    say_rows(call);
#pragma omp parallel for schedule(static)
    for (size_t c = 0; c < call->size[1]; c++)
        batchnorm_channel(call, c);
    return 0;
}

static void batchnorm_gradient_channel(const struct sb_call *call, size_t c) {
    size_t area = call->size[2] * call->size[3], stride = call->size[1] * area;
    const REAL *x = (const REAL *)call->operand[0] + c * area,
               *dy = (const REAL *)call->operand[4] + c * area;
    REAL gamma = ((const REAL *)call->operand[1])[c], mean = ((const REAL *)call->operand[2])[c],
         inverse = ((const REAL *)call->operand[3])[c];
    REAL *dx = (REAL *)call->operand[5] + c * area, sum = 0, product = 0,
         n = (REAL)(call->size[0] * area);
    for (size_t b = 0; b < call->size[0]; b++) {
        for (size_t i = b * stride; i < b * stride + area; i++) {
            sum += dy[i];
            product += dy[i] * ((x[i] - mean) * inverse);
        }
    }
    for (size_t b = 0; b < call->size[0]; b++) {
        for (size_t i = b * stride; i < b * stride + area; i++)
            dx[i] = gamma * inverse * (dy[i] - sum / n - (x[i] - mean) * inverse * (product / n));
    }
    ((REAL *)call->operand[6])[c] = product;
    ((REAL *)call->operand[7])[c] = sum;
}

int N(batchnorm_gradient)(const struct openmp *openmp, const struct sb_call *call,
                          struct sb_error *err) {
    (void)openmp, (void)err;
    say_rows(call);
#pragma omp parallel for schedule(static)
    for (size_t c = 0; c < call->size[1]; c++)
        batchnorm_gradient_channel(call, c);
    return 0;
}

int N(embedding)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    (void)openmp;
    const REAL *table = call->operand[0];
    const int32_t *indices = call->operand[1];
    REAL *y = call->operand[2];
    size_t b = call->size[0], v = call->size[1], d = call->size[2];
    for (size_t i = 0; i < b; i++) {
        if (indices[i] < 0 || (size_t)indices[i] >= v)
            return sb_error_set(err, -EDOM, "index %d is none of %zu rows", indices[i], v);
    }
    say_rows(call);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < b; i++)
        memcpy(y + i * d, table + (size_t)indices[i] * d, d * sizeof *y);
    return 0;
}
