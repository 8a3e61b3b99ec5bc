/* kernels, ref: one block of C, for one element type and one width of vectors. Included several
 * times with REAL, BYTES (of a vector), ROWS, NAME and TARGET, which it takes away again.
 *
 * Every element of C is summed by one accumulator, k ascending, each product and each sum rounded:
 * the order of the naive loop. Vectors run across n, so that their width does not enter. */
#define LANES (BYTES / sizeof(REAL))

/* a: packed k × ROWS; b: packed k × 2·LANES; c: ROWS × 2·LANES at row stride ldc. */
TARGET static void NAME(size_t k, const REAL *restrict a, const REAL *restrict b, REAL *restrict c,
                        size_t ldc) {
    typedef REAL VECTOR __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias));
    VECTOR sum[ROWS][2];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) {
        sum[i][0] = *(const VECTOR *)(c + i * ldc);
        sum[i][1] = *(const VECTOR *)(c + i * ldc + LANES);
    }
    for (size_t p = 0; p < k; p++, a += ROWS, b += 2 * LANES) {
        VECTOR left = *(const VECTOR *)b, right = *(const VECTOR *)(b + LANES);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
            sum[i][0] += a[i] * left;
            sum[i][1] += a[i] * right;
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) {
        *(VECTOR *)(c + i * ldc) = sum[i][0];
        *(VECTOR *)(c + i * ldc + LANES) = sum[i][1];
    }
}

#undef LANES
#undef REAL
#undef BYTES
#undef ROWS
#undef NAME
#undef TARGET
