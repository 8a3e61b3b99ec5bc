/* cli: what `samebits run` was asked for. See cli/request.h. */
#include "cli/request.h"

#include <samebits/run.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/inject.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct choice {
    const char *const *names;
    int *index;
};

static int take_choice(void *into, const char *value, struct sb_error *err) {
    const struct choice *choice = into;
    int index = sb_take_choice(choice->names, value, err);
    if (index < 0)
        return index;
    *choice->index = index;
    return 0;
}

static const char *const stop_names[] = {"first-divergence", NULL};
static int take_launcher(void *into, const char *value, struct sb_error *err) {
    const struct sb_launcher **launcher = into;
    SB_AUTO_TEXT struct sb_text names = {0};
    for (size_t i = 0; sb_launchers[i]; i++) {
        if (strcmp(sb_launchers[i]->name, value) == 0) {
            *launcher = sb_launchers[i];
            return 0;
        }
        sb_text_printf(&names, "%s%s", i ? ", " : "", sb_launchers[i]->name);
    }
    return sb_error_set(err, -EINVAL, "'%s' is none of: %s", value, names.data ? names.data : "");
}

enum { N_OPTIONS = 33 };
static const double usual_spread_s = 1;

struct option_table {
    struct choice design, require, isolate, stop;
    int stop_index;
    struct sb_option options[N_OPTIONS];
};

static void fill_options(struct sb_request *r, struct option_table *table) {
    table->design = (struct choice){sb_design_names, &r->design};
    table->require = (struct choice){sb_option_needs, &r->require};
    table->isolate = (struct choice){sb_isolation_names, &r->isolate};
    table->stop = (struct choice){stop_names, &table->stop_index};
    table->stop_index = -1;
    const struct sb_option options[N_OPTIONS] = {
        {"vary", 0, "AXIS=L1,L2", "add or replace an axis (samebits list axes)", sb_take_list,
         &r->vary},
        {"repeats", 0, "N|MIN..MAX", "runs of each cell, at least (default 3)", sb_take_text,
         &r->repeats},
        {"exact-repeats", 0, NULL, NULL, sb_take_flag, &r->exact},
        {"spread", 0, "S", "no more than these; over S seconds (1)", sb_take_number, &r->spread_s},
        {"design", 0, "D", NULL, take_choice, &table->design},
        {"seed", 0, "N", "full, one-at-a-time, pairwise; order (0)", sb_take_u64, &r->seed},
        {"weights", 0, "GLOB", "a command's weights (default: all written)", sb_take_text,
         &r->weights},
        {"only", 0, "GLOB", NULL, sb_take_list, &r->only},
        {"skip", 0, "GLOB", "these jobs alone, or all but these", sb_take_list, &r->skip},
        {"require", 0, "NEED", "bitwise, rounding: of repeats and all axes", take_choice,
         &table->require},
        {"rtol", 0, "X", NULL, sb_take_number, &r->tolerance.rtol},
        {"atol", 0, "X", NULL, sb_take_number, &r->tolerance.atol},
        {"ulp", 0, "N", "what is rounding (default: by dtype)", sb_take_number, &r->tolerance.ulp},
        {"include", 0, "GLOB", NULL, sb_take_list, &r->include},
        {"exclude", 0, "GLOB", "these tensors alone, or all but these", sb_take_list, &r->exclude},
        {"jobs", 'j', "N", "runs at a time (default: as fit the CPUs)", sb_take_unsigned, &r->jobs},
        {"launcher", 0, "L", NULL, take_launcher, &r->launcher},
        {"launcher-arg", 0, "A", "local, slurm; an argument of sbatch", sb_take_list,
         &r->launcher_arguments},
        {"isolate", 0, "M", NULL, take_choice, &table->isolate},
        {"timeout", 0, "10m", "auto, overlay, copy, inplace; 90s, 10m, 1h", sb_take_text,
         &r->timeout},
        {"trace", 0, NULL, NULL, sb_take_flag, &r->trace},
        {"inject-seeds", 0, NULL, "note kernel calls; seed Python programs", sb_take_flag,
         &r->inject},
        {"stop-after", 0, "first-divergence", "start nothing more once bits differ", take_choice,
         &table->stop},
        {"out", 0, "DIR", NULL, sb_take_text, &r->out},
        {"resume", 0, NULL, NULL, sb_take_flag, &r->resume},
        {"force", 0, NULL, "results folder; go on, or replace it", sb_take_flag, &r->force},
        {"shard", 0, "I/N", NULL, sb_take_text, &r->shard},
        {"baseline", 0, "FILE", "part I of N of the cells; bits of before", sb_take_text,
         &r->baseline},
        {"report", 'r', "FORMAT[:PATH]", "samebits list reports; PATH - is stdout", sb_take_list,
         &r->reports},
        {"list", 0, NULL, NULL, sb_take_flag, &r->list},
        {"json", 0, NULL, "the plan, no runs; JSON alone on stdout", sb_take_flag, &r->json},
        {"quiet", 'q', NULL, NULL, sb_take_flag, &r->quiet},
        {"verbose", 'v', NULL, "errors only, or every run and job", sb_take_flag, &r->verbose},
    };
    memcpy(table->options, options, sizeof options);
}

/* Of a suite, too, the executable bit may be set, where the file system has no such bit. */
static bool is_program(const char *path) {
    struct stat st;
    return !sb_glob_match("**.yaml", path) && !sb_glob_match("**.yml", path) &&
           stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static int check_request(struct sb_request *request, struct sb_error *err) {
    const struct sb_arguments *arguments = &request->arguments;
    if (arguments->rest && arguments->positional.n)
        return sb_error_set(
            err, -EINVAL,
            "samebits run: '%s' stands before --: give a suite or a command, not both",
            arguments->positional.items[0]);
    if (arguments->positional.n > 1)
        return sb_error_set(
            err, -EINVAL,
            "samebits run: one suite at a time; a command goes after -- (samebits run -- %s …)",
            arguments->positional.items[0]);
    if (arguments->positional.n == 1 && sb_glob_match("**.py", arguments->positional.items[0]))
        return sb_error_set(err, -EINVAL,
                            "samebits run: a command goes after -- (samebits run -- python3 %s)",
                            arguments->positional.items[0]);
    if (arguments->positional.n == 1 && is_program(arguments->positional.items[0]))
        return sb_error_set(err, -EINVAL,
                            "samebits run: a command goes after -- (samebits run -- %s)",
                            arguments->positional.items[0]);
    bool command = arguments->rest && arguments->n_rest;
    if (!command && !arguments->positional.n)
        return sb_error_set(
            err, -EINVAL,
            "samebits run: give a suite (samebits run SUITE.yaml) or a command after --");
    if (request->weights && !command)
        return sb_error_set(
            err, -EINVAL,
            "samebits run: --weights goes with a command after --; a suite says it itself");
    if (request->resume && !request->out)
        return sb_error_set(err, -EINVAL,
                            "samebits run: --resume needs --out DIR, the folder to go on with");
    if (request->resume && request->force)
        return sb_error_set(
            err, -EINVAL,
            "samebits run: --resume keeps a result and --force replaces it: give one of them");
    if (request->launcher_arguments.n && request->launcher == &sb_launcher_local)
        return sb_error_set(err, -EINVAL,
                            "samebits run: --launcher-arg goes with --launcher slurm");
    unsigned shard, n_shards;
    int rc = sb_check_tolerance("samebits run", &request->tolerance, err);
    return rc < 0 ? rc : sb_request_shard(request, &shard, &n_shards, err);
}

int sb_request_parse(int argc, char **argv, struct sb_request *request, struct sb_error *err) {
    *request = (struct sb_request){.design = -1,
                                   .require = -1,
                                   .isolate = -1,
                                   .launcher = &sb_launcher_local,
                                   .spread_s = usual_spread_s,
                                   .tolerance = {-1, -1, -1}};
    struct option_table table;
    fill_options(request, &table);
    int rc = sb_options_parse("samebits run", table.options, N_OPTIONS, argc, argv,
                              &request->arguments, err);
    if (rc == 0 && !request->arguments.help)
        rc = check_request(request, err);
    if (table.stop_index >= 0)
        request->stop_after = stop_names[table.stop_index];
    if (rc < 0)
        sb_request_clear(request);
    return rc;
}

void sb_request_help(void) {
    struct sb_request request = {0};
    struct option_table table;
    fill_options(&request, &table);
    puts("samebits run [OPTION]… SUITE.yaml   samebits run [OPTION]… -- COMMAND ARG…\n");
    sb_options_print(table.options, N_OPTIONS);
    puts(
        "A command without --vary: hash_seed=0,1 threads=1,all deterministic=off,on.\n"
        "{axis} in a command's arguments is replaced by the axis's level.");
}

char *sb_request_resume_command(const char *program, int argc, char **argv, const char *folder) {
    static const char *const replaced[] = {"out", "resume", "force"};
    struct sb_request request = {0};
    struct option_table table;
    fill_options(&request, &table);
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_quote(&text, program);
    sb_text_puts(&text, " run --resume --out ");
    sb_text_quote(&text, folder);
    bool ended = false; /* by --: the rest is the job's command */
    for (int i = 1; i < argc;) {
        const struct sb_option *option;
        size_t n = ended ? 0 : sb_options_span(table.options, N_OPTIONS, argc, argv, i, &option);
        bool skip = false;
        for (size_t k = 0; n && k < sizeof replaced / sizeof *replaced; k++)
            skip |= strcmp(option->name, replaced[k]) == 0;
        ended |= strcmp(argv[i], "--") == 0;
        for (size_t end = (size_t)i + (n ? n : 1); (size_t)i < end; i++) {
            if (skip)
                continue;
            sb_text_putc(&text, ' ');
            sb_text_quote(&text, argv[i]);
        }
    }
    return sb_text_take(&text);
}

void sb_request_clear(struct sb_request *request) {
    struct sb_strings *const lists[] = {&request->vary,
                                        &request->only,
                                        &request->skip,
                                        &request->exclude,
                                        &request->include,
                                        &request->reports,
                                        &request->launcher_arguments,
                                        &request->injected};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        sb_strings_clear(lists[i]);
    sb_arguments_clear(&request->arguments);
    *request = (struct sb_request){0};
}

int sb_request_inject(struct sb_request *request, const char *seed, struct sb_error *err) {
    return request->inject ? sb_inject_seeds(seed, &request->injected, err) : 0;
}

char **sb_request_environment(const struct sb_request *request) {
    return request->injected.n ? request->injected.items : environ;
}

int sb_request_shard(const struct sb_request *request, unsigned *shard, unsigned *n_shards,
                     struct sb_error *err) {
    *shard = *n_shards = 1;
    if (!request->shard)
        return 0;
    char end;
    if (sscanf(request->shard, "%u/%u%c", shard, n_shards, &end) != 2 || *shard < 1 ||
        *shard > *n_shards)
        return sb_error_set(err, -EINVAL, "samebits run: --shard: '%s' is not I/N with 1 ≤ I ≤ N",
                            request->shard);
    return 0;
}

/* Owns the parsed values that struct sb_overrides borrows. */
struct override_values {
    struct sb_suite_axis axes[64];
    size_t n_axes;
    struct sb_repeats repeats;
    enum sb_design design;
    enum sb_need require;
    bool exact;
};

static void override_values_clear(struct override_values *values) {
    for (size_t i = 0; i < values->n_axes; i++)
        sb_suite_axis_clear(&values->axes[i]);
}

static int parse_vary(const struct sb_request *request, struct override_values *values,
                      struct sb_error *err) {
    for (size_t i = 0; i < request->vary.n; i++) {
        struct sb_suite_axis axis;
        if (i == sizeof values->axes / sizeof *values->axes)
            return sb_error_set(err, -EINVAL, "samebits run: --vary: more than %zu axes", i);
        int rc = sb_vary_parse(request->vary.items[i], &axis, err);
        if (rc < 0)
            return sb_error_prefix(err, rc, "samebits run");
        values->axes[values->n_axes++] = axis;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(values->axes[k].name, axis.name) == 0)
                return sb_error_set(err, -EINVAL, "samebits run: --vary: axis '%s' is given twice",
                                    axis.name);
        }
    }
    return 0;
}

int sb_request_suite(const struct sb_request *request, const char *text, struct sb_suite **suite,
                     struct sb_error *err) {
    SB_CLEANUP(override_values_clear) struct override_values values = {.exact = true};
    int rc = parse_vary(request, &values, err);
    if (rc < 0)
        return rc;
    struct sb_overrides overrides = {
        .axes = values.axes,
        .n_axes = values.n_axes,
        .tolerance = &request->tolerance,
        .timeout_s = -1,
        .exclude = request->exclude.items,
        .n_exclude = request->exclude.n,
        .include = request->include.items,
        .n_include = request->include.n,
        .only = request->only.items,
        .n_only = request->only.n,
        .skip = request->skip.items,
        .n_skip = request->skip.n,
    };
    if (request->repeats) {
        rc = sb_repeats_parse(request->repeats, &values.repeats, err);
        if (rc < 0)
            return sb_error_prefix(err, rc, "samebits run: --repeats");
        overrides.repeats = &values.repeats;
    }
    if (request->timeout) {
        rc = sb_duration_parse(request->timeout, &overrides.timeout_s, err);
        if (rc < 0)
            return sb_error_prefix(err, rc, "samebits run: --timeout");
    }
    if (request->exact)
        overrides.exact = &values.exact;
    if (request->design >= 0) {
        values.design = (enum sb_design)request->design;
        overrides.design = &values.design;
    }
    if (request->require >= 0) {
        values.require = (enum sb_need)request->require;
        overrides.require = &values.require;
    }
    const struct sb_arguments *arguments = &request->arguments;
    if (arguments->rest)
        return sb_suite_adhoc(arguments->rest, arguments->n_rest, request->weights, &overrides,
                              suite, err);
    const char *path = arguments->positional.items[0];
    if (text)
        return sb_suite_parse(text, strlen(text), path, &overrides, suite, err);
    return sb_suite_load(path, &overrides, suite, err);
}

static int check_isa(void *context, const char *level, char **refused, struct sb_error *err) {
    (void)err;
    return sb_worker_check_isa(context, level, refused);
}

int sb_request_machine(const struct sb_suite *suite, struct sb_machine **machine,
                       struct sb_error *err) {
    SB_AUTO_FREE char *program = sb_program_path();
    if (!program)
        return sb_error_errno(err, -errno, "/proc/self/exe");
    int rc = sb_machine_probe(machine, err);
    if (rc == 0)
        rc = suite ? sb_machine_check_isa(*machine, suite, check_isa, program, err) : 0;
    if (rc < 0) {
        sb_machine_free(*machine);
        *machine = NULL;
    }
    return rc;
}

int sb_request_launcher_check(const struct sb_request *request, struct sb_error *err) {
    SB_AUTO_FREE char *missing = request->launcher->missing ? request->launcher->missing() : NULL;
    if (!missing)
        return 0;
    return sb_error_set(err, -ENOENT, "samebits run: --launcher %s: %s", request->launcher->name,
                        missing);
}

int sb_request_adapt(const struct sb_request *request, struct sb_machine *machine,
                     struct sb_error *err) {
    if (!request->launcher->adapt)
        return 0;
    int rc = request->launcher->adapt(machine, request->launcher_arguments.items, err);
    return rc < 0 ? sb_error_prefix(err, rc, "samebits run: --launcher %s", request->launcher->name)
                  : 0;
}

int sb_request_plan(const struct sb_suite *suite, const struct sb_machine *machine,
                    struct sb_plan **plan, struct sb_error *err) {
    for (size_t i = 0; i < suite->n_jobs; i++) {
        if (suite->jobs[i].kind == SB_JOB_COMMAND)
            continue;
        int rc = sb_worker_check(&suite->jobs[i], err);
        if (rc < 0)
            return rc;
    }
    return sb_plan_make(suite, machine, plan, err);
}
