/* Stage 4, weights: tables of sorted keys and values in LevelDB's layout, as TensorFlow writes
 * them: not compressed. https://github.com/google/leveldb/blob/main/doc/table_format.md */
#ifndef SB_WEIGHTS_TABLE_H
#define SB_WEIGHTS_TABLE_H

#include "weights/stream.h"

/* The value lies in memory until the function returns. Returning -errno ends the reading. */
typedef int sb_table_pair(void *context, const char *key, size_t n_key, struct sb_bytes value,
                          struct sb_error *err);

/* Hands on all pairs, in the order in which they stand; keys that are not sorted are -EBADMSG, as
 * are blocks that lie outside the file, or whose checksum is wrong. */
int sb_table_read(const struct sb_bytes *bytes, sb_table_pair *pair, void *context,
                  struct sb_error *err);

#endif
