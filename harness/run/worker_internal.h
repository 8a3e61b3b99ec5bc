/* Stage 3, run: what both sides of a built-in job share. */
#ifndef SB_RUN_WORKER_INTERNAL_H
#define SB_RUN_WORKER_INTERNAL_H

#include "kernels/dispatch.h"
#include "kernels/train/train.h"

#include <jansson.h>

/* A kernel's arguments: its attributes, then the seed of its inputs. */
enum { SB_KERNEL_ARGUMENTS = SB_MAX_ATTRIBUTES + 2 };
void sb_kernel_arguments(const struct sb_operation *operation,
                         struct sb_argument_spec specs[SB_KERNEL_ARGUMENTS]);

/* Attributes as given among the arguments, or the operation's own. */
void sb_kernel_attributes(const struct sb_operation *operation,
                          const struct sb_argument_value *values,
                          double attributes[SB_MAX_ATTRIBUTES]);

/* The dtype of that name; SB_N_DTYPES: there is none. */
enum sb_dtype sb_dtype_find(const char *name);

/* Adds what a loaded backend says of itself; null where unknown. */
void sb_worker_add_facts(json_t *json, const struct sb_engine *engine);

#endif
