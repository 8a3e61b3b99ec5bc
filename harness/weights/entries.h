/* Stage 4, weights: the tensors that a file's header lists, with where in the file each lies. */
#ifndef SB_WEIGHTS_ENTRIES_H
#define SB_WEIGHTS_ENTRIES_H

#include "weights/stream.h"

struct sb_entry {
    struct sb_tensor_label info;
    char *why_ignored;   /* NULL: it is a tensor */
    uint64_t begin, end; /* bytes of the file, what they are is the format's */
    unsigned source;     /* which file, where a format has several */
};

/* Zero-initialise; free with sb_entries_clear. */
struct sb_entries {
    struct sb_entry *items;
    size_t n, room;
};

void sb_entries_clear(struct sb_entries *entries);

/* Adds a tensor, or what is none: *info and its name are copied; why_ignored is malloc'd and taken,
 * on failure too. 0 or -ENOMEM. */
int sb_entries_add(struct sb_entries *entries, const struct sb_tensor_info *info, char *why_ignored,
                   uint64_t begin, uint64_t end, struct sb_error *err);

/* Moves all of `from` behind what is in `entries`, as coming from this source. 0 or -ENOMEM. */
int sb_entries_move(struct sb_entries *entries, struct sb_entries *from, unsigned source,
                    struct sb_error *err);

/* Sorts by begin, then end. */
void sb_entries_sort_by_place(struct sb_entries *entries);

/* Sorts by name. -EBADMSG where one occurs twice. */
int sb_entries_sort(struct sb_entries *entries, struct sb_error *err);

/* Reads the elements of an entry into the sink, between its begin and its end. */
typedef int sb_entry_read(struct sb_stream *stream, const struct sb_tensor_info *info,
                          const struct sb_entry *entry, void *context, struct sb_error *err);

/* Hands all out, in their order. */
int sb_entries_hand_out(const struct sb_entries *entries, struct sb_stream *stream,
                        sb_entry_read *read, void *context, struct sb_error *err);

#endif
