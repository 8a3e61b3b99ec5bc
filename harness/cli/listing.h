/* cli: backends and kernels as `list` and `doctor` show them. */
#ifndef SB_CLI_LISTING_H
#define SB_CLI_LISTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* One backend; owns what it points to. */
struct sb_listed_backend {
    char *name, *summary;
    char *missing;   /* why it cannot be used here; NULL: it can */
    char *found;     /* "0.3.21, core Haswell, /lib/libopenblas.so.0"; NULL: nothing is known */
    json_t *kernels; /* {"gemm": ["f32", "f64"], …}; NULL where nothing is known of them */
};

/* Every backend that is known, then the modules on SAMEBITS_BACKEND_PATH; n of them, to be freed
 * with sb_listed_backends_free. NULL without memory. Modules are asked in processes of their own;
 * with `ask` the others are too, without it only their tables are read. */
struct sb_listed_backend *sb_list_backends(bool ask, size_t *n);
void sb_listed_backends_free(struct sb_listed_backend *backends, size_t n);

#endif
