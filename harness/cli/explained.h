/* cli: what samebits explain found, kept beside a result for its reports. */
#ifndef SB_CLI_EXPLAINED_H
#define SB_CLI_EXPLAINED_H

#include <samebits/error.h>
#include <samebits/run.h>

#include <jansson.h>

/* Keeps in a result's explain.json what was found of some of its jobs: `found`, an array of jobs as
 * `samebits explain --json` has them, with "directory", which the job runs in; nothing is written
 * where it is empty. What is there of others stays as long as the result is the one that it was
 * found of. `changed`: what of the program was
 * not as it was when the result was made, or NULL. */
int sb_explained_save(const struct sb_folder *folder, const json_t *result, const json_t *found,
                      const char *changed, struct sb_error *err);

/* Puts what explain.json in a result's folder says of its jobs into them, as "explained": the
 * object of `samebits explain --json`, with "directory" and "changed". Left out is what was found
 * of another result; a file that cannot be read is left out and told on stderr. */
void sb_explained_join(const char *folder, json_t *result);

#endif
