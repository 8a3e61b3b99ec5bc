/* cli: what `samebits run` was asked for. Kept in the results folder, so that rerun and --resume
 * know it. */
#ifndef SB_CLI_REQUEST_H
#define SB_CLI_REQUEST_H

#include <samebits/error.h>
#include <samebits/matrix.h>
#include <samebits/run.h>
#include <samebits/suite.h>

#include "base/text.h"
#include "cli/options.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct sb_request {
    struct sb_arguments arguments; /* one suite, or a command after `--` */
    struct sb_strings vary, only, skip, exclude, include, reports, launcher_arguments;
    const char *weights, *out, *repeats, *timeout, *shard, *stop_after, *baseline;
    int design, require, isolate; /* enum values; -1: not given */
    bool exact, trace, resume, force, list, json, quiet, verbose, inject;
    struct sb_strings injected; /* environment of runs; empty: this process' */
    unsigned jobs;
    uint64_t seed;
    const struct sb_launcher *launcher;
    struct sb_tolerance tolerance;
    double spread_s; /* see struct sb_schedule_options */
};

/* Parses the command line of `samebits run`; what was written is checked, files are not opened. */
int sb_request_parse(int argc, char **argv, struct sb_request *request, struct sb_error *err);
void sb_request_clear(struct sb_request *request);
void sb_request_help(void);

/* The suite that a request means: the file's, or `text` where that is not NULL (a suite kept from
 * before), or an ad-hoc one. */
int sb_request_suite(const struct sb_request *request, const char *text, struct sb_suite **suite,
                     struct sb_error *err);

/* --shard I/N; 1/1 when not given. */
int sb_request_shard(const struct sb_request *request, unsigned *shard, unsigned *n_shards,
                     struct sb_error *err);

/* Checks every built-in job's subject, backend and arguments, and makes the plan. */
int sb_request_plan(const struct sb_suite *suite, const struct sb_machine *machine,
                    struct sb_plan **plan, struct sb_error *err);

/* Can its launcher be used here? -ENOENT with the reason. */
int sb_request_launcher_check(const struct sb_request *request, struct sb_error *err);
/* Has a machine that was found here be one where the launcher does the runs. */
int sb_request_adapt(const struct sb_request *request, struct sb_machine *machine,
                     struct sb_error *err);

/* This machine; where a job of the suite varies isa, each level's arithmetic is checked by a worker
 * process. */
int sb_request_machine(const struct sb_suite *suite, struct sb_machine **machine,
                       struct sb_error *err);

/* Carries out --inject-seeds, where it was given; `seed` as in cli/inject.h. */
int sb_request_inject(struct sb_request *request, const char *seed, struct sb_error *err);

/* What runs start from. Borrowed. */
char **sb_request_environment(const struct sb_request *request);

/* The command that goes on with this request in `folder`, as a shell takes it: as it was given, but
 * with --resume and --out. `program` is the program's name as called. malloc'd, or NULL. */
char *sb_request_resume_command(const char *program, int argc, char **argv, const char *folder);

#endif
