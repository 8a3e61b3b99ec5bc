/* kernels, ref: functions of single elements and softmax, forward and backward. */
#include "kernels/backends/ref_kernels.h"
#include "kernels/numeric.h"
#include "kernels/train/rng.h"

#include <stdbool.h>

/* √(2/π), 1/√2, and the cubic term of gelu's approximation. */
static const double root_2_pi = 0x1.9884533d43651p-1, root_half = 0x1.6a09e667f3bcdp-1,
                    cubic = 0.044715;

static double gelu_share(double x, bool by_tanh) {
    return by_tanh ? sb_tanh(root_2_pi * (x + cubic * (x * x * x))) : sb_erf(x * root_half);
}

static double gelu_of(double x, bool by_tanh) {
    return 0.5 * x * (1 + gelu_share(x, by_tanh));
}

/* Far out the slope of the share is 0, and x² times it would be ∞·0. */
static double gelu_slope(double x, bool by_tanh) {
    double share = gelu_share(x, by_tanh), slope = 0;
    if (by_tanh && share * share < 1)
        slope = (1 - share * share) * root_2_pi * (1 + 3 * cubic * (x * x));
    else if (!by_tanh)
        slope = root_2_pi * sb_exp(-0.5 * (x * x));
    return 0.5 * (1 + share) + (slope != 0 ? 0.5 * x * slope : 0);
}

#define REAL float
#define N(name) name##_f32
#include "kernels/backends/ref_activation_plain.h"

#define REAL double
#define N(name) name##_f64
#include "kernels/backends/ref_activation_plain.h"

SB_REF_DEFINE(softmax)
SB_REF_DEFINE(softmax_gradient)
SB_REF_DEFINE(gelu)
SB_REF_DEFINE(gelu_gradient)
SB_REF_DEFINE(dropout)
