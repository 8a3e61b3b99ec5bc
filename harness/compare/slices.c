/* Stage 5, compare: hashes of slices. See compare/slices.h. */
#include "compare/slices.h"

#include "compare/block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Slices of all axes together, so that both sides' sums stay within 16 MiB. */
enum { MOST_SLICES = 1 << 20 };

int sb_slices_begin(struct sb_slices *slices, const struct sb_tensor_info *info) {
    *slices = (struct sb_slices){.info = info, .element_bytes = sb_dtype_size(info->dtype)};
    uint64_t stride = 1, n = 0;
    for (unsigned axis = info->rank; axis-- > 0;) {
        if (info->dims[axis] > 1 && info->dims[axis] <= MOST_SLICES - n) {
            slices->axes[slices->n_axes] = axis;
            slices->stride[slices->n_axes++] = stride;
            n += info->dims[axis];
        }
        stride *= info->dims[axis];
    }
    slices->memory = calloc(n ? 2 * n : 1, sizeof *slices->memory);
    if (!slices->memory)
        return -ENOMEM;
    uint64_t *next = slices->memory;
    for (unsigned side = 0; side < 2; side++) {
        for (unsigned i = 0; i < slices->n_axes; i++) {
            slices->sums[side][i] = next;
            next += info->dims[slices->axes[i]];
        }
    }
    return 0;
}

void sb_slices_add(struct sb_slices *slices, const void *a, const void *b, uint64_t n) {
    const char *next_a = a, *next_b = b;
    for (uint64_t i = 0; i < n; i++, slices->place++) {
        uint64_t hash_a = sb_element_hash(next_a, slices->element_bytes);
        uint64_t hash_b = sb_element_hash(next_b, slices->element_bytes);
        for (unsigned k = 0; k < slices->n_axes; k++) {
            uint64_t stride = slices->stride[k];
            uint64_t slice = slices->place / stride % slices->info->dims[slices->axes[k]];
            uint64_t within = sb_mix(slices->place - slice * stride + 1);
            slices->sums[0][k][slice] += sb_mix(hash_a + within);
            slices->sums[1][k][slice] += sb_mix(hash_b + within);
        }
        next_a += slices->element_bytes;
        next_b += slices->element_bytes;
    }
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int sb_slices_axis(struct sb_slices *slices) {
    int found = -1;
    for (unsigned k = 0; k < slices->n_axes; k++) {
        size_t n = slices->info->dims[slices->axes[k]];
        qsort(slices->sums[0][k], n, sizeof(uint64_t), by_value);
        qsort(slices->sums[1][k], n, sizeof(uint64_t), by_value);
        if (memcmp(slices->sums[0][k], slices->sums[1][k], n * sizeof(uint64_t)) == 0)
            found = (int)slices->axes[k]; /* the axes come last to first */
    }
    return found;
}

void sb_slices_clear(struct sb_slices *slices) {
    free(slices->memory);
    slices->memory = NULL;
}
