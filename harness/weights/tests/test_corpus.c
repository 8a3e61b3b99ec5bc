/* weights: the seeds and the regressions of the fuzz targets, through the jail as any other file.
 */
#include "weights/tests/files.h"

#include <dirent.h>
#include <errno.h>

static const char *source(void) {
    const char *folder = getenv("SAMEBITS_SOURCE");
    return folder ? folder : ".";
}

/* What a reading of the file comes to, which must be an answer that names it. */
static int outcome(char *path, struct sb_fingerprint *found, struct sb_error *err) {
    const struct sb_weights_files files = {.paths = &path, .n = 1};
    int r = sb_weights_fingerprint(&files, NULL, found, err);
    ck_assert_msg(r == 0 || r == -EBADMSG || r == -ENODATA, "%s: %d %s", path, r, err->text);
    ck_assert_msg(r == 0 || strstr(err->text, path), "%s: %s", path, err->text);
    ck_assert_msg(!strstr(err->text, "without a word"), "%s", err->text);
    return r;
}

/* Returns how many of a format's files are read, of how many; 0 of 0 where it has no folder. */
static unsigned read_corpus(const struct sb_format *format, unsigned *n_files) {
    unsigned n_read = 0;
    SB_AUTO_FREE char *folder =
        sb_format("%s/harness/weights/fuzz/corpus/%s", source(), format->name);
    SB_AUTO_DIR DIR *listed = opendir(folder);
    *n_files = 0;
    for (struct dirent *entry; listed && (entry = readdir(listed));) {
        if (entry->d_name[0] == '.')
            continue;
        SB_AUTO_FREE char *path = sb_path_join(folder, entry->d_name);
        struct sb_fingerprint found = {0};
        struct sb_error err = {0};
        bool regression = strncmp(entry->d_name, "regression-", 11) == 0;
        if (!regression)
            ck_assert_msg(sb_format_recognise(path) == format, "%s is of another format", path);
        n_read += outcome(path, &found, &err) == 0;
        ++*n_files;
        sb_fingerprint_clear(&found);
    }
    return n_read;
}

START_TEST(every_file_of_the_corpus_has_an_answer)
{
    unsigned n_formats = 0, n_files;
    for (size_t i = 0; sb_formats[i]; i++) {
        unsigned n_read = read_corpus(sb_formats[i], &n_files);
        ck_assert_msg(n_files == 0 || n_read > 0 || sb_formats[i]->beside, "%s: no seed is read",
                      sb_formats[i]->name);
        n_formats += n_read > 0;
    }
    ck_assert_uint_ge(n_formats, 8);
}
END_TEST

START_TEST(two_datasets_of_one_name_are_refused)
{
    SB_AUTO_FREE char *path =
        sb_format("%s/harness/weights/fuzz/corpus/hdf5/regression-two-of-one-name", source());
    struct sb_fingerprint found = {0};
    struct sb_error err = {0};
    ck_assert_int_eq(outcome(path, &found, &err), -EBADMSG);
    ck_assert_msg(strstr(err.text, "two datasets are named 'layers/dense/vars/2'"), "%s", err.text);
}
END_TEST

START_TEST(control_characters_in_what_is_ignored_are_escaped)
{
    static const char *const files[][2] = {
        {"npz/regression-control-character-in-an-ignored-name", "a\\x01b.txt: "},
        {"safetensors/regression-control-character-in-a-dtype", "x: dtype F\\x014, "},
        {"pytorch/regression-control-character-in-a-class", "o: an object of odd.A\\x01B"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        SB_AUTO_FREE char *path =
            sb_format("%s/harness/weights/fuzz/corpus/%s", source(), files[i][0]);
        struct sb_fingerprint found = {0};
        struct sb_error err = {0};
        ck_assert_msg(outcome(path, &found, &err) == 0, "%s", err.text);
        ck_assert_uint_eq(found.n_ignored, 1);
        ck_assert_msg(strstr(found.ignored[0], files[i][1]) == found.ignored[0], "%s",
                      found.ignored[0]);
        sb_fingerprint_clear(&found);
    }
}
END_TEST

SB_TEST_MAIN("weights-corpus", every_file_of_the_corpus_has_an_answer,
             two_datasets_of_one_name_are_refused,
             control_characters_in_what_is_ignored_are_escaped)
