/* kernels: backend `onednn3` as the program knows it: that of onednn.c, whose module links another
 * oneDNN, of version 3. */
#include "kernels/backends/onednn.h"

#define KERNEL(operation, native) {#operation, native, NULL, SB_ONEDNN_ALL & ~(native)},
static const struct sb_kernel kernels[] = {
#include "kernels/backends/onednn_kernels.h"
    {NULL},
};

const struct sb_backend sb_backend_onednn3 = {
    .api = SB_BACKEND_API,
    .name = "onednn3",
    .summary = "oneDNN 3 from a folder of its own; what it lacks is computed as in ref",
    .kernels = kernels,
    .gaps = SB_ONEDNN_GAPS,
    .missing = sb_onednn_missing,
    .dtypes_missing = "oneDNN computes in f32, f16 and bf16 on CPUs",
    .module = true,
};
