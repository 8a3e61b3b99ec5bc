/* kernels, ref: rows of tables by index, and their gradient. */
#include "kernels/backends/ref_kernels.h"

#include <errno.h>
#include <string.h>

static int check_index(int32_t index, size_t rows, struct sb_error *err) {
    if (index < 0 || (size_t)index >= rows)
        return sb_error_set(err, -EDOM, "index %d is none of %zu rows", index, rows);
    return 0;
}

SB_REF_DECLARE(embedding) {
    (void)state;
    const int32_t *indices = call->operand[1];
    size_t row = call->size[2] * sb_dtype_size(call->dtype);
    for (size_t i = 0; i < call->size[0]; i++) {
        int rc = check_index(indices[i], call->size[1], err);
        if (rc < 0)
            return rc;
        memcpy((char *)call->operand[2] + i * row,
               (const char *)call->operand[0] + (size_t)indices[i] * row, row);
    }
    return 0;
}

/* Rows are added in the order in which they come, in their own type. */
#define DEFINE_ADD_ROWS(name, type)                                                                \
    static void name(const struct sb_call *call) {                                                 \
        const int32_t *indices = call->operand[0];                                                 \
        const type *dy = call->operand[1];                                                         \
        size_t d = call->size[2];                                                                  \
        memset(call->operand[2], 0, call->size[1] * d * sizeof(type));                             \
        for (size_t i = 0; i < call->size[0]; i++, dy += d) {                                      \
            type *row = (type *)call->operand[2] + (size_t)indices[i] * d;                         \
            for (size_t j = 0; j < d; j++)                                                         \
                row[j] += dy[j];                                                                   \
        }                                                                                          \
    }
DEFINE_ADD_ROWS(add_rows_f32, float)
DEFINE_ADD_ROWS(add_rows_f64, double)

SB_REF_DECLARE(embedding_gradient) {
    (void)state;
    for (size_t i = 0; i < call->size[0]; i++) {
        int rc = check_index(((const int32_t *)call->operand[0])[i], call->size[1], err);
        if (rc < 0)
            return rc;
    }
    (call->dtype == SB_DTYPE_F32 ? add_rows_f32 : add_rows_f64)(call);
    return 0;
}
