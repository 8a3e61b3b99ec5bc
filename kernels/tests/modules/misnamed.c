/* Tests: a backend that has another name than its file. */
#include "kernels/dispatch.h"

extern const struct sb_backend sb_backend_misnamed;
const struct sb_backend sb_backend_misnamed = {.api = SB_BACKEND_API, .name = "another"};
