/* Stage 3, run: a kernel job in the worker's process: one operation on one backend, computed
 * several times. */
#include "run/worker_internal.h"

#include <samebits/weights.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "kernels/problem.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

/* What the axes batch and alignment ask for, in the environment. */
static const char batch_variable[] = "SAMEBITS_BATCH", alignment_variable[] = "SAMEBITS_ALIGNMENT";

enum { BOUNDARY = 64, MOST_KEPT = 64 };

struct job {
    const struct sb_worker_request *request;
    struct sb_engine *engine;
    struct sb_problem problem;
    struct sb_call_report said;
    bool rows_only;  /* the axis batch is varied: outputs that have no rows are left out */
    size_t batch;    /* rows computed together; 0: all */
    size_t n_calls;  /* that are to be made */
    size_t distinct; /* different outputs among them, counted up to MOST_KEPT */
    double *seconds; /* of each call */
    void *initial;   /* outputs before a call, packed one operand after the other */
    void **seen;     /* different outputs, the first call's first, packed likewise */
};

static size_t operand_bytes(const struct sb_call *call, size_t o) {
    return sb_call_elements(call, o) * sb_dtype_size(sb_call_dtype(call, o));
}

static bool is_output(const struct sb_call *call, size_t o) {
    return call->operation->operands[o].role != SB_ROLE_IN;
}

static void job_clear(struct job *job) {
    sb_problem_clear(&job->problem);
    free(job->initial);
    for (size_t i = 0; job->seen && i < job->distinct; i++)
        free(job->seen[i]);
    free(job->seen);
    free(job->seconds);
}

/* ---- What was asked -------------------------------------------------------------------------- */

/* A positive number in a variable; 0: it is not set, or says "all". */
static int read_variable(const char *name, size_t *number, struct sb_error *err) {
    const char *text = getenv(name);
    *number = 0;
    if (!text || !*text || strcmp(text, "all") == 0)
        return 0;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value == 0 || value > SIZE_MAX)
        return sb_error_set(err, -EINVAL, "%s: '%s' is no number from 1", name, text);
    *number = (size_t)value;
    return 0;
}

/* "512x512x512" */
static int parse_shape(const char *text, size_t shape[SB_MAX_SIZES], size_t *n,
                       struct sb_error *err) {
    const char *at = text;
    for (*n = 0; *n < SB_MAX_SIZES;) {
        char *end;
        errno = 0;
        unsigned long long size = strtoull(at, &end, 10);
        if (*at < '0' || *at > '9' || errno || size > SIZE_MAX || (*end && *end != 'x'))
            break;
        shape[(*n)++] = (size_t)size;
        if (!*end)
            return 0;
        at = end + 1;
    }
    return sb_error_set(err, -EINVAL, "--shape '%s' is not like 512x512x512", text);
}

/* Elements by which operands are moved off the boundary: an address that is a multiple of
 * `alignment` and of no higher power of two. Elements themselves stay aligned, as C asks. */
static size_t offset_of(size_t alignment, enum sb_dtype dtype, json_t *report) {
    size_t size = sb_dtype_size(dtype);
    if (!alignment)
        return 0;
    size_t got = alignment < size ? size : alignment;
    json_object_set_new(report, "alignment", json_integer((json_int_t)got));
    return got >= BOUNDARY ? 0 : got / size;
}

static int make_problem(struct job *job, const struct sb_operation *operation, enum sb_dtype dtype,
                        json_t *report, struct sb_error *err) {
    const struct sb_worker_request *request = job->request;
    struct sb_argument_spec specs[SB_KERNEL_ARGUMENTS];
    struct sb_argument_value values[SB_MAX_ARGUMENTS];
    size_t shape[SB_MAX_SIZES], n_shape = 0, n = 0, alignment;
    sb_kernel_arguments(operation, specs);
    int rc = sb_worker_arguments(request, specs, values, err);
    if (rc == 0 && request->shape)
        rc = parse_shape(request->shape, shape, &n_shape, err);
    if (rc == 0)
        rc = read_variable(alignment_variable, &alignment, err);
    if (rc < 0)
        return rc;
    double attributes[SB_MAX_ATTRIBUTES];
    sb_kernel_attributes(operation, values, attributes);
    while (operation->attributes[n].name)
        n++;
    struct sb_problem_options options = {.dtype = dtype,
                                         .shape = request->shape ? shape : NULL,
                                         .n_shape = n_shape,
                                         .attributes = attributes,
                                         .seed = values[n].integer,
                                         .offset = offset_of(alignment, dtype, report)};
    job->n_calls = (size_t)values[n + 1].integer;
    rc = sb_problem_make(operation, &options, &job->problem, err);
    job->problem.call.algorithm = request->algorithm;
    job->problem.call.report = &job->said;
    return rc;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* Outputs one after the other, for telling results apart. */
static void *pack(const struct sb_call *call, size_t *bytes) {
    *bytes = 0;
    for (size_t o = 0; call->operation->operands[o].name; o++)
        *bytes += is_output(call, o) ? operand_bytes(call, o) : 0;
    char *packed = malloc(*bytes), *at = packed;
    for (size_t o = 0; packed && call->operation->operands[o].name; o++) {
        size_t n = is_output(call, o) ? operand_bytes(call, o) : 0;
        memcpy(at, call->operand[o], n);
        at += n;
    }
    return packed;
}

/* Writes packed outputs back to their operands. */
static void unpack(const struct sb_call *call, const void *packed) {
    const char *at = packed;
    for (size_t o = 0; call->operation->operands[o].name; o++) {
        size_t n = is_output(call, o) ? operand_bytes(call, o) : 0;
        memcpy(call->operand[o], at, n);
        at += n;
    }
}

/* The same rows, so many at a time. */
static int call_in_batches(struct job *job, struct sb_error *err) {
    struct sb_problem *whole = &job->problem;
    size_t rows = sb_call_size(&whole->call, whole->call.operation->row);
    for (size_t first = 0; first < rows; first += job->batch) {
        size_t n = rows - first < job->batch ? rows - first : job->batch;
        struct sb_problem part = {0};
        int rc = sb_problem_rows(whole, first, n, &part, err);
        if (rc == 0)
            rc = sb_engine_call(job->engine, &part.call, err);
        if (rc == 0)
            sb_problem_rows_back(&part, first, whole);
        sb_problem_clear(&part);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Has an earlier call given these outputs? If not, they are kept. */
static int note_outputs(struct job *job, struct sb_error *err) {
    size_t bytes;
    SB_AUTO_FREE void *packed = pack(&job->problem.call, &bytes);
    if (!packed)
        return sb_error_errno(err, -ENOMEM, "outputs");
    for (size_t i = 0; i < job->distinct; i++) {
        if (memcmp(job->seen[i], packed, bytes) == 0)
            return 0;
    }
    if (job->distinct < MOST_KEPT)
        job->seen[job->distinct++] = sb_steal_pointer(&packed);
    return 0;
}

static int make_calls(struct job *job, struct sb_error *err) {
    const struct sb_call *call = &job->problem.call;
    size_t bytes;
    job->seconds = calloc(job->n_calls, sizeof *job->seconds);
    job->seen = calloc(MOST_KEPT, sizeof *job->seen);
    job->initial = pack(call, &bytes);
    if (!job->seconds || !job->seen || !job->initial)
        return sb_error_errno(err, -ENOMEM, "calls");
    int rc = 0;
    for (size_t i = 0; i < job->n_calls && rc == 0; i++) {
        unpack(call, job->initial);
        double begun = sb_monotonic();
        rc = job->batch ? call_in_batches(job, err) : sb_engine_call(job->engine, call, err);
        job->seconds[i] = sb_monotonic() - begun;
        if (rc == 0)
            rc = note_outputs(job, err);
    }
    if (rc == 0)
        unpack(call, job->seen[0]);
    return rc;
}

/* ---- Outputs ----------------------------------------------------------------------------------
 */

/* What the job saves. Where rows are cut, an output that has none (a gradient summed over all rows)
 * is another quantity, and left out at every level. */
static size_t outputs(const struct job *job, struct sb_problem_room *room,
                      struct sb_tensor tensors[SB_MAX_OPERANDS]) {
    size_t n = sb_problem_outputs(&job->problem, room, tensors), kept = 0, i = 0;
    for (size_t o = 0; i < n; o++) {
        if (!is_output(&job->problem.call, o))
            continue;
        if (!job->rows_only || sb_problem_has_rows(&job->problem, o))
            tensors[kept++] = tensors[i];
        i++;
    }
    return kept;
}

static int save(const struct job *job, struct sb_error *err) {
    struct sb_problem_room room;
    struct sb_tensor tensors[SB_MAX_OPERANDS];
    size_t n = outputs(job, &room, tensors);
    return sb_weights_write_hdf5(job->request->weights, tensors, n, err);
}

/* ---- Report ---------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Without the first call, which pays for what is made once, where there are others. */
static double median_seconds(const struct job *job) {
    double *from = job->seconds + (job->n_calls > 1);
    size_t n = job->n_calls - (job->n_calls > 1);
    qsort(from, n, sizeof *from, compare_doubles);
    return n % 2 ? from[n / 2] : (from[n / 2 - 1] + from[n / 2]) / 2;
}

static void report_accuracy(const struct job *job, json_t *report) {
    double error = sb_problem_error(&job->problem), most = sb_problem_tolerance(&job->problem);
    json_t *accuracy = json_object();
    /* JSON has no infinity, which a NaN's error is; null would read as unknown. */
    json_object_set_new(accuracy, "max_rel_vs_f64", sb_json_real(fmin(error, DBL_MAX)));
    json_object_set_new(accuracy, "tolerance", sb_json_real(most));
    json_object_set_new(report, "accuracy", accuracy);
    printf(
        "largest error against float64, relative to the magnitudes summed: %.3g (any order of "
        "summation: %.3g)\n",
        error, most);
}

/* Fingerprints of the results other than the first call's. */
static json_t *others_json(const struct job *job) {
    enum { MOST_LISTED = 16 };
    json_t *others = json_array();
    for (size_t i = 1; i < job->distinct && i <= MOST_LISTED; i++) {
        struct sb_problem_room room;
        struct sb_tensor tensors[SB_MAX_OPERANDS];
        struct sb_fingerprint fingerprint = {0};
        unpack(&job->problem.call, job->seen[i]);
        size_t n = outputs(job, &room, tensors);
        if (sb_tensors_fingerprint(tensors, n, SB_DIGEST_XXH3, &fingerprint, NULL) == 0)
            json_array_append_new(others, json_string(fingerprint.text));
        sb_fingerprint_clear(&fingerprint);
    }
    unpack(&job->problem.call, job->seen[0]);
    return others;
}

static void report_calls(const struct job *job, json_t *report) {
    json_t *calls = json_object();
    json_object_set_new(calls, "n", json_integer((json_int_t)job->n_calls));
    json_object_set_new(calls, "distinct", json_integer((json_int_t)job->distinct));
    json_object_set_new(calls, "seconds", sb_json_real(median_seconds(job)));
    json_object_set_new(calls, "others", others_json(job));
    json_object_set_new(report, "calls", calls);
    printf("%zu call%s in this process: %zu different result%s\n", job->n_calls,
           job->n_calls == 1 ? "" : "s", job->distinct, job->distinct == 1 ? "" : "s");
}

static void report_claim(const struct job *job, json_t *report) {
    const struct sb_call_report *said = &job->said;
    if (!said->algorithm[0] && said->claim == SB_CLAIM_NONE && !said->note[0])
        return;
    json_t *claim = json_object();
    json_object_set_new(claim, "algorithm",
                        said->algorithm[0] ? sb_json_string(said->algorithm) : json_null());
    json_object_set_new(claim, "claim", json_string(sb_claim_names[said->claim]));
    json_object_set_new(claim, "note", said->note[0] ? sb_json_string(said->note) : json_null());
    json_object_set_new(claim, "workspace", json_integer((json_int_t)said->workspace));
    json_object_set_new(report, "claim", claim);
}

/* Where rows are cut, nobody computes the outputs that have none, so nothing is expected of them.
 */
static void forget_whole_outputs(struct job *job) {
    for (size_t o = 0; job->rows_only && o < SB_MAX_OPERANDS; o++) {
        if (!job->problem.expected[o] || sb_problem_has_rows(&job->problem, o))
            continue;
        free(job->problem.expected[o]);
        job->problem.expected[o] = NULL;
    }
}

int sb_worker_kernel(const struct sb_worker_request *request, const struct sb_operation *operation,
                     enum sb_dtype dtype, struct sb_engine *engine, json_t *report,
                     struct sb_error *err) {
    SB_CLEANUP(job_clear) struct job job = {.request = request, .engine = engine};
    const char *batch = getenv(batch_variable);
    job.rows_only = batch && *batch;
    int rc = read_variable(batch_variable, &job.batch, err);
    if (rc == 0 && job.rows_only && !operation->row)
        rc = sb_error_set(err, -ENOTSUP, "kernel '%s' has no independent rows to batch",
                          operation->name);
    if (rc == 0)
        rc = make_problem(&job, operation, dtype, report, err);
    if (rc == 0)
        rc = sb_problem_expect(&job.problem, err);
    if (rc == 0)
        forget_whole_outputs(&job);
    if (rc == 0)
        rc = make_calls(&job, err);
    if (rc == 0)
        rc = save(&job, err);
    if (rc < 0)
        return rc;
    if (job.rows_only) {
        size_t rows = sb_call_size(&job.problem.call, operation->row);
        json_object_set_new(
            report, "batch",
            json_integer((json_int_t)(job.batch && job.batch < rows ? job.batch : rows)));
    }
    report_accuracy(&job, report);
    report_calls(&job, report);
    report_claim(&job, report);
    return 0;
}
