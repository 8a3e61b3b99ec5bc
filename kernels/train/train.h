/* kernels, train: built-in training jobs and their arguments. */
#ifndef SB_KERNELS_TRAIN_H
#define SB_KERNELS_TRAIN_H

#include "kernels/dispatch.h"

#include <samebits/error.h>
#include <samebits/weights.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Arguments ------------------------------------------------------------------------------- */

enum sb_argument_type { SB_ARGUMENT_INTEGER, SB_ARGUMENT_REAL, SB_ARGUMENT_BOOLEAN };

struct sb_argument_spec {
    const char *name; /* NULL ends the table */
    enum sb_argument_type type;
    const char *value; /* unless given; NULL: not set, which has a meaning of its own */
    double min, max;
    const char *summary;
};

struct sb_argument_value {
    bool given; /* has a value, by default or as written */
    uint64_t integer;
    double real;
    bool boolean;
};

enum { SB_MAX_ARGUMENTS = 32 };

/* values[SB_MAX_ARGUMENTS], in the order of the table. */
void sb_arguments_default(const struct sb_argument_spec *specs, struct sb_argument_value *values);

/* Sets the one of that name; -EINVAL with the choices, or with what a value may be. */
int sb_argument_set(const struct sb_argument_spec *specs, struct sb_argument_value *values,
                    const char *name, const char *value, struct sb_error *err);

/* ---- Training jobs --------------------------------------------------------------------------- */

struct sb_train_options {
    const struct sb_argument_value *arguments;
    unsigned threads;
    bool deterministic; /* the input pipeline keeps its order whatever the arguments say, as under
                           TensorFlow's enable_op_determinism */
    uint64_t hash_seed;
    unsigned ranks; /* that share each batch; 0 and 1: none do */
    /* See kernels/train/loop.h. */
    uint64_t resume_at;     /* step after which to stop; 0: never */
    const char *checkpoint; /* file for the state between two processes */
    bool resumed;           /* this is the second process */
};

/* Weights as they are after training. Zero-initialise; free with sb_train_result_clear. */
struct sb_train_result {
    struct sb_tensor *tensors; /* names as in Keras's files; owns names, dims and data */
    size_t n;
    bool untrained; /* no weight differs from its initial value */
    bool stopped;   /* the state is in the checkpoint, and there are no tensors yet */
    double *losses; /* mean of each epoch's batches */
    size_t n_losses;
};
void sb_train_result_clear(struct sb_train_result *result);

/* One training job. A new one is a file train/<name>.c that defines `const struct sb_training
 * sb_training_<name>`, and a name in kernels/meson.build. */
struct sb_training {
    const char *name, *summary;
    const char *planned; /* why it is known but not in this build; NULL: it is */
    const struct sb_argument_spec *arguments;
    /* What no single argument's range can say; may be NULL. */
    int (*check)(const struct sb_argument_value *arguments, struct sb_error *err);
    int (*run)(struct sb_engine *engine, const struct sb_train_options *options,
               struct sb_train_result *result, struct sb_error *err);
};

extern const struct sb_training *const sb_trainings[]; /* generated registry, ends with NULL */
const struct sb_training *sb_training_find(const char *name);
char *sb_training_names(void); /* of those in this build, joined by a space; malloc'd or NULL */

#endif
