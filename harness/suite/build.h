/* Stage 1, suite: what its files share while a suite is built. */
#ifndef SB_SUITE_BUILD_H
#define SB_SUITE_BUILD_H

#include "base/text.h"
#include "suite/document.h"

#include <samebits/error.h>
#include <samebits/suite.h>

#include <stdbool.h>
#include <stddef.h>

/* The suite under construction. Functions return 0 or a negative errno, with `err` set. */
struct sb_build {
    struct sb_suite *suite;
    struct sb_error *err;
    struct sb_where where; /* of the job at hand */
    size_t budget; /* bytes that the jobs may still take, so that lists multiplied with each other
                      cannot fill the memory */
};

/* Text of a suite as it may stand in a message: no control characters, cut where it is long. */
struct sb_shown {
    char text[100];
};
struct sb_shown sb_show(const char *text);

/* Begins a suite, and hands it over (or frees it, when rc is an error). */
int sb_build_start(struct sb_build *build, const char *path, const char *text, size_t n,
                   struct sb_error *err);
int sb_build_end(struct sb_build *build, int rc, struct sb_suite **suite);
int sb_build_no_memory(struct sb_build *build);
/* Takes n bytes off the budget. */
int sb_build_spend(struct sb_build *build, size_t n, const struct sb_where *where);
/* A copy of a file's name that lives as long as the suite; NULL without memory. */
const char *sb_build_file(struct sb_build *build, const char *name);

/* ---- Values (values.c) ---------------------------------------------------------------------- */

/* Texts and their places. */
struct sb_texts {
    struct sb_strings strings;
    struct sb_where *where; /* strings.n of them */
    size_t n_where;
};
void sb_texts_clear(struct sb_texts *texts);
int sb_texts_add(struct sb_build *build, struct sb_texts *texts, const char *text,
                 const struct sb_where *where);

enum sb_list_rule {
    SB_LIST_ONLY,      /* a list of at least one */
    SB_LIST_OR_ONE,    /* a list of at least one, or one text for a list of it alone */
    SB_LIST_MAY_EMPTY, /* as SB_LIST_OR_ONE, or an empty list */
};

/* `what` begins the messages: "'timeout'", "axis 'threads'". A value that was set before is
 * replaced. Texts within a list may be quoted empty text, but not nothing. */
int sb_read_text(struct sb_build *build, const struct sb_node *node, const char *what, char **text);
int sb_read_texts(struct sb_build *build, const struct sb_node *node, const char *what,
                  enum sb_list_rule rule, struct sb_texts *texts);
int sb_read_choice(struct sb_build *build, const struct sb_node *node, const char *what,
                   const char *const *names, unsigned *choice);
int sb_read_number(struct sb_build *build, const struct sb_node *node, const char *what,
                   double *number);
int sb_read_size(struct sb_build *build, const struct sb_node *node, const char *what,
                 size_t *size);
int sb_read_bool(struct sb_build *build, const struct sb_node *node, const char *what, bool *value);
int sb_read_repeats(struct sb_build *build, const struct sb_node *node, struct sb_repeats *repeats);
int sb_read_duration(struct sb_build *build, const struct sb_node *node, const char *what,
                     double *seconds);
/* -EINVAL unless it is a map. */
int sb_need_map(struct sb_build *build, const struct sb_node *node, const char *what);
/* "unknown key 'repeat' (a job may have: …); did you mean 'repeats'?" */
int sb_unknown_key(struct sb_build *build, const struct sb_node *key, const char *owner,
                   const char *const *names, size_t n);
/* Is it a path below the directory: relative, with no `..`? `what` may be "". */
int sb_check_below(struct sb_build *build, const struct sb_where *where, const char *what,
                   const char *path);
bool sb_path_is_below(const char *path);
bool sb_has_glob(const char *path);

/* ---- Axes (axes.c) -------------------------------------------------------------------------- */

/* Why this cannot be the name of an axis, or NULL. */
const char *sb_axis_name_problem(const char *name);
struct sb_suite_axis *sb_axes_find(struct sb_suite_axis *axes, size_t n, const char *name);
void sb_axes_remove(struct sb_suite_axis *axes, size_t *n, const char *name);
/* Puts a copy in the place of the axis of that name, or at the end. */
int sb_axes_put(struct sb_build *build, struct sb_suite_axis **axes, size_t *n,
                const struct sb_suite_axis *axis);
/* The `axes` map of a job or of the defaults, onto what is there. */
int sb_read_axes(struct sb_build *build, const struct sb_node *node, bool defaults,
                 struct sb_suite_axis **axes, size_t *n);

/* ---- Drafts (keys.c, jobs.c) ---------------------------------------------------------------- */

struct sb_dims {
    size_t *dims;
    size_t n;
    struct sb_where where;
};

/* A job before its backends, dtypes, algorithms and shapes are multiplied out. */
struct sb_draft {
    struct sb_job job; /* all but id and what is multiplied out */
    struct sb_where name_where, weights_where;
    struct sb_texts backends, dtypes, algorithms;
    struct sb_dims *shapes;
    size_t n_shapes;
    bool need_given; /* one need for repeats and every axis that `require` does not name */
    enum sb_need need;
    struct sb_where need_where;
    bool defaults;                /* the defaults are being read, not the job itself */
    bool relative_here, ulp_here; /* rtol or atol, and ulp, stood in the map being read */
};
void sb_draft_init(struct sb_draft *draft);
void sb_draft_clear(struct sb_draft *draft);

/* Checks the defaults by themselves; NULL: there are none. */
int sb_read_defaults(struct sb_build *build, const struct sb_node *defaults);
/* Reads the defaults that a job of this kind can have, then the job's own keys over them. */
int sb_read_job(struct sb_build *build, const struct sb_node *defaults, const struct sb_node *node,
                struct sb_draft *draft);

/* Sets what one axis must hold, in the place of what was said before. */
int sb_require_put(struct sb_build *build, struct sb_job *job, const char *axis, enum sb_need need,
                   const struct sb_where *where);

/* Applies what the command line says, checks the whole, and adds the draft's jobs to the suite. */
int sb_draft_finish(struct sb_build *build, struct sb_draft *draft,
                    const struct sb_overrides *overrides);
/* Checks of the command line's own that need no job. `overrides` may be NULL. */
int sb_overrides_check(struct sb_build *build, const struct sb_overrides *overrides);
/* --only and --skip. */
int sb_suite_select(struct sb_build *build, const struct sb_overrides *overrides);
void sb_job_clear(struct sb_job *job);

#endif
