/* cli: one side of a comparison: a file, or what a run of a result saved. */
#ifndef SB_CLI_COMPARED_H
#define SB_CLI_COMPARED_H

#include <samebits/run.h>
#include <samebits/weights.h>

struct sb_compared {
    struct sb_weights_files files;
    char *path;                    /* of the one file, or NULL */
    char **prefixes;               /* of several files of a run, or NULL */
    struct sb_strings_pair stored; /* files of a run */
};

/* `name` is a file, or RESULT/RUN (samebits-results/latest/r00002), whose weights are in the store.
 * -ENOENT, naming what is not there. Free with sb_compared_clear, on failure too. */
int sb_compared_open(char *name, struct sb_compared *compared, struct sb_error *err);
void sb_compared_clear(struct sb_compared *compared);

#endif
