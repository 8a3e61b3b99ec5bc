/* cli: a job of a result under conditions that a question asks for, and not its suite: what
 * `samebits explain` runs. */
#ifndef SB_CLI_EXPERIMENT_H
#define SB_CLI_EXPERIMENT_H

#include "cli/restored.h"

/* An axis of an experiment: held at its one level, or switched between two. */
struct sb_knob {
    char *axis;
    const char *levels[2]; /* borrowed; levels[1] NULL: held */
};

/* Zero-initialise the first; free with sb_knobs_clear. */
struct sb_knobs {
    struct sb_knob *items;
    size_t n;
};

/* Levels are borrowed. -ENOMEM or 0. */
int sb_knobs_add(struct sb_knobs *knobs, const char *axis, const char *level, const char *other);
struct sb_knob *sb_knobs_find(const struct sb_knobs *knobs, const char *axis);
void sb_knobs_clear(struct sb_knobs *knobs);

/* How far a search may go, over all its experiments, and what came of it. */
struct sb_search_bounds {
    double seconds;   /* 0: no limit */
    unsigned runs;    /* 0: no limit; runs of the journals do not count */
    double began;     /* monotonic */
    unsigned made;    /* runs that were made */
    bool over;        /* a limit was reached */
    bool quiet;       /* no progress */
    const char *what; /* that is being tried, for the progress line */
};

/* A command that is run in a job's place. All is borrowed, for as long as the experiment lives. */
struct sb_instead {
    char **command;
    size_t n_command;
    struct sb_where *where; /* [n_command] */
    char *weights, *directory;
};

struct sb_experiment {
    struct sb_suite suite; /* of one job, most of which the restored result owns */
    struct sb_job job;
    struct sb_plan *plan;
    struct sb_folder *folder;
    struct sb_schedule_result result; /* the runs; those of an earlier session among them */
    struct sb_search_bounds *bounds;
    bool trace; /* runs are traced: to be set before they are made */
};

/* The job of the restored plan with these axes alone, in all combinations or one at a time. Its
 * runs are kept in a folder of that experiment below `folder_path`, where those that an interrupted
 * search made are found again. */
int sb_experiment_open(const struct sb_restored *restored, size_t job, const struct sb_knobs *knobs,
                       enum sb_design design, const struct sb_instead *instead,
                       const char *folder_path, struct sb_search_bounds *bounds,
                       struct sb_experiment *experiment, struct sb_error *err);

/* Asked before every round, with the runs so far: more[n_cells], preset to 0. */
typedef int sb_experiment_next(void *context, const struct sb_run *runs, size_t n_runs,
                               unsigned *more, struct sb_error *err);

/* Rounds until none is asked for, a bound is reached or a signal came. */
int sb_experiment_run(struct sb_experiment *experiment, const struct sb_request *request,
                      sb_experiment_next *next, void *context, struct sb_error *err);

/* The cell where the knobs have these levels (bit i: knob i has its other one); SIZE_MAX: none. */
size_t sb_experiment_cell(const struct sb_experiment *experiment, uint64_t others);

void sb_experiment_close(struct sb_experiment *experiment);

#endif
