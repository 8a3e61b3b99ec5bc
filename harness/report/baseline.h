/* Stage 7, private: the bits that results had before, as small text that belongs into git.
 *
 * A baseline is JSON in memory and YAML in its file, with the same members:
 *   {"version": "1",
 *    "machines": [{"cpu", "gpu": text or null,
 *                  "manifest": {name: text or null},        as sb_manifest_flat has it
 *                  "jobs": {id: {"verdict", "asked",        what was run, in a line
 *                                "axes": {name: [levels]},
 *                                "by": [names of axes],      those that the bits are given by
 *                                "unstable_when": text,      of what is nondeterministic alone
 *                                "bits": {"threads=1": fingerprint}}}}]}
 * Bits are given by the axes on which a job depends; where that is not known, or repeats differ, by
 * all axes, for the cells that are stable. */
#ifndef SB_REPORT_BASELINE_H
#define SB_REPORT_BASELINE_H

#include "base/text.h"

#include <samebits/error.h>

#include <jansson.h>

/* The entry of the result's machine; jobs without an answer are not in it, but in `left_out`. New
 * reference. */
json_t *sb_baseline_machine(const json_t *result, struct sb_strings *left_out);

/* The machine's entry in a baseline, by cpu and gpu; borrowed, or NULL. */
json_t *sb_baseline_find(const json_t *baseline, const json_t *machine);

/* Reads a file; -EINVAL with line and column, what is wrong there, and what is allowed. */
int sb_baseline_read(const char *path, json_t **baseline, struct sb_error *err);
/* The file's text: sorted, one fact a line. malloc'd, or NULL. */
char *sb_baseline_text(const json_t *baseline);

/* What a result is beside a baseline; what `baseline check --json` prints, and result.json has as
 * "baseline" of a run that was given one:
 *   {"schema": "samebits.baseline-check/1", "file", "machine": {"cpu", "gpu"}, "known": true,
 *    "outcome": "pass|fail|error|skipped", "exit_code",
 *    "jobs": [{"job", "answer", "was", "is",      verdicts, null where there is none
 *              "compared", "changed", "outside",  cells: in all, of these with other bits, and
 * those of which the baseline says nothing "example": {"cell", "was", "is"} or null, "notes":
 * ["depends on threads now, on nothing before"]}], "differences": [as sb_manifest_diff has them]}
 * answer is one of: same bits; changed, stable; newly nondeterministic; still nondeterministic; no
 * longer nondeterministic; new; gone; not comparable; no answer. Of those "changed, stable" and
 * "newly nondeterministic", and bits that changed where a job is still nondeterministic, fail; "no
 * answer" is an error; nothing compared at all is skipped. New reference. */
json_t *sb_baseline_check(const json_t *baseline, const json_t *result, const char *file);

/* Checks a result, adds what is found to it as "baseline", and lets it decide with the rest: an
 * outcome and an exit code that are worse are the result's. */
void sb_baseline_join(json_t *result, const json_t *baseline, const char *file);

/* What the check found, line by line; with `all` also the jobs that are as they were. */
void sb_say_baseline(struct sb_text *text, const json_t *check, bool all);

#endif
