/* kernels: backend `blis` as the program knows it; its code is a module, which links BLIS. */
#include "kernels/dispatch.h"

#define KERNEL(operation) {#operation, SB_BIT(SB_DTYPE_F32) | SB_BIT(SB_DTYPE_F64)},
static const struct sb_kernel kernels[] = {
#include "kernels/backends/blis_kernels.h"
    {NULL},
};

const struct sb_backend sb_backend_blis = {
    .api = SB_BACKEND_API,
    .name = "blis",
    .summary = "BLIS through its CBLAS; what it lacks is computed as in ref",
    .kernels = kernels,
    .gaps = "BLIS has no such routine, or it is not used here; training takes ref's",
    .module = true,
};
