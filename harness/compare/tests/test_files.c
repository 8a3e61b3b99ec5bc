/* compare: whole files, of one format or two, good, odd and hostile. */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "compare/tests/slow.h"
#include "tests/testing.h"

#include <samebits/compare.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static const struct sb_tolerance defaults = {-1, -1, -1};

/* ---- Files -------------------------------------------------------------------------------------
 */

struct folder {
    char path[64];
};

static struct folder folder_new(void) {
    struct folder folder = {"/tmp/samebits-compare-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(folder.path));
    return folder;
}

static void folder_remove(struct folder *folder) {
    sb_remove_tree(folder->path, NULL);
}

#define AUTO_FOLDER SB_CLEANUP(folder_remove) struct folder

static char *in_folder(const struct folder *folder, const char *name) {
    char *path = sb_path_join(folder->path, name);
    ck_assert_ptr_nonnull(path);
    return path;
}

static char *write_hdf5(const struct folder *folder, const char *name,
                        const struct sb_tensor *tensors, size_t n) {
    struct sb_error err = {0};
    char *path = in_folder(folder, name);
    ck_assert_msg(sb_weights_write_hdf5(path, tensors, n, &err) == 0, "%s", err.text);
    return path;
}

static uint64_t bytes_of(const struct sb_tensor *tensor) {
    uint64_t n = sb_dtype_size(tensor->dtype);
    for (unsigned i = 0; i < tensor->rank; i++)
        n *= tensor->dims[i];
    return n;
}

static const char *safetensors_name(enum sb_dtype dtype) {
    return dtype == SB_DTYPE_F64 ? "F64" : dtype == SB_DTYPE_I64 ? "I64" : "F32";
}

/* In the order given, which need not be that of names. */
static char *write_safetensors(const struct folder *folder, const char *name,
                               const struct sb_tensor *tensors, size_t n) {
    SB_AUTO_TEXT struct sb_text header = {0};
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t end = at + bytes_of(&tensors[i]);
        sb_text_printf(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "{",
                       tensors[i].name, safetensors_name(tensors[i].dtype));
        for (unsigned k = 0; k < tensors[i].rank; k++)
            sb_text_printf(&header, "%s%lu", k ? "," : "", (long)tensors[i].dims[k]);
        sb_text_printf(&header, "],\"data_offsets\":[%lu,%lu]}", (long)at, (long)end);
        at = end;
    }
    sb_text_puts(&header, n ? "}" : "{}");
    char *path = in_folder(folder, name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    uint64_t length = header.length;
    fwrite(&length, 8, 1, file);
    fwrite(header.data, 1, header.length, file);
    for (size_t i = 0; i < n; i++)
        fwrite(tensors[i].data, 1, bytes_of(&tensors[i]), file);
    fclose(file);
    return path;
}

static int compare_paths(char *a, char *b, const struct sb_weights_options *options,
                         struct sb_comparison *comparison, struct sb_error *err) {
    const struct sb_weights_files files_a = {.paths = &a, .n = 1}, files_b = {.paths = &b, .n = 1};
    return sb_compare_files(&files_a, &files_b, options, &defaults, comparison, err);
}

static void expect(char *a, char *b, struct sb_comparison *comparison) {
    struct sb_error err = {0};
    ck_assert_msg(compare_paths(a, b, NULL, comparison, &err) == 0, "%s", err.text);
}

static const uint64_t small[] = {3, 4}, other[] = {4, 3}, large[] = {700, 301};
enum { LARGE = 700 * 301 };

static void fill(float *elements, uint64_t n, uint64_t seed) {
    for (uint64_t i = 0; i < n; i++)
        elements[i] = (float)next_uniform(&seed);
}

/* Tensor i of a comparison; its name stays the comparison's. */
static struct sb_tensor_difference tensor_of(const struct sb_comparison *comparison, size_t i) {
    struct sb_tensor_difference difference;
    ck_assert_uint_lt(i, comparison->n_tensors);
    sb_comparison_tensor(comparison, i, &difference);
    return difference;
}

START_TEST(the_worst_tensor_comes_first)
{
    AUTO_FOLDER folder = folder_new();
    SB_CLEANUP(sb_comparison_clear) struct sb_comparison comparison = {0};
    static float x[LARGE], rounded[LARGE], far[12];
    fill(x, LARGE, 1);
    memcpy(rounded, x, sizeof x);
    rounded[5 * 301 + 7] = nextafterf(nextafterf(x[5 * 301 + 7], 2), 2);
    memcpy(far, x, sizeof far);
    far[7] += 1;
    const struct sb_tensor a[] = {
        {"a/same", SB_DTYPE_F32, 2, small, x},
        {"b/rounded", SB_DTYPE_F32, 2, large, x},
        {"c/far", SB_DTYPE_F32, 2, small, x},
        {"d/same", SB_DTYPE_F32, 0, NULL, x},
    };
    struct sb_tensor b[4];
    memcpy(b, a, sizeof a);
    b[1].data = rounded;
    b[2].data = far;
    SB_AUTO_FREE char *path_a = write_hdf5(&folder, "a.h5", a, 4);
    SB_AUTO_FREE char *path_b = write_hdf5(&folder, "b.h5", b, 4);
    expect(path_a, path_b, &comparison);
    ck_assert_uint_eq(comparison.n_tensors, 4);
    ck_assert_uint_eq(comparison.n_different, 2);
    ck_assert_int_eq(comparison.grade, SB_GRADE_DIVERGENT);
    const char *const names[] = {"c/far", "b/rounded", "a/same", "d/same"};
    for (int i = 0; i < 4; i++)
        ck_assert_str_eq(tensor_of(&comparison, i).info.name, names[i]);
    struct sb_tensor_difference spread_worst = tensor_of(&comparison, 0), *worst = &spread_worst;
    ck_assert_uint_eq(worst->first[0], 1);
    ck_assert_uint_eq(worst->first[1], 3);
    ck_assert(worst->max_abs == fabs((double)far[7] - (double)x[7]));
    struct sb_tensor_difference spread_second = tensor_of(&comparison, 1), *second = &spread_second;
    ck_assert_int_eq(second->grade, SB_GRADE_ROUNDING);
    ck_assert(second->max_ulp == 2 && second->n_different == 1 && second->within);
    ck_assert_uint_eq(second->worst[0], 5);
    ck_assert_uint_eq(second->worst[1], 7);
    ck_assert_uint_eq(second->ulp_histogram[0], LARGE - 1);
    ck_assert_uint_eq(second->ulp_histogram[2], 1);
    ck_assert_int_eq(tensor_of(&comparison, 2).state, SB_TENSOR_SAME);
    ck_assert(tensor_of(&comparison, 2).within);
}
END_TEST

START_TEST(two_formats_of_the_same_tensors_are_identical)
{
    AUTO_FOLDER folder = folder_new();
    SB_CLEANUP(sb_comparison_clear) struct sb_comparison comparison = {0};
    static float x[LARGE];
    static double y[12];
    fill(x, LARGE, 2);
    for (int i = 0; i < 12; i++)
        y[i] = x[i];
    const struct sb_tensor tensors[] = {
        {"z/kernel", SB_DTYPE_F32, 2, large, x},
        {"b", SB_DTYPE_F64, 2, small, y},
        {"a/x", SB_DTYPE_F32, 2, small, x},
    };
    SB_AUTO_FREE char *path_a = write_hdf5(&folder, "a.h5", tensors, 3);
    SB_AUTO_FREE char *path_b = write_safetensors(&folder, "b.safetensors", tensors, 3);
    expect(path_a, path_b, &comparison);
    ck_assert_int_eq(comparison.grade, SB_GRADE_IDENTICAL);
    ck_assert_uint_eq(comparison.n_tensors, 3);
    ck_assert_uint_eq(comparison.n_different, 0);
    ck_assert_str_eq(tensor_of(&comparison, 0).info.name, "a/x");
    sb_comparison_clear(&comparison);
    expect(path_a, path_a, &comparison); /* a file with itself */
    ck_assert_int_eq(comparison.grade, SB_GRADE_IDENTICAL);
}
END_TEST

START_TEST(missing_and_changed_tensors_are_divergent)
{
    AUTO_FOLDER folder = folder_new();
    SB_CLEANUP(sb_comparison_clear) struct sb_comparison comparison = {0};
    static float x[LARGE];
    fill(x, LARGE, 3);
    const struct sb_tensor a[] = {
        {"changed", SB_DTYPE_F32, 2, small, x},   {"kept", SB_DTYPE_F32, 2, small, x},
        {"only_a", SB_DTYPE_F32, 2, large, x},    {"scalar", SB_DTYPE_F32, 0, NULL, x},
        {"z_retyped", SB_DTYPE_F32, 2, small, x},
    };
    const struct sb_tensor b[] = {
        {"another", SB_DTYPE_F32, 2, large, x},   {"changed", SB_DTYPE_F32, 2, other, x},
        {"kept", SB_DTYPE_F32, 2, small, x},      {"scalar", SB_DTYPE_F32, 1, small, x},
        {"z_retyped", SB_DTYPE_F64, 2, small, x},
    };
    SB_AUTO_FREE char *path_a = write_hdf5(&folder, "a.h5", a, 5);
    SB_AUTO_FREE char *path_b = write_hdf5(&folder, "b.h5", b, 5);
    expect(path_a, path_b, &comparison);
    ck_assert_uint_eq(comparison.n_tensors, 6);
    ck_assert_uint_eq(comparison.n_different, 5);
    ck_assert_int_eq(comparison.grade, SB_GRADE_DIVERGENT);
    const struct {
        const char *name;
        int state;
        const char *changed;
    } want[] = {
        {"changed", SB_TENSOR_CHANGED_TYPE, "f32 3x4 | f32 4x3"},
        {"scalar", SB_TENSOR_CHANGED_TYPE, "f32 | f32 3"},
        {"z_retyped", SB_TENSOR_CHANGED_TYPE, "f32 3x4 | f64 3x4"},
        {"another", SB_TENSOR_ONLY_B, NULL},
        {"only_a", SB_TENSOR_ONLY_A, NULL},
        {"kept", SB_TENSOR_SAME, NULL},
    };
    for (size_t i = 0; i < 6; i++) {
        struct sb_tensor_difference spread_got = tensor_of(&comparison, i), *got = &spread_got;
        ck_assert_str_eq(got->info.name, want[i].name);
        ck_assert_int_eq(got->state, want[i].state);
        ck_assert_int_eq(got->changed != NULL, want[i].changed != NULL);
        if (got->changed)
            ck_assert_str_eq(got->changed, want[i].changed);
    }
}
END_TEST

START_TEST(permuted_axes_are_found_in_files)
{
    AUTO_FOLDER folder = folder_new();
    SB_CLEANUP(sb_comparison_clear) struct sb_comparison comparison = {0};
    static float x[LARGE], rows[LARGE], columns[LARGE], all[LARGE];
    fill(x, LARGE, 4);
    for (int i = 0; i < 700; i++) {
        for (int j = 0; j < 301; j++) {
            rows[i * 301 + j] = x[(699 - i) * 301 + j];
            columns[i * 301 + j] = x[i * 301 + (j + 100) % 301];
            all[i * 301 + j] = x[(i * 301 + j + 12345) % LARGE];
        }
    }
    struct sb_tensor a[4], b[4];
    const char *const names[] = {"all", "columns", "nothing", "rows"};
    const float *const data[] = {all, columns, x, rows};
    for (int i = 0; i < 4; i++) {
        a[i] = (struct sb_tensor){names[i], SB_DTYPE_F32, 2, large, x};
        b[i] = (struct sb_tensor){names[i], SB_DTYPE_F32, 2, large, data[i]};
    }
    SB_AUTO_FREE char *path_a = write_hdf5(&folder, "a.h5", a, 4);
    SB_AUTO_FREE char *path_b = write_safetensors(&folder, "b.safetensors", b, 4);
    expect(path_a, path_b, &comparison);
    ck_assert_int_eq(comparison.grade, SB_GRADE_PERMUTATION);
    ck_assert_uint_eq(comparison.n_different, 3);
    for (int i = 0; i < 4; i++) {
        struct sb_tensor_difference spread_got = tensor_of(&comparison, i), *got = &spread_got;
        int axis = strcmp(got->info.name, "rows") == 0      ? 0
                   : strcmp(got->info.name, "columns") == 0 ? 1
                                                            : -1;
        ck_assert_int_eq(got->permuted_axis, axis);
    }
}
END_TEST

START_TEST(globs_choose_tensors_on_both_sides)
{
    AUTO_FOLDER folder = folder_new();
    SB_CLEANUP(sb_comparison_clear) struct sb_comparison comparison = {0};
    struct sb_error err = {0};
    float x[12] = {1}, y[12] = {2};
    const struct sb_tensor a[] = {{"kept", SB_DTYPE_F32, 2, small, x},
                                  {"optimizer/0", SB_DTYPE_F32, 2, small, x}};
    const struct sb_tensor b[] = {{"kept", SB_DTYPE_F32, 2, small, x},
                                  {"optimizer/0", SB_DTYPE_F32, 2, small, y}};
    char *exclude[] = {(char *)"optimizer/**"}, *include[] = {(char *)"none"};
    SB_AUTO_FREE char *path_a = write_hdf5(&folder, "a.h5", a, 2);
    SB_AUTO_FREE char *path_b = write_hdf5(&folder, "b.h5", b, 2);
    const struct sb_weights_options without = {.exclude = exclude, .n_exclude = 1};
    ck_assert_int_eq(compare_paths(path_a, path_b, &without, &comparison, &err), 0);
    ck_assert_uint_eq(comparison.n_tensors, 1);
    ck_assert_int_eq(comparison.grade, SB_GRADE_IDENTICAL);
    struct sb_comparison untouched = {.n_tensors = 77};
    const struct sb_weights_options nothing = {.include = include, .n_include = 1};
    ck_assert_int_eq(compare_paths(path_a, path_b, &nothing, &untouched, &err), -ENODATA);
    ck_assert_ptr_nonnull(strstr(err.text, "a.h5"));
    ck_assert_uint_eq(untouched.n_tensors, 77);
}
END_TEST

START_TEST(several_files_are_paired_by_their_prefixes)
{
    AUTO_FOLDER folder = folder_new();
    SB_CLEANUP(sb_comparison_clear) struct sb_comparison comparison = {0};
    struct sb_error err = {0};
    float x[12] = {1}, y[12] = {2};
    const struct sb_tensor tensor_x = {"w", SB_DTYPE_F32, 2, small, x};
    const struct sb_tensor tensor_y = {"w", SB_DTYPE_F32, 2, small, y};
    SB_AUTO_FREE char *one = write_hdf5(&folder, "1.h5", &tensor_x, 1);
    SB_AUTO_FREE char *two = write_hdf5(&folder, "2.h5", &tensor_y, 1);
    char *paths_a[] = {one, two}, *paths_b[] = {two, two, one};
    char *prefixes_a[] = {(char *)"p:", (char *)"q:"};
    char *prefixes_b[] = {(char *)"r:", (char *)"q:", (char *)"p:"};
    const struct sb_weights_files a = {paths_a, prefixes_a, 2}, b = {paths_b, prefixes_b, 3};
    ck_assert_msg(sb_compare_files(&a, &b, NULL, &defaults, &comparison, &err) == 0, "%s",
                  err.text);
    ck_assert_uint_eq(comparison.n_tensors, 3);
    ck_assert_uint_eq(comparison.n_different, 1);
    ck_assert_str_eq(tensor_of(&comparison, 0).info.name, "r:w");
    ck_assert_int_eq(tensor_of(&comparison, 0).state, SB_TENSOR_ONLY_B);
    ck_assert_str_eq(tensor_of(&comparison, 1).info.name, "p:w");
}
END_TEST

START_TEST(what_cannot_be_read_is_named)
{
    AUTO_FOLDER folder = folder_new();
    struct sb_comparison comparison = {.n_tensors = 77};
    struct sb_error err = {0};
    static float x[LARGE];
    const struct sb_tensor tensor = {"w", SB_DTYPE_F32, 2, large, x};
    SB_AUTO_FREE char *good = write_hdf5(&folder, "good.h5", &tensor, 1);
    SB_AUTO_FREE char *torn = write_hdf5(&folder, "torn.h5", &tensor, 1);
    SB_AUTO_FREE char *absent = in_folder(&folder, "absent.h5");
    ck_assert_int_eq(truncate(torn, LARGE * 2), 0);
    for (int side = 0; side < 2; side++) {
        char *bad = torn;
        int r = compare_paths(side ? good : bad, side ? bad : good, NULL, &comparison, &err);
        ck_assert_int_eq(r, -EBADMSG);
        ck_assert_msg(strstr(err.text, "torn.h5") != NULL, "%s", err.text);
        bad = absent;
        r = compare_paths(side ? good : bad, side ? bad : good, NULL, &comparison, &err);
        ck_assert_int_eq(r, -ENOENT);
        ck_assert_msg(strstr(err.text, "absent.h5") != NULL, "%s", err.text);
    }
    ck_assert_uint_eq(comparison.n_tensors, 77);
}
END_TEST

SB_TEST_MAIN("compare-files", the_worst_tensor_comes_first,
             two_formats_of_the_same_tensors_are_identical,
             missing_and_changed_tensors_are_divergent, permuted_axes_are_found_in_files,
             globs_choose_tensors_on_both_sides, several_files_are_paired_by_their_prefixes,
             what_cannot_be_read_is_named)
