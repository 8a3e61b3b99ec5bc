/* kernels: backends whose code is a shared object of its own: those that link what the program must
 * not (OpenMP, MPI), and those that others write. Only a process that computes loads one. */
#ifndef SB_KERNELS_MODULE_H
#define SB_KERNELS_MODULE_H

#include "kernels/dispatch.h"

/* A file in the first folder that has it: those of SAMEBITS_BACKEND_PATH (absolute, joined by
 * colons), the program's own, and the one that modules are installed in. *path is malloc'd.
 * -ENOENT: there is none; -EINVAL: a folder is not absolute. */
int sb_module_file(const char *file, char **path, struct sb_error *err);

/* The same for samebits-backend-<name>.so. */
int sb_module_find(const char *name, char **path, struct sb_error *err);

/* Names of the modules in the folders of SAMEBITS_BACKEND_PATH, each once, in the order of their
 * bytes; malloc'd array that ends with NULL, of malloc'd names. NULL: no memory. */
char **sb_module_names(void);

/* Loads it: the `const struct sb_backend sb_backend_<name>` that it exports. Stays loaded. -ENOENT:
 * it, or a library that it needs, is not there; -ENOTSUP: it is made for another version. */
int sb_module_load(const char *name, const struct sb_backend **backend, struct sb_error *err);

/* A backend by name, for a process that computes: out of the registry, or, where that has none or
 * only plans one, a module. -EINVAL: unknown. */
int sb_backend_load(const char *name, const struct sb_backend **backend, struct sb_error *err);

#endif
