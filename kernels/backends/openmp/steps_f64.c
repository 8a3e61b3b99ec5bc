/* kernels, openmp: see steps.h. */
#define REAL double
#define N(name) name##_f64
#define EXP exp
#define SQRT sqrt
#define TANH tanh
#define ERF erf
#include "kernels/backends/openmp/steps.h"
