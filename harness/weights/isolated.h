/* Stage 4, weights: work on files that are not trusted, in a child that can do nothing else.
 *
 * The child opens the files, loads what their formats need, gives up everything but reading them
 * and writing to one descriptor (weights/jail.h), and only then looks into them. */
#ifndef SB_WEIGHTS_ISOLATED_H
#define SB_WEIGHTS_ISOLATED_H

#include "base/text.h"
#include "weights/jail.h"
#include "weights/reading.h"

/* Runs in the jail. The files are open, in the order of sb_weights_files_order. What is written to
 * `output` with write(2) arrives at sb_isolated_fd. The return value and err arrive at
 * sb_isolated_finish. `context` is the child's copy; memory that was mapped shared stays shared. */
typedef int sb_isolated_work(void *context, const struct sb_weights_file *files, size_t n,
                             int output, struct sb_error *err);

struct sb_isolated;

/* -errno where no child can be had; what is wrong with the files comes from _finish. */
int sb_isolated_start(const struct sb_weights_files *files, sb_isolated_work *work, void *context,
                      struct sb_isolated **isolated, struct sb_error *err);
/* The other end of `output`, blocking, at its end when the child ends. */
int sb_isolated_fd(const struct sb_isolated *isolated);
/* To be called at the end of the output (earlier, it ends the child): what the work returned, the
 * errno of opening a file, or -EBADMSG saying how the child died of a file. */
int sb_isolated_finish(struct sb_isolated *isolated, struct sb_error *err);
/* After _finish. */
struct sb_globs_met sb_isolated_met(const struct sb_isolated *isolated);
void sb_isolated_free(struct sb_isolated *isolated); /* ends the child too; may be NULL */

/* Appends what a descriptor has to give, at most `most` bytes. 1: more may come; 0: at the end;
 * -EAGAIN: nothing now; -EBADMSG: beyond what a result can be. */
int sb_receive(int fd, struct sb_text *received, size_t most);

/* ---- Shared with reader.c -------------------------------------------------------------------- */

/* In memory that parent and child share. The child may have been taken over: whoever reads this
 * believes nothing of it. */
struct sb_isolated_page {
    uint32_t done;   /* the child has said all that it has to say */
    uint32_t file;   /* index of the file being read, + 1; 0: none yet */
    int32_t code;    /* of the work */
    uint32_t reaped; /* set by the reader process: wait_status is valid */
    int32_t wait_status;
    uint32_t prepared;    /* formats that the child had to prepare: see sb_format_bit */
    uint64_t cpu_seconds; /* the child's limit */
    struct sb_globs_met met;
    char text[2048]; /* of the error */
};

/* The whole life of the child, which has reset its signals. `filter` may be NULL: then it makes its
 * own. */
_Noreturn void sb_isolated_child(struct sb_isolated_page *page, int output,
                                 const struct sb_jail_filter *filter,
                                 const struct sb_weights_files *files, sb_isolated_work *work,
                                 void *context);

/* The page and the wait status as a return code and an error. */
int sb_isolated_outcome(const struct sb_isolated_page *page, int wait_status,
                        const struct sb_weights_files *files, struct sb_error *err);

/* A copy of files that the caller owns; sb_weights_files_clear frees it. 0 or -ENOMEM. */
int sb_weights_files_copy(const struct sb_weights_files *files, struct sb_weights_files *copy);
void sb_weights_files_clear(struct sb_weights_files *files);

/* Default actions, nothing blocked. */
void sb_signals_reset(void);

/* Closes every descriptor from `first` on. */
void sb_close_from(int first);

#endif
