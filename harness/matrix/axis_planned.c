/* Stage 2, matrix: axes that are known by name and cannot be varied in this build. */
#include "matrix/axis.h"

static const char no_cuda[] = "no CUDA backend in this build";

const struct sb_axis sb_axis_gpu = {
    .name = "gpu",
    .summary = "the GPU that the run may use",
    .levels = "a number from 0",
    .planned = no_cuda,
};
