/* kernels, train: weight tensors with the state of Adam, and how they are saved. */
#ifndef SB_KERNELS_VARIABLE_H
#define SB_KERNELS_VARIABLE_H

#include "kernels/dispatch.h"
#include "kernels/train/train.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SB_VARIABLE_RANK = 4 };

/* One weight tensor; n elements of the model's dtype each. */
struct sb_variable {
    size_t n;
    void *value, *gradient, *momentum, *velocity, *initial;
    unsigned rank;
    uint64_t dims[SB_VARIABLE_RANK]; /* in memory */
    /* In a file, dimension i is dimension order[i] of memory, and the first `merged` are one. */
    unsigned order[SB_VARIABLE_RANK], merged;
};

/* All zero, and in a file as in memory. 0 or -ENOMEM; clear it either way. */
int sb_variable_make(enum sb_dtype dtype, unsigned rank, const uint64_t *dims,
                     struct sb_variable *variable);
void sb_variable_clear(struct sb_variable *variable);

/* Uniform in ±limit; kept as `initial`. */
struct sb_stream;
void sb_variable_uniform(struct sb_variable *variable, enum sb_dtype dtype, double limit,
                         struct sb_stream *stream);
/* Uniform in ±√(6 / (fan_in + fan_out)): Glorot and Bengio (2010), as Keras. Kept as `initial`. */
void sb_variable_glorot(struct sb_variable *variable, enum sb_dtype dtype, double fan_in,
                        double fan_out, struct sb_stream *stream);
/* Every element that value; kept as `initial`. */
void sb_variable_fill(struct sb_variable *variable, enum sb_dtype dtype, double value);

/* Have all still the bits that they were given at first? */
bool sb_variables_untrained(struct sb_variable *const *variables, size_t n, enum sb_dtype dtype);

/* Step number `step`, from 1, of Adam; constants but the learning rate are Keras's defaults. */
int sb_variables_adam(struct sb_variable *const *variables, size_t n, enum sb_dtype dtype,
                      struct sb_engine *engine, double learning_rate, uint64_t step,
                      struct sb_error *err);

/* Each copies into the result. 0 or -ENOMEM. */
int sb_result_add(struct sb_train_result *result, enum sb_dtype dtype, unsigned rank,
                  const uint64_t *dims, const void *data, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* `data`: the variable's value, or other n elements laid out as that. */
int sb_result_add_variable(struct sb_train_result *result, enum sb_dtype dtype,
                           const struct sb_variable *variable, const void *data, const char *format,
                           ...) __attribute__((format(printf, 5, 6)));
/* optimizer/vars as in Keras's files: iterations, learning rate, then momentum and velocity of each
 * variable. */
int sb_result_add_adam(struct sb_train_result *result, enum sb_dtype dtype,
                       struct sb_variable *const *variables, size_t n, double learning_rate,
                       uint64_t steps);

#endif
