/* cli: backends and kernels as `list` and `doctor` show them. */
#ifndef SB_CLI_LISTING_H
#define SB_CLI_LISTING_H

#include <stddef.h>

struct sb_listed_backend {
    const char *name, *summary;
    char *missing; /* why it cannot be used here, owned; NULL: it can */
    char *found;   /* "libopenblas.so.0 0.3.21, core Haswell, 2 threads", owned; NULL: nothing is
                      known */
};

/* Every backend that is known, asked in processes of their own; malloc'd, n of them. NULL without
 * memory. */
struct sb_listed_backend *sb_list_backends(size_t *n);

#endif
