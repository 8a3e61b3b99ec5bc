/* Stage 7, private: what reports say of a job, in words. Each appends to `text`; nothing where
 * there is nothing to say. Texts are UTF-8 with typographic signs and hold names as they are: what
 * prints them escapes them. */
#ifndef SB_REPORT_SENTENCES_H
#define SB_REPORT_SENTENCES_H

#include "base/text.h"
#include "report/reading.h"
#include "report/table.h"

/* Strings of an array with a separator between them. */
void sb_say_list(struct sb_text *text, const json_t *strings, const char *separator);

/* The axis of that name, or NULL. */
const json_t *sb_axis_of(const json_t *job, const char *name);

/* Cells of the matrix; each returns the cell's tone. */
enum sb_tone sb_say_repeats(struct sb_text *text, const json_t *job);
/* "≠ 1=2|4"; "≠ 3 classes" where the levels take more than `most` columns, and the sign alone where
 * `most` is 0. axis NULL: the job has no such axis. */
enum sb_tone sb_say_axis(struct sb_text *text, const json_t *job, const json_t *axis, size_t most);
enum sb_tone sb_say_verdict(struct sb_text *text, const json_t *job);
/* "3 ulp  dense/kernel[3,17]"; without `place` "3 ulp"; "≥ 3 ulp" where not all were compared. */
void sb_say_worst(struct sb_text *text, const json_t *job, bool place);
/* "p = 0.002, 8 replays (< 32%)" */
void sb_say_evidence(struct sb_text *text, const json_t *job);
/* What "(< 32%)" means. */
extern const char sb_bound_legend[];

/* " (1 of 2 cells)" behind a verdict that rests on a part of the cells. */
void sb_say_scope(struct sb_text *text, const json_t *job);

/* Sentences of the details. */
/* Which cells the verdict leaves open, since no run of theirs ended well. */
void sb_say_missing(struct sb_text *text, const json_t *job);
void sb_say_instability(struct sb_text *text, const json_t *job);
void sb_say_dependence(struct sb_text *text, const json_t *job);
/* The largest difference, and what was left out in looking for it. */
void sb_say_magnitude(struct sb_text *text, const json_t *job);
/* Of weights that were saved on the way, its `growth`: "SUBJECT begins at step 3: …", and what
 * becomes of it. False: there is nothing to say. */
bool sb_say_growth(struct sb_text *text, const char *subject, const json_t *job);
/* Of kernels: results that differ within a process, and claims that did not show. */
void sb_say_calls(struct sb_text *text, const json_t *job);
/* What must not be overlooked: a library's claim that measurement contradicts, a result that is
 * wrong. */
void sb_say_alarm(struct sb_text *text, const json_t *job);
/* "2.1e-07", the largest error against float64, and "1.12 ×", what deterministic=on costs. */
void sb_say_accuracy(struct sb_text *text, const json_t *job);
void sb_say_cost(struct sb_text *text, const json_t *job);
/* "threads=2 and deterministic=off" of an object that maps axes to lists of levels. */
void sb_say_when(struct sb_text *text, const json_t *when);
/* "r00002 (threads=1)   r00005 (threads=2)"; "r00002   r00005 (both threads=2)" */
void sb_say_witness(struct sb_text *text, const json_t *job, const struct sb_run_index *index);
/* What traces of the witness show, separated by semicolons. */
void sb_say_trace(struct sb_text *text, const json_t *job);
/* Who asks for a source, by the frames of the call, innermost first: Python, while it loads a
 * module of its own; something without a line of the program in it; a module that the program
 * imports; or the program. *by: "train.py:7 in seed", the innermost frame in the folder that the
 * job runs in; or else the innermost of all. */
enum sb_asker { SB_ASKER_START, SB_ASKER_LIBRARY, SB_ASKER_IMPORT, SB_ASKER_PROGRAM, SB_N_ASKERS };
enum sb_asker sb_asker_of(const json_t *frames, const char *directory, const char **by);
/* What explain found of one cause, a line each: "entropy (confirmed)", and what shows it and mends
 * it, indented by two blanks. `directory` is the one that the job runs in, "" where it is not
 * known: callers that lie in it are told by what follows it. */
void sb_say_cause(struct sb_text *text, const json_t *cause, const char *directory);
/* The same of a job's `explained` (samebits explain --json, with what it adds for reports), with
 * what is left open at the end. */
void sb_say_explained(struct sb_text *text, const json_t *explained);
/* "config-dependent: depends on threads, isa; 2 of 12 runs failed: …": a job in one line. */
void sb_say_message(struct sb_text *text, const json_t *job);

/* "2 jobs: 1 as required, 1 control fired" and "38.1 s". */
void sb_say_counts(struct sb_text *text, const json_t *result);
void sb_say_duration(struct sb_text *text, double seconds);
/* PASS, FAIL, ERROR, SKIPPED or INTERRUPTED of the exit code, and its tone. */
const char *sb_result_word(const json_t *result, enum sb_tone *tone);
/* Names of all jobs' axes, in order of appearance. 0 or -ENOMEM. */
int sb_axis_columns(const json_t *jobs, struct sb_strings *columns);

#endif
