/* weights: files that claim, or hold, far more than others do, in the formats that are read here
 * byte by byte; and tensors at the lower end, without elements or without dimensions. */
#include "base/cleanup.h"
#include "base/sanitizer.h"
#include "base/text.h"
#include "weights/tests/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *save_bytes(const char *name, const void *bytes, size_t n) {
    if (strstr(folder, "XXXXXX"))
        ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_int_eq(sb_file_write(path, bytes, n, NULL), 0);
    return path;
}

static void refuse(char *file, const char *says) {
    struct sb_fingerprint found;
    struct sb_error err = {0};
    time_t start = time(NULL);
    int r = fingerprint(file, &found, &err);
    ck_assert_msg(r == -EBADMSG || r == -EFBIG, "%s: %d", says, r);
    ck_assert_msg(strstr(err.text, says) != NULL, "%s, not: %s", err.text, says);
    ck_assert_int_le(time(NULL) - start, 5);
}

static void is(char *file, const struct sb_tensor *tensors, size_t n) {
    struct sb_fingerprint found, wanted = {0};
    struct sb_error err = {0};
    ck_assert_msg(fingerprint(file, &found, &err) == 0, "%s", err.text);
    ck_assert_int_eq(sb_tensors_fingerprint(tensors, n, SB_DIGEST_XXH3, &wanted, NULL), 0);
    ck_assert_str_eq(found.text, wanted.text);
    sb_fingerprint_clear(&found);
    sb_fingerprint_clear(&wanted);
}

/* An npy file of f4 without its elements: its length. */
static size_t npy_header(unsigned char *out, const char *shape) {
    char header[128];
    int length = snprintf(header, sizeof header,
                          "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }\n", shape);
    size_t at = 0;
    put_bytes(out, &at, "\x93NUMPY\x01\x00", 8);
    put(out, &at, (uint64_t)length, 2);
    put_bytes(out, &at, header, (size_t)length);
    return at;
}

/* ---- Absurd headers -------------------------------------------------------------------------- */

START_TEST(absurd_header_lengths_of_safetensors_are_refused)
{
    static const uint64_t lengths[] = {100, UINT64_C(100000000), UINT64_C(100000001),
                                       UINT64_C(1) << 63, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        unsigned char bytes[16] = "        {}      ";
        size_t n = 0;
        put(bytes, &n, lengths[i], 8);
        refuse(save_bytes("w.safetensors", bytes, sizeof bytes),
               lengths[i] > 100000000 ? "no known weights format" : "the header would be longer");
    }
    clean_up();
}
END_TEST

START_TEST(absurd_header_lengths_of_npy_are_refused)
{
    unsigned char wide[] = "\x93NUMPY\x02\x00\xff\xff\xff\xff{}";
    unsigned char narrow[] = "\x93NUMPY\x01\x00\xff\xff{}";
    struct archive a = {.n = 0};
    refuse(save_bytes("w.npy", wide, sizeof wide - 1), "a header of 4294967295 bytes");
    refuse(save_bytes("w.npy", narrow, sizeof narrow - 1), "ends in its header");
    add(&a, "w.npy", wide, sizeof wide - 1, true);
    finish(&a);
    refuse(save(&a, "w.npz"), "a header of 4294967295 bytes");
    clean_up();
}
END_TEST

START_TEST(absurd_lengths_in_pickles_are_refused)
{
    static const struct {
        const char *bytes;
        size_t n;
    } pickles[] = {
#define PICKLE(literal) {literal, sizeof literal - 1}
        PICKLE("\x80\x02X\xff\xff\xff\xff."),                         /* BINUNICODE */
        PICKLE("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f."),      /* BINUNICODE8 */
        PICKLE("\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff."),      /* BINBYTES8 */
        PICKLE("\x80\x02\x8b\xff\xff\xff\x7f."),                      /* LONG4 */
        PICKLE("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffN\x94."), /* FRAME */
        PICKLE("\x80\x02Nr\xff\xff\xff\xff."),                        /* LONG_BINPUT */
        PICKLE("\x80\x02Nj\xff\xff\xff\xff."),                        /* LONG_BINGET */
#undef PICKLE
    };
    for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++) {
        struct archive a = {.n = 0};
        struct sb_fingerprint found;
        struct sb_error err = {0};
        add(&a, "m/data.pkl", pickles[i].bytes, pickles[i].n, false);
        finish(&a);
        int r = fingerprint(save(&a, "m.pt"), &found, &err);
        ck_assert_msg(r == -EBADMSG || r == -ENODATA, "%zu: %d %s", i, r, err.text);
        ck_assert_msg(!strstr(err.text, "crash") && !strstr(err.text, "memory"), "%s", err.text);
    }
    clean_up();
}
END_TEST

/* ---- Bombs ----------------------------------------------------------------------------------- */

/* As many zeros as 64 KiB hold at deflate's best: read, in the memory that any file takes. */
START_TEST(a_bomb_is_read_in_pieces)
{
    enum { ELEMENTS = 15000000 };
    static struct archive a;
    size_t n = 0;
    struct rusage usage;
    unsigned char *bytes = calloc(1, 256 + sizeof(float) * ELEMENTS);
    ck_assert_ptr_nonnull(bytes);
    n = npy_header(bytes, "(15000000,)");
    a = (struct archive){.n = 0};
    add(&a, "w.npy", bytes, n + sizeof(float) * ELEMENTS, true);
    finish(&a);
    is(save(&a, "bomb.npz"),
       &(struct sb_tensor){"w", SB_DTYPE_F32, 1, (const uint64_t[]){ELEMENTS}, bytes + n}, 1);
    free(bytes);
    /* The first reading was forked from a large process; this one was not, and ru_maxrss is of the
     * largest child. */
    pid_t child = fork();
    if (child == 0) {
        struct sb_fingerprint found;
        _exit(fingerprint(path, &found, NULL) < 0 || getrusage(RUSAGE_CHILDREN, &usage) < 0
                  ? 1
                  : usage.ru_maxrss > 48 << 10);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
#if !defined(SB_ADDRESS_SANITIZER)
    ck_assert_int_eq(status, 0);
#endif
    clean_up();
}
END_TEST

START_TEST(promises_beyond_what_deflate_can_do_are_refused_at_once)
{
    struct archive a = {.wide = true};
    unsigned char bytes[256];
    size_t n = npy_header(bytes, "(1099511627776,)");
    add(&a, "w.npy", bytes, n, true);
    size_t size_at = a.n_directory - 24;
    put(a.directory, &size_at, (UINT64_C(1) << 42) + n, 8);
    finish(&a);
    refuse(save(&a, "bomb.npz"), "more than so small a member holds");
    clean_up();
}
END_TEST

/* ---- Many, none, and names ------------------------------------------------------------------- */

START_TEST(a_million_tensors_are_read)
{
    enum { N = 1000000 };
    SB_AUTO_TEXT struct sb_text text = {0};
    struct sb_fingerprint found;
    struct sb_error err = {0};
    uint64_t length;
    sb_text_add(&text, "        {", 9);
    for (int i = 0; i < N; i++)
        sb_text_printf(&text, "%s\"%06d\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[%d,%d]}",
                       i ? "," : "", i, i, i + 1);
    sb_text_putc(&text, '}');
    ck_assert(!text.failed);
    length = text.length - sizeof length;
    memcpy(text.data, &length, sizeof length);
    for (int i = 0; i < N; i++)
        sb_text_putc(&text, (char)(i * 7));
    ck_assert_msg(fingerprint(save_bytes("w.safetensors", text.data, text.length), &found, &err) ==
                      0,
                  "%s", err.text);
    ck_assert_uint_eq(found.n_tensors, N);
    ck_assert_str_eq(found.tensors[N - 1].info.name, "999999");
    ck_assert(found.tensors[N - 1].sum == (unsigned char)((N - 1) * 7));
    sb_fingerprint_clear(&found);
    clean_up();
}
END_TEST

static const float one[1] = {7};
static const struct sb_tensor smallest[] = {
    {"a", SB_DTYPE_F32, 2, (const uint64_t[]){0, 3}, one},
    {"b", SB_DTYPE_F32, 2, (const uint64_t[]){3, 0}, one},
    {"c", SB_DTYPE_F32, 0, NULL, one},
    {"d\\x1b[2J\\x0a\\x5c", SB_DTYPE_F32, 1, (const uint64_t[]){1}, one},
};
/* The last one's name as it stands in files; sb_tensors_fingerprint escapes, too. */
static const char hostile_name[] = "d\x1b[2J\n\\";

static void is_the_smallest(char *file) {
    struct sb_tensor raw[4];
    memcpy(raw, smallest, sizeof raw);
    raw[3].name = hostile_name;
    is(file, raw, 4);
    struct sb_fingerprint found;
    ck_assert_int_eq(fingerprint(file, &found, NULL), 0);
    ck_assert_str_eq(found.tensors[3].info.name, smallest[3].name);
    sb_fingerprint_clear(&found);
}

START_TEST(tensors_without_elements_scalars_and_hostile_names_are_one_in_all_formats)
{
    static const char *const shapes[] = {"(0, 3)", "(3, 0)", "()", "(1,)"};
    static const char header[] =
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[0,0]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[0,0]},"
        "\"c\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"d\\u001b[2J\\n\\\\\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}";
    unsigned char bytes[512];
    for (int deflated = 0; deflated < 2; deflated++) {
        struct archive a = {.n = 0};
        for (int i = 0; i < 4; i++) {
            SB_AUTO_FREE char *name = sb_format("%s.npy", i < 3 ? smallest[i].name : hostile_name);
            size_t n = npy_header(bytes, shapes[i]);
            if (i >= 2)
                put_bytes(bytes, &n, one, sizeof one);
            add(&a, name, bytes, n, deflated);
        }
        finish(&a);
        is_the_smallest(save(&a, "w.npz"));
    }
    size_t n = 0;
    put(bytes, &n, sizeof header - 1, 8);
    put_bytes(bytes, &n, header, sizeof header - 1);
    put_bytes(bytes, &n, one, sizeof one);
    put_bytes(bytes, &n, one, sizeof one);
    is_the_smallest(save_bytes("w.safetensors", bytes, n));
    clean_up();
}
END_TEST

/* A name and _rebuild_tensor_v2 of a storage of one f32, with its sizes and strides as given. */
#define ENTRY(length, name, sizes, strides)                                                        \
    "X" length "\0\0\0" name                                                                       \
    "ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"         \
    "0X\3\0\0\0cpuK\1tQK\0" sizes strides                                                          \
    "\x89"                                                                                         \
    "ccollections\nOrderedDict\n)RtR"
#define A ENTRY("\1", "a", "K\0K\3\x86", "K\3K\1\x86")
#define B ENTRY("\1", "b", "K\3K\0\x86", "K\1K\1\x86")
#define C ENTRY("\1", "c", ")", ")")
#define D ENTRY("\7", "d\x1b[2J\n\\", "K\1\x85", "K\1\x85")

START_TEST(the_same_holds_for_pytorch)
{
    static const char pickle[] = "\x80\2}(" A B C D "u.";
    struct archive a = {.n = 0};
    add(&a, "m/data.pkl", pickle, sizeof pickle - 1, false);
    add(&a, "m/byteorder", "little", 6, false);
    add(&a, "m/data/0", one, sizeof one, false);
    finish(&a);
    is_the_smallest(save(&a, "m.pt"));
    clean_up();
}
END_TEST

SB_TEST_MAIN("weights-limits", absurd_header_lengths_of_safetensors_are_refused,
             absurd_header_lengths_of_npy_are_refused, absurd_lengths_in_pickles_are_refused,
             a_bomb_is_read_in_pieces, promises_beyond_what_deflate_can_do_are_refused_at_once,
             a_million_tensors_are_read,
             tensors_without_elements_scalars_and_hostile_names_are_one_in_all_formats,
             the_same_holds_for_pytorch)
