/* Tests, stand-ins: see product.h. */
#include "kernels/tests/standin/product.h"
#include "kernels/half.h"
#include "kernels/tests/standin/standin.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t sb_standin_size(cudaDataType type) {
    switch (type) {
    case CUDA_R_16F:
    case CUDA_R_16BF:
        return 2;
    case CUDA_R_32F:
        return 4;
    case CUDA_R_64F:
        return 8;
    default:
        return 0;
    }
}

double sb_standin_value(cudaDataType type, const void *from, size_t i) {
    switch (type) {
    case CUDA_R_16F:
        return sb_f16_value(((const uint16_t *)from)[i]);
    case CUDA_R_16BF:
        return sb_bf16_value(((const uint16_t *)from)[i]);
    case CUDA_R_32F:
        return (double)((const float *)from)[i];
    default:
        return ((const double *)from)[i];
    }
}

void sb_standin_store(cudaDataType type, void *to, size_t i, double value) {
    switch (type) {
    case CUDA_R_16F:
        ((uint16_t *)to)[i] = sb_f16_round(value);
        break;
    case CUDA_R_16BF:
        ((uint16_t *)to)[i] = sb_bf16_round(value);
        break;
    case CUDA_R_32F:
        ((float *)to)[i] = (float)value;
        break;
    default:
        ((double *)to)[i] = value;
    }
}

double sb_standin_tf32(double value) {
    float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    bits = (bits + 0x1000) & ~(uint32_t)0x1fff;
    memcpy(&narrow, &bits, sizeof narrow);
    return (double)narrow;
}

size_t sb_standin_extent(long rows, long columns, long ld, cudaDataType type) {
    return rows && columns ? (size_t)((columns - 1) * ld + rows) * sb_standin_size(type) : 0;
}

static double rounded(cudaDataType type, double value) {
    uint64_t room = 0;
    if (type == CUDA_R_64F)
        return value;
    if (type == CUDA_R_32F)
        return (double)(float)value;
    sb_standin_store(type, &room, 0, value);
    return sb_standin_value(type, &room, 0);
}

/* op(A) with its rows, or op(B) with its columns, one after another. */
static double *gathered(const struct sb_standin_product *p, bool of_a) {
    long n = of_a ? p->m : p->n, ld = of_a ? p->ld_a : p->ld_b;
    bool along = of_a ? p->transpose_a : !p->transpose_b;
    double *all = malloc(((size_t)n * (size_t)p->k + 1) * sizeof *all);
    if (!all)
        abort();
    for (long i = 0; i < n; i++) {
        for (long q = 0; q < p->k; q++) {
            size_t at = (size_t)(along ? q + i * ld : i + q * ld);
            double value = sb_standin_value(p->type, of_a ? p->a : p->b, at);
            all[i * p->k + q] = p->tf32 ? sb_standin_tf32(value) : value;
        }
    }
    return all;
}

static double part(cudaDataType type, const double *a, const double *b, int from, int to) {
    double sum = 0;
    for (int q = from; q < to; q++)
        sum = type == CUDA_R_32F ? (double)(float)(sum + a[q] * b[q]) : sum + a[q] * b[q];
    return sum;
}

void sb_standin_product(void *product) {
    const struct sb_standin_product *p = product;
    cudaDataType between = p->parts == SB_PARTS_IN_OUTPUT_TYPE ? p->type_c : p->sum;
    double alpha = p->far_alpha ? sb_standin_value(p->sum, p->far_alpha, 0) : p->alpha;
    double beta = p->far_beta ? sb_standin_value(p->sum, p->far_beta, 0) : p->beta;
    double *a = gathered(p, true), *b = gathered(p, false);
    for (long j = 0; j < p->n; j++) {
        for (long i = 0; i < p->m; i++) {
            double sum = 0;
            for (int s = 0; s < p->splits; s++) {
                int from = (int)((long)p->k * s / p->splits);
                int to = (int)((long)p->k * (s + 1) / p->splits);
                double one = part(p->sum, a + i * p->k, b + j * p->k, from, to);
                sum = rounded(between, sum + rounded(between, one));
            }
            size_t at = (size_t)(i + j * p->ld_c);
            double old = beta != 0 ? beta * sb_standin_value(p->type_c, p->c, at) : 0;
            sb_standin_store(p->type_c, p->c, at, alpha * sum + old);
        }
    }
    free(a);
    free(b);
}

/* ---- Faults ----------------------------------------------------------------------------------
 */

struct fault {
    size_t size;
    unsigned char *at;
};

static void add_one(void *arg) {
    const struct fault *fault = arg;
    uint64_t bits = 0;
    memcpy(&bits, fault->at, fault->size);
    bits++;
    memcpy(fault->at, &bits, fault->size);
}

void sb_standin_fault(const char *who, cudaStream_t stream, cudaDataType type, void *at) {
    static int calls;
    const char *asked = getenv("SAMEBITS_STANDIN_FAULT");
    size_t n = strlen(who);
    const struct fault fault = {sb_standin_size(type), at};
    if (asked && strncmp(asked, who, n) == 0 && asked[n] == ':' && ++calls == atoi(asked + n + 1))
        sb_standin_enqueue(who, stream, add_one, &fault, sizeof fault);
}
