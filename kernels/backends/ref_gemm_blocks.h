/* kernels, ref: a rectangle of C out of packed blocks. Included for float and double with REAL,
 * KERNEL, WHICH and the names of its functions, which it takes away again. */

/* rows × k of the operand into panels of `high` rows, k by k; missing rows are zero and their
 * results thrown away. */
static void PACK(REAL *restrict to, const REAL *restrict from, size_t rows, size_t k, size_t row,
                 size_t column, size_t high) {
    for (size_t r = 0; r < rows; r += high) {
        size_t here = rows - r < high ? rows - r : high;
        for (size_t p = 0; p < k; p++, to += high) {
            const REAL *at = from + r * row + p * column;
            for (size_t i = 0; i < here; i++)
                to[i] = at[i * row];
            for (size_t i = here; i < high; i++)
                to[i] = 0;
        }
    }
}

static void SMALL(size_t m, size_t n, size_t k, const REAL *restrict a, size_t a_row,
                  size_t a_column, const REAL *restrict b, size_t b_row, size_t b_column,
                  REAL *restrict c, size_t ldc) {
    for (size_t i = 0; i < m; i++) {
        for (size_t p = 0; p < k; p++) {
            for (size_t j = 0; j < n; j++)
                c[i * ldc + j] += a[i * a_row + p * a_column] * b[p * b_row + j * b_column];
        }
    }
}

/* False without memory. */
static bool RECTANGLE(const struct sb_ref_path *path, size_t m, size_t n, size_t k, const REAL *a,
                      size_t a_row, size_t a_column, const REAL *b, size_t b_row, size_t b_column,
                      REAL *c, size_t ldc) {
    for (size_t i = 0; i < m; i++)
        memset(c + i * ldc, 0, n * sizeof *c);
    if (m * n <= 256 || k == 0) {
        SMALL(m, n, k, a, a_row, a_column, b, b_row, b_column, c, ldc);
        return true;
    }
    size_t high = path->rows[WHICH], wide = path->columns[WHICH];
    REAL *packed = aligned_alloc(64, sizeof(REAL) * BLOCK_K * (BLOCK_M + BLOCK_N));
    if (!packed)
        return false;
    REAL *packed_b = packed, *packed_a = packed + BLOCK_K * BLOCK_N;
    for (size_t p = 0; p < k; p += BLOCK_K) {
        size_t deep = k - p < BLOCK_K ? k - p : BLOCK_K;
        for (size_t j = 0; j < n; j += BLOCK_N) {
            size_t columns = n - j < BLOCK_N ? n - j : BLOCK_N;
            PACK(packed_b, b + p * b_row + j * b_column, columns, deep, b_column, b_row, wide);
            for (size_t i = 0; i < m; i += BLOCK_M) {
                size_t rows = m - i < BLOCK_M ? m - i : BLOCK_M;
                PACK(packed_a, a + i * a_row + p * a_column, rows, deep, a_row, a_column, high);
                for (size_t y = 0; y < rows; y += high) {
                    for (size_t x = 0; x < columns; x += wide) {
                        REAL *at = c + (i + y) * ldc + j + x;
                        size_t h = rows - y < high ? rows - y : high;
                        size_t w = columns - x < wide ? columns - x : wide;
                        const REAL *pa = packed_a + y * deep, *pb = packed_b + x * deep;
                        if (h == high && w == wide) {
                            path->KERNEL(deep, pa, pb, at, ldc);
                            continue;
                        }
                        REAL edge[8 * 32] = {0};
                        for (size_t r = 0; r < h; r++)
                            memcpy(edge + r * wide, at + r * ldc, w * sizeof *at);
                        path->KERNEL(deep, pa, pb, edge, wide);
                        for (size_t r = 0; r < h; r++)
                            memcpy(at + r * ldc, edge + r * wide, w * sizeof *at);
                    }
                }
            }
        }
    }
    free(packed);
    return true;
}

#undef REAL
#undef KERNEL
#undef WHICH
#undef RECTANGLE
#undef SMALL
#undef PACK
