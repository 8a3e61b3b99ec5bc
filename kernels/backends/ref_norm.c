/* kernels, ref: mean, variance and what is normalised by them, forward and backward. */
#include "kernels/backends/ref_kernels.h"
#include "kernels/numeric.h"

/* Columns that are summed at a time. */
enum { COLUMNS = 64 };

#define REAL float
#define N(name) name##_f32
#include "kernels/backends/ref_norm_plain.h"

#define REAL double
#define N(name) name##_f64
#include "kernels/backends/ref_norm_plain.h"

SB_REF_DEFINE(mean)
SB_REF_DEFINE(layernorm)
SB_REF_DEFINE(layernorm_gradient)
SB_REF_DEFINE(batchnorm)
SB_REF_DEFINE(batchnorm_gradient)
