/* weights: chunks that are decompressed here hold what libhdf5 reads out of them. */
#include "weights/hdf5_chunks.h"

#include "weights/hdf5_file.h"
#include "weights/tests/files.h"
#include "weights/tests/libhdf5.h"

#include <fcntl.h>

enum { A = 3, B = 301, C = 1001, N = A * B * C };

static const hsize_t dims[] = {A, B, C};

/* Smooth enough for deflate to do something. */
static float *new_values(void) {
    float *values = malloc(sizeof *values * N);
    ck_assert_ptr_nonnull(values);
    for (uint32_t i = 0; i < N; i++)
        values[i] = (float)((i * 2654435761u) >> 20) * 0.25f;
    return values;
}

struct variant {
    hsize_t chunk[3];
    bool shuffle, deflate, fletcher, unfiltered_edges, user_block;
    bool ours; /* is to be decompressed here */
};

static void write_variant(const char *path, const struct variant *variant, const float *values) {
    hid_t file_creation = H5P_DEFAULT;
    if (variant->user_block) {
        file_creation = good(H5(H5Pcreate)(H5_ID(H5P_CLS_FILE_CREATE_ID_g)));
        H5(H5Pset_userblock)(file_creation, 512);
    }
    hid_t file = good(H5(H5Fcreate)(path, H5F_ACC_TRUNC, file_creation, H5P_DEFAULT));
    hid_t space = new_space(3, dims), creation = new_creation();
    ck_assert_int_ge(H5(H5Pset_chunk)(creation, 3, variant->chunk), 0);
    if (variant->shuffle)
        H5(H5Pset_shuffle)(creation);
    if (variant->deflate)
        H5(H5Pset_deflate)(creation, 1);
    if (variant->fletcher)
        H5(H5Pset_fletcher32)(creation);
    if (variant->unfiltered_edges)
        ck_assert_int_ge(H5(H5Pset_chunk_opts)(creation, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS), 0);
    new_dataset(file, "w", H5_ID(H5T_IEEE_F32LE_g), space, creation, values);
    H5(H5Pclose)(creation);
    H5(H5Sclose)(space);
    H5(H5Fclose)(file);
}

/* Is the dataset taken up, and all of it read? */
static bool read_here_all(const char *path, unsigned threads, char *elements) {
    const struct sb_hdf5_library *h5 = sb_hdf5_library(NULL);
    struct sb_bytes bytes;
    hid_t file;
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(sb_bytes_of_file(fd, &bytes), 0);
    ck_assert_int_eq(sb_hdf5_file_prepare(h5, NULL), 0);
    ck_assert_int_eq(sb_hdf5_file_open(h5, &bytes, &file, NULL), 0);
    hid_t dataset = good(H5(H5Dopen2)(file, "w", H5P_DEFAULT)),
          properties = good(H5(H5Dget_create_plist)(dataset));
    static char name[] = "w";
    const struct sb_tensor_info info = {
        .name = name, .dtype = SB_DTYPE_F32, .rank = 3, .dims = {A, B, C}, .n_elements = N};
    static const hsize_t start[3];
    struct sb_hdf5_chunks *chunks;
    ck_assert_int_eq(sb_hdf5_chunks_open(h5, &bytes, dataset, properties, &info, threads, &chunks),
                     0);
    int done = chunks ? sb_hdf5_chunks_read(chunks, start, dims, elements, NULL) : 0;
    ck_assert_int_ge(done, 0);
    sb_hdf5_chunks_close(chunks);
    H5(H5Pclose)(properties);
    H5(H5Dclose)(dataset);
    H5(H5Fclose)(file);
    return done == 1;
}

static void expect_fingerprint(char *path, unsigned threads, const float *values) {
    static const uint64_t tensor_dims[] = {A, B, C};
    const struct sb_tensor tensor = {"w", SB_DTYPE_F32, 3, tensor_dims, values};
    const struct sb_weights_files files = {.paths = &path, .n = 1};
    const struct sb_weights_options options = {.threads = threads};
    struct sb_fingerprint memory = {0}, file = {0};
    struct sb_error err = {{0}};
    ck_assert_int_eq(sb_tensors_fingerprint(&tensor, 1, SB_DIGEST_XXH3, &memory, NULL), 0);
    ck_assert_msg(sb_weights_fingerprint(&files, &options, &file, &err) == 0, "%s", err.text);
    ck_assert_str_eq(file.text, memory.text);
    ck_assert(file.sum == memory.sum);
    sb_fingerprint_clear(&memory);
    sb_fingerprint_clear(&file);
}

START_TEST(every_shape_of_chunk_reads_as_the_same)
{
    static const struct variant variants[] = {
        {.chunk = {1, 100, 1001}, .deflate = true, .ours = true},
        {.chunk = {1, 100, 1001}, .shuffle = true, .deflate = true, .ours = true},
        {.chunk = {2, 77, 130}, .shuffle = true, .deflate = true, .ours = true},
        {.chunk = {A, B, 7}, .deflate = true, .ours = true},
        {.chunk = {A, B, C}, .shuffle = true, .deflate = true, .ours = true},
        {.chunk = {2, 77, 130}, .deflate = true, .unfiltered_edges = true},
        {.chunk = {2, 77, 130}, .deflate = true, .fletcher = true},
        {.chunk = {2, 77, 130}, .shuffle = true},
        {.chunk = {2, 77, 130}},
        {.chunk = {2, 77, 130}, .deflate = true, .user_block = true},
        {.chunk = {1, 10, 10}, .deflate = true}, /* too many */
    };
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.h5");
    SB_AUTO_FREE float *values = new_values();
    SB_AUTO_FREE char *elements = malloc(sizeof *values * N);
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        write_variant(path, &variants[i], values);
        for (unsigned threads = 1; threads <= 4; threads += 3) {
            memset(elements, 0xee, sizeof *values * N);
            bool ours = read_here_all(path, threads, elements);
            ck_assert_msg(ours == variants[i].ours, "variant %zu", i);
            ck_assert(!ours || memcmp(elements, values, sizeof *values * N) == 0);
            expect_fingerprint(path, threads, values);
        }
    }
    remove_folder(folder);
}
END_TEST

/* Any block, also such as slabs never are. */
START_TEST(blocks_may_begin_and_end_anywhere)
{
    static const struct variant variant = {.chunk = {2, 77, 130}, .shuffle = true, .deflate = true};
    static const hsize_t blocks[][2][3] = {
        {{0, 0, 0}, {1, 1, 1}},     {{2, 300, 1000}, {1, 1, 1}},   {{1, 76, 129}, {2, 2, 2}},
        {{0, 0, 500}, {3, 301, 1}}, {{1, 154, 260}, {1, 77, 130}}, {{2, 5, 3}, {1, 290, 990}},
    };
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.h5");
    SB_AUTO_FREE float *values = new_values(), *block = malloc(sizeof *values * N);
    write_variant(path, &variant, values);
    const struct sb_hdf5_library *h5 = sb_hdf5_library(NULL);
    hid_t file = good(H5(H5Fopen)(path, H5F_ACC_RDONLY, H5P_DEFAULT)),
          dataset = good(H5(H5Dopen2)(file, "w", H5P_DEFAULT)),
          properties = good(H5(H5Dget_create_plist)(dataset));
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct sb_bytes bytes;
    static char name[] = "w";
    const struct sb_tensor_info info = {
        .name = name, .dtype = SB_DTYPE_F32, .rank = 3, .dims = {A, B, C}, .n_elements = N};
    struct sb_hdf5_chunks *chunks;
    ck_assert_int_eq(sb_bytes_of_file(fd, &bytes), 0);
    ck_assert_int_eq(sb_hdf5_chunks_open(h5, &bytes, dataset, properties, &info, 2, &chunks), 0);
    ck_assert_ptr_nonnull(chunks);
    for (size_t k = 0; k < sizeof blocks / sizeof *blocks; k++) {
        const hsize_t *s = blocks[k][0], *n = blocks[k][1];
        ck_assert_int_eq(sb_hdf5_chunks_read(chunks, s, n, (char *)block, NULL), 1);
        for (hsize_t x = 0, at = 0; x < n[0]; x++)
            for (hsize_t y = 0; y < n[1]; y++)
                for (hsize_t z = 0; z < n[2]; z++, at++)
                    ck_assert(block[at] == values[((s[0] + x) * B + s[1] + y) * C + s[2] + z]);
    }
    sb_hdf5_chunks_close(chunks);
    sb_hdf5_chunks_close(NULL);
    H5(H5Pclose)(properties);
    H5(H5Dclose)(dataset);
    H5(H5Fclose)(file);
    remove_folder(folder);
}
END_TEST

START_TEST(a_damaged_chunk_is_bad_weights)
{
    static const struct variant variant = {.chunk = {1, 100, 1001}, .deflate = true};
    char *folder = make_folder(), *data;
    size_t n;
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.h5");
    SB_AUTO_FREE float *values = new_values();
    write_variant(path, &variant, values);
    ck_assert_int_eq(sb_file_read(path, 64 << 20, &data, &n, NULL), 0);
    memset(data + n / 2, 0x5a, 1000);
    ck_assert_int_eq(sb_file_write(path, data, n, NULL), 0);
    free(data);
    const struct sb_weights_files files = {.paths = &path, .n = 1};
    const struct sb_weights_options options = {.threads = 4};
    struct sb_fingerprint fingerprint = {0};
    struct sb_error err = {{0}};
    ck_assert_int_lt(sb_weights_fingerprint(&files, &options, &fingerprint, &err), 0);
    ck_assert_msg(strstr(err.text, "'w' cannot be read") != NULL, "%s", err.text);
    remove_folder(folder);
}
END_TEST

SB_TEST_MAIN("weights-hdf5-chunks", every_shape_of_chunk_reads_as_the_same,
             blocks_may_begin_and_end_anywhere, a_damaged_chunk_is_bad_weights)
