/* Tests: a backend made for an earlier version of the interface. */
#include "kernels/dispatch.h"

extern const struct sb_backend sb_backend_old;
const struct sb_backend sb_backend_old = {.api = SB_BACKEND_API - 1, .name = "old"};
