/* cli: samebits rerun: one run of a result once more, as it was. */
#include "cli/command.h"
#include "cli/digesting.h"
#include "cli/kept_plan.h"
#include "cli/options.h"
#include "cli/request.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Everything between the kept plan and the one run. */
struct rerun {
    struct sb_folder *kept, *fresh;
    json_t *plan_json;
    struct sb_run *runs; /* of the kept journal */
    size_t n_runs;
    const struct sb_run *run; /* the one that is wanted */
    struct sb_strings argv;
    struct sb_request request;
    bool parsed;
    struct sb_suite *suite;
    struct sb_machine *machine;
    struct sb_plan *plan;
    bool asked; /* the one run was asked for */
};

static void rerun_clear(struct rerun *rerun) {
    for (size_t i = 0; i < rerun->n_runs; i++)
        sb_run_clear(&rerun->runs[i]);
    free(rerun->runs);
    sb_plan_free(rerun->plan);
    sb_machine_free(rerun->machine);
    sb_suite_free(rerun->suite);
    if (rerun->parsed)
        sb_request_clear(&rerun->request);
    sb_strings_clear(&rerun->argv);
    sb_folder_close(rerun->kept);
    json_decref(rerun->plan_json);
}

/* The request as it was given, in the folder that it was given in. */
static int restore_request(struct rerun *rerun, struct sb_error *err) {
    size_t i;
    json_t *argument;
    json_array_foreach(json_object_get(rerun->plan_json, "argv"), i, argument) {
        if (sb_strings_add(&rerun->argv, json_string_value(argument)) < 0)
            return sb_error_errno(err, -ENOMEM, "plan.json");
    }
    const char *cwd = json_string_value(json_object_get(rerun->plan_json, "cwd"));
    if (!cwd || chdir(cwd) < 0)
        return sb_error_errno(err, -errno, "the folder that the result was made in: %s",
                              cwd ? cwd : "unknown");
    int rc = sb_request_parse((int)rerun->argv.n, rerun->argv.items, &rerun->request, err);
    rerun->parsed = rc == 0;
    if (rc == 0)
        rc = sb_request_inject(
            &rerun->request, json_string_value(json_object_get(rerun->plan_json, "injected_seed")),
            err);
    if (rc == 0)
        rc = sb_request_suite(&rerun->request,
                              json_string_value(json_object_get(rerun->plan_json, "suite_text")),
                              &rerun->suite, err);
    if (rc == 0)
        rc = sb_request_machine(rerun->suite, &rerun->machine, err);
    if (rc == 0)
        rc = sb_request_plan(rerun->suite, rerun->machine, &rerun->plan, err);
    return rc;
}

static int open_result(struct rerun *rerun, const char *path, const char *id,
                       struct sb_error *err) {
    int rc = sb_folder_open(path, false, &rerun->kept, err);
    if (rc < 0)
        return rc;
    SB_AUTO_FREE char *file = sb_folder_file(rerun->kept, "plan.json");
    json_error_t problem;
    rerun->plan_json = file ? json_load_file(file, 0, &problem) : NULL;
    if (!rerun->plan_json)
        return sb_error_set(err, -EINVAL, "%s: %s", file ? file : path, problem.text);
    rc = sb_journal_read(rerun->kept, &rerun->runs, &rerun->n_runs, err);
    for (size_t i = 0; rc == 0 && i < rerun->n_runs; i++) {
        if (strcmp(rerun->runs[i].id, id) == 0)
            rerun->run = &rerun->runs[i];
    }
    if (rc == 0 && !rerun->run)
        return sb_error_set(err, -ENOENT, "%s: no run '%s' (runs: %s to %s)", path, id,
                            rerun->n_runs ? rerun->runs[0].id : "none",
                            rerun->n_runs ? rerun->runs[rerun->n_runs - 1].id : "none");
    return rc;
}

static int check_plan(const struct rerun *rerun, struct sb_error *err) {
    SB_AUTO_JSON json_t *now = sb_kept_plan_json(&rerun->request, (int)rerun->argv.n,
                                                 rerun->argv.items, rerun->plan, NULL);
    return now ? sb_kept_plan_same_jobs(rerun->plan_json, now, err)
               : sb_error_errno(err, -ENOMEM, "plan.json");
}

static void print_quoted(const char *word) {
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_quote(&text, word);
    fputs(text.data ? text.data : word, stdout);
}

/* What the cell sets beyond the present environment, and the command, as lines for a shell. */
static int print_command(const struct rerun *rerun, struct sb_error *err) {
    const struct sb_job_plan *job = &rerun->plan->jobs[rerun->run->job];
    SB_CLEANUP(sb_setup_clear) struct sb_setup setup = {0};
    int rc = sb_setup_make(rerun->plan, job, &job->cells[rerun->run->cell],
                           sb_request_environment(&rerun->request), &setup, err);
    if (rc < 0)
        return rc;
    printf("# %s: job %s,", rerun->run->id, job->job->id);
    for (size_t i = 0; i < job->n_axes; i++) {
        if (job->axes[i].n_levels)
            printf(" %s=%s", job->axes[i].name,
                   job->axes[i].levels[job->cells[rerun->run->cell].level[i]]);
    }
    printf("\ncd ");
    print_quoted(job->job->directory);
    putchar('\n');
    struct sb_strings now = {.items = environ};
    while (environ[now.n])
        now.n++;
    struct sb_strings then = {.items = setup.environment};
    while (setup.environment[then.n])
        then.n++;
    for (size_t i = 0; i < now.n; i++) {
        SB_AUTO_FREE char *name = strndup(now.items[i], strcspn(now.items[i], "="));
        if (name && !sb_environment_get(&then, name))
            printf("unset %s\n", name);
    }
    for (size_t i = 0; i < then.n; i++) {
        if (sb_strings_contain(&now, then.items[i]))
            continue;
        size_t name = strcspn(then.items[i], "=");
        printf("export %.*s=", (int)name, then.items[i]);
        print_quoted(then.items[i] + name + (then.items[i][name] == '='));
        putchar('\n');
    }
    char **command = setup.command, **built = NULL;
    SB_AUTO_FREE char *program = sb_program_path();
    if (!command && program && sb_worker_command(job->job, program, &built, err) == 0)
        command = built;
    for (size_t i = 0; command && command[i]; i++) {
        fputs(i ? " " : "", stdout);
        print_quoted(command[i]);
    }
    putchar('\n');
    for (size_t i = 0; built && built[i]; i++)
        free(built[i]);
    free(built);
    fflush(stdout);
    return 0;
}

static int ask_for_one(void *context, size_t job, const struct sb_run *runs, size_t n_runs,
                       unsigned *more, struct sb_error *err) {
    (void)runs, (void)n_runs, (void)err;
    struct rerun *rerun = context;
    if (job == rerun->run->job && !rerun->asked) {
        more[rerun->run->cell] = 1;
        rerun->asked = true;
    }
    return 0;
}

/* Does the run in a folder of its own, copies its log to stdout, and says whether its bits are the
 * same. */
static int run_again(struct rerun *rerun, struct sb_error *err) {
    SB_AUTO_FREE char *program = sb_program_path();
    struct sb_reader *reader = NULL;
    struct sb_schedule_result result = {0};
    int rc =
        program ? sb_reader_start(&reader, err) : sb_error_errno(err, -errno, "/proc/self/exe");
    if (rc < 0)
        return rc;
    const struct sb_digesting digesting = sb_digesting_make(reader);
    const struct sb_schedule_callbacks callbacks = {
        .context = rerun, .more = ask_for_one, .digesting = &digesting};
    const struct sb_schedule_options options = {
        .isolate = rerun->request.isolate < 0 ? SB_ISOLATE_AUTO
                                              : (enum sb_isolation)rerun->request.isolate,
        .shard = 1,
        .n_shards = 1,
        .environment = sb_request_environment(&rerun->request),
        .program = program,
    };
    rc = sb_schedule_run(rerun->plan, rerun->fresh, &options, &callbacks, &result, err);
    const struct sb_run *now = rc == 0 && result.n_runs ? &result.runs[0] : NULL;
    if (rc == 0 && !now)
        rc = sb_error_set(err, -ECANCELED, "interrupted");
    if (now) {
        const char *before =
            rerun->run->fingerprint ? rerun->run->fingerprint : sb_status_names[rerun->run->status];
        const char *after = now->fingerprint ? now->fingerprint : sb_status_names[now->status];
        bool same = strcmp(before, after) == 0;
        printf("# then  %s\n# now   %s  %s\n", before, after, same ? "same" : "different");
        if (now->message)
            printf("# %s\n", now->message);
        rc = !now->fingerprint ? SB_EXIT_ERROR : same ? SB_EXIT_OK : SB_EXIT_DIVERGED;
    }
    sb_schedule_result_clear(&result);
    sb_reader_stop(reader);
    return rc;
}

static int rerun_in_fresh_folder(struct rerun *rerun, struct sb_error *err) {
    const char *base = getenv("TMPDIR");
    SB_AUTO_FREE char *path = sb_format("%s/samebits-rerun-XXXXXX", base && *base ? base : "/tmp");
    if (!path || !mkdtemp(path))
        return sb_error_errno(err, -errno, "cannot make a folder for the run");
    int rc = sb_folder_create(path, false, &rerun->fresh, err);
    if (rc == 0)
        rc = run_again(rerun, err);
    sb_folder_close(rerun->fresh);
    sb_remove_tree(path, NULL);
    return rc;
}

int sb_cmd_rerun(int argc, char **argv) {
    bool print_only = false;
    const struct sb_option table[] = {
        {"print", 'n', NULL, "print the command and environment only", sb_take_flag, &print_only},
    };
    const size_t n_table = sizeof table / sizeof *table;
    struct sb_error err = {0};
    SB_CLEANUP(sb_arguments_clear) struct sb_arguments arguments;
    if (sb_options_parse("samebits rerun", table, n_table, argc, argv, &arguments, &err) < 0)
        return sb_complain(&err);
    if (arguments.help) {
        puts(
            "samebits rerun [OPTION]… DIR RUN\n"
            "One run of a result again, as it was: samebits rerun latest r00005\n");
        sb_options_print(table, n_table);
        puts("\nExit: 0 the same bits as then, 1 other bits, 2 it did not end well.");
        return SB_EXIT_OK;
    }
    if (arguments.positional.n != 2) {
        sb_error_set(&err, 0,
                     "samebits rerun: give a results folder and a run (samebits rerun "
                     "samebits-results/latest r00005)");
        return sb_complain(&err);
    }
    struct rerun rerun = {0};
    int rc =
        open_result(&rerun, arguments.positional.items[0], arguments.positional.items[1], &err);
    if (rc == 0)
        rc = restore_request(&rerun, &err);
    if (rc == 0)
        rc = check_plan(&rerun, &err);
    if (rc == 0)
        rc = print_command(&rerun, &err);
    if (rc == 0 && !print_only)
        rc = rerun_in_fresh_folder(&rerun, &err);
    rerun_clear(&rerun);
    return rc < 0 ? sb_complain(&err) : rc;
}
