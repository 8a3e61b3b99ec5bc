/* Stage 5, compare: tensors in memory, and comparisons as a whole. */
#include "compare/comparison.h"

#include "compare/diagnosis.h"
#include "compare/packed.h"
#include "compare/ranges.h"
#include "compare/slices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sb_compare_elements(const struct sb_tensor_info *info, const void *a, const void *b,
                         const struct sb_tolerance *tolerance,
                         struct sb_tensor_difference *difference) {
    struct sb_measure measure;
    sb_measure_begin(&measure, info->dtype, tolerance);
    sb_measure_add(&measure, a, b, info->n_elements);
    sb_diagnose(sb_measure_end(&measure), info, difference);
    if (difference->grade != SB_GRADE_PERMUTATION || difference->permuted_axis >= 0)
        return;
    struct sb_slices slices;
    if (sb_slices_begin(&slices, info) == 0) {
        sb_slices_add(&slices, a, b, info->n_elements);
        difference->permuted_axis = sb_slices_axis(&slices);
    }
    sb_slices_clear(&slices);
}

int sb_comparison_add(struct sb_comparison *comparison,
                      const struct sb_tensor_difference *difference) {
    if (comparison->n_tensors == comparison->capacity) {
        size_t more = comparison->capacity ? comparison->capacity + comparison->capacity / 2 : 16;
        void *grown = reallocarray(comparison->tensors, more, sizeof *comparison->tensors);
        if (!grown)
            return -ENOMEM;
        comparison->tensors = grown;
        comparison->capacity = more;
    }
    int r = sb_packed_make(difference, &comparison->tensors[comparison->n_tensors]);
    comparison->n_tensors += r == 0;
    return r;
}

void sb_comparison_tensor(const struct sb_comparison *comparison, size_t i,
                          struct sb_tensor_difference *difference) {
    sb_packed_spread(&comparison->tensors[i], difference);
}

/* Worst first. A tensor that has no counterpart has nothing to be measured by and comes before all
 * that differ. */
static int by_severity(const void *a, const void *b) {
    const struct sb_packed_difference *x = a, *y = b;
    const double keys[][2] = {
        {x->grade, y->grade},     {x->state, y->state}, {x->max_ulp, y->max_ulp},
        {x->max_abs, y->max_abs}, {x->share, y->share},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (keys[i][0] != keys[i][1])
            return keys[i][0] < keys[i][1] ? 1 : -1;
    }
    return strcmp(sb_packed_name(x), sb_packed_name(y));
}

void sb_comparison_finish(struct sb_comparison *comparison) {
    struct sb_tensor_difference worst = {.grade = SB_GRADE_IDENTICAL, .shape = SB_SHAPE_NONE};
    qsort(comparison->tensors, comparison->n_tensors, sizeof *comparison->tensors, by_severity);
    comparison->n_different = 0;
    for (size_t i = 0; i < comparison->n_tensors; i++)
        comparison->n_different += comparison->tensors[i].state != SB_TENSOR_SAME;
    if (comparison->n_tensors)
        sb_comparison_tensor(comparison, 0, &worst);
    comparison->grade = worst.grade;
    comparison->shape = worst.shape;
}

void sb_comparison_clear(struct sb_comparison *comparison) {
    for (size_t i = 0; i < comparison->n_tensors; i++)
        sb_packed_clear(&comparison->tensors[i]);
    free(comparison->tensors);
    *comparison = (struct sb_comparison){0};
}
