/* Stage 4, weights: files that lie beside a weights file and belong to it: shards, external data.
 * The jail opens nothing, so they are opened before it closes, by what their names can be. */
#ifndef SB_WEIGHTS_BESIDE_H
#define SB_WEIGHTS_BESIDE_H

#include <samebits/weights.h>

/* Opens the regular files of the folder of `path` that the format may ask for, 4096 at most,
 * following no link. Adds their sizes to *n_bytes. Nothing where it asks for none. 0 or -errno. */
int sb_beside_open(const char *path, const struct sb_format *format, struct sb_beside **beside,
                   size_t *n, uint64_t *n_bytes, struct sb_error *err);
void sb_beside_close(struct sb_beside *beside, size_t n);

/* The file of that name, which is noted as asked for, or NULL with an error: it is not there, or no
 * plain name. */
const struct sb_beside *sb_beside_find(const struct sb_source *source, const char *name,
                                       struct sb_error *err);

/* Is `path` a part of `file`, a file of this format? */
bool sb_beside_is_part(const char *file, const struct sb_format *format, const char *path);

#endif
