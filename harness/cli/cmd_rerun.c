/* cli: samebits rerun: one run of a result once more, as it was. */
#include "cli/command.h"
#include "cli/digesting.h"
#include "cli/identity.h"
#include "cli/options.h"
#include "cli/restored.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "report/display.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One run of a result, to be done again. */
struct rerun {
    struct sb_restored result;
    const struct sb_run *run;
    bool asked; /* the one run was asked for */
    const struct sb_launcher *launcher;
};

static int find_run(struct rerun *rerun, const char *path, const char *id, struct sb_error *err) {
    const struct sb_restored *result = &rerun->result;
    for (size_t i = 0; i < result->n_runs; i++) {
        if (strcmp(result->runs[i].id, id) == 0)
            rerun->run = &result->runs[i];
    }
    if (rerun->run)
        return 0;
    return sb_error_set(err, -ENOENT, "%s: no run '%s' (runs: %s to %s)", path, id,
                        result->n_runs ? result->runs[0].id : "none",
                        result->n_runs ? result->runs[result->n_runs - 1].id : "none");
}

static void print_quoted(const char *word) {
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_quote(&text, word);
    fputs(text.data ? text.data : word, stdout);
}

/* What the cell sets beyond the present environment, and the command, as lines for a shell. */
static int print_command(const struct rerun *rerun, struct sb_error *err) {
    const struct sb_job_plan *job = &rerun->result.plan->jobs[rerun->run->job];
    SB_CLEANUP(sb_setup_clear) struct sb_setup setup = {0};
    int rc = sb_setup_make(rerun->result.plan, job, &job->cells[rerun->run->cell],
                           sb_request_environment(&rerun->result.request), &setup, err);
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

/* Other bits of another program are no news. */
static void print_changed(struct sb_restored *result) {
    struct sb_error err = {0};
    int rc = sb_restored_identity(result, &err);
    SB_AUTO_FREE char *changed =
        rc == 0 ? sb_identity_difference(result->plan_json, result->identity) : strdup(err.text);
    SB_AUTO_FREE char *shown = changed ? sb_text_printable(changed) : NULL;
    if (shown)
        printf("# changed since then: %s\n", shown);
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
static int run_again(struct rerun *rerun, struct sb_folder *folder, struct sb_error *err) {
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
        .launcher = rerun->launcher,
        .launcher_arguments = rerun->result.request.launcher_arguments.items,
        .isolate = rerun->result.request.isolate < 0
                       ? SB_ISOLATE_AUTO
                       : (enum sb_isolation)rerun->result.request.isolate,
        .shard = 1,
        .n_shards = 1,
        .environment = sb_request_environment(&rerun->result.request),
        .program = program,
    };
    rc = sb_schedule_run(rerun->result.plan, folder, &options, &callbacks, &result, err);
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

/* As it was: by the launcher that did it, where that is here. */
static void choose_launcher(struct rerun *rerun) {
    struct sb_restored *result = &rerun->result;
    rerun->launcher = result->request.launcher;
    SB_AUTO_FREE char *missing = rerun->launcher->missing ? rerun->launcher->missing() : NULL;
    if (missing) {
        printf("# %s: done on this machine\n", missing);
        rerun->launcher = &sb_launcher_local;
    } else if (result->planned_for) {
        result->plan->machine = result->planned_for;
    }
}

/* What machines elsewhere make the plan of. */
static int write_plan(const struct rerun *rerun, struct sb_folder *folder, struct sb_error *err) {
    SB_AUTO_FREE char *file = sb_folder_file(folder, "plan.json");
    SB_AUTO_FREE char *text = sb_json_text(rerun->result.plan_json);
    return file && text ? sb_file_write(file, text, strlen(text), err)
                        : sb_error_errno(err, -ENOMEM, "plan.json");
}

static int rerun_in_fresh_folder(struct rerun *rerun, struct sb_error *err) {
    choose_launcher(rerun);
    bool elsewhere = rerun->launcher != &sb_launcher_local;
    const char *base = elsewhere ? sb_folder_path(rerun->result.folder) : getenv("TMPDIR");
    SB_AUTO_FREE char *path = sb_format("%s/samebits-rerun-XXXXXX", base && *base ? base : "/tmp");
    if (!path || !mkdtemp(path))
        return sb_error_errno(err, -errno, "cannot make a folder for the run");
    struct sb_folder *folder = NULL;
    int rc = sb_folder_create(path, false, &folder, err);
    if (rc == 0 && elsewhere)
        rc = write_plan(rerun, folder, err);
    if (rc == 0)
        rc = run_again(rerun, folder, err);
    sb_folder_close(folder);
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
    char **given = arguments.positional.items;
    int rc = sb_restored_open(given[0], &rerun.result, &err);
    if (rc == 0)
        rc = find_run(&rerun, given[0], given[1], &err);
    if (rc == 0)
        rc = sb_restored_plan(&rerun.result, &err);
    if (rc == 0)
        rc = print_command(&rerun, &err);
    if (rc == 0)
        print_changed(&rerun.result);
    if (rc == 0 && !print_only)
        rc = rerun_in_fresh_folder(&rerun, &err);
    sb_restored_clear(&rerun.result);
    return rc < 0 ? sb_complain(&err) : rc;
}
