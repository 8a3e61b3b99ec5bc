/* cli: one `samebits run` from plan to result.json. */
#ifndef SB_CLI_SESSION_H
#define SB_CLI_SESSION_H

#include "cli/progress.h"
#include "cli/request.h"

#include <samebits/report.h>
#include <samebits/run.h>
#include <samebits/weights.h>

struct sb_session {
    const struct sb_request *request;
    const struct sb_suite *suite;
    const struct sb_plan *plan;
    struct sb_folder *folder;
    struct sb_reader *reader;
    struct sb_progress progress;
    const struct sb_identity *identity; /* before the first run */
    struct sb_git *git;                 /* asked before the first run, and finished in `tree` */
    json_t *tree;                       /* NULL: not yet */
    char **skipped;                     /* [n_jobs]: why a job cannot run here, or NULL */
    char started[32];                   /* ISO 8601, UTC */
    bool noted;                         /* a run's note was printed */
    bool *executed; /* [n_jobs]: a run of it was started and executed its command */
    bool *given_up; /* [n_jobs]: its command cannot be started */
    bool diverged;  /* two runs of a job had different bits */
    char **first;   /* [n_jobs]: the first fingerprint seen, for --stop-after */
    struct sb_schedule_result runs;
};

int sb_session_open(const struct sb_request *request, const struct sb_plan *plan,
                    const struct sb_identity *identity, struct sb_folder *folder,
                    struct sb_session *session, struct sb_error *err);

/* Runs what is due (all of it, or with --resume the rest) and fills session->runs. */
int sb_session_schedule(struct sb_session *session, struct sb_error *err);

/* Judges the runs and builds result.json's document. New reference. */
int sb_session_result(struct sb_session *session, json_t **result, struct sb_error *err);

void sb_session_close(struct sb_session *session);

#endif
