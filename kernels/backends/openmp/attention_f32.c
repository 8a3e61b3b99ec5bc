/* kernels, openmp: see attention.h. */
#define REAL float
#define N(name) name##_f32
#define EXP expf
#define SQRT sqrtf
#define LOG logf
#include "kernels/backends/openmp/attention.h"
