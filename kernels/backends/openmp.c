/* kernels: backend `openmp` as the program knows it. Its code is a module, so that OpenMP is loaded
 * by the process that computes, and by no other. */
#include "kernels/backends/openmp.h"

#define KERNEL(operation, algorithms)                                                              \
    {#operation, SB_OPENMP_DTYPES, NULL, SB_OPENMP_WIDENED, algorithms},
static const struct sb_kernel kernels[] = {
#include "kernels/backends/openmp_kernels.h"
    {NULL},
};

const struct sb_backend sb_backend_openmp = {
    .api = SB_BACKEND_API,
    .name = "openmp",
    .summary = "loops as people write them: parts combined as they arrive, or by a fixed tree",
    .kernels = kernels,
    .gaps = "not written with OpenMP; training takes ref's",
    .module = true,
};
