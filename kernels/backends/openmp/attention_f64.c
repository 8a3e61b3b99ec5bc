/* kernels, openmp: see attention.h. */
#define REAL double
#define N(name) name##_f64
#define EXP exp
#define SQRT sqrt
#define LOG log
#include "kernels/backends/openmp/attention.h"
