/* kernels, openmp: see steps.h. */
#define REAL float
#define N(name) name##_f32
#define EXP expf
#define SQRT sqrtf
#define TANH tanhf
#define ERF erff
#include "kernels/backends/openmp/steps.h"
