/* cli: what tells the machines that results are of apart. */
#ifndef SB_CLI_MARKS_H
#define SB_CLI_MARKS_H

#include <samebits/error.h>

#include <jansson.h>

/* Each an axis of a merged result where it differs. */
enum sb_mark { SB_MARK_HOST, SB_MARK_CPU, SB_MARK_GPU, SB_N_MARKS };
extern const char *const sb_mark_names[]; /* host cpu gpu, NULL */
enum { SB_ALL_MARKS = (1 << SB_N_MARKS) - 1 };

/* "host,gpu" or "none" to bits 1 << sb_mark; all for NULL. `command` is for messages. */
int sb_marks_parse(const char *command, const char *text, unsigned *marks, struct sb_error *err);

/* The machines of a manifest, of a merged result all of them: [{"host", "cpu", "gpu"}], null where
 * it is unknown or there is none. New reference, or NULL. */
json_t *sb_marks_machines(const json_t *manifest);

/* A mark of a machine as a level. */
const char *sb_marks_text(const json_t *machine, enum sb_mark mark);

#endif
