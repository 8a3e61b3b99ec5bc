/* Stage 4, weights: files through a sink, inside this process. What is not trusted is read like
 * this in a sandboxed child only (weights/isolated.h). */
#ifndef SB_WEIGHTS_READING_H
#define SB_WEIGHTS_READING_H

#include <samebits/weights.h>

/* A file that is open for reading, and known for a regular one of a format that can be read. */
struct sb_weights_file {
    const char *path, *prefix; /* borrowed; prefix may be NULL */
    int fd;
    uint64_t n_bytes;
    const struct sb_format *format;
    struct sb_beside *beside; /* files that it may need; n_bytes counts them too */
    size_t n_beside;
    size_t index;      /* among the paths that were given */
    uint32_t *reading; /* set to index + 1 while it is read, for who asks what a child died of; may
                          be NULL */
    struct sb_globs_met *met; /* noted while it is read; may be NULL */
};

/* Opens path without following a link in its last part and without waiting for whatever is there.
 * -EBADMSG: no regular file, or of no format that can be read; -ELOOP: a symbolic link. */
int sb_weights_file_open(const char *path, const char *prefix, struct sb_weights_file *file,
                         struct sb_error *err);
void sb_weights_file_close(struct sb_weights_file *file);

/* Hands the file's tensors that the options (may be NULL) choose to the sink, in byte order of
 * their names. The format must have been prepared. err begins with the path. */
int sb_weights_file_read(const struct sb_weights_file *file,
                         const struct sb_weights_options *options, struct sb_tensor_sink *sink,
                         struct sb_error *err);

/* The file of each index in the order in which they are to be read, that of their prefixes: order
 * must hold files->n. */
void sb_weights_files_order(const struct sb_weights_files *files, size_t *order);

/* Sets of formats: bit i stands for sb_formats[i]. */
uint32_t sb_format_bit(const struct sb_format *format);
/* Prepares those of the set; what cannot be says so when it is read. */
void sb_formats_prepare(uint32_t set);

#endif
