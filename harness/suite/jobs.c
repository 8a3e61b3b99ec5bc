/* Stage 1, suite: drafts to jobs: the command line's word, checks of the whole, and backends,
 * dtypes, algorithms and shapes multiplied out. */
#include "suite/build.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "suite/scalars.h"

#include <errno.h>
#include <string.h>

enum { MAX_JOBS = 10000 };

void sb_draft_init(struct sb_draft *draft) {
    *draft = (struct sb_draft){
        .job = {.repeats = {.min = SB_REPEATS_DEFAULT}, .tolerance = {-1, -1, -1}},
    };
}

void sb_job_clear(struct sb_job *job) {
    struct sb_strings lists[] = {{job->command, job->n_command},
                                 {job->exclude, job->n_exclude},
                                 {job->include, job->n_include},
                                 {job->inputs, job->n_inputs},
                                 {job->needs, job->n_needs}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        sb_strings_clear(&lists[i]);
    char *const texts[] = {job->name,      job->id,      job->subject,   job->backend, job->dtype,
                           job->algorithm, job->weights, job->directory, job->install};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    for (size_t i = 0; i < job->n_arguments; i++) {
        free(job->arguments[i].name);
        free(job->arguments[i].value);
    }
    for (size_t i = 0; i < job->n_axes; i++)
        sb_suite_axis_clear(&job->axes[i]);
    for (size_t i = 0; i < job->n_require; i++)
        free(job->require[i].axis);
    free(job->command_where);
    free(job->shape);
    free(job->arguments);
    free(job->axes);
    free(job->require);
    *job = (struct sb_job){0};
}

void sb_draft_clear(struct sb_draft *draft) {
    sb_job_clear(&draft->job);
    sb_texts_clear(&draft->backends);
    sb_texts_clear(&draft->dtypes);
    sb_texts_clear(&draft->algorithms);
    for (size_t i = 0; i < draft->n_shapes; i++)
        free(draft->shapes[i].dims);
    free(draft->shapes);
    *draft = (struct sb_draft){0};
}

/* ---- Requirements --------------------------------------------------------------------------- */

static struct sb_requirement *find_requirement(const struct sb_job *job, const char *axis) {
    for (size_t i = 0; i < job->n_require; i++) {
        if (strcmp(job->require[i].axis, axis) == 0)
            return &job->require[i];
    }
    return NULL;
}

enum sb_need sb_job_need(const struct sb_job *job, const char *axis) {
    static const char *const rounding[] = {"threads", "deterministic", "isa"};
    const struct sb_requirement *requirement = find_requirement(job, axis);
    if (requirement)
        return requirement->need;
    for (size_t i = 0; i < sizeof rounding / sizeof *rounding; i++) {
        if (strcmp(axis, rounding[i]) == 0)
            return SB_NEED_ROUNDING;
    }
    return SB_NEED_BITWISE;
}

int sb_require_put(struct sb_build *build, struct sb_job *job, const char *axis, enum sb_need need,
                   const struct sb_where *where) {
    struct sb_requirement *slot = find_requirement(job, axis);
    if (!slot) {
        int rc = sb_build_spend(build, sizeof *slot + strlen(axis), where);
        if (rc < 0)
            return rc;
        SB_AUTO_FREE char *name = strdup(axis);
        slot = name ? sb_array_add(&job->require, &job->n_require) : NULL;
        if (!slot)
            return sb_build_no_memory(build);
        slot->axis = sb_steal_pointer(&name);
    }
    slot->need = need;
    slot->where = *where;
    return 0;
}

/* Writes one need for all out for each axis. `over`: also where one was said already. */
static int require_all(struct sb_build *build, struct sb_job *job, enum sb_need need, bool over,
                       const struct sb_where *where) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && over && i < job->n_require; i++)
        job->require[i].need = need;
    for (size_t i = 0; rc == 0 && i <= job->n_axes; i++) {
        const char *axis = i ? job->axes[i - 1].name : "repeats";
        if (!find_requirement(job, axis))
            rc = sb_require_put(build, job, axis, need, where);
    }
    return rc;
}

/* ---- The command line's word ---------------------------------------------------------------- */

static int override_repeats(struct sb_build *build, struct sb_repeats *repeats,
                            const struct sb_overrides *overrides) {
    if (overrides->repeats) {
        repeats->min = overrides->repeats->min;
        repeats->max = overrides->repeats->max;
        repeats->exact = overrides->repeats->exact || (repeats->exact && !repeats->max);
        repeats->stop_diverged |= overrides->repeats->stop_diverged;
    }
    if (!overrides->exact)
        return 0;
    if (*overrides->exact && overrides->repeats && overrides->repeats->max)
        return sb_error_set(build->err, -EINVAL,
                            "--exact-repeats contradicts the range --repeats %u..%u", repeats->min,
                            repeats->max);
    repeats->exact = *overrides->exact;
    if (repeats->exact) {
        repeats->max = 0;
        repeats->stop_diverged = false;
    }
    return 0;
}

static void override_tolerance(struct sb_tolerance *tolerance, const struct sb_tolerance *given) {
    if (given->ulp >= 0)
        *tolerance = (struct sb_tolerance){-1, -1, given->ulp};
    if (given->rtol >= 0 || given->atol >= 0)
        tolerance->ulp = given->ulp;
    if (given->rtol >= 0)
        tolerance->rtol = given->rtol;
    if (given->atol >= 0)
        tolerance->atol = given->atol;
}

static int append_patterns(struct sb_build *build, char *const *patterns, size_t n, char ***items,
                           size_t *n_items, const struct sb_where *where) {
    struct sb_strings list = {.items = *items, .n = *n_items};
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = sb_build_spend(build, strlen(patterns[i]), where);
        if (rc == 0 && sb_strings_add(&list, patterns[i]) < 0)
            rc = sb_build_no_memory(build);
    }
    *items = list.items;
    *n_items = list.n;
    return rc;
}

static int override_draft(struct sb_build *build, struct sb_draft *draft,
                          const struct sb_overrides *overrides) {
    struct sb_job *job = &draft->job;
    int rc = 0;
    for (size_t i = 0; i < overrides->n_axes && rc == 0; i++)
        rc = sb_axes_put(build, &job->axes, &job->n_axes, &overrides->axes[i]);
    if (rc == 0)
        rc = override_repeats(build, &job->repeats, overrides);
    if (rc == 0)
        rc = append_patterns(build, overrides->exclude, overrides->n_exclude, &job->exclude,
                             &job->n_exclude, &job->where);
    if (rc == 0)
        rc = append_patterns(build, overrides->include, overrides->n_include, &job->include,
                             &job->n_include, &job->where);
    if (overrides->design)
        job->design = *overrides->design;
    if (overrides->tolerance)
        override_tolerance(&job->tolerance, overrides->tolerance);
    if (overrides->timeout_s >= 0)
        job->timeout_s = overrides->timeout_s;
    return rc;
}

int sb_overrides_check(struct sb_build *build, const struct sb_overrides *overrides) {
    for (size_t i = 0; overrides && i < overrides->n_axes; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(overrides->axes[i].name, overrides->axes[j].name) == 0)
                return sb_error_set(build->err, -EINVAL, "--vary: axis '%s' is given twice",
                                    sb_show(overrides->axes[i].name).text);
        }
    }
    return 0;
}

/* ---- Checks of the whole -------------------------------------------------------------------- */

/* `{weights}` must have a path to stand for. Whether every other name is an axis is checked by
 * stage 2, which knows them. */
static int check_placeholders(struct sb_build *build, const struct sb_job *job) {
    for (size_t i = 0; i < job->n_command; i++) {
        struct sb_placeholders walk = {.at = job->command[i]};
        const char *piece;
        size_t n;
        for (enum sb_piece kind; (kind = sb_placeholder_next(&walk, &piece, &n));) {
            if (kind != SB_PIECE_NAME || n != strlen("weights") || memcmp(piece, "weights", n) != 0)
                continue;
            if (!job->weights)
                return sb_where_error(build->err, -EINVAL, &job->command_where[i],
                                      "{weights} stands for the path of the weights, and none is "
                                      "given (for a literal brace write '{{')");
            if (sb_has_glob(job->weights))
                return sb_where_error(build->err, -EINVAL, &job->command_where[i],
                                      "{weights} stands for one path, and weights is the glob '%s'",
                                      sb_show(job->weights).text);
        }
    }
    return 0;
}

/* What a built-in job has where nothing is said. */
static int fill_builtin(struct sb_build *build, struct sb_draft *draft) {
    struct sb_job *job = &draft->job;
    int rc = 0;
    if (job->kind == SB_JOB_COMMAND)
        return 0;
    if (!draft->backends.strings.n)
        rc = sb_texts_add(build, &draft->backends, "ref", &job->where);
    if (rc == 0 && job->kind == SB_JOB_KERNEL && !draft->dtypes.strings.n)
        rc = sb_texts_add(build, &draft->dtypes, "f32", &job->where);
    if (rc == 0 && job->weights && sb_has_glob(job->weights))
        rc = sb_where_error(build->err, -EINVAL, &draft->weights_where,
                            "'weights': a built-in job writes one file, and '%s' is a glob",
                            sb_show(job->weights).text);
    if (rc == 0 && !job->weights && !(job->weights = strdup("weights.h5")))
        rc = sb_build_no_memory(build);
    return rc;
}

/* ---- Multiplying out ------------------------------------------------------------------------ */

static int copy_text(struct sb_build *build, const char *from, char **to) {
    int rc = from ? sb_build_spend(build, strlen(from), &build->where) : 0;
    *to = from && rc == 0 ? strdup(from) : NULL;
    return rc == 0 && from && !*to ? sb_build_no_memory(build) : rc;
}

static int copy_list(struct sb_build *build, char *const *from, size_t n, char ***to, size_t *n_to,
                     const struct sb_where *where) {
    *to = NULL;
    *n_to = 0;
    return append_patterns(build, from, n, to, n_to, where);
}

static int copy_arguments(struct sb_build *build, const struct sb_job *from, struct sb_job *to) {
    for (size_t i = 0; i < from->n_arguments; i++) {
        struct sb_argument *slot = sb_array_add(&to->arguments, &to->n_arguments);
        if (!slot)
            return sb_build_no_memory(build);
        slot->where = from->arguments[i].where;
        int rc = copy_text(build, from->arguments[i].name, &slot->name);
        if (rc == 0)
            rc = copy_text(build, from->arguments[i].value, &slot->value);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int copy_command(struct sb_build *build, const struct sb_job *from, struct sb_job *to) {
    to->command_where = from->n_command ? calloc(from->n_command, sizeof *to->command_where) : NULL;
    if (from->n_command && !to->command_where)
        return sb_build_no_memory(build);
    for (size_t i = 0; i < from->n_command; i++)
        to->command_where[i] = from->command_where[i];
    return copy_list(build, from->command, from->n_command, &to->command, &to->n_command,
                     &from->where);
}

static int copy_shape(struct sb_build *build, const struct sb_dims *from, struct sb_job *to) {
    if (!from)
        return 0;
    to->shape = malloc(from->n * sizeof *to->shape);
    if (!to->shape)
        return sb_build_no_memory(build);
    memcpy(to->shape, from->dims, from->n * sizeof *to->shape);
    to->n_shape = from->n;
    return 0;
}

/* A copy of the draft's job, without what distinguishes the jobs that are made of it. */
static int copy_job(struct sb_build *build, const struct sb_job *from, struct sb_job *to) {
    const struct {
        char *const *from;
        char **to;
    } texts[] = {{&from->name, &to->name},
                 {&from->subject, &to->subject},
                 {&from->weights, &to->weights},
                 {&from->directory, &to->directory},
                 {&from->install, &to->install}};
    int rc = 0;
    to->kind = from->kind;
    to->repeats = from->repeats;
    to->timeout_s = from->timeout_s;
    to->design = from->design;
    to->tolerance = from->tolerance;
    to->expect = from->expect;
    to->where = from->where;
    to->subject_where = from->subject_where;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && rc == 0; i++)
        rc = copy_text(build, *texts[i].from, texts[i].to);
    if (rc == 0)
        rc = copy_command(build, from, to);
    if (rc == 0)
        rc = copy_list(build, from->exclude, from->n_exclude, &to->exclude, &to->n_exclude,
                       &from->where);
    if (rc == 0)
        rc = copy_list(build, from->include, from->n_include, &to->include, &to->n_include,
                       &from->where);
    if (rc == 0)
        rc = copy_list(build, from->inputs, from->n_inputs, &to->inputs, &to->n_inputs,
                       &from->where);
    if (rc == 0)
        rc = copy_list(build, from->needs, from->n_needs, &to->needs, &to->n_needs, &from->where);
    if (rc == 0)
        rc = copy_arguments(build, from, to);
    for (size_t i = 0; i < from->n_axes && rc == 0; i++)
        rc = sb_axes_put(build, &to->axes, &to->n_axes, &from->axes[i]);
    for (size_t i = 0; i < from->n_require && rc == 0; i++)
        rc = sb_require_put(build, to, from->require[i].axis, from->require[i].need,
                            &from->require[i].where);
    return rc;
}

/* One of the draft's texts, and where; nothing for an empty list. */
static int pick(struct sb_build *build, const struct sb_texts *texts, size_t i, char **text,
                struct sb_where *where) {
    if (!texts->strings.n)
        return 0;
    *where = texts->where[i];
    return copy_text(build, texts->strings.items[i], text);
}

/* "gemm/openblas/f32/33x1000x77": the name, and whatever has several values. */
static char *make_id(const struct sb_draft *draft, const struct sb_job *job) {
    SB_AUTO_TEXT struct sb_text id = {0};
    sb_text_puts(&id, job->name);
    if (draft->backends.strings.n > 1)
        sb_text_printf(&id, "/%s", job->backend);
    if (draft->dtypes.strings.n > 1)
        sb_text_printf(&id, "/%s", job->dtype);
    if (draft->algorithms.strings.n > 1)
        sb_text_printf(&id, "/%s", job->algorithm);
    for (size_t i = 0; draft->n_shapes > 1 && i < job->n_shape; i++)
        sb_text_printf(&id, "%c%zu", i ? 'x' : '/', job->shape[i]);
    return sb_text_take(&id);
}

/* Which of each of the draft's lists; in the order in which they are multiplied out. */
struct choice {
    size_t backend, dtype, algorithm, shape;
};

static int add_job(struct sb_build *build, const struct sb_draft *draft,
                   const struct choice *choice) {
    struct sb_suite *suite = build->suite;
    SB_CLEANUP(sb_job_clear) struct sb_job job = {0};
    int rc = sb_build_spend(build, sizeof job, &draft->job.where);
    if (rc == 0 && suite->n_jobs == MAX_JOBS)
        rc = sb_where_error(build->err, -EINVAL, &draft->job.where, "more than %d jobs", MAX_JOBS);
    if (rc == 0)
        rc = copy_job(build, &draft->job, &job);
    if (rc == 0)
        rc = pick(build, &draft->backends, choice->backend, &job.backend, &job.backend_where);
    if (rc == 0)
        rc = pick(build, &draft->dtypes, choice->dtype, &job.dtype, &job.dtype_where);
    if (rc == 0)
        rc = pick(build, &draft->algorithms, choice->algorithm, &job.algorithm,
                  &job.algorithm_where);
    if (rc == 0)
        rc = copy_shape(build, draft->n_shapes ? &draft->shapes[choice->shape] : NULL, &job);
    if (rc < 0)
        return rc;
    job.id = make_id(draft, &job);
    if (!job.id)
        return sb_build_no_memory(build);
    for (size_t i = 0; i < suite->n_jobs; i++) {
        if (strcmp(suite->jobs[i].id, job.id) == 0)
            return sb_where_error(build->err, -EINVAL, &draft->name_where,
                                  "job '%s' is there already (first at %u:%u)",
                                  sb_show(job.id).text, suite->jobs[i].where.line,
                                  suite->jobs[i].where.column);
    }
    struct sb_job *slot = sb_array_add(&suite->jobs, &suite->n_jobs);
    if (!slot)
        return sb_build_no_memory(build);
    *slot = job;
    job = (struct sb_job){0};
    return 0;
}

/* The next combination, the last list fastest; false when there is none. */
static bool next_choice(const struct sb_draft *draft, struct choice *choice) {
    const struct {
        size_t *at, n;
    } lists[] = {{&choice->shape, draft->n_shapes},
                 {&choice->algorithm, draft->algorithms.strings.n},
                 {&choice->dtype, draft->dtypes.strings.n},
                 {&choice->backend, draft->backends.strings.n}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (++*lists[i].at < lists[i].n)
            return true;
        *lists[i].at = 0;
    }
    return false;
}

int sb_draft_finish(struct sb_build *build, struct sb_draft *draft,
                    const struct sb_overrides *overrides) {
    struct sb_job *job = &draft->job;
    struct sb_where option = {.file = "--require"};
    int rc = overrides ? override_draft(build, draft, overrides) : 0;
    build->where = job->where;
    if (rc == 0)
        rc = fill_builtin(build, draft);
    if (rc == 0)
        rc = check_placeholders(build, job);
    if (rc == 0 && draft->need_given)
        rc = require_all(build, job, draft->need, false, &draft->need_where);
    if (rc == 0 && overrides && overrides->require)
        rc = require_all(build, job, *overrides->require, true, &option);
    struct choice choice = {0};
    do {
        rc = rc == 0 ? add_job(build, draft, &choice) : rc;
    } while (rc == 0 && next_choice(draft, &choice));
    return rc;
}

/* ---- --only and --skip ---------------------------------------------------------------------- */

static bool matches(const struct sb_job *job, const char *glob) {
    return sb_glob_match(glob, job->name) || sb_glob_match(glob, job->id);
}

static bool matches_any(const struct sb_job *job, char *const *globs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (matches(job, globs[i]))
            return true;
    }
    return false;
}

/* A misspelt name would otherwise pass for a suite that holds. */
static int check_only(struct sb_build *build, const char *glob) {
    const struct sb_suite *suite = build->suite;
    SB_AUTO_TEXT struct sb_text jobs = {0};
    for (size_t i = 0; i < suite->n_jobs; i++) {
        if (matches(&suite->jobs[i], glob))
            return 0;
        sb_text_printf(&jobs, "%s%s", i ? ", " : "", suite->jobs[i].id);
    }
    return sb_error_set(build->err, -EINVAL, "--only '%s': no such job (%s has: %s)",
                        sb_show(glob).text, suite->path, jobs.data ? jobs.data : "");
}

int sb_suite_select(struct sb_build *build, const struct sb_overrides *overrides) {
    struct sb_suite *suite = build->suite;
    size_t kept = 0;
    for (size_t i = 0; overrides && i < overrides->n_only; i++) {
        int rc = check_only(build, overrides->only[i]);
        if (rc < 0)
            return rc;
    }
    if (!overrides)
        return 0;
    for (size_t i = 0; i < suite->n_jobs; i++) {
        struct sb_job *job = &suite->jobs[i];
        if ((overrides->n_only && !matches_any(job, overrides->only, overrides->n_only)) ||
            matches_any(job, overrides->skip, overrides->n_skip))
            sb_job_clear(job);
        else if (kept != i)
            suite->jobs[kept++] = *job;
        else
            kept++;
    }
    suite->n_jobs = kept;
    return 0;
}
