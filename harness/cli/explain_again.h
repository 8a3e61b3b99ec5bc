/* cli: what runs part by, kept by one run more and made again by itself, in fresh processes. */
#ifndef SB_CLI_EXPLAIN_AGAIN_H
#define SB_CLI_EXPLAIN_AGAIN_H

#include "cli/explain.h"

/* A run of the cell that the parting's first was of, which keeps the culprit. *path: its
 * logs/r00001.ENDING, malloc'd; NULL: it did not come again. */
int sb_explain_keep(struct sb_explanation *explanation, const struct sb_experiment *traced,
                    const struct sb_parting *parting, const char *ending, char **path,
                    struct sb_error *err);

/* What makes it again: a command that runs in the folder of `path`, so that every isolation shows
 * what was kept. */
struct sb_again {
    const char *path;
    char **command;   /* with {weights} in it */
    size_t n_command; /* at most SB_AGAIN_WORDS */
    char *weights;    /* what it writes */
    unsigned calls;   /* made in each process */
};
enum { SB_AGAIN_WORDS = 6 };

/* Three processes at each of the two settings, or of a race until two differ. `knobs` are those of
 * the traced runs. Adds "replay" to the culprit's JSON, whose status is then "confirmed" where the
 * call alone gives other bits from equal inputs. */
int sb_explain_make_again(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                          const struct sb_again *again, json_t *culprit, struct sb_error *err);

/* The same of an operation of PyTorch, by python/inject/kept.py, with "frames" too. */
int sb_explain_confirm_operation(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                                 const struct sb_experiment *traced,
                                 const struct sb_parting *parting, json_t *culprit,
                                 struct sb_error *err);

#endif
