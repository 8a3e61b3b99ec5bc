/* Stage 5, compare: the files of one side as a stream that is read when it is wanted. */
#ifndef SB_COMPARE_SIDE_H
#define SB_COMPARE_SIDE_H

#include "compare/ranges.h"
#include "weights/reading.h"

enum sb_side_event {
    SB_SIDE_TENSOR,     /* `info` is the next tensor; sb_side_next's `wanted` says whether its
                           elements are */
    SB_SIDE_RANGE,      /* the elements lie where `lying` says; they come one after the other unless
                           `taken` is set before the next event */
    SB_SIDE_ELEMENTS,   /* `elements` holds the next `n` of them */
    SB_SIDE_TENSOR_END, /* that was all of the tensor */
    SB_SIDE_END,        /* that was all of the files */
};

struct sb_side {
    const struct sb_weights_file *const *files; /* borrowed, in the order of their prefixes */
    size_t n_files;
    const struct sb_weights_options *options; /* borrowed, may be NULL */
    enum sb_side_event event;
    const struct sb_tensor_info *info; /* of the tensor the stream is in; valid until the next */
    const char *elements; /* valid until the next event; a reader may step on and count down n */
    uint64_t n;
    struct sb_lying lying; /* valid until the next event */
    bool taken;
    uint64_t n_tensors; /* met so far */
    /* private */
    size_t current; /* file */
    char *last;     /* name of the tensor before, of the same file */
    bool wanted, stopped;
    int code;
    struct sb_error error; /* of the reading, whose calls outlive those of sb_side_next */
    struct sb_coroutine *coroutine;
};

/* Goes to the first event. On failure, here and in sb_side_next, sb_side_stop is still to be
 * called. */
int sb_side_start(struct sb_side *side, const struct sb_weights_file *const *files, size_t n_files,
                  const struct sb_weights_options *options, struct sb_error *err);
/* Goes to the next event. -EBADMSG where a file is malformed, names do not ascend, or what was read
 * failed otherwise. */
int sb_side_next(struct sb_side *side, bool wanted, struct sb_error *err);
void sb_side_stop(struct sb_side *side);

/* What is wrong with a reading that has handed out other elements than announced: -EBADMSG. */
int sb_side_misfit(const struct sb_side *side, struct sb_error *err);

/* Prefix of the current file, "" for none. */
const char *sb_side_prefix(const struct sb_side *side);

#endif
