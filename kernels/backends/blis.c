/* kernels: backend `blis` as the program knows it; its code is a module, which links BLIS. */
#include "kernels/backends/blas.h"

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
    .gaps = SB_BLAS_GAPS,
    .missing = sb_blas_missing,
    .dtypes_missing = "BLIS computes in f32 and f64",
    .module = true,
};
