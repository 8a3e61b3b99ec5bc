/* kernels, openmp: see images.h. */
#define REAL double
#define N(name) name##_f64
#include "kernels/backends/openmp/images.h"
