/* kernels, train: see variable.h. */
#include "kernels/train/variable.h"
#include "kernels/numeric.h"
#include "kernels/ops/operations.h"
#include "kernels/train/rng.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sb_variable_make(enum sb_dtype dtype, unsigned rank, const uint64_t *dims,
                     struct sb_variable *variable) {
    *variable = (struct sb_variable){.n = 1, .rank = rank, .merged = 1};
    for (unsigned i = 0; i < rank; i++) {
        variable->dims[i] = dims[i];
        variable->order[i] = i;
        if (__builtin_mul_overflow(variable->n, dims[i], &variable->n))
            return -ENOMEM;
    }
    void **arrays[] = {&variable->value, &variable->gradient, &variable->momentum,
                       &variable->velocity, &variable->initial};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = calloc(variable->n, sb_dtype_size(dtype));
        if (!*arrays[i])
            return -ENOMEM;
    }
    return 0;
}

void sb_variable_clear(struct sb_variable *variable) {
    free(variable->value);
    free(variable->gradient);
    free(variable->momentum);
    free(variable->velocity);
    free(variable->initial);
    *variable = (struct sb_variable){0};
}

static void store(struct sb_variable *variable, enum sb_dtype dtype, size_t i, float value) {
    if (dtype == SB_DTYPE_F32)
        ((float *)variable->value)[i] = ((float *)variable->initial)[i] = value;
    else
        ((double *)variable->value)[i] = ((double *)variable->initial)[i] = value;
}

void sb_variable_uniform(struct sb_variable *variable, enum sb_dtype dtype, double limit,
                         struct sb_stream *stream) {
    for (size_t i = 0; i < variable->n; i++) {
        float value;
        sb_stream_fill_uniform(stream, (float)-limit, (float)limit, &value, 1);
        store(variable, dtype, i, value);
    }
}

void sb_variable_glorot(struct sb_variable *variable, enum sb_dtype dtype, double fan_in,
                        double fan_out, struct sb_stream *stream) {
    sb_variable_uniform(variable, dtype, sb_sqrt(6.0 / (fan_in + fan_out)), stream);
}

void sb_variable_fill(struct sb_variable *variable, enum sb_dtype dtype, double value) {
    for (size_t i = 0; i < variable->n; i++)
        store(variable, dtype, i, (float)value);
}

bool sb_variables_untrained(struct sb_variable *const *variables, size_t n, enum sb_dtype dtype) {
    for (size_t i = 0; i < n; i++) {
        const struct sb_variable *v = variables[i];
        if (memcmp(v->value, v->initial, v->n * sb_dtype_size(dtype)) != 0)
            return false;
    }
    return true;
}

int sb_variables_adam(struct sb_variable *const *variables, size_t n, enum sb_dtype dtype,
                      struct sb_engine *engine, double learning_rate, uint64_t step,
                      struct sb_error *err) {
    for (size_t i = 0; i < n; i++) {
        const struct sb_variable *v = variables[i];
        int rc = sb_engine_call(
            engine,
            &(struct sb_call){.operation = &sb_operation_adam,
                              .dtype = dtype,
                              .size = {v->n},
                              .operand = {v->value, v->momentum, v->velocity, v->gradient},
                              .attribute = {learning_rate, 0.9, 0.999, 1e-7, (double)step}},
            err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- Saving ---------------------------------------------------------------------------------- */

/* Takes name and data over, both of which may be NULL for want of memory. */
static int add(struct sb_train_result *result, enum sb_dtype dtype, unsigned rank,
               const uint64_t *dims, char *name, void *data) {
    uint64_t *own_dims = calloc(rank ? rank : 1, sizeof *own_dims);
    struct sb_tensor *tensors = realloc(result->tensors, (result->n + 1) * sizeof *tensors);
    if (tensors)
        result->tensors = tensors;
    if (!name || !own_dims || !data || !tensors) {
        free(name);
        free(own_dims);
        free(data);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < rank; i++)
        own_dims[i] = dims[i];
    tensors[result->n++] = (struct sb_tensor){name, dtype, rank, own_dims, data};
    return 0;
}

static char *format_name(const char *format, va_list arguments) {
    char *text = NULL;
    return vasprintf(&text, format, arguments) < 0 ? NULL : text;
}

int sb_result_add(struct sb_train_result *result, enum sb_dtype dtype, unsigned rank,
                  const uint64_t *dims, const void *data, const char *format, ...) {
    size_t bytes = sb_dtype_size(dtype);
    for (unsigned i = 0; i < rank; i++)
        bytes *= dims[i];
    void *copy = malloc(bytes);
    if (copy)
        memcpy(copy, data, bytes);
    va_list arguments;
    va_start(arguments, format);
    char *name = format_name(format, arguments);
    va_end(arguments);
    return add(result, dtype, rank, dims, name, copy);
}

/* Element by element in the order of the file: `at` counts through its dimensions. */
static void *in_file_order(const struct sb_variable *variable, const char *data, size_t size) {
    size_t stride[SB_VARIABLE_RANK], at[SB_VARIABLE_RANK] = {0}, step = 1;
    char *out = malloc(variable->n * size);
    for (unsigned i = variable->rank; i-- > 0; step *= variable->dims[i])
        stride[i] = step;
    for (size_t i = 0; out && i < variable->n; i++) {
        size_t place = 0;
        for (unsigned d = 0; d < variable->rank; d++)
            place += at[d] * stride[variable->order[d]];
        memcpy(out + i * size, data + place * size, size);
        for (unsigned d = variable->rank; d-- > 0;) {
            if (++at[d] < variable->dims[variable->order[d]])
                break;
            at[d] = 0;
        }
    }
    return out;
}

int sb_result_add_variable(struct sb_train_result *result, enum sb_dtype dtype,
                           const struct sb_variable *variable, const void *data, const char *format,
                           ...) {
    uint64_t dims[SB_VARIABLE_RANK] = {1};
    unsigned rank = 0;
    for (unsigned d = 0; d < variable->rank; d++) {
        uint64_t size = variable->dims[variable->order[d]];
        if (d && d < variable->merged)
            dims[0] *= size;
        else
            dims[rank++] = size;
    }
    va_list arguments;
    va_start(arguments, format);
    char *name = format_name(format, arguments);
    va_end(arguments);
    return add(result, dtype, rank, dims, name,
               in_file_order(variable, data, sb_dtype_size(dtype)));
}

int sb_result_add_adam(struct sb_train_result *result, enum sb_dtype dtype,
                       struct sb_variable *const *variables, size_t n, double learning_rate,
                       uint64_t steps) {
    int64_t iterations = (int64_t)steps;
    float rate = (float)learning_rate;
    int rc = sb_result_add(result, SB_DTYPE_I64, 0, NULL, &iterations, "optimizer/vars/0");
    if (rc == 0)
        rc = sb_result_add(result, SB_DTYPE_F32, 0, NULL, &rate, "optimizer/vars/1");
    for (size_t i = 0; i < 2 * n && rc == 0; i++) {
        const struct sb_variable *v = variables[i / 2];
        rc = sb_result_add_variable(result, dtype, v, i % 2 ? v->velocity : v->momentum,
                                    "optimizer/vars/%zu", i + 2);
    }
    return rc;
}
