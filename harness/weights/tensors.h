/* Stage 4, weights: what every format does with tensors: names, shapes, and the sink that makes a
 * fingerprint of them. */
#ifndef SB_WEIGHTS_TENSORS_H
#define SB_WEIGHTS_TENSORS_H

#include <samebits/weights.h>

#include "base/text.h"

/* Appends a name as it is fingerprinted: bytes below 0x20 and `\` become \xhh (lower case). */
void sb_name_escape(struct sb_text *text, const char *name, size_t n);

/* Sets n_elements from rank and dims. -EBADMSG naming the tensor where the bytes of all elements do
 * not fit an int64. */
int sb_tensor_info_count(struct sb_tensor_info *info, struct sb_error *err);

/* "512x4", "" for a scalar. */
void sb_dims_print(struct sb_text *text, const uint64_t *dims, unsigned rank);

/* A copy that the caller clears; 0 or -ENOMEM. */
int sb_tensor_label_make(const struct sb_tensor_info *info, struct sb_tensor_label *label);
void sb_tensor_label_clear(struct sb_tensor_label *label);
/* The other way; the name is lent. */
struct sb_tensor_info sb_tensor_label_info(const struct sb_tensor_label *label);

/* Makes a fingerprint of everything that goes through `sink`, in so many threads at most: 1, and
 * all is done where the sink is called. After the reading, _finish sorts and sums up (-ENODATA: no
 * tensor came); _free releases what is left, in any state. */
struct sb_collector;
struct sb_collector *sb_collector_new(enum sb_digest_kind digest, unsigned threads);
void sb_collector_sink(struct sb_collector *collector, struct sb_tensor_sink *sink);
int sb_collector_finish(struct sb_collector *collector, struct sb_fingerprint *fingerprint,
                        struct sb_error *err);
void sb_collector_free(struct sb_collector *collector);

/* Puts `prefix` (may be NULL) before names and drops what the options exclude, then hands on to
 * `next`. A glob matches the whole name or the name without its prefix. The sink borrows the
 * filter. */
struct sb_filter {
    struct sb_tensor_sink *next;
    const struct sb_weights_options *options; /* may be NULL */
    const char *prefix;
    struct sb_globs_met *met; /* may be NULL */
    bool wanted;
};
void sb_filter_sink(struct sb_filter *filter, struct sb_tensor_sink *sink);

#endif
