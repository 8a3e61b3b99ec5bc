/* Tests of weights/: seeds of the fuzz targets, whole and cut. */
#ifndef SB_WEIGHTS_TESTS_CUT_H
#define SB_WEIGHTS_TESTS_CUT_H

#include "weights/tests/files.h"

static inline char *corpus_file(const char *format, const char *name) {
    const char *source = getenv("SAMEBITS_SOURCE");
    return sb_format("%s/harness/weights/fuzz/corpus/%s/%s", source ? source : ".", format, name);
}

/* Every beginning of a file is refused, or has all of its tensors (what follows them may miss).
 * Without a sandbox: for readers of our own. */
static inline void cut_everywhere(const char *format, const char *name) {
    char *folder = make_folder();
    SB_AUTO_FREE char *whole = corpus_file(format, name), *path = sb_path_join(folder, "cut");
    SB_AUTO_FREE char *bytes = NULL;
    struct sb_fingerprint want = {0};
    size_t n = 0;
    ck_assert_int_eq(sb_file_read(whole, 1 << 20, &bytes, &n, NULL), 0);
    ck_assert_int_eq(read_here(whole, NULL, &want, NULL), 0);
    size_t n_refused = 0;
    for (size_t length = 0; length < n; length++) {
        struct sb_fingerprint got = {0};
        struct sb_error err = {0};
        ck_assert_int_eq(sb_file_write(path, bytes, length, NULL), 0);
        int r = read_here(path, NULL, &got, &err);
        ck_assert_msg(r < 0 || strcmp(got.text, want.text) == 0, "%zu of %zu bytes are read as %s",
                      length, n, got.text);
        n_refused += r < 0;
        sb_fingerprint_clear(&got);
    }
    ck_assert_uint_gt(n_refused, n / 2);
    sb_fingerprint_clear(&want);
    remove_folder(folder);
}

#endif
