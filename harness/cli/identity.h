/* cli: what jobs are made of: the program, its inputs, and the tree that they lie in. */
#ifndef SB_CLI_IDENTITY_H
#define SB_CLI_IDENTITY_H

#include <samebits/error.h>
#include <samebits/matrix.h>
#include <samebits/report.h>

#include <jansson.h>
#include <stdbool.h>

/* Of each job, path → digest: see cli/program.h and cli/inputs.h. Zero-initialise. */
struct sb_identity {
    json_t *program, *inputs; /* arrays [n_jobs] */
};

int sb_identity_take(const struct sb_plan *plan, struct sb_identity *identity,
                     struct sb_error *err);
void sb_identity_clear(struct sb_identity *identity);

/* {"program", "inputs", "git"}: of all jobs together, as plan.json and a manifest have them. A new
 * reference of `git` is taken; NULL: not known yet. New reference, or NULL without memory. */
json_t *sb_identity_json(const struct sb_identity *identity, json_t *git);

/* What is not in `now` as it was `then`, as a malloc'd list: "train.py, data.csv (new), the
 * commit"; NULL: nothing. Both have the members of sb_identity_json, among others; what one of them
 * does not know is not compared. */
char *sb_identity_difference(const json_t *then, const json_t *now);

/* What of a job changed while its runs were under way, as a malloc'd sentence, or NULL: by its
 * inputs as they are now, and `program`, as sb_program_digest_all gives it now. `in_place`: runs
 * worked in the folder itself. */
char *sb_identity_spoiled(const struct sb_identity *before, const json_t *program,
                          const struct sb_job *job, size_t index, bool in_place);

/* The state of the tree that a plan's jobs run in, as sb_git_finish has it. New reference. */
json_t *sb_identity_tree(const struct sb_plan *plan);

/* Waits for what was asked of git (NULL: nothing), and frees it: half a minute at most, and after
 * an interrupt a second. Says on stderr that it waits, and that there was no answer. New reference.
 */
json_t *sb_identity_tree_of(struct sb_git *git);

/* The identity of a plan's jobs now, if wanted with the state of their tree. New reference. */
int sb_identity_now(const struct sb_plan *plan, bool with_tree, json_t **identity,
                    struct sb_error *err);

#endif
