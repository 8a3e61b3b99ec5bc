/* kernels: see problem.h. */
#include "kernels/problem.h"
#include "kernels/train/rng.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ELEMENTS = 1 << 28 };

static const struct sb_operand *operands(const struct sb_problem *problem) {
    return problem->call.operation->operands;
}

int sb_problem_check(const struct sb_operation *operation, enum sb_dtype dtype, const size_t *shape,
                     size_t n_shape, struct sb_error *err) {
    if (dtype != SB_DTYPE_F32 && dtype != SB_DTYPE_F64)
        return sb_error_set(err, -EINVAL, "dtype '%s' is not in this build (choices: f32 f64)",
                            sb_dtype_names[dtype]);
    size_t n = strlen(operation->sizes);
    if (shape && n_shape != n)
        return sb_error_set(err, -EINVAL, "kernel '%s' takes %zu sizes (%s), not %zu",
                            operation->name, n, operation->sizes, n_shape);
    for (size_t i = 0; shape && i < n; i++) {
        if (shape[i] == 0)
            return sb_error_set(err, -EINVAL, "kernel '%s': size %c is 0", operation->name,
                                operation->sizes[i]);
    }
    for (const struct sb_operand *o = operation->operands; o->name; o++) {
        size_t elements = 1;
        for (const char *dim = o->dims; *dim; dim++) {
            size_t i = (size_t)(strchr(operation->sizes, *dim) - operation->sizes);
            if (__builtin_mul_overflow(elements, shape ? shape[i] : operation->shape[i],
                                       &elements) ||
                elements > MOST_ELEMENTS)
                return sb_error_set(err, -EINVAL,
                                    "kernel '%s': operand '%s' would have more than %d elements",
                                    operation->name, o->name, MOST_ELEMENTS);
        }
    }
    return 0;
}

static double fill_one(const struct sb_operand *operand, struct sb_stream *stream) {
    switch (operand->fill) {
    case SB_FILL_WIDE: {
        double value = 1.0 + sb_stream_uniform(stream);
        uint32_t word = sb_stream_u32(stream);
        return ldexp(word & 1 ? -value : value, (int)(word >> 1) % 16 - 8);
    }
    case SB_FILL_NORMAL:
        return sb_stream_normal(stream);
    case SB_FILL_POSITIVE:
        return sb_stream_uniform(stream);
    default:
        return 0;
    }
}

static void fill(struct sb_call *call, size_t o, uint64_t seed) {
    const struct sb_operand *operand = &call->operation->operands[o];
    struct sb_stream stream = sb_stream_make(seed, o);
    size_t n = sb_call_elements(call, o);
    size_t below =
        operand->labels
            ? call->size[strchr(call->operation->sizes, operand->below) - call->operation->sizes]
            : 0;
    for (size_t i = 0; i < n; i++) {
        if (operand->labels)
            ((int32_t *)call->operand[o])[i] = (int32_t)sb_stream_below(&stream, below);
        else if (call->dtype == SB_DTYPE_F32)
            ((float *)call->operand[o])[i] = (float)fill_one(operand, &stream);
        else
            ((double *)call->operand[o])[i] = fill_one(operand, &stream);
    }
}

int sb_problem_make(const struct sb_operation *operation, enum sb_dtype dtype, const size_t *shape,
                    size_t n_shape, const double *attributes, uint64_t seed,
                    struct sb_problem *problem, struct sb_error *err) {
    int rc = sb_problem_check(operation, dtype, shape, n_shape, err);
    if (rc < 0)
        return rc;
    struct sb_problem made = {.call = {.operation = operation, .dtype = dtype}};
    for (size_t i = 0; operation->sizes[i]; i++)
        made.call.size[i] = shape ? shape[i] : operation->shape[i];
    for (size_t i = 0; operation->attributes[i].name; i++)
        made.call.attribute[i] = attributes ? attributes[i] : operation->attributes[i].value;
    for (size_t o = 0; operation->operands[o].name; o++) {
        size_t bytes =
            sb_call_elements(&made.call, o) * sb_dtype_size(sb_call_dtype(&made.call, o));
        made.call.operand[o] = aligned_alloc(64, (bytes + 63) / 64 * 64);
        if (!made.call.operand[o]) {
            sb_problem_clear(&made);
            return sb_error_errno(err, -ENOMEM, "kernel '%s'", operation->name);
        }
        fill(&made.call, o, seed);
    }
    *problem = made;
    return 0;
}

int sb_problem_expect(struct sb_problem *problem, struct sb_error *err) {
    for (size_t o = 0; operands(problem)[o].name; o++) {
        if (operands(problem)[o].role == SB_ROLE_IN || problem->expected[o])
            continue;
        size_t n = sb_call_elements(&problem->call, o);
        problem->expected[o] = calloc(n, sizeof(double));
        problem->scale[o] = calloc(n, sizeof(double));
        if (!problem->expected[o] || !problem->scale[o])
            return sb_error_errno(err, -ENOMEM, "kernel '%s'", problem->call.operation->name);
    }
    problem->call.operation->oracle(&problem->call, problem->expected, problem->scale);
    return 0;
}

double sb_problem_error(const struct sb_problem *problem) {
    double worst = 0;
    for (size_t o = 0; operands(problem)[o].name; o++) {
        if (!problem->expected[o])
            continue;
        size_t n = sb_call_elements(&problem->call, o);
        for (size_t i = 0; i < n; i++) {
            double got = sb_call_value(&problem->call, o, i), wanted = problem->expected[o][i];
            if (got == wanted || (got != got && wanted != wanted))
                continue;
            double error = fabs(got - wanted) / problem->scale[o][i];
            if (!(error <= worst)) /* a NaN is the worst */
                worst = error == error ? error : (double)INFINITY;
        }
    }
    return worst;
}

double sb_problem_tolerance(const struct sb_problem *problem) {
    double terms = 1;
    for (const char *letter = problem->call.operation->reduced; *letter; letter++)
        terms *= (double)problem->call.size[strchr(problem->call.operation->sizes, *letter) -
                                            problem->call.operation->sizes];
    return (terms + 8) * (problem->call.dtype == SB_DTYPE_F32 ? FLT_EPSILON : DBL_EPSILON);
}

size_t sb_problem_outputs(const struct sb_problem *problem, struct sb_problem_room *room,
                          struct sb_tensor tensors[SB_MAX_OPERANDS]) {
    const struct sb_call *call = &problem->call;
    size_t n = 0, outputs = 0;
    for (size_t o = 0; operands(problem)[o].name; o++)
        outputs += operands(problem)[o].role != SB_ROLE_IN;
    for (size_t o = 0; operands(problem)[o].name; o++) {
        const struct sb_operand *operand = &operands(problem)[o];
        if (operand->role == SB_ROLE_IN)
            continue;
        unsigned rank = 0;
        for (const char *dim = operand->dims; *dim; dim++)
            room->dims[n][rank++] =
                call->size[strchr(call->operation->sizes, *dim) - call->operation->sizes];
        snprintf(room->name[n], sizeof room->name[n], "%s/%s", call->operation->name,
                 outputs == 1 ? "output" : operand->name);
        tensors[n] = (struct sb_tensor){room->name[n], sb_call_dtype(call, o), rank, room->dims[n],
                                        call->operand[o]};
        n++;
    }
    return n;
}

void sb_problem_clear(struct sb_problem *problem) {
    for (size_t o = 0; o < SB_MAX_OPERANDS; o++) {
        free(problem->call.operand[o]);
        free(problem->expected[o]);
        free(problem->scale[o]);
    }
    *problem = (struct sb_problem){0};
}
