/* Stage 5, compare: what each type resolves, its default tolerance, and the distance in ULP. */
#include <samebits/compare.h>

#include "compare/element.h"

/* rtol and atol: the table of torch.testing.assert_close; the 8-bit floats, which it does not have,
 * get their epsilon, and complex types what their parts have. */
const struct sb_resolution sb_resolutions[SB_N_DTYPES] = {
    [SB_DTYPE_BOOL] = {1, false, 0, 0, 0, 0},
    [SB_DTYPE_I8] = {1, false, 0, 0, 0, 0},
    [SB_DTYPE_I16] = {1, false, 0, 0, 0, 0},
    [SB_DTYPE_I32] = {1, false, 0, 0, 0, 0},
    [SB_DTYPE_I64] = {1, false, 0, 0, 0, 0},
    [SB_DTYPE_U8] = {1, false, 0, 0, 0, 0},
    [SB_DTYPE_U16] = {1, false, 0, 0, 0, 0},
    [SB_DTYPE_U32] = {1, false, 0, 0, 0, 0},
    [SB_DTYPE_U64] = {1, false, 0, 0, 0, 0},
    [SB_DTYPE_F16] = {1, true, 0x1p-10, 0x1p-14, 1e-3, 1e-5},
    [SB_DTYPE_BF16] = {1, true, 0x1p-7, 0x1p-126, 1.6e-2, 1e-5},
    [SB_DTYPE_F32] = {1, true, 0x1p-23, 0x1p-126, 1.3e-6, 1e-5},
    [SB_DTYPE_F64] = {1, true, 0x1p-52, 0x1p-1022, 1e-7, 1e-7},
    [SB_DTYPE_F8_E4M3] = {1, true, 0x1p-3, 0x1p-6, 0.125, 1e-5},
    [SB_DTYPE_F8_E5M2] = {1, true, 0x1p-2, 0x1p-14, 0.25, 1e-5},
    [SB_DTYPE_C64] = {2, true, 0x1p-23, 0x1p-126, 1.3e-6, 1e-5},
    [SB_DTYPE_C128] = {2, true, 0x1p-52, 0x1p-1022, 1e-7, 1e-7},
};

void sb_tolerance_default(enum sb_dtype dtype, double *rtol, double *atol) {
    *rtol = sb_resolutions[dtype].rtol;
    *atol = sb_resolutions[dtype].atol;
}

static double distance(uint64_t a, uint64_t b, double x, double y, bool is_float) {
    if (a == b)
        return 0;
    bool comparable = (isfinite(x) && isfinite(y)) || (isnan(x) && isnan(y));
    if (is_float && !comparable)
        return INFINITY;
    return (double)(a > b ? a - b : b - a);
}

#define PART_DISTANCE(name, bits_type, order, value)                                               \
    case name: {                                                                                   \
        bits_type p, q;                                                                            \
        memcpy(&p, (const char *)a + part * sizeof p, sizeof p);                                   \
        memcpy(&q, (const char *)b + part * sizeof q, sizeof q);                                   \
        return distance(sb_ordered_##order##_##bits_type(p), sb_ordered_##order##_##bits_type(q),  \
                        sb_value_##value(p), sb_value_##value(q), sb_resolutions[name].is_float);  \
    }

static double part_distance(enum sb_dtype dtype, const void *a, const void *b, unsigned part) {
    switch (dtype) {
        SB_ELEMENTS(PART_DISTANCE)
    case SB_N_DTYPES:
        break;
    }
    return 0;
}

double sb_ulp_distance(enum sb_dtype dtype, const void *a, const void *b) {
    double most = 0;
    for (unsigned part = 0; part < sb_resolutions[dtype].n_parts; part++) {
        double of_part = part_distance(dtype, a, b, part);
        most = of_part > most ? of_part : most;
    }
    return most;
}
