/* cli: one `samebits run` from plan to result.json. See cli/session.h. */
#include "cli/session.h"
#include "cli/inject.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/digesting.h"
#include "cli/evidence.h"
#include "cli/identity.h"
#include "cli/judging.h"
#include "cli/kept_plan.h"
#include "cli/needs.h"
#include "cli/program.h"
#include "cli/run_machines.h"
#include "report/display.h"

#include <errno.h>
#include <string.h>
#include <time.h>

int sb_session_open(const struct sb_request *request, const struct sb_plan *plan,
                    const struct sb_identity *identity, struct sb_folder *folder,
                    struct sb_session *session, struct sb_error *err) {
    *session = (struct sb_session){.request = request,
                                   .suite = plan->suite,
                                   .plan = plan,
                                   .folder = folder,
                                   .identity = identity};
    session->skipped = calloc(plan->n_jobs + 1, sizeof *session->skipped);
    session->first = calloc(plan->n_jobs + 1, sizeof *session->first);
    session->executed = calloc(plan->n_jobs + 1, sizeof *session->executed);
    session->given_up = calloc(plan->n_jobs + 1, sizeof *session->given_up);
    if (!session->skipped || !session->first || !session->executed || !session->given_up)
        return sb_error_errno(err, -ENOMEM, "samebits run");
    time_t now = time(NULL);
    strftime(session->started, sizeof session->started, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    for (size_t i = 0; i < plan->n_jobs; i++) {
        if (plan->jobs[i].job->kind != SB_JOB_COMMAND)
            session->skipped[i] = sb_worker_unavailable(plan->jobs[i].job);
    }
    if (sb_needs_check(plan, session->skipped) < 0)
        return sb_error_errno(err, -ENOMEM, "samebits run");
    int rc = sb_reader_start(&session->reader, err);
    if (rc == 0)
        session->git = sb_git_start(plan->n_jobs ? plan->jobs[0].job->directory : ".");
    return rc;
}

/* Callbacks of the scheduler. */

static int more_runs(void *context, size_t job, const struct sb_run *runs, size_t n_runs,
                     unsigned *more, struct sb_error *err) {
    struct sb_session *session = context;
    if (session->skipped[job] || session->given_up[job])
        return 0;
    SB_CLEANUP(sb_job_evidence_clear) struct sb_job_evidence evidence;
    int rc = sb_job_evidence_make(session->plan, job, runs, n_runs, session->request->seed, NULL,
                                  &evidence, err);
    if (rc == 0)
        rc = sb_more_runs(&evidence.evidence, &session->plan->jobs[job].job->repeats, more, err);
    size_t sum = 0;
    for (size_t c = 0; rc == 0 && c < session->plan->jobs[job].n_cells; c++)
        sum += more[c];
    sb_progress_more(&session->progress, job, sum);
    return rc;
}

static void run_started(void *context, size_t job, const char *run_id) {
    (void)run_id;
    sb_progress_started(&((struct sb_session *)context)->progress, job);
}

/* A note on a run that ended well (a process it left behind, weights that could not be kept) is
 * said once; all of them stand in result.json. */
static void say_note(struct sb_session *session, const struct sb_run *run) {
    if (run->status != SB_STATUS_OK || !run->message || session->noted)
        return;
    session->noted = true;
    sb_progress_clear(&session->progress);
    SB_AUTO_FREE char *shown = sb_text_printable(run->message);
    fprintf(stderr, "samebits: %s: %s\n", run->id, shown ? shown : "");
}

/* Where the command is the same in every cell, and the first run cannot even be started, neither
 * can the others: that is said at once, and the rest of the job is left. */
static void check_start(struct sb_session *session, const struct sb_run *run) {
    const struct sb_job *job = session->plan->jobs[run->job].job;
    if (run->status != SB_STATUS_SPAWN_FAILED) {
        session->executed[run->job] = true;
        return;
    }
    if (session->executed[run->job] || session->given_up[run->job] || job->kind != SB_JOB_COMMAND ||
        strchr(job->command[0], '{'))
        return;
    session->given_up[run->job] = true;
    sb_progress_clear(&session->progress);
    SB_AUTO_FREE char *text =
        sb_format("job '%s' cannot be started: %s%s; its other runs are left out", job->id,
                  run->message ? run->message : job->command[0],
                  strchr(job->command[0], '/') ? "" : " (looked for on PATH)");
    SB_AUTO_FREE char *shown = text ? sb_text_printable(text) : NULL;
    fprintf(stderr, "samebits: %s\n", shown ? shown : job->id);
}

/* What the runs rest on has to be known of those that are kept when samebits is killed. */
static int note_tree(struct sb_session *session, struct sb_error *err) {
    session->tree = sb_identity_tree_of(sb_steal_pointer(&session->git));
    return session->tree ? sb_kept_plan_note_tree(session->folder, session->tree, err)
                         : sb_error_errno(err, -ENOMEM, "git");
}

static void run_finished(void *context, const struct sb_run *run) {
    struct sb_session *session = context;
    say_note(session, run);
    check_start(session, run);
    if (sb_git_ready(session->git, 0))
        note_tree(session, NULL); /* where this cannot be written, neither can the result */
    if (run->fingerprint) {
        char **first = &session->first[run->job];
        if (!*first)
            *first = strdup(run->fingerprint);
        else if (strcmp(*first, run->fingerprint) != 0)
            session->diverged = true;
    }
    sb_progress_finished(&session->progress, run);
}

static void tick(void *context) {
    sb_progress_show(&((struct sb_session *)context)->progress);
}

static void waiting(void *context, const char *text) {
    sb_progress_waiting(&((struct sb_session *)context)->progress, text);
}

static bool stop(void *context) {
    const struct sb_session *session = context;
    return session->request->stop_after && session->diverged;
}

static bool give_up(void *context, size_t job) {
    return ((const struct sb_session *)context)->given_up[job];
}

int sb_session_schedule(struct sb_session *session, struct sb_error *err) {
    SB_AUTO_FREE char *program = sb_program_path();
    if (!program)
        return sb_error_errno(err, -errno, "/proc/self/exe");
    struct sb_run *done = NULL;
    size_t n_done = 0;
    int rc = sb_journal_read(session->folder, &done, &n_done, err);
    if (rc < 0)
        return rc;
    if (rc > 0)
        fprintf(stderr, "samebits: %s\n",
                err->text); /* damaged records: those runs are done again */
    struct sb_schedule_options options = {
        .jobs = session->request->jobs,
        .seed = session->request->seed,
        .spread_s = session->request->spread_s,
        .wait_for_bits = session->request->stop_after,
        .trace = session->request->trace,
        .isolate = session->request->isolate < 0 ? SB_ISOLATE_AUTO
                                                 : (enum sb_isolation)session->request->isolate,
        .environment = sb_request_environment(session->request),
        .program = program,
        .done = done,
        .n_done = n_done,
        .launcher = session->request->launcher,
        .launcher_arguments = session->request->launcher_arguments.items,
    };
    sb_request_shard(session->request, &options.shard, &options.n_shards, NULL);
    const struct sb_digesting digesting = sb_digesting_make(session->reader);
    const struct sb_schedule_callbacks callbacks = {
        .context = session,
        .more = more_runs,
        .digesting = &digesting,
        .started = run_started,
        .finished = run_finished,
        .tick = tick,
        .waiting = waiting,
        .stop = stop,
        .give_up = give_up,
    };
    bool quiet = session->request->quiet || session->request->json;
    sb_progress_begin(&session->progress, session->plan, quiet,
                      session->request->verbose && !quiet);
    rc = sb_schedule_run(session->plan, session->folder, &options, &callbacks, &session->runs, err);
    sb_progress_end(&session->progress);
    for (size_t i = 0; i < n_done; i++)
        sb_run_clear(&done[i]);
    free(done);
    return rc;
}

/* Of a job of which no run came to an end. */
static const char *why_no_runs(const void *context, size_t job) {
    const struct sb_session *session = context;
    const struct sb_schedule_result *runs = &session->runs;
    bool started = false;
    for (size_t i = 0; i < runs->n_runs; i++)
        started |= runs->runs[i].job == job;
    return runs->interrupted && started ? "interrupted before a run of it had ended"
           : runs->interrupted          ? "interrupted before it ran"
           : runs->stopped           ? "not run: bits differed before, and --stop-after was given"
           : session->request->shard ? "no run of it is in this shard"
                                     : "no run of it was due";
}

static int build_result(struct sb_session *session, const struct sb_job_result *jobs,
                        json_t **result, struct sb_error *err) {
    SB_AUTO_JSON json_t *manifest = NULL;
    int rc = session->tree ? 0 : note_tree(session, err);
    SB_AUTO_JSON json_t *identity = sb_identity_json(session->identity, session->tree);
    if (rc == 0)
        rc = sb_manifest_build(session->suite, session->runs.runs, session->runs.n_runs,
                               sb_request_environment(session->request), session->tree,
                               json_object_get(identity, "program"),
                               json_object_get(identity, "inputs"), &manifest, err);
    if (rc < 0)
        return rc;
    const char *injected = sb_injected_seed(&session->request->injected);
    if (injected)
        json_object_set_new(manifest, "injected_seed", sb_json_string(injected));
    const struct sb_result_input input = {
        .suite = session->suite,
        .plan = session->plan,
        .jobs = jobs,
        .n_jobs = session->plan->n_jobs,
        .runs = session->runs.runs,
        .n_runs = session->runs.n_runs,
        .isolation = session->runs.mode,
        .shared = (const char *const *)session->runs.shared,
        .manifest = manifest,
        .started = session->started,
        .elapsed_s = sb_monotonic() - session->progress.began,
        .interrupted = session->runs.interrupted,
    };
    rc = sb_result_build(&input, result, err);
    if (rc == 0)
        rc = sb_run_machines_add(session->runs.runs, session->runs.n_runs, *result, err);
    return rc;
}

/* What changed while runs were under way makes every verdict on them worthless. */
static int mark_changed(const struct sb_session *session, struct sb_judged *judged,
                        struct sb_job_result *jobs, struct sb_error *err) {
    SB_AUTO_JSON json_t *program = NULL;
    bool in_place = session->runs.mode == SB_ISOLATE_INPLACE;
    int rc = sb_program_digest_all(session->plan, &program, err);
    for (size_t i = 0; rc == 0 && i < session->plan->n_jobs; i++) {
        char *changed = sb_identity_spoiled(session->identity, program, session->plan->jobs[i].job,
                                            i, in_place);
        if (changed)
            sb_judged_spoil(judged, jobs, i, changed);
    }
    return rc;
}

/* A module that was edited is no part of what is hashed twice, nor is an edit of something else a
 * reason to spoil an answer; but where bits differ, it may be why. */
static void say_tree_changed(const struct sb_session *session) {
    if (!session->diverged || !json_is_object(session->tree))
        return;
    SB_AUTO_JSON json_t *before = json_pack("{s:O}", "git", session->tree);
    SB_AUTO_JSON json_t *after = json_pack("{s:o}", "git", sb_identity_tree(session->plan));
    SB_AUTO_FREE char *changed = sb_identity_difference(before, after);
    if (changed)
        fprintf(stderr,
                "samebits: bits differ, and %s changed while the runs were under way, which may be "
                "why\n",
                changed);
}

int sb_session_result(struct sb_session *session, json_t **result, struct sb_error *err) {
    const struct sb_judging judging = {
        .plan = session->plan,
        .folder = session->folder,
        .runs = session->runs.runs,
        .n_runs = session->runs.n_runs,
        .seed = session->request->seed,
        .skipped = session->skipped,
        .stopped = session->runs.stopped,
        .why_no_runs = why_no_runs,
        .context = session,
    };
    struct sb_judged *judged = NULL;
    struct sb_job_result *jobs = NULL;
    int rc = sb_judge(&judging, &judged, &jobs, err);
    if (rc == 0 && session->runs.interrupted && session->runs.job < session->plan->n_jobs)
        jobs[session->runs.job].unfinished = true;
    if (rc == 0)
        rc = mark_changed(session, judged, jobs, err);
    if (rc == 0)
        rc = build_result(session, jobs, result, err);
    if (rc == 0)
        say_tree_changed(session);
    sb_judged_free(judged, jobs, session->plan->n_jobs);
    return rc;
}

void sb_session_close(struct sb_session *session) {
    json_decref(sb_git_finish(sb_steal_pointer(&session->git)));
    sb_schedule_result_clear(&session->runs);
    if (session->reader)
        sb_reader_stop(session->reader);
    for (size_t i = 0; session->plan && i < session->plan->n_jobs; i++) {
        free(session->skipped ? session->skipped[i] : NULL);
        free(session->first ? session->first[i] : NULL);
    }
    free(session->skipped);
    free(session->first);
    free(session->executed);
    free(session->given_up);
    json_decref(session->tree);
    *session = (struct sb_session){0};
}
