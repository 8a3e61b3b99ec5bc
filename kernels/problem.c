/* kernels: see problem.h. */
#include "kernels/problem.h"
#include "kernels/train/rng.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ELEMENTS = 1 << 28 };

static const struct sb_operand *operands(const struct sb_problem *problem) {
    return problem->call.operation->operands;
}

static bool known_dtype(enum sb_dtype dtype) {
    return dtype == SB_DTYPE_F16 || dtype == SB_DTYPE_BF16 || dtype == SB_DTYPE_F32 ||
           dtype == SB_DTYPE_F64;
}

/* Sizes, derived ones too, and attributes, as they will stand in the call. */
static int settle(const struct sb_operation *operation, const struct sb_problem_options *options,
                  struct sb_call *call, struct sb_error *err) {
    size_t n = strlen(operation->sizes);
    *call = (struct sb_call){.operation = operation, .dtype = options->dtype};
    if (options->shape && options->n_shape != n)
        return sb_error_set(err, -EINVAL, "kernel '%s' takes %zu sizes (%s), not %zu",
                            operation->name, n, operation->sizes, options->n_shape);
    for (size_t i = 0; i < n; i++) {
        call->size[i] = options->shape ? options->shape[i] : operation->shape[i];
        if (call->size[i] == 0)
            return sb_error_set(err, -EINVAL, "kernel '%s': size %c is 0", operation->name,
                                operation->sizes[i]);
        if (call->size[i] > MOST_ELEMENTS)
            return sb_error_set(err, -EINVAL, "kernel '%s': size %c is more than %d",
                                operation->name, operation->sizes[i], MOST_ELEMENTS);
    }
    for (size_t i = 0; operation->attributes[i].name; i++)
        call->attribute[i] =
            options->attributes ? options->attributes[i] : operation->attributes[i].value;
    int rc = operation->derive ? operation->derive(call->size, call->attribute, err) : 0;
    return rc < 0 ? sb_error_prefix(err, rc, "kernel '%s'", operation->name) : 0;
}

int sb_problem_check(const struct sb_operation *operation, const struct sb_problem_options *options,
                     struct sb_error *err) {
    if (!known_dtype(options->dtype))
        return sb_error_set(err, -EINVAL,
                            "dtype '%s' is not in this build (choices: f16 bf16 f32 f64)",
                            sb_dtype_names[options->dtype]);
    struct sb_call call;
    int rc = settle(operation, options, &call, err);
    for (const struct sb_operand *o = operation->operands; rc == 0 && o->name; o++) {
        size_t elements = 1;
        for (const char *dim = o->dims; *dim; dim++) {
            if (__builtin_mul_overflow(elements, sb_call_size(&call, *dim), &elements) ||
                elements > MOST_ELEMENTS)
                return sb_error_set(err, -EINVAL,
                                    "kernel '%s': operand '%s' would have more than %d elements",
                                    operation->name, o->name, MOST_ELEMENTS);
        }
    }
    return rc;
}

static double fill_one(const struct sb_operand *operand, enum sb_dtype dtype,
                       struct sb_stream *stream) {
    switch (operand->fill) {
    case SB_FILL_WIDE: {
        double value = 1.0 + sb_stream_uniform(stream);
        uint32_t word = sb_stream_u32(stream);
        int range = dtype == SB_DTYPE_F16 ? 4 : 8; /* f16 ends at 2^16, also for sums of products */
        return ldexp(word & 1 ? -value : value, (int)(word >> 1) % (2 * range) - range);
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
    size_t below = operand->labels ? sb_call_size(call, operand->below) : 0;
    for (size_t i = 0; i < n; i++) {
        if (operand->labels)
            ((int32_t *)call->operand[o])[i] = (int32_t)sb_stream_below(&stream, below);
        else
            sb_call_store(call, o, i, fill_one(operand, call->dtype, &stream));
    }
}

/* Memory of an operand; of what lies before and after it within the block nothing is read. */
static int allocate(struct sb_problem *problem, size_t o, size_t offset, struct sb_error *err) {
    const struct sb_call *call = &problem->call;
    size_t size = sb_dtype_size(sb_call_dtype(call, o));
    size_t bytes = (sb_call_elements(call, o) + offset) * size;
    problem->block[o] = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!problem->block[o])
        return sb_error_errno(err, -ENOMEM, "kernel '%s'", call->operation->name);
    problem->call.operand[o] = (char *)problem->block[o] + offset * size;
    return 0;
}

int sb_problem_make(const struct sb_operation *operation, const struct sb_problem_options *options,
                    struct sb_problem *problem, struct sb_error *err) {
    struct sb_problem made = {0};
    int rc = sb_problem_check(operation, options, err);
    if (rc == 0)
        rc = settle(operation, options, &made.call, err);
    for (size_t o = 0; rc == 0 && operation->operands[o].name; o++) {
        rc = allocate(&made, o, options->offset, err);
        if (rc == 0)
            fill(&made.call, o, options->seed);
    }
    if (rc < 0) {
        sb_problem_clear(&made);
        return rc;
    }
    if (operation->prepare)
        operation->prepare(&made.call);
    *problem = made;
    return 0;
}

/* How an operand's memory lies along the operation's row letter: `outer` blocks of `rows` rows of
 * `bytes`; rows is 0 where it has no such dimension. */
struct rows {
    size_t outer, rows, bytes;
};

static struct rows rows_of(const struct sb_call *call, size_t o) {
    const struct sb_operand *operand = &call->operation->operands[o];
    const char swapped[] = {operand->dims[0] ? operand->dims[1] : '\0', operand->dims[0], '\0'};
    bool swap = operand->transposed_by && call->attribute[operand->transposed_by - 1] != 0;
    const char *dims = swap ? swapped : operand->dims;
    const char *at = strchr(dims, call->operation->row);
    struct rows layout = {1, 0, sb_dtype_size(sb_call_dtype(call, o))};
    for (const char *dim = dims; *dim; dim++) {
        if (dim == at)
            layout.rows = sb_call_size(call, *dim);
        else if (at && dim < at)
            layout.outer *= sb_call_size(call, *dim);
        else
            layout.bytes *= sb_call_size(call, *dim);
    }
    return layout;
}

int sb_problem_rows(const struct sb_problem *whole, size_t first, size_t n, struct sb_problem *part,
                    struct sb_error *err) {
    const struct sb_operation *operation = whole->call.operation;
    if (!operation->row)
        return sb_error_set(err, -ENOTSUP, "kernel '%s' has no independent rows", operation->name);
    struct sb_problem made = {.call = whole->call};
    made.call.size[strchr(operation->sizes, operation->row) - operation->sizes] = n;
    memset(made.call.operand, 0, sizeof made.call.operand);
    for (size_t o = 0; operation->operands[o].name; o++) {
        int rc = allocate(&made, o, 0, err);
        if (rc < 0) {
            sb_problem_clear(&made);
            return rc;
        }
        struct rows layout = rows_of(&whole->call, o);
        const char *from = whole->call.operand[o];
        char *to = made.call.operand[o];
        size_t row = layout.bytes;
        if (!layout.rows)
            memcpy(to, from, row);
        for (size_t i = 0; i < layout.outer && layout.rows; i++)
            memcpy(to + i * n * row, from + (i * layout.rows + first) * row, n * row);
    }
    *part = made;
    return 0;
}

void sb_problem_rows_back(const struct sb_problem *part, size_t first, struct sb_problem *whole) {
    const struct sb_operation *operation = whole->call.operation;
    for (size_t o = 0; operation->operands[o].name; o++) {
        struct rows layout = rows_of(&whole->call, o), cut = rows_of(&part->call, o);
        if (operation->operands[o].role == SB_ROLE_IN)
            continue;
        const char *from = part->call.operand[o];
        char *to = whole->call.operand[o];
        for (size_t i = 0; i < layout.outer && layout.rows; i++)
            memcpy(to + (i * layout.rows + first) * layout.bytes,
                   from + i * cut.rows * layout.bytes, cut.rows * layout.bytes);
    }
}

bool sb_problem_has_rows(const struct sb_problem *problem, size_t o) {
    return problem->call.operation->row && rows_of(&problem->call, o).rows > 0;
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

/* Of each type: unit of rounding, the smallest number above 0, and what rounds to infinity. */
struct limits {
    enum sb_dtype dtype;
    double unit, smallest, infinite;
};

static const struct limits *limits_of(enum sb_dtype dtype) {
    static const struct limits limits[] = {
        {SB_DTYPE_F16, 0x1p-11, 0x1p-24, 65520},
        {SB_DTYPE_BF16, 0x1p-8, 0x1p-133, 0x1.ffp+127},
        {SB_DTYPE_F32, 0x1p-24, 0x1p-149, 0x1.ffffffp+127},
        {SB_DTYPE_F64, 0x1p-53, 0x1p-1074, (double)INFINITY},
    };
    size_t i = 0;
    while (limits[i].dtype != dtype && limits[i].dtype != SB_DTYPE_F64)
        i++;
    return &limits[i];
}

/* Of one element, relative to its scale. Below the smallest number there is nothing to be right
 * about. */
static double error_of(double got, double wanted, double scale, const struct limits *limits) {
    if (got == wanted || (isnan(got) && isnan(wanted)))
        return 0;
    if (isinf(got) && fabs(wanted) >= limits->infinite && signbit(got) == signbit(wanted))
        return 0;
    if (!isfinite(got) || !isfinite(wanted))
        return (double)INFINITY;
    double error = fabs(got - wanted) - limits->smallest;
    return error > 0 ? error / scale : 0;
}

double sb_problem_error(const struct sb_problem *problem) {
    const struct limits *limits = limits_of(problem->call.dtype);
    double worst = 0;
    for (size_t o = 0; operands(problem)[o].name; o++) {
        size_t n = problem->expected[o] ? sb_call_elements(&problem->call, o) : 0;
        for (size_t i = 0; i < n; i++)
            worst = fmax(worst, error_of(sb_call_value(&problem->call, o, i),
                                         problem->expected[o][i], problem->scale[o][i], limits));
    }
    return worst;
}

double sb_problem_tolerance(const struct sb_problem *problem) {
    const struct sb_call *call = &problem->call;
    double most = 1, terms = 1, own = limits_of(call->dtype)->unit;
    double sums = call->dtype == SB_DTYPE_F64 ? own : limits_of(SB_DTYPE_F32)->unit;
    for (const char *dim = call->operation->reduced; *dim; dim++) {
        terms = *dim == ' ' ? 1 : terms * (double)sb_call_size(call, *dim);
        most = fmax(most, terms);
    }
    double tolerance = (most + 8) * 2 * sums + (own > sums ? 4 * own : 0);
    /* Factors that are rounded to a coarser type first: one rounding of each. */
    if (call->report && call->report->unit > sums)
        tolerance += 4 * call->report->unit;
    return tolerance;
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
            room->dims[n][rank++] = sb_call_size(call, *dim);
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
        free(problem->block[o]);
        free(problem->expected[o]);
        free(problem->scale[o]);
    }
    *problem = (struct sb_problem){0};
}
