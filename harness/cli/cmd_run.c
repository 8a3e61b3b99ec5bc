/* cli: samebits run. */
#include "cli/command.h"
#include "cli/identity.h"
#include "cli/inject.h"
#include "cli/interrupts.h"
#include "cli/kept_plan.h"
#include "cli/request.h"
#include "cli/session.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/reporting.h"
#include "report/baseline.h"
#include "report/display.h"
#include "samebits-config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Runs that are due at the least. */
static size_t planned_runs(const struct sb_job_plan *job) {
    return job->n_cells * job->job->repeats.min;
}

static void print_plan(const struct sb_request *request, const struct sb_plan *plan) {
    size_t cells = 0, runs = 0;
    bool exact = true;
    for (size_t i = 0; i < plan->n_jobs; i++) {
        cells += plan->jobs[i].n_cells;
        runs += planned_runs(&plan->jobs[i]);
        exact &= plan->jobs[i].job->repeats.exact;
    }
    if (request->quiet || request->json)
        return;
    const char *injected = sb_injected_seed(&request->injected);
    printf("samebits %s: %zu job%s, %zu cell%s, %s%zu runs, order seed %llu%s%s\n", SB_VERSION,
           plan->n_jobs, plan->n_jobs == 1 ? "" : "s", cells, cells == 1 ? "" : "s",
           exact ? "" : "at least ", runs, (unsigned long long)request->seed,
           injected ? ", Python seeded with " : "", injected ? injected : "");
    fflush(stdout);
}

static json_t *listed_job(const struct sb_job_plan *plan) {
    json_t *axes = json_array();
    for (size_t i = 0; i < plan->n_axes; i++) {
        const struct sb_job_axis *axis = &plan->axes[i];
        json_t *levels = json_array();
        for (size_t k = 0; k < axis->n_levels; k++)
            json_array_append_new(levels, sb_json_string(axis->levels[k]));
        json_array_append_new(axes, json_pack("{s:o, s:o, s:o}", "name", sb_json_string(axis->name),
                                              "levels", levels, "unavailable",
                                              sb_json_string(axis->unavailable)));
    }
    const struct sb_job *job = plan->job;
    bool kernel = job->kind == SB_JOB_KERNEL;
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:s, s:o, s:i, s:i}", "name",
                     sb_json_string(job->name), "id", sb_json_string(job->id), "kind",
                     sb_job_kind_names[job->kind], "kernel",
                     sb_json_string(kernel ? job->subject : NULL), "backend",
                     sb_json_string(job->backend), "dtype", sb_json_string(job->dtype), "algorithm",
                     sb_json_string(job->algorithm), "design", sb_design_names[job->design], "axes",
                     axes, "cells", (int)plan->n_cells, "runs", (int)planned_runs(plan));
}

/* What a run would refuse: an input that is named outright, and is not there. The files of a glob
 * are left to the run, which reads them all. */
static int check_inputs(const struct sb_plan *plan, struct sb_error *err) {
    for (size_t i = 0; i < plan->suite->n_jobs; i++) {
        const struct sb_job *job = &plan->suite->jobs[i];
        for (size_t k = 0; k < job->n_inputs; k++) {
            SB_AUTO_FREE char *path = sb_path_join(job->directory, job->inputs[k]);
            if (!path)
                return sb_error_errno(err, -ENOMEM, "inputs");
            if (!strpbrk(job->inputs[k], "*?[\\") && access(path, F_OK) < 0)
                return sb_where_error(err, -ENOENT, &job->where,
                                      "job '%s': inputs: '%s' matches no file in %s", job->name,
                                      job->inputs[k], job->directory);
        }
    }
    return 0;
}

static int list_plan(const struct sb_request *request, const struct sb_plan *plan,
                     struct sb_error *err) {
    int rc = check_inputs(plan, err);
    if (rc < 0)
        return rc;
    if (request->json) {
        json_t *jobs = json_array();
        for (size_t i = 0; i < plan->n_jobs; i++)
            json_array_append_new(jobs, listed_job(&plan->jobs[i]));
        SB_AUTO_JSON json_t *document =
            json_pack("{s:s, s:o}", "schema", "samebits.plan/1", "jobs", jobs);
        SB_AUTO_FREE char *text = sb_json_text(document);
        fputs(text ? text : "", stdout);
        return SB_EXIT_OK;
    }
    for (size_t i = 0; i < plan->n_jobs; i++) {
        const struct sb_job_plan *job = &plan->jobs[i];
        printf("%s  %s  %zu cell%s × %u repeat%s = %zu run%s, %s\n", job->job->id,
               sb_job_kind_names[job->job->kind], job->n_cells, job->n_cells == 1 ? "" : "s",
               job->job->repeats.min, job->job->repeats.min == 1 ? "" : "s", planned_runs(job),
               planned_runs(job) == 1 ? "" : "s", sb_design_names[job->job->design]);
        for (size_t k = 0; k < job->n_axes; k++) {
            const struct sb_job_axis *axis = &job->axes[k];
            printf("  %s=", axis->name);
            for (size_t l = 0; l < axis->n_levels; l++)
                printf("%s%s", l ? "," : "", axis->levels[l]);
            printf("%s%s\n", axis->unavailable ? "  unavailable here: " : "",
                   axis->unavailable ? axis->unavailable : "");
        }
    }
    return SB_EXIT_OK;
}

/* Opens the results folder that was asked for, and for --resume makes sure that it is about the
 * same plan. */
static int open_folder(const struct sb_request *request, int argc, char **argv,
                       const struct sb_plan *plan, const json_t *identity,
                       struct sb_folder **folder, struct sb_error *err) {
    SB_AUTO_JSON json_t *now = sb_kept_plan_json(request, argc, argv, plan, identity);
    if (!now)
        return sb_error_errno(err, -ENOMEM, "plan.json");
    int rc = request->resume ? sb_folder_open(request->out, true, folder, err)
                             : sb_folder_create(request->out, request->force, folder, err);
    if (rc < 0)
        return rc;
    SB_AUTO_FREE char *path = sb_folder_file(*folder, "plan.json");
    rc = path ? 0 : sb_error_errno(err, -ENOMEM, "plan.json");
    if (rc == 0 && request->resume && access(path, F_OK) == 0) {
        json_error_t problem;
        SB_AUTO_JSON json_t *kept = json_load_file(path, 0, &problem);
        rc = kept ? sb_kept_plan_same_jobs(kept, now, err)
                  : sb_error_set(err, -EINVAL, "%s: %s", path, problem.text);
        if (rc == 0)
            rc = sb_kept_plan_same_conditions(kept, now, err);
        if (rc < 0)
            sb_error_prefix(err, rc, "samebits run: --resume %s", request->out);
    } else if (rc == 0) {
        SB_AUTO_FREE char *text = sb_json_text(now);
        rc = text ? sb_file_write(path, text, strlen(text), err)
                  : sb_error_errno(err, -ENOMEM, "%s", path);
    }
    if (rc < 0) {
        sb_folder_close(*folder);
        *folder = NULL;
    }
    return rc;
}

static void say_how_to_resume(int argc, char **argv, const struct sb_folder *folder) {
    char shown[PATH_MAX];
    SB_AUTO_FREE char *command = sb_request_resume_command(
        program_invocation_name, argc, argv,
        sb_reporting_shown_folder(sb_folder_path(folder), shown, sizeof shown));
    SB_AUTO_FREE char *printable = command ? sb_text_printable(command) : NULL;
    if (printable)
        fprintf(stderr, "samebits: interrupted; this goes on: %s\n", printable);
}

/* From plan to exit code. */
static int run_plan(const struct sb_request *request, int argc, char **argv,
                    const struct sb_plan *plan, struct sb_error *err) {
    struct sb_folder *folder = NULL;
    SB_CLEANUP(sb_identity_clear) struct sb_identity identity = {0};
    SB_AUTO_JSON json_t *known_bits = NULL;
    int rc = request->baseline ? sb_baseline_read(request->baseline, &known_bits, err) : 0;
    if (rc == 0)
        rc = sb_identity_take(plan, &identity, err);
    /* Of a new result the tree's state is asked for beside the first runs. */
    SB_AUTO_JSON json_t *git = rc == 0 && request->resume ? sb_identity_tree(plan) : NULL;
    SB_AUTO_JSON json_t *whole = rc == 0 ? sb_identity_json(&identity, git) : NULL;
    if (rc == 0)
        rc = open_folder(request, argc, argv, plan, whole, &folder, err);
    if (rc < 0)
        return rc;
    if (request->resume && request->launcher->recover)
        rc = request->launcher->recover(folder, err);
    if (rc < 0) {
        sb_folder_close(folder);
        return rc;
    }
    print_plan(request, plan);
    SB_AUTO_JSON json_t *result = NULL;
    struct sb_session session;
    rc = sb_session_open(request, plan, &identity, folder, &session, err);
    if (rc == 0) {
        sb_catch_interrupts();
        rc = sb_session_schedule(&session, err);
    }
    if (rc == 0)
        rc = sb_session_result(&session, &result, err);
    if (rc == 0 && known_bits)
        sb_baseline_join(result, known_bits, request->baseline);
    if (rc == 0)
        rc = sb_reporting_save(session.folder, result, err);
    sb_folder_sync(folder); /* while guards tidy up, for which closing the session waits */
    if (rc == 0)
        rc = sb_reporting_write(request, result, folder, err);
    if (rc == 0)
        rc = (int)json_integer_value(json_object_get(result, "exit_code"));
    if (sb_interrupted && rc >= 0)
        say_how_to_resume(argc, argv, folder);
    sb_session_close(&session);
    sb_folder_close(folder);
    return rc;
}

static int run_request(struct sb_request *request, int argc, char **argv, struct sb_error *err) {
    struct sb_suite *suite = NULL;
    struct sb_machine *machine = NULL;
    struct sb_plan *plan = NULL;
    int rc = sb_reporting_check(request, err);
    if (rc == 0)
        rc = sb_request_launcher_check(request, err);
    if (rc == 0)
        rc = sb_request_inject(request, NULL, err);
    if (rc == 0)
        rc = sb_request_suite(request, NULL, &suite, err);
    if (rc == 0)
        rc = sb_request_machine(suite, &machine, err);
    if (rc == 0)
        rc = sb_request_adapt(request, machine, err);
    if (rc == 0)
        rc = sb_request_plan(suite, machine, &plan, err);
    if (rc == 0)
        rc = request->list ? list_plan(request, plan, err)
                           : run_plan(request, argc, argv, plan, err);
    sb_plan_free(plan);
    sb_machine_free(machine);
    sb_suite_free(suite);
    return rc;
}

int sb_cmd_run(int argc, char **argv) {
    struct sb_request request;
    struct sb_error err = {0};
    if (sb_request_parse(argc, argv, &request, &err) < 0)
        return sb_complain(&err);
    int code;
    if (request.arguments.help) {
        sb_request_help();
        code = SB_EXIT_OK;
    } else {
        code = run_request(&request, argc, argv, &err);
        if (code < 0)
            code = sb_complain(&err);
    }
    sb_request_clear(&request);
    return code;
}
