/* Tests of weights/: files in a folder of their own, read in this process. */
#ifndef SB_WEIGHTS_TESTS_FILES_H
#define SB_WEIGHTS_TESTS_FILES_H

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "tests/testing.h"
#include "weights/reading.h"
#include "weights/tensors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A new folder; removed by remove_folder. */
static inline char *make_folder(void) {
    const char *base = getenv("TMPDIR");
    char *path = sb_format("%s/samebits-weights-XXXXXX", base && *base ? base : "/tmp");
    ck_assert_ptr_nonnull(path);
    ck_assert_ptr_nonnull(mkdtemp(path));
    return path;
}

static inline void remove_folder(char *path) {
    ck_assert_int_eq(sb_remove_tree(path, NULL), 0);
    free(path);
}

/* Reads one file without a sandbox. */
static inline int read_here(const char *path, const struct sb_weights_options *options,
                            struct sb_fingerprint *fingerprint, struct sb_error *err) {
    struct sb_weights_file file;
    struct sb_tensor_sink sink;
    int r = sb_weights_file_open(path, NULL, &file, err);
    if (r < 0)
        return r;
    if (file.format->prepare)
        ck_assert_int_eq(file.format->prepare(err), 0);
    struct sb_collector *collector =
        sb_collector_new(options ? options->digest : SB_DIGEST_XXH3, 1);
    ck_assert_ptr_nonnull(collector);
    sb_collector_sink(collector, &sink);
    r = sb_weights_file_read(&file, options, &sink, err);
    if (r == 0)
        r = sb_collector_finish(collector, fingerprint, err);
    sb_collector_free(collector);
    sb_weights_file_close(&file);
    return r;
}

static inline void expect_refused(const char *path, const char *says) {
    struct sb_fingerprint fingerprint = {0};
    struct sb_error err = {0};
    int r = read_here(path, NULL, &fingerprint, &err);
    ck_assert_msg(r == -EBADMSG && strstr(err.text, says), "%d '%s', not '%s'", r, err.text, says);
}

/* Reads it through the jail: it has these tensors and no others. */
static inline void expect_tensors(char *path, const struct sb_tensor *tensors, size_t n) {
    const struct sb_weights_files files = {.paths = &path, .n = 1};
    struct sb_fingerprint file = {0}, memory = {0};
    struct sb_error err = {0};
    ck_assert_msg(sb_weights_fingerprint(&files, NULL, &file, &err) == 0, "%s", err.text);
    ck_assert_int_eq(sb_tensors_fingerprint(tensors, n, SB_DIGEST_XXH3, &memory, NULL), 0);
    ck_assert_str_eq(file.text, memory.text);
    sb_fingerprint_clear(&file);
    sb_fingerprint_clear(&memory);
}

static inline const struct sb_tensor_digest *find_tensor(const struct sb_fingerprint *fingerprint,
                                                         const char *name) {
    for (size_t i = 0; i < fingerprint->n_tensors; i++) {
        if (strcmp(fingerprint->tensors[i].info.name, name) == 0)
            return &fingerprint->tensors[i];
    }
    ck_abort_msg("no tensor '%s'", name);
    return NULL;
}

#endif
