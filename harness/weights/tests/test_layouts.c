/* weights: every way in which HDF5 may store a tensor reads as the same tensor. */
#include "weights/tests/files.h"
#include "weights/tests/libhdf5.h"

#include <samebits/weights.h>

#include <math.h>

enum { ROWS = 37, COLUMNS = 29, N = ROWS * COLUMNS };

struct fixture {
    char *folder, *path;
    hid_t file, space;
    float values[N];
};

static void setup(struct fixture *f) {
    static const hsize_t dims[] = {ROWS, COLUMNS};
    f->folder = make_folder();
    f->path = sb_path_join(f->folder, "w.h5");
    f->file = new_file(f->path);
    f->space = new_space(2, dims);
    for (int i = 0; i < N; i++)
        f->values[i] = (float)i * 0.37f - 3.0f;
}

static void finish(struct fixture *f, struct sb_fingerprint *fingerprint) {
    struct sb_error err = {0};
    H5(H5Sclose)(f->space);
    ck_assert_int_ge(H5(H5Fclose)(f->file), 0);
    ck_assert_msg(read_here(f->path, NULL, fingerprint, &err) == 0, "%s", err.text);
    free(f->path);
    remove_folder(f->folder);
}

/* All tensors of the file have the digest of the values in memory. */
static void expect_all(const struct sb_fingerprint *fingerprint, size_t n, enum sb_dtype dtype,
                       const void *values) {
    static const uint64_t dims[] = {ROWS, COLUMNS};
    const struct sb_tensor tensor = {"w", dtype, 2, dims, values};
    struct sb_fingerprint memory = {0};
    ck_assert_int_eq(sb_tensors_fingerprint(&tensor, 1, SB_DIGEST_XXH3, &memory, NULL), 0);
    ck_assert_uint_eq(fingerprint->n_tensors, n);
    for (size_t i = 0; i < n; i++) {
        const struct sb_tensor_digest *found = &fingerprint->tensors[i];
        ck_assert_int_eq(found->info.dtype, dtype);
        ck_assert_msg(strcmp(found->digest, memory.tensors[0].digest) == 0, "%s", found->info.name);
        ck_assert(found->sum == memory.tensors[0].sum ||
                  (isnan(found->sum) && isnan(memory.tensors[0].sum)));
    }
    sb_fingerprint_clear(&memory);
}

START_TEST(layouts_and_filters_do_not_enter)
{
    struct fixture f;
    struct sb_fingerprint fingerprint = {0};
    static const hsize_t chunks[][2] = {{1, 1}, {5, 7}, {ROWS, 3}, {2, COLUMNS}, {ROWS, COLUMNS}};
    setup(&f);
    hid_t type = H5_ID(H5T_IEEE_F32LE_g);
    new_dataset(f.file, "contiguous", type, f.space, H5P_DEFAULT, f.values);
    hid_t compact = new_creation();
    H5(H5Pset_layout)(compact, H5D_COMPACT);
    new_dataset(f.file, "compact", type, f.space, compact, f.values);
    H5(H5Pclose)(compact);
    for (int i = 0; i < 5; i++) {
        for (int filter = 0; filter < 3; filter++) {
            SB_AUTO_FREE char *name = sb_format("chunked %d %d", i, filter);
            hid_t chunked = new_creation();
            ck_assert_int_ge(H5(H5Pset_chunk)(chunked, 2, chunks[i]), 0);
            if (filter)
                H5(H5Pset_shuffle)(chunked);
            if (filter)
                H5(H5Pset_deflate)(chunked, 6);
            if (filter == 2)
                H5(H5Pset_fletcher32)(chunked);
            new_dataset(f.file, name, type, f.space, chunked, f.values);
            H5(H5Pclose)(chunked);
        }
    }
    finish(&f, &fingerprint);
    expect_all(&fingerprint, 17, SB_DTYPE_F32, f.values);
    sb_fingerprint_clear(&fingerprint);
}
END_TEST

START_TEST(byte_order_does_not_enter_and_nan_keeps_its_payload)
{
    struct fixture f;
    struct sb_fingerprint fingerprint = {0};
    uint32_t bits[N], swapped[N];
    setup(&f);
    memcpy(bits, f.values, sizeof bits);
    bits[3] = 0x7fc12345; /* quiet and signalling NaN, which a conversion would touch */
    bits[4] = 0xff812345;
    for (int i = 0; i < N; i++)
        swapped[i] = __builtin_bswap32(bits[i]);
    hid_t big_endian = H5_ID(H5T_IEEE_F32BE_g);
    const hsize_t chunk[] = {8, 8};
    hid_t chunked = new_creation();
    H5(H5Pset_chunk)(chunked, 2, chunk);
    new_dataset(f.file, "contiguous", big_endian, f.space, H5P_DEFAULT, swapped);
    new_dataset(f.file, "chunked", big_endian, f.space, chunked, swapped);
    new_dataset(f.file, "little", H5_ID(H5T_IEEE_F32LE_g), f.space, chunked, bits);
    H5(H5Pclose)(chunked);
    finish(&f, &fingerprint);
    expect_all(&fingerprint, 3, SB_DTYPE_F32, bits);
    sb_fingerprint_clear(&fingerprint);
}
END_TEST

START_TEST(space_that_was_never_written_reads_as_its_fill_value)
{
    struct fixture f;
    struct sb_fingerprint fingerprint = {0};
    const hsize_t chunk[] = {8, 8};
    const float fill = 2.5f;
    float filled[N];
    setup(&f);
    hid_t type = H5_ID(H5T_IEEE_F32LE_g), chunked = new_creation(), contiguous = new_creation();
    H5(H5Pset_chunk)(chunked, 2, chunk);
    H5(H5Pset_fill_value)(chunked, type, &fill);
    H5(H5Pset_fill_value)(contiguous, type, &fill);
    new_dataset(f.file, "chunked", type, f.space, chunked, NULL);
    new_dataset(f.file, "contiguous", type, f.space, contiguous, NULL);
    H5(H5Pclose)(chunked);
    H5(H5Pclose)(contiguous);
    finish(&f, &fingerprint);
    for (int i = 0; i < N; i++)
        filled[i] = fill;
    expect_all(&fingerprint, 2, SB_DTYPE_F32, filled);
    sb_fingerprint_clear(&fingerprint);
}
END_TEST

START_TEST(a_user_block_and_the_latest_format_do_not_enter)
{
    for (int latest = 0; latest < 2; latest++) {
        struct fixture f;
        struct sb_fingerprint fingerprint = {0};
        setup(&f);
        H5(H5Fclose)(f.file);
        hid_t creation = good(H5(H5Pcreate)(H5_ID(H5P_CLS_FILE_CREATE_ID_g)));
        hid_t access = good(H5(H5Pcreate)(H5_ID(H5P_CLS_FILE_ACCESS_ID_g)));
        H5(H5Pset_userblock)(creation, 2048);
        if (latest)
            H5(H5Pset_libver_bounds)(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
        f.file = good(H5(H5Fcreate)(f.path, H5F_ACC_TRUNC, creation, access));
        H5(H5Pclose)(creation);
        H5(H5Pclose)(access);
        new_dataset(f.file, "w", H5_ID(H5T_IEEE_F32LE_g), f.space, H5P_DEFAULT, f.values);
        finish(&f, &fingerprint);
        expect_all(&fingerprint, 1, SB_DTYPE_F32, f.values);
        sb_fingerprint_clear(&fingerprint);
    }
}
END_TEST

START_TEST(what_is_no_tensor_is_ignored_and_listed)
{
    struct fixture f;
    struct sb_fingerprint fingerprint = {0};
    setup(&f);
    hid_t string = good(H5(H5Tcopy)(H5_ID(H5T_C_S1_g)));
    hid_t variable = good(H5(H5Tvlen_create)(H5_ID(H5T_STD_I8LE_g)));
    hid_t opaque = good(H5(H5Tcreate)(H5T_OPAQUE, 2));
    hid_t compound = good(H5(H5Tcreate)(H5T_COMPOUND, 8));
    hid_t enumeration = good(H5(H5Tenum_create)(H5_ID(H5T_STD_I8LE_g)));
    hid_t null = good(H5(H5Screate)(H5S_NULL)), scalar = new_space(0, NULL);
    H5(H5Tinsert)(compound, "x", 0, H5_ID(H5T_IEEE_F32LE_g));
    H5(H5Tinsert)(compound, "y", 4, H5_ID(H5T_IEEE_F32LE_g));
    H5(H5Tenum_insert)(enumeration, "RED", "\0");
    H5(H5Tenum_insert)(enumeration, "TRUE", "\1");
    new_dataset(f.file, "a string", string, scalar, H5P_DEFAULT, NULL);
    new_dataset(f.file, "b vlen", variable, scalar, H5P_DEFAULT, NULL);
    new_dataset(f.file, "c opaque", opaque, scalar, H5P_DEFAULT, NULL);
    new_dataset(f.file, "d compound", compound, scalar, H5P_DEFAULT, NULL);
    new_dataset(f.file, "e enum", enumeration, scalar, H5P_DEFAULT, NULL);
    new_dataset(f.file, "f null", H5_ID(H5T_IEEE_F32LE_g), null, H5P_DEFAULT, NULL);
    new_dataset(f.file, "g reference", H5_ID(H5T_STD_REF_OBJ_g), scalar, H5P_DEFAULT, NULL);
    ck_assert_int_ge(H5(H5Tcommit2)(f.file, "h type", string, 0, 0, 0), 0);
    new_floats(f.file, "w", f.values, 3);
    hid_t types[] = {string, variable, opaque, compound, enumeration};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        H5(H5Tclose)(types[i]);
    H5(H5Sclose)(null);
    H5(H5Sclose)(scalar);
    finish(&f, &fingerprint);
    ck_assert_uint_eq(fingerprint.n_tensors, 2);
    ck_assert_int_eq(find_tensor(&fingerprint, "e enum")->info.dtype, SB_DTYPE_I8);
    ck_assert_uint_eq(fingerprint.n_ignored, 7);
    ck_assert_str_eq(fingerprint.ignored[0], "a string: string");
    ck_assert_str_eq(fingerprint.ignored[3], "d compound: compound");
    ck_assert_ptr_null(fingerprint.ignored[7]);
    sb_fingerprint_clear(&fingerprint);
}
END_TEST

START_TEST(empty_tensors_and_scalars_count)
{
    struct fixture f;
    struct sb_fingerprint fingerprint = {0};
    static const hsize_t none[] = {3, 0, 2};
    setup(&f);
    hid_t type = H5_ID(H5T_IEEE_F32LE_g), empty = new_space(3, none), scalar = new_space(0, NULL);
    new_dataset(f.file, "empty", type, empty, H5P_DEFAULT, NULL);
    new_dataset(f.file, "scalar", type, scalar, H5P_DEFAULT, f.values);
    H5(H5Sclose)(empty);
    H5(H5Sclose)(scalar);
    finish(&f, &fingerprint);
    const struct sb_tensor_digest *tensor = find_tensor(&fingerprint, "empty");
    ck_assert_uint_eq(tensor->info.rank, 3);
    ck_assert_uint_eq(tensor->info.n_elements, 0);
    ck_assert_str_eq(tensor->digest, "99aa06d3014798d86001c324468d497f");
    ck_assert(tensor->all_zero && tensor->all_nan);
    ck_assert_uint_eq(find_tensor(&fingerprint, "scalar")->info.rank, 0);
    sb_fingerprint_clear(&fingerprint);
}
END_TEST

/* A dataset so much larger than the buffer that it is read in many slabs, along several axes. */
START_TEST(large_chunked_tensors_are_read_in_pieces)
{
    enum { A = 3, B = 5, C = 700000 };
    static const hsize_t dims[] = {A, B, C}, chunk[] = {2, 2, 300001};
    static const uint64_t same_dims[] = {A, B, C};
    struct fixture f;
    struct sb_fingerprint fingerprint = {0}, memory = {0};
    setup(&f);
    SB_AUTO_FREE double *values = malloc(sizeof(double) * A * B * C);
    ck_assert_ptr_nonnull(values);
    for (size_t i = 0; i < (size_t)A * B * C; i++)
        values[i] = (double)((i * 2654435761u) >> 7);
    hid_t space = new_space(3, dims), chunked = new_creation();
    H5(H5Pset_chunk)(chunked, 3, chunk);
    new_dataset(f.file, "w", H5_ID(H5T_IEEE_F64LE_g), space, chunked, values);
    H5(H5Pclose)(chunked);
    H5(H5Sclose)(space);
    finish(&f, &fingerprint);
    const struct sb_tensor tensor = {"w", SB_DTYPE_F64, 3, same_dims, values};
    ck_assert_int_eq(sb_tensors_fingerprint(&tensor, 1, SB_DIGEST_XXH3, &memory, NULL), 0);
    ck_assert_str_eq(fingerprint.text, memory.text);
    ck_assert(fingerprint.sum == memory.sum);
    sb_fingerprint_clear(&fingerprint);
    sb_fingerprint_clear(&memory);
}
END_TEST

START_TEST(excluded_and_included_tensors_are_chosen_before_all_else)
{
    struct fixture f;
    struct sb_fingerprint fingerprint = {0};
    char optimizer[] = "optimizer/**", vars[] = "**/vars/*";
    char *exclude[] = {optimizer}, *include[] = {vars};
    const struct sb_weights_options options = {
        .exclude = exclude, .n_exclude = 1, .include = include, .n_include = 1};
    setup(&f);
    hid_t links = good(H5(H5Pcreate)(H5_ID(H5P_CLS_LINK_CREATE_ID_g)));
    H5(H5Pset_create_intermediate_group)(links, 1);
    static const char *const groups[] = {"layers/dense/vars", "optimizer/vars", "other"};
    for (int i = 0; i < 3; i++)
        H5(H5Gclose)(good(H5(H5Gcreate2)(f.file, groups[i], links, H5P_DEFAULT, H5P_DEFAULT)));
    H5(H5Pclose)(links);
    new_floats(f.file, "layers/dense/vars/0", f.values, 3);
    new_floats(f.file, "optimizer/vars/0", f.values, 3);
    new_floats(f.file, "other/x", f.values, 3);
    H5(H5Sclose)(f.space);
    H5(H5Fclose)(f.file);
    ck_assert_int_eq(read_here(f.path, &options, &fingerprint, NULL), 0);
    ck_assert_uint_eq(fingerprint.n_tensors, 1);
    ck_assert_str_eq(fingerprint.tensors[0].info.name, "layers/dense/vars/0");
    sb_fingerprint_clear(&fingerprint);
    free(f.path);
    remove_folder(f.folder);
}
END_TEST

SB_TEST_MAIN("weights-layouts", layouts_and_filters_do_not_enter,
             byte_order_does_not_enter_and_nan_keeps_its_payload,
             space_that_was_never_written_reads_as_its_fill_value,
             a_user_block_and_the_latest_format_do_not_enter,
             what_is_no_tensor_is_ignored_and_listed, empty_tensors_and_scalars_count,
             large_chunked_tensors_are_read_in_pieces,
             excluded_and_included_tensors_are_chosen_before_all_else)
