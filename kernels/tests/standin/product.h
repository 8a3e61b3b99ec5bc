/* Tests, stand-ins: numbers of cuBLAS's and cuDNN's types, and the matrix product. */
#ifndef SB_STANDIN_PRODUCT_H
#define SB_STANDIN_PRODUCT_H

#include <cuda_runtime_api.h>
#include <library_types.h>
#include <stdbool.h>
#include <stddef.h>

/* 0: a type that the stand-ins do not know. */
size_t sb_standin_size(cudaDataType type);
double sb_standin_value(cudaDataType type, const void *from, size_t i);
void sb_standin_store(cudaDataType type, void *to, size_t i, double value);
/* Rounded to 11 bits, as tensor cores read f32 in TF32. */
double sb_standin_tf32(double value);

enum sb_standin_parts { SB_PARTS_IN_SUM, SB_PARTS_IN_COMPUTE_TYPE, SB_PARTS_IN_OUTPUT_TYPE };

/* Column-major C[m,n] = alpha·op(A)·op(B) + beta·C. The sum over k is cut into `splits`, whose
 * sums, in type `sum`, are added to one another as `parts` says. */
struct sb_standin_product {
    int m, n, k;
    bool transpose_a, transpose_b, tf32;
    const void *a, *b;
    void *c;
    long ld_a, ld_b, ld_c;
    cudaDataType type, type_c, sum;
    double alpha, beta;
    const void *far_alpha, *far_beta; /* where they lie on the device, or NULL */
    int splits;
    enum sb_standin_parts parts;
};
void sb_standin_product(void *product);

/* SAMEBITS_STANDIN_FAULT=cublasSgemm:2 makes what the second call of a function gives one unit
 * larger in the last place, of its first element; behind what `stream` has to do. */
void sb_standin_fault(const char *who, cudaStream_t stream, cudaDataType type, void *at);

/* Columns that lie in memory, and the bytes they take. */
size_t sb_standin_extent(long rows, long columns, long ld, cudaDataType type);

#endif
