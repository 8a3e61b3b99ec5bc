/* check: elements and differences in words. */
#include "check/wording.h"

#include "compare/element.h"
#include "weights/tensors.h"

#include <samebits/compare.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* ---- Elements ----------------------------------------------------------------------------------
 */

/* Digits enough for the type come back as the same number; the fewest are what people write. */
static void print_float(struct sb_text *text, double value, bool single, const char *plus) {
    char digits[40];
    if (isnan(value)) {
        sb_text_printf(text, "%snan", plus);
        return;
    }
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (single ? strtof(digits, NULL) == (float)value : strtod(digits, NULL) == value)
            break;
    }
    sb_text_printf(text, "%s%s", digits[0] == '-' ? "" : plus, digits);
}

#define PRINT_unsigned(bits, value) sb_text_printf(text, "%" PRIu64, (uint64_t)(bits))
#define PRINT_signed(bits, value)                                                                  \
    sb_text_printf(text, "%" PRId64,                                                               \
                   (int64_t)((uint64_t)(bits) << (64 - 8 * sizeof bits)) >>                        \
                       (64 - 8 * sizeof bits))
#define PRINT_float(bits, value) print_float(text, value, sizeof bits < 8, plus)

#define PRINT(name, bits_type, order, value)                                                       \
    static void print_##name(struct sb_text *text, const void *part, const char *plus) {           \
        (void)plus;                                                                                \
        bits_type bits;                                                                            \
        memcpy(&bits, part, sizeof bits);                                                          \
        PRINT_##order(bits, sb_value_##value(bits));                                               \
    }
SB_ELEMENTS(PRINT)

typedef void print_function(struct sb_text *text, const void *part, const char *plus);
#define ENTRY(name, bits_type, order, value) [name] = print_##name,
static print_function *const print_functions[SB_N_DTYPES] = {SB_ELEMENTS(ENTRY)};

void sb_check_print_element(struct sb_text *text, enum sb_dtype dtype, const void *element) {
    print_functions[dtype](text, element, "");
    if (sb_resolutions[dtype].n_parts < 2)
        return;
    print_functions[dtype](text, (const char *)element + sb_dtype_size(dtype) / 2, "+");
    sb_text_putc(text, 'i');
}

/* Highest byte first, as a number is written. */
static void print_bits(struct sb_text *text, enum sb_dtype dtype, const void *element) {
    size_t n_parts = sb_resolutions[dtype].n_parts < 2 ? 1 : 2;
    size_t n = sb_dtype_size(dtype) / n_parts;
    for (size_t part = 0; part < n_parts; part++) {
        sb_text_puts(text, part ? " 0x" : "0x");
        for (size_t i = n; i-- > 0;)
            sb_text_printf(text, "%02x", ((const unsigned char *)element)[part * n + i]);
    }
}

static void print_distance(struct sb_text *text, enum sb_dtype dtype, double ulp) {
    const char *unit = sb_resolutions[dtype].is_float ? " ulp" : "";
    sb_text_printf(text, ulp < 1e15 ? "%.0f%s" : "%.3g%s", ulp, unit);
}

void sb_check_print_pair(struct sb_text *text, enum sb_dtype dtype, const void *a, const void *b) {
    struct sb_text first = {0}, second = {0};
    sb_check_print_element(&first, dtype, a);
    sb_check_print_element(&second, dtype, b);
    bool alike = first.data && second.data && strcmp(first.data, second.data) == 0;
    sb_text_puts(text, first.data ? first.data : "?");
    if (alike) {
        sb_text_puts(text, " (");
        print_bits(text, dtype, a);
        sb_text_putc(text, ')');
    }
    sb_text_printf(text, " and %s", second.data ? second.data : "?");
    if (alike) {
        sb_text_puts(text, " (");
        print_bits(text, dtype, b);
        sb_text_putc(text, ')');
    }
    double ulp = sb_ulp_distance(dtype, a, b);
    if (isfinite(ulp) && dtype != SB_DTYPE_BOOL) {
        sb_text_puts(text, " are ");
        print_distance(text, dtype, ulp);
        sb_text_puts(text, " apart");
    } else {
        sb_text_puts(text, " differ");
    }
    sb_text_clear(&first);
    sb_text_clear(&second);
}

void sb_check_print_name(struct sb_text *text, const char *name) {
    sb_name_escape(text, name, strlen(name));
}

/* ---- Outputs -----------------------------------------------------------------------------------
 */

static const char *element_at(const struct sb_output *output, uint64_t at) {
    return (const char *)output->elements + at * sb_dtype_size(output->info.dtype);
}

static bool within(const struct sb_output *a, const struct sb_output *b, uint64_t from, uint64_t n,
                   const struct sb_tolerance *tolerance) {
    struct sb_tensor_info part = {
        .name = a->info.name, .dtype = a->info.dtype, .rank = 1, .dims = {n}, .n_elements = n};
    struct sb_tensor_difference difference;
    sb_compare_elements(&part, element_at(a, from), element_at(b, from), tolerance, &difference);
    return difference.within;
}

/* The first element outside the tolerance, by halves. There is one. */
static uint64_t first_outside(const struct sb_output *a, const struct sb_output *b,
                              const struct sb_tolerance *tolerance) {
    uint64_t from = 0, n = a->info.n_elements;
    while (n > 1) {
        uint64_t half = n / 2;
        if (within(a, b, from, half, tolerance)) {
            from += half;
            n -= half;
        } else {
            n = half;
        }
    }
    return from;
}

static void print_index(struct sb_text *text, const struct sb_tensor_info *info, uint64_t at) {
    uint64_t index[SB_MAX_RANK];
    for (unsigned axis = info->rank; axis-- > 0;) {
        index[axis] = at % info->dims[axis];
        at /= info->dims[axis];
    }
    for (unsigned axis = 0; axis < info->rank; axis++)
        sb_text_printf(text, "%c%" PRIu64, axis ? ',' : '[', index[axis]);
    if (info->rank)
        sb_text_putc(text, ']');
}

static void print_type(struct sb_text *text, const struct sb_tensor_info *info) {
    sb_text_puts(text, sb_dtype_names[info->dtype]);
    sb_text_puts(text, info->rank ? " " : " scalar");
    sb_dims_print(text, info->dims, info->rank);
}

static bool same_type(const struct sb_tensor_info *a, const struct sb_tensor_info *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0;
}

static void print_extent(struct sb_text *text, const struct sb_tensor_info *info,
                         const struct sb_tensor_difference *difference) {
    sb_text_printf(text, "; %" PRIu64 " of %" PRIu64 " element%s differ%s", difference->n_different,
                   info->n_elements, info->n_elements == 1 ? "" : "s",
                   difference->n_different == 1 ? "s" : "");
    if (isfinite(difference->max_ulp) && info->dtype != SB_DTYPE_BOOL) {
        sb_text_puts(text, ", at most ");
        print_distance(text, info->dtype, difference->max_ulp);
    }
}

int sb_check_compare(const struct sb_output *a, const struct sb_output *b,
                     const struct sb_tolerance *tolerance, const char *pair, struct sb_text *text) {
    if (!same_type(&a->info, &b->info)) {
        sb_check_print_name(text, a->info.name);
        sb_text_puts(text, ": ");
        print_type(text, &a->info);
        sb_text_puts(text, " and ");
        print_type(text, &b->info);
        sb_text_printf(text, " (%s)", pair);
        return 1;
    }
    if (a->n_bytes == 0 || memcmp(a->elements, b->elements, a->n_bytes) == 0)
        return 0;
    const struct sb_tolerance bits = {-1, -1, 0};
    const struct sb_tolerance *allowed = tolerance ? tolerance : &bits;
    struct sb_tensor_difference difference;
    sb_compare_elements(&a->info, a->elements, b->elements, allowed, &difference);
    if (difference.within)
        return 0;
    uint64_t at = first_outside(a, b, allowed);
    sb_check_print_name(text, a->info.name);
    print_index(text, &a->info, at);
    sb_text_puts(text, ": ");
    sb_check_print_pair(text, a->info.dtype, element_at(a, at), element_at(b, at));
    sb_text_printf(text, " (%s)", pair);
    print_extent(text, &a->info, &difference);
    return 1;
}
