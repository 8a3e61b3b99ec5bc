/* weights: files that mean harm, each reported as what it is. */
#include "weights/tests/files.h"
#include "weights/tests/libhdf5.h"

#include <samebits/weights.h>

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

static const float three[3] = {1, 2, 3};

struct place {
    char *folder, *path;
};

static struct place make_place(void) {
    struct place place = {.folder = make_folder()};
    place.path = sb_path_join(place.folder, "w.h5");
    return place;
}

static void clear_place(struct place *place) {
    free(place->path);
    remove_folder(place->folder);
}

static int fingerprint_of(char *path, struct sb_fingerprint *fingerprint, struct sb_error *err) {
    const struct sb_weights_files files = {.paths = &path, .n = 1};
    return sb_weights_fingerprint(&files, NULL, fingerprint, err);
}

static void expect_error(char *path, int code, const char *says) {
    struct sb_fingerprint fingerprint = {0};
    struct sb_error err = {0};
    int r = fingerprint_of(path, &fingerprint, &err);
    ck_assert_msg(r == code, "%d: %s", r, err.text);
    ck_assert_msg(strstr(err.text, path) != NULL, "names no file: %s", err.text);
    ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
    ck_assert_ptr_null(fingerprint.tensors);
}

START_TEST(names_of_hard_links_are_the_first_in_byte_order)
{
    struct place place = make_place();
    struct sb_fingerprint fingerprint = {0};
    struct sb_error err = {0};
    hid_t file = new_file(place.path);
    static const char *const groups[] = {"b", "b/deep", "a-b"};
    for (int i = 0; i < 3; i++)
        H5(H5Gclose)(good(H5(H5Gcreate2)(file, groups[i], 0, 0, 0)));
    new_floats(file, "z", three, 3);
    new_floats(file, "b/deep/x", three, 3);
    static const char *const links[][2] = {
        {"z", "b/first"},    /* the dataset under a group: b/first < z */
        {"b", "a"},          /* the group itself, "a/" */
        {"b", "a-b/again"},  /* and once more, "a-b/again/", which is smaller: '-' < '/' */
        {"/", "b/deep/top"}, /* a cycle through the root */
        {"b", "b/deep/up"},  /* and one below it */
    };
    for (int i = 0; i < 5; i++)
        ck_assert_int_ge(H5(H5Lcreate_hard)(file, links[i][0], file, links[i][1], 0, 0), 0);
    H5(H5Fclose)(file);
    ck_assert_msg(fingerprint_of(place.path, &fingerprint, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(fingerprint.n_tensors, 2);
    ck_assert_str_eq(fingerprint.tensors[0].info.name, "a-b/again/deep/x");
    ck_assert_str_eq(fingerprint.tensors[1].info.name, "a-b/again/first");
    sb_fingerprint_clear(&fingerprint);
    clear_place(&place);
}
END_TEST

START_TEST(soft_and_external_links_are_not_followed)
{
    struct place place = make_place();
    struct sb_fingerprint fingerprint = {0};
    SB_AUTO_FREE char *other = sb_path_join(place.folder, "other.h5");
    hid_t file = new_file(other);
    new_floats(file, "w", three, 2);
    H5(H5Fclose)(file);
    file = new_file(place.path);
    new_floats(file, "w", three, 3);
    ck_assert_int_ge(H5(H5Lcreate_soft)("/w", file, "soft", 0, 0), 0);
    ck_assert_int_ge(H5(H5Lcreate_soft)("/nothing", file, "dangling", 0, 0), 0);
    ck_assert_int_ge(H5(H5Lcreate_external)("other.h5", "/w", file, "external", 0, 0), 0);
    H5(H5Fclose)(file);
    ck_assert_int_eq(fingerprint_of(place.path, &fingerprint, NULL), 0);
    ck_assert_uint_eq(fingerprint.n_tensors, 1);
    ck_assert_uint_eq(fingerprint.n_ignored, 3);
    ck_assert_str_eq(fingerprint.ignored[0], "dangling: soft link, not followed");
    ck_assert_str_eq(fingerprint.ignored[1], "external: external link, refused");
    sb_fingerprint_clear(&fingerprint);
    clear_place(&place);
}
END_TEST

START_TEST(elements_in_other_files_are_refused)
{
    static const hsize_t dims[] = {16};
    struct place place = make_place();
    hid_t space = new_space(1, dims), creation = new_creation();
    hid_t file = new_file(place.path);
    ck_assert_int_ge(H5(H5Pset_external)(creation, "/etc/passwd", 0, 16), 0);
    new_dataset(file, "stolen", H5_ID(H5T_STD_U8LE_g), space, creation, NULL);
    H5(H5Fclose)(file);
    H5(H5Pclose)(creation);
    expect_error(place.path, -EBADMSG, "'stolen' is stored in another file");
    creation = new_creation();
    ck_assert_int_ge(H5(H5Pset_virtual)(creation, space, "other.h5", "w", space), 0);
    file = new_file(place.path);
    new_dataset(file, "pieced", H5_ID(H5T_STD_U8LE_g), space, creation, NULL);
    H5(H5Fclose)(file);
    H5(H5Pclose)(creation);
    H5(H5Sclose)(space);
    expect_error(place.path, -EBADMSG, "'pieced' is a virtual dataset");
    clear_place(&place);
}
END_TEST

START_TEST(promises_beyond_any_compression_are_refused_at_once)
{
    static const hsize_t huge[] = {UINT64_C(1) << 31, UINT64_C(1) << 29}, chunk[] = {1024, 1024};
    struct place place = make_place();
    hid_t file = new_file(place.path), space = new_space(2, huge), creation = new_creation();
    H5(H5Pset_chunk)(creation, 2, chunk);
    H5(H5Pset_deflate)(creation, 9);
    new_dataset(file, "bomb", H5_ID(H5T_STD_U8LE_g), space, creation, NULL);
    H5(H5Fclose)(file);
    H5(H5Sclose)(space);
    H5(H5Pclose)(creation);
    time_t start = time(NULL);
    expect_error(place.path, -EBADMSG, "'bomb' would be 1152921504606846976 bytes");
    ck_assert_int_le(time(NULL) - start, 5);
    clear_place(&place);
}
END_TEST

static uint64_t address_of(const char *path, const char *name) {
    hid_t file = good(H5(H5Fopen)(path, H5F_ACC_RDONLY, H5P_DEFAULT));
    hid_t dataset = good(H5(H5Dopen2)(file, name, H5P_DEFAULT));
    uint64_t address = H5(H5Dget_offset)(dataset);
    H5(H5Dclose)(dataset);
    H5(H5Fclose)(file);
    return address;
}

/* Lets the dataset of three floats that lies at one address lie at another: in a layout message of
 * version 3 and class 1 (contiguous), which ends with the address and the number of bytes. */
static void move_elements(const char *path, uint64_t from, uint64_t to) {
    unsigned char message[18] = {3, 1, [10] = sizeof three};
    SB_AUTO_FREE char *bytes = NULL;
    size_t n = 0;
    memcpy(message + 2, &from, sizeof from);
    ck_assert_int_eq(sb_file_read(path, 1 << 20, &bytes, &n, NULL), 0);
    char *found = memmem(bytes, n, message, sizeof message);
    ck_assert_ptr_nonnull(found);
    memcpy(found + 2, &to, sizeof to);
    ck_assert_int_eq(sb_file_write(path, bytes, n, NULL), 0);
}

START_TEST(elements_that_lie_outside_the_file_are_refused)
{
    static const uint64_t outside[] = {1 << 20, UINT64_C(1) << 40, INT64_MAX - 3, INT64_MAX,
                                       UINT64_MAX - 12};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        struct place place = make_place();
        hid_t file = new_file(place.path);
        new_floats(file, "x", three, 3);
        H5(H5Fclose)(file);
        move_elements(place.path, address_of(place.path, "x"), outside[i]);
        expect_error(place.path, -EBADMSG, "'x' ");
        clear_place(&place);
    }
}
END_TEST

/* No harm, since a dataset's bytes are only read: it has the elements that stand there. */
START_TEST(elements_that_overlap_are_those_that_stand_there)
{
    static const float other[3] = {7, 8, 9};
    struct place place = make_place();
    struct sb_fingerprint fingerprint = {0};
    hid_t file = new_file(place.path);
    new_floats(file, "x", three, 3);
    new_floats(file, "y", other, 3);
    H5(H5Fclose)(file);
    uint64_t y = address_of(place.path, "y");
    move_elements(place.path, address_of(place.path, "x"), y);
    ck_assert_int_eq(fingerprint_of(place.path, &fingerprint, NULL), 0);
    ck_assert_uint_eq(fingerprint.n_tensors, 2);
    ck_assert(fingerprint.tensors[0].sum == 24 && fingerprint.tensors[1].sum == 24);
    sb_fingerprint_clear(&fingerprint);
    clear_place(&place);
}
END_TEST

START_TEST(names_with_control_characters_are_escaped)
{
    struct place place = make_place();
    struct sb_fingerprint fingerprint = {0};
    hid_t file = new_file(place.path);
    H5(H5Gclose)(good(H5(H5Gcreate2)(file, "g\x1b[2J", 0, 0, 0)));
    new_floats(file, "g\x1b[2J/w\n\\", three, 3);
    H5(H5Fclose)(file);
    ck_assert_int_eq(fingerprint_of(place.path, &fingerprint, NULL), 0);
    ck_assert_str_eq(fingerprint.tensors[0].info.name, "g\\x1b[2J/w\\x0a\\x5c");
    sb_fingerprint_clear(&fingerprint);
    clear_place(&place);
}
END_TEST

START_TEST(a_bool_that_is_neither_is_refused)
{
    static const hsize_t dims[] = {2};
    struct place place = make_place();
    hid_t file = new_file(place.path), space = new_space(1, dims);
    hid_t type = good(H5(H5Tenum_create)(H5_ID(H5T_STD_I8LE_g)));
    H5(H5Tenum_insert)(type, "FALSE", "\0");
    H5(H5Tenum_insert)(type, "TRUE", "\1");
    new_dataset(file, "flag", type, space, H5P_DEFAULT, "\1\2");
    H5(H5Tclose)(type);
    H5(H5Sclose)(space);
    H5(H5Fclose)(file);
    expect_error(place.path, -EBADMSG, "'flag' is bool and has an element 2");
    clear_place(&place);
}
END_TEST

START_TEST(what_is_no_regular_file_is_not_opened)
{
    struct place place = make_place();
    hid_t file = new_file(place.path);
    new_floats(file, "w", three, 3);
    H5(H5Fclose)(file);
    SB_AUTO_FREE char *link = sb_path_join(place.folder, "link.h5");
    SB_AUTO_FREE char *fifo = sb_path_join(place.folder, "fifo.h5");
    SB_AUTO_FREE char *missing = sb_path_join(place.folder, "missing.h5");
    ck_assert_int_eq(symlink(place.path, link), 0);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    expect_error(link, -ELOOP, "symbolic link");
    expect_error(fifo, -EBADMSG, "named pipe");
    expect_error(place.folder, -EBADMSG, "folder");
    expect_error(missing, -ENOENT, "No such file");
    expect_error((char[]){"/dev/zero"}, -EBADMSG, "device");
    clear_place(&place);
}
END_TEST

START_TEST(what_is_no_weights_file_says_so)
{
    struct place place = make_place();
    ck_assert_int_eq(sb_file_write(place.path, "", 0, NULL), 0);
    expect_error(place.path, -EBADMSG, "empty");
    ck_assert_int_eq(sb_file_write(place.path, "hello, world", 12, NULL), 0);
    expect_error(place.path, -EBADMSG, "no known weights format");
    ck_assert_int_eq(sb_file_write(place.path, "\x89HDF\r\n\x1a\n????", 12, NULL), 0);
    expect_error(place.path, -EBADMSG, "no readable HDF5 file");
    clear_place(&place);
}
END_TEST

START_TEST(a_file_without_tensors_is_no_data)
{
    struct place place = make_place();
    hid_t file = new_file(place.path);
    H5(H5Fclose)(file);
    expect_error(place.path, -ENODATA, "no tensor");
    clear_place(&place);
}
END_TEST

START_TEST(the_environment_of_libhdf5_does_not_matter)
{
    struct place place = make_place();
    struct sb_fingerprint plain = {0}, troubled = {0};
    hid_t file = new_file(place.path);
    new_floats(file, "w", three, 3);
    H5(H5Fclose)(file);
    ck_assert_int_eq(fingerprint_of(place.path, &plain, NULL), 0);
    setenv("HDF5_DRIVER", "nonsense", 1);
    setenv("HDF5_PLUGIN_PATH", place.folder, 1);
    setenv("HDF5_USE_FILE_LOCKING", "TRUE", 1);
    ck_assert_int_eq(fingerprint_of(place.path, &troubled, NULL), 0);
    ck_assert_str_eq(plain.text, troubled.text);
    sb_fingerprint_clear(&plain);
    sb_fingerprint_clear(&troubled);
    clear_place(&place);
}
END_TEST

START_TEST(several_files_make_one_fingerprint_with_prefixed_names)
{
    struct place place = make_place();
    SB_AUTO_FREE char *other = sb_path_join(place.folder, "other.h5");
    char w_prefix[] = "b/w.h5:", o_prefix[] = "a/o.h5:";
    char *paths[] = {place.path, other}, *prefixes[] = {w_prefix, o_prefix};
    char *swapped[] = {other, place.path}, *swapped_prefixes[] = {o_prefix, w_prefix};
    struct sb_weights_files files = {paths, prefixes, 2}, again = {swapped, swapped_prefixes, 2};
    struct sb_fingerprint one = {0}, two = {0};
    for (int i = 0; i < 2; i++) {
        hid_t file = new_file(paths[i]);
        new_floats(file, "w", three + i, 2);
        H5(H5Fclose)(file);
    }
    ck_assert_int_eq(sb_weights_fingerprint(&files, NULL, &one, NULL), 0);
    ck_assert_int_eq(sb_weights_fingerprint(&again, NULL, &two, NULL), 0);
    ck_assert_str_eq(one.text, two.text);
    ck_assert_str_eq(one.tensors[0].info.name, "a/o.h5:w");
    ck_assert_str_eq(one.tensors[1].info.name, "b/w.h5:w");
    sb_fingerprint_clear(&one);
    sb_fingerprint_clear(&two);
    ck_assert_int_eq(sb_file_write(other, "x", 1, NULL), 0);
    struct sb_error err = {0};
    ck_assert_int_eq(sb_weights_fingerprint(&files, NULL, &one, &err), -EBADMSG);
    ck_assert_msg(strstr(err.text, other) == err.text, "%s", err.text);
    clear_place(&place);
}
END_TEST

SB_TEST_MAIN("weights-hostile", names_of_hard_links_are_the_first_in_byte_order,
             soft_and_external_links_are_not_followed, elements_in_other_files_are_refused,
             promises_beyond_any_compression_are_refused_at_once,
             elements_that_lie_outside_the_file_are_refused,
             elements_that_overlap_are_those_that_stand_there,
             names_with_control_characters_are_escaped, a_bool_that_is_neither_is_refused,
             what_is_no_regular_file_is_not_opened, what_is_no_weights_file_says_so,
             a_file_without_tensors_is_no_data, the_environment_of_libhdf5_does_not_matter,
             several_files_make_one_fingerprint_with_prefixed_names)
