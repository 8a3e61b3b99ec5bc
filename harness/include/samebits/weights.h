/* Stage 4: weights files, tensors, digests and fingerprints (DESIGN section 6). */
#ifndef SAMEBITS_WEIGHTS_H
#define SAMEBITS_WEIGHTS_H

#include <samebits/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sb_dtype {
    SB_DTYPE_BOOL,
    SB_DTYPE_I8,
    SB_DTYPE_I16,
    SB_DTYPE_I32,
    SB_DTYPE_I64,
    SB_DTYPE_U8,
    SB_DTYPE_U16,
    SB_DTYPE_U32,
    SB_DTYPE_U64,
    SB_DTYPE_F16,
    SB_DTYPE_BF16,
    SB_DTYPE_F32,
    SB_DTYPE_F64,
    SB_DTYPE_F8_E4M3,
    SB_DTYPE_F8_E5M2,
    SB_DTYPE_C64,
    SB_DTYPE_C128,
    SB_N_DTYPES,
};

extern const char *const sb_dtype_names[SB_N_DTYPES]; /* "bool", "i8" … */
size_t sb_dtype_size(enum sb_dtype dtype);            /* bytes of one element */

enum { SB_MAX_RANK = 32 };

/* One tensor without its elements. */
struct sb_tensor_info {
    char *name; /* as fingerprinted: bytes below 0x20 and `\` written \xHH */
    enum sb_dtype dtype;
    unsigned rank; /* 0: a scalar */
    uint64_t dims[SB_MAX_RANK];
    uint64_t n_elements; /* product of dims; checked against overflow */
};

/* The same in as little memory as it needs: what lists of tensors hold. `dims` owns the name too.
 */
struct sb_tensor_label {
    char *name;
    uint64_t *dims; /* [rank] */
    uint64_t n_elements;
    enum sb_dtype dtype;
    unsigned rank;
};

/* A tensor in memory: elements in C order, little-endian. Borrowed pointers. For writing, and for
 * tests. */
struct sb_tensor {
    const char *name;
    enum sb_dtype dtype;
    unsigned rank;
    const uint64_t *dims;
    const void *data;
};

enum sb_digest_kind { SB_DIGEST_XXH3, SB_DIGEST_SHA256 };

enum { SB_DIGEST_TEXT = 65, SB_FINGERPRINT_TEXT = 73 };

struct sb_tensor_digest {
    struct sb_tensor_label info;
    char digest[SB_DIGEST_TEXT]; /* hex */
    double sum;                  /* eight interleaved float64 lanes, added pairwise */
    bool all_zero, all_nan;      /* both true for a tensor without elements */
};

/* Which globs of the options matched something in the files: bit i stands for glob i of the first
 * 64. */
struct sb_globs_met {
    uint64_t include, exclude;
};

/* A file that was read as a part of another one, in whose folder it lies. */
struct sb_part {
    size_t of; /* index among the files that were given */
    char *name;
};

struct sb_fingerprint {
    char text[SB_FINGERPRINT_TEXT];   /* "xxh3:<32 hex>" or "sha256:<64 hex>" */
    double sum;                       /* over tensors in name order */
    struct sb_tensor_digest *tensors; /* sorted by the bytes of the name */
    size_t n_tensors;
    char **ignored; /* "name: why" of strings and objects, ending with NULL */
    size_t n_ignored;
    struct sb_part *parts;
    size_t n_parts;
    bool all_zero, all_nan; /* every element of every tensor: no evidence of a training */
    struct sb_globs_met met;
};

void sb_fingerprint_clear(struct sb_fingerprint *fingerprint);

/* Files that together make the weights of one run. */
struct sb_weights_files {
    char **paths;    /* absolute or relative to the current directory */
    char **prefixes; /* "relative/path:" put before tensor names, or NULL for all when there is one
                        file */
    size_t n;
};

struct sb_weights_options {
    char *const *exclude,
        *const *include; /* globs over tensor names, may be NULL; include is applied first */
    size_t n_exclude, n_include;
    enum sb_digest_kind digest;
    /* Keras's layers count anew: what differs in the counters at the end of its layers' names
     * alone, as dense_1 and dense_7, has one name. Names elsewhere stay. */
    bool match_by_order;
    unsigned threads; /* that may read at once, for sb_weights_fingerprint; 0: one */
};

/* The globs that matched nothing, "include GLOB" or "exclude GLOB", malloc'd and ending with NULL;
 * NULL where memory ran out. Free each, and the list. */
char **sb_globs_unmet(const struct sb_weights_options *options, const struct sb_globs_met *met);

/* Fingerprint of files that are not trusted: they are parsed in a child with limits and a seccomp
 * filter. -EBADMSG: a file is malformed, of an unknown format or crashed the parser (`err` says
 * which and how); -ENODATA: no tensor is left; others: the errno of reading. */
int sb_weights_fingerprint(const struct sb_weights_files *files,
                           const struct sb_weights_options *options,
                           struct sb_fingerprint *fingerprint, struct sb_error *err);

/* The same without waiting, for the scheduler. A reader is a process forked once with the libraries
 * loaded, which forks a child for every request; several requests may be under way. */
struct sb_reader;
struct sb_reading;
int sb_reader_start(struct sb_reader **reader, struct sb_error *err);
int sb_reading_start(struct sb_reader *reader, const struct sb_weights_files *files,
                     const struct sb_weights_options *options, struct sb_reading **reading,
                     struct sb_error *err);
/* Becomes readable when something arrived: call sb_reading_step until it no longer returns -EAGAIN.
 */
int sb_reading_fd(const struct sb_reading *reading);
/* -EAGAIN: not finished, poll again; else as sb_weights_fingerprint. Never blocks for long. */
int sb_reading_step(struct sb_reading *reading, struct sb_fingerprint *fingerprint,
                    struct sb_error *err);
void sb_reading_free(struct sb_reading *reading); /* also ends a reading under way */
void sb_reader_stop(struct sb_reader *reader);

/* ---- Formats --------------------------------------------------------------------------------- */

struct sb_bytes; /* weights/stream.h */

/* Hands out a file's tensors one after the other, in the byte order of their names (as in
 * sb_tensor_info): comparing two files rests on it. Runs inside the sandboxed child only; two
 * readings may take turns in one thread, at any call of begin, data and end, so none of these may
 * be made from within a library's call. */
struct sb_tensor_sink {
    void *context;
    unsigned threads; /* that a reader may use for what it makes of the file; 0: one */
    /* Called once per tensor before its data; returning false skips the data. -errno ends the
     * reading. */
    int (*begin)(void *context, const struct sb_tensor_info *info, bool *wanted,
                 struct sb_error *err);
    /* Elements in C order, little-endian, in pieces of any number of whole elements. */
    int (*data)(void *context, const void *elements, uint64_t n_elements, struct sb_error *err);
    /* May be NULL. All elements of the tensor lie in a file, in C order, from `offset` of `bytes`
     * on: 1 where the sink reads them there itself, before or after `end`; 0: hand them to data. */
    int (*range)(void *context, const struct sb_bytes *bytes, bool big_endian, uint64_t offset,
                 struct sb_error *err);
    int (*end)(void *context, struct sb_error *err);
    int (*ignored)(void *context, const char *name, const char *why);
};

/* A file that lies beside another, and may be asked for by it. */
struct sb_beside {
    char *name; /* without its folder */
    int fd;
    uint64_t n_bytes;
    bool asked; /* it was asked for */
};

/* A file to be read. */
struct sb_source {
    const char *path;
    int fd;
    struct sb_beside
        *beside; /* those that its format may ask for, sorted by the bytes of their names */
    size_t n_beside;
    bool recount; /* layers' names count anew (weights/counters.h), where the format has layers */
};

/* What a file is to another of its folder. */
enum sb_beside_kind {
    SB_BESIDE_NOTHING,
    SB_BESIDE_MAYBE, /* it may be asked for, and may be a weights file of its own */
    SB_BESIDE_PART,  /* it belongs to it, and is never read by itself where both are given */
};

/* One weights format. A new one is a file format_<name>.c that defines `const struct sb_format
 * sb_format_<name>`, and a name in harness/weights/meson.build. */
struct sb_format {
    const char *name, *summary;
    const char *extensions; /* for listings only: the content decides */
    bool (*recognise)(const unsigned char *head, size_t n_head, const char *path);
    int (*prepare)(
        struct sb_error *err); /* loads libraries, before the sandbox closes; may be NULL */
    /* What the file `name` may be to a file of this format, by its name alone. NULL: nothing is. */
    enum sb_beside_kind (*beside)(const char *file, const char *name);
    int (*read)(const struct sb_source *source, struct sb_tensor_sink *sink, struct sb_error *err);
};

extern const struct sb_format *const sb_formats[]; /* generated registry, ends with NULL */

/* The format of a file by its content, or NULL. Opens it; never parses it. */
const struct sb_format *sb_format_recognise(const char *path);

/* The weights file that a person means by a path: of a SavedModel's folder the index of its
 * variables, of a checkpoint's prefix ("ckpt-1") its index, else what the path leads to. Follows
 * links. malloc'd; a copy where nothing is there, NULL without memory. */
char *sb_weights_path(const char *path);

/* Writes tensors to a new HDF5 file at their names' paths ("layers/dense/vars/0"). libhdf5 is
 * loaded when first needed. The file's bytes are the same for the same tensors (no times are
 * stored). */
int sb_weights_write_hdf5(const char *path, const struct sb_tensor *tensors, size_t n,
                          struct sb_error *err);

/* Digests of tensors in memory, the same values as from a file. */
int sb_tensors_fingerprint(const struct sb_tensor *tensors, size_t n, enum sb_digest_kind digest,
                           struct sb_fingerprint *fingerprint, struct sb_error *err);

/* Version of the libhdf5 that is loaded ("1.10.8"); NULL with err when none can be. */
const char *sb_hdf5_version(struct sb_error *err);

#endif
