/* Stage 1, suite: the keys of a job and of the defaults. */
#include "suite/build.h"

#include "base/array.h"
#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

/* No operation has more dimensions than a tensor may have (SB_MAX_RANK of stage 4). */
enum { MAX_SHAPE = 32 };

typedef int read_key(struct sb_build *build, const struct sb_node *node, struct sb_draft *draft);

/* ---- Texts ---------------------------------------------------------------------------------- */

static int read_name(struct sb_build *build, const struct sb_node *node, struct sb_draft *draft) {
    int rc = sb_read_text(build, node, "'name'", &draft->job.name);
    if (rc < 0)
        return rc;
    for (const char *p = node->text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return sb_where_error(build->err, -EINVAL, &node->where,
                                  "'name': a control character in '%s'", sb_show(node->text).text);
    }
    if (!*node->text || strlen(node->text) > 200)
        return sb_where_error(build->err, -EINVAL, &node->where,
                              "'name' must have from 1 to 200 bytes");
    draft->name_where = node->where;
    return 0;
}

static int read_command(struct sb_build *build, const struct sb_node *node,
                        struct sb_draft *draft) {
    struct sb_texts texts = {0};
    if (node->kind == SB_NODE_TEXT && !sb_node_is_null(node))
        return sb_where_error(build->err, -EINVAL, &node->where,
                              "'command' must be a list of arguments, such as [python3, train.py]; "
                              "a line for the shell is written [sh, -c, \"…\"]");
    int rc = sb_read_texts(build, node, "'command'", SB_LIST_ONLY, &texts);
    if (rc < 0)
        return rc;
    if (!*texts.strings.items[0]) {
        rc = sb_where_error(build->err, -EINVAL, &texts.where[0],
                            "'command': the program's name is empty");
        sb_texts_clear(&texts);
        return rc;
    }
    draft->job.command = texts.strings.items;
    draft->job.n_command = texts.strings.n;
    draft->job.command_where = texts.where;
    return 0;
}

static int read_subject(struct sb_build *build, const struct sb_node *node,
                        struct sb_draft *draft) {
    static const char *const whats[] = {"'command'", "'train'", "'kernel'"};
    draft->job.subject_where = node->where;
    return sb_read_text(build, node, whats[draft->job.kind], &draft->job.subject);
}

static int read_weights(struct sb_build *build, const struct sb_node *node,
                        struct sb_draft *draft) {
    int rc = sb_read_text(build, node, "'weights'", &draft->job.weights);
    draft->weights_where = node->where;
    return rc < 0 ? rc : sb_check_below(build, &node->where, "'weights'", node->text);
}

/* ---- Lists ---------------------------------------------------------------------------------- */

/* A list without repetition: backends, dtypes, algorithms. */
static int read_distinct(struct sb_build *build, const struct sb_node *node, const char *what,
                         struct sb_texts *texts) {
    int rc = sb_read_texts(build, node, what, SB_LIST_OR_ONE, texts);
    for (size_t i = 0; rc == 0 && i < texts->strings.n; i++) {
        for (size_t j = 0; rc == 0 && j < i; j++) {
            if (strcmp(texts->strings.items[i], texts->strings.items[j]) == 0)
                rc = sb_where_error(build->err, -EINVAL, &texts->where[i], "%s: '%s' stands twice",
                                    what, sb_show(texts->strings.items[i]).text);
        }
    }
    return rc;
}

static int read_backend(struct sb_build *build, const struct sb_node *node,
                        struct sb_draft *draft) {
    return read_distinct(build, node, "'backend'", &draft->backends);
}

static int read_dtype(struct sb_build *build, const struct sb_node *node, struct sb_draft *draft) {
    return read_distinct(build, node, "'dtype'", &draft->dtypes);
}

static int read_algorithm(struct sb_build *build, const struct sb_node *node,
                          struct sb_draft *draft) {
    return read_distinct(build, node, "'algorithm'", &draft->algorithms);
}

/* Globs and paths: a list that a job may empty, to be rid of the defaults'. */
static int read_patterns(struct sb_build *build, const struct sb_node *node, const char *what,
                         const struct sb_draft *draft, char ***items, size_t *n) {
    SB_CLEANUP(sb_texts_clear) struct sb_texts texts = {0};
    bool had = *n > 0 && !draft->defaults;
    int rc = sb_read_texts(build, node, what, had ? SB_LIST_MAY_EMPTY : SB_LIST_OR_ONE, &texts);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < texts.strings.n; i++) {
        if (!*texts.strings.items[i])
            return sb_where_error(build->err, -EINVAL, &texts.where[i], "%s: empty text", what);
    }
    struct sb_strings old = {.items = *items, .n = *n};
    sb_strings_clear(&old);
    *items = sb_steal_pointer(&texts.strings.items);
    *n = texts.strings.n;
    texts.strings.n = 0;
    return 0;
}

static int read_exclude(struct sb_build *build, const struct sb_node *node,
                        struct sb_draft *draft) {
    struct sb_job *job = &draft->job;
    return read_patterns(build, node, "'exclude'", draft, &job->exclude, &job->n_exclude);
}

static int read_include(struct sb_build *build, const struct sb_node *node,
                        struct sb_draft *draft) {
    struct sb_job *job = &draft->job;
    return read_patterns(build, node, "'include'", draft, &job->include, &job->n_include);
}

static int read_inputs(struct sb_build *build, const struct sb_node *node, struct sb_draft *draft) {
    struct sb_job *job = &draft->job;
    return read_patterns(build, node, "'inputs'", draft, &job->inputs, &job->n_inputs);
}

/* ---- Shapes --------------------------------------------------------------------------------- */

static bool same_dims(const struct sb_dims *a, const struct sb_dims *b) {
    return a->n == b->n && memcmp(a->dims, b->dims, a->n * sizeof *a->dims) == 0;
}

static int read_dims(struct sb_build *build, const struct sb_node *node, const char *what,
                     struct sb_draft *draft) {
    if (node->kind != SB_NODE_LIST || node->n == 0 || node->n > MAX_SHAPE)
        return sb_where_error(build->err, -EINVAL, &node->where,
                              "%s: a shape is a list of 1 to %d sizes, such as [512, 512, 512]",
                              what, MAX_SHAPE);
    int rc = sb_build_spend(build, sizeof(struct sb_dims) + node->n * sizeof(size_t), &node->where);
    if (rc < 0)
        return rc;
    struct sb_dims *shape = sb_array_add(&draft->shapes, &draft->n_shapes);
    if (!shape || !(shape->dims = calloc(node->n, sizeof *shape->dims)))
        return sb_build_no_memory(build);
    shape->n = node->n;
    shape->where = node->where;
    for (size_t i = 0; i < node->n && rc == 0; i++)
        rc = sb_read_size(build, node->values[i], what, &shape->dims[i]);
    for (size_t i = 0; rc == 0 && i + 1 < draft->n_shapes; i++) {
        if (same_dims(&draft->shapes[i], shape))
            rc = sb_where_error(build->err, -EINVAL, &node->where, "%s: this shape stands twice",
                                what);
    }
    return rc;
}

static int read_shape(struct sb_build *build, const struct sb_node *node, struct sb_draft *draft) {
    if (draft->n_shapes)
        return sb_where_error(build->err, -EINVAL, &node->where,
                              "'shape' and 'shapes' are one thing: give one of them");
    return read_dims(build, node, "'shape'", draft);
}

static int read_shapes(struct sb_build *build, const struct sb_node *node, struct sb_draft *draft) {
    if (draft->n_shapes)
        return read_shape(build, node, draft);
    if (node->kind != SB_NODE_LIST || node->n == 0)
        return sb_where_error(build->err, -EINVAL, &node->where,
                              "'shapes' must be a list of shapes, such as [[512, 512, 512]]");
    int rc = 0;
    for (size_t i = 0; i < node->n && rc == 0; i++)
        rc = read_dims(build, node->values[i], "'shapes'", draft);
    return rc;
}

/* ---- Maps ----------------------------------------------------------------------------------- */

static struct sb_argument *find_argument(struct sb_job *job, const char *name) {
    for (size_t i = 0; i < job->n_arguments; i++) {
        if (strcmp(job->arguments[i].name, name) == 0)
            return &job->arguments[i];
    }
    return NULL;
}

static void remove_argument(struct sb_job *job, struct sb_argument *argument) {
    free(argument->name);
    free(argument->value);
    size_t after = (size_t)(job->arguments + job->n_arguments - (argument + 1));
    memmove(argument, argument + 1, after * sizeof *argument);
    job->n_arguments--;
}

static int read_argument(struct sb_build *build, const struct sb_node *key,
                         const struct sb_node *node, struct sb_draft *draft) {
    struct sb_job *job = &draft->job;
    struct sb_argument *argument = find_argument(job, key->text);
    if (sb_node_is_null(node) && argument && !draft->defaults) {
        remove_argument(job, argument);
        return 0;
    }
    SB_AUTO_FREE char *what = sb_format("'args': '%s'", sb_show(key->text).text);
    if (!what)
        return sb_build_no_memory(build);
    if (!*key->text)
        return sb_where_error(build->err, -EINVAL, &key->where, "'args': a name is empty");
    SB_AUTO_FREE char *value = NULL;
    int rc = sb_read_text(build, node, what, &value);
    if (rc == 0)
        rc = sb_build_spend(build, sizeof *argument + strlen(key->text), &key->where);
    if (rc < 0)
        return rc;
    if (!argument) {
        SB_AUTO_FREE char *name = strdup(key->text);
        argument = name ? sb_array_add(&job->arguments, &job->n_arguments) : NULL;
        if (!argument)
            return sb_build_no_memory(build);
        argument->name = sb_steal_pointer(&name);
    }
    free(argument->value);
    argument->value = sb_steal_pointer(&value);
    argument->where = node->where;
    return 0;
}

static int read_args(struct sb_build *build, const struct sb_node *node, struct sb_draft *draft) {
    int rc = sb_need_map(build, node, "'args'");
    for (size_t i = 0; rc == 0 && i < node->n; i++)
        rc = read_argument(build, node->keys[i], node->values[i], draft);
    return rc;
}

static int read_axes(struct sb_build *build, const struct sb_node *node, struct sb_draft *draft) {
    return sb_read_axes(build, node, draft->defaults, &draft->job.axes, &draft->job.n_axes);
}

static void clear_require(struct sb_job *job) {
    for (size_t i = 0; i < job->n_require; i++)
        free(job->require[i].axis);
    free(job->require);
    job->require = NULL;
    job->n_require = 0;
}

static int read_requirement(struct sb_build *build, const struct sb_node *key,
                            const struct sb_node *node, struct sb_job *job) {
    const char *problem =
        strcmp(key->text, "repeats") == 0 ? NULL : sb_axis_name_problem(key->text);
    if (problem)
        return sb_where_error(build->err, -EINVAL, &key->where, "'require': axis '%s': %s",
                              sb_show(key->text).text, problem);
    SB_AUTO_FREE char *what = sb_format("'require': '%s'", sb_show(key->text).text);
    if (!what)
        return sb_build_no_memory(build);
    unsigned need;
    int rc = sb_read_choice(build, node, what, sb_need_names, &need);
    return rc < 0 ? rc : sb_require_put(build, job, key->text, (enum sb_need)need, &key->where);
}

static int read_require(struct sb_build *build, const struct sb_node *node,
                        struct sb_draft *draft) {
    unsigned need;
    int rc = 0;
    if (node->kind == SB_NODE_MAP) {
        for (size_t i = 0; rc == 0 && i < node->n; i++)
            rc = read_requirement(build, node->keys[i], node->values[i], &draft->job);
        return rc;
    }
    rc = sb_read_choice(build, node, "'require'", sb_need_names, &need);
    if (rc < 0)
        return rc;
    clear_require(&draft->job);
    draft->need_given = true;
    draft->need = (enum sb_need)need;
    draft->need_where = node->where;
    return 0;
}

/* ---- What must be there ---------------------------------------------------------------------- */

static int read_needs(struct sb_build *build, const struct sb_node *node, struct sb_draft *draft) {
    static const char *const keys[] = {"command", "install"};
    struct sb_job *job = &draft->job;
    int rc = 0;
    if (node->kind != SB_NODE_MAP || !sb_node_get(node, keys[0]))
        return sb_where_error(
            build->err, -EINVAL, &node->where,
            "'needs' must be a map of command, a list of arguments that ends well "
            "where the job can run, and install, what gets it there");
    for (size_t i = 0; i < node->n && rc == 0; i++) {
        if (strcmp(node->keys[i]->text, keys[0]) == 0)
            rc = read_patterns(build, node->values[i], "'needs': 'command'", draft, &job->needs,
                               &job->n_needs);
        else if (strcmp(node->keys[i]->text, keys[1]) == 0)
            rc = sb_read_text(build, node->values[i], "'needs': 'install'", &job->install);
        else
            rc = sb_unknown_key(build, node->keys[i], "needs", keys, 2);
    }
    return rc;
}

/* ---- Scalars -------------------------------------------------------------------------------- */

static int read_repeats(struct sb_build *build, const struct sb_node *node,
                        struct sb_draft *draft) {
    return sb_read_repeats(build, node, &draft->job.repeats);
}

static int read_timeout(struct sb_build *build, const struct sb_node *node,
                        struct sb_draft *draft) {
    return sb_read_duration(build, node, "'timeout'", &draft->job.timeout_s);
}

static int read_design(struct sb_build *build, const struct sb_node *node, struct sb_draft *draft) {
    unsigned choice;
    int rc = sb_read_choice(build, node, "'design'", sb_design_names, &choice);
    if (rc == 0)
        draft->job.design = (enum sb_design)choice;
    return rc;
}

static int read_expect(struct sb_build *build, const struct sb_node *node, struct sb_draft *draft) {
    unsigned choice;
    int rc = sb_read_choice(build, node, "'expect'", sb_expect_names, &choice);
    if (rc == 0) /* the names after "" */
        draft->job.expect = (enum sb_expect)(choice);
    return rc;
}

/* ulp stands instead of rtol and atol: what a job says takes the place of the defaults' other kind,
 * and both in one place contradict each other. */
static int read_tolerance(struct sb_build *build, const struct sb_node *node,
                          struct sb_draft *draft, const char *what, bool ulp, double *value) {
    bool *here = ulp ? &draft->ulp_here : &draft->relative_here;
    bool other_here = ulp ? draft->relative_here : draft->ulp_here;
    if (other_here)
        return sb_where_error(build->err, -EINVAL, &node->where,
                              "'ulp' takes the place of 'rtol' and 'atol': give one kind");
    int rc = sb_read_number(build, node, what, value);
    if (rc < 0)
        return rc;
    *here = true;
    if (ulp)
        draft->job.tolerance.rtol = draft->job.tolerance.atol = -1;
    else
        draft->job.tolerance.ulp = -1;
    return 0;
}

static int read_rtol(struct sb_build *build, const struct sb_node *node, struct sb_draft *draft) {
    return read_tolerance(build, node, draft, "'rtol'", false, &draft->job.tolerance.rtol);
}

static int read_atol(struct sb_build *build, const struct sb_node *node, struct sb_draft *draft) {
    return read_tolerance(build, node, draft, "'atol'", false, &draft->job.tolerance.atol);
}

static int read_ulp(struct sb_build *build, const struct sb_node *node, struct sb_draft *draft) {
    return read_tolerance(build, node, draft, "'ulp'", true, &draft->job.tolerance.ulp);
}

/* ---- The tables ----------------------------------------------------------------------------- */

enum {
    COMMAND = 1 << SB_JOB_COMMAND,
    TRAIN = 1 << SB_JOB_TRAIN,
    KERNEL = 1 << SB_JOB_KERNEL,
    BUILTIN = TRAIN | KERNEL,
    ANY = COMMAND | BUILTIN,
};

/* Which kinds of job may have a key, and which take it from the defaults; the others are passed
 * over. A built-in job writes one file, so that a default glob would be none of its weights. */
static const struct job_key {
    const char *name;
    unsigned owners, defaults;
    read_key *read;
} job_keys[] = {
    {"name", ANY, 0, read_name},
    {"command", COMMAND, 0, read_command},
    {"train", TRAIN, 0, read_subject},
    {"kernel", KERNEL, 0, read_subject},
    {"backend", BUILTIN, BUILTIN, read_backend},
    {"dtype", KERNEL, KERNEL, read_dtype},
    {"algorithm", KERNEL, 0, read_algorithm},
    {"shape", KERNEL, 0, read_shape},
    {"shapes", KERNEL, 0, read_shapes},
    {"args", BUILTIN, BUILTIN, read_args},
    {"weights", ANY, COMMAND, read_weights},
    {"exclude", ANY, ANY, read_exclude},
    {"include", ANY, ANY, read_include},
    {"inputs", ANY, ANY, read_inputs},
    {"needs", ANY, COMMAND, read_needs},
    {"axes", ANY, ANY, read_axes},
    {"repeats", ANY, ANY, read_repeats},
    {"timeout", ANY, ANY, read_timeout},
    {"design", ANY, ANY, read_design},
    {"require", ANY, ANY, read_require},
    {"rtol", ANY, ANY, read_rtol},
    {"atol", ANY, ANY, read_atol},
    {"ulp", ANY, ANY, read_ulp},
    {"expect", ANY, ANY, read_expect},
};
enum { N_JOB_KEYS = sizeof job_keys / sizeof *job_keys };

static const struct job_key *find_key(const char *name) {
    for (size_t i = 0; i < N_JOB_KEYS; i++) {
        if (strcmp(job_keys[i].name, name) == 0)
            return &job_keys[i];
    }
    return NULL;
}

/* Messages name the keys that would be right here. */
static int unknown_key(struct sb_build *build, const struct sb_node *key, bool defaults) {
    const char *names[N_JOB_KEYS];
    size_t n = 0;
    for (size_t i = 0; i < N_JOB_KEYS; i++) {
        if (!defaults || job_keys[i].defaults)
            names[n++] = job_keys[i].name;
    }
    return sb_unknown_key(build, key, defaults ? "defaults" : "a job", names, n);
}

static int wrong_owner(struct sb_build *build, const struct sb_node *key, enum sb_job_kind kind) {
    static const char *const jobs[] = {"a command", "a built-in training", "a kernel"};
    return sb_where_error(build->err, -EINVAL, &key->where, "key '%s' has no meaning for %s",
                          key->text, jobs[kind]);
}

/* `kinds`: of the defaults' keys those are read that a job of these kinds takes. */
static int read_keys(struct sb_build *build, const struct sb_node *map, unsigned kinds,
                     struct sb_draft *draft) {
    for (size_t i = 0; i < map->n; i++) {
        const struct job_key *key = find_key(map->keys[i]->text);
        if (!key)
            return unknown_key(build, map->keys[i], false);
        if (draft->defaults && !(key->defaults & kinds))
            continue;
        if (!draft->defaults && !(key->owners & kinds))
            return wrong_owner(build, map->keys[i], draft->job.kind);
        int rc = key->read(build, map->values[i], draft);
        if (rc < 0)
            return rc;
    }
    draft->ulp_here = draft->relative_here = false;
    return 0;
}

int sb_read_defaults(struct sb_build *build, const struct sb_node *defaults) {
    int rc = sb_need_map(build, defaults, "'defaults'");
    for (size_t i = 0; rc == 0 && i < defaults->n; i++) {
        const struct job_key *key = find_key(defaults->keys[i]->text);
        if (!key || !key->defaults)
            rc = unknown_key(build, defaults->keys[i], true);
    }
    if (rc < 0)
        return rc;
    SB_CLEANUP(sb_draft_clear) struct sb_draft draft;
    sb_draft_init(&draft);
    draft.defaults = true;
    return read_keys(build, defaults, ANY, &draft);
}

static int find_kind(struct sb_build *build, const struct sb_node *node, enum sb_job_kind *kind) {
    const struct sb_node *found = NULL;
    for (size_t i = 0; i < node->n; i++) {
        for (unsigned k = 0; sb_job_kind_names[k]; k++) {
            if (strcmp(node->keys[i]->text, sb_job_kind_names[k]) != 0)
                continue;
            if (found)
                return sb_where_error(build->err, -EINVAL, &node->keys[i]->where,
                                      "a job is one of command, train and kernel: '%s' was given "
                                      "at %u:%u already",
                                      found->text, found->where.line, found->where.column);
            found = node->keys[i];
            *kind = (enum sb_job_kind)k;
        }
    }
    if (found)
        return 0;
    /* A misspelt one is likelier than a missing one. */
    for (size_t i = 0; i < node->n; i++) {
        if (!find_key(node->keys[i]->text))
            return unknown_key(build, node->keys[i], false);
    }
    return sb_where_error(build->err, -EINVAL, &node->where,
                          "a job needs one of: command, train, kernel");
}

int sb_read_job(struct sb_build *build, const struct sb_node *defaults, const struct sb_node *node,
                struct sb_draft *draft) {
    int rc = sb_need_map(build, node, "a job");
    if (rc == 0)
        rc = find_kind(build, node, &draft->job.kind);
    if (rc == 0 && !sb_node_get(node, "name"))
        rc = sb_where_error(build->err, -EINVAL, &node->where, "a job needs a name");
    if (rc < 0)
        return rc;
    draft->job.where = node->where;
    draft->defaults = true;
    rc = defaults ? read_keys(build, defaults, 1u << draft->job.kind, draft) : 0;
    draft->defaults = false;
    return rc < 0 ? rc : read_keys(build, node, 1u << draft->job.kind, draft);
}
