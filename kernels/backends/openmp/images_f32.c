/* kernels, openmp: see images.h. */
#define REAL float
#define N(name) name##_f32
#include "kernels/backends/openmp/images.h"
