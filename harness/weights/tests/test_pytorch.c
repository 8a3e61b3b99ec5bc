/* weights: checkpoints of torch.save, made opcode by opcode. The real thing is tried in
 * e2e-formats. */
#include "base/cleanup.h"
#include "weights/pickle.h"
#include "weights/tests/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Pickles --------------------------------------------------------------------------------- */

struct pickle {
    unsigned char bytes[8192];
    size_t n;
};

static void op(struct pickle *p, const char *bytes, size_t n) {
    put_bytes(p->bytes, &p->n, bytes, n);
}
#define OP(p, literal) op(p, literal, sizeof literal - 1)

static void text(struct pickle *p, const char *string) {
    OP(p, "X");
    put(p->bytes, &p->n, strlen(string), 4);
    op(p, string, strlen(string));
}

static void number(struct pickle *p, unsigned n) {
    OP(p, "M");
    put(p->bytes, &p->n, n, 2);
}

static void global(struct pickle *p, const char *module, const char *name) {
    OP(p, "c");
    op(p, module, strlen(module));
    OP(p, "\n");
    op(p, name, strlen(name));
    OP(p, "\n");
}

static void pair(struct pickle *p, const unsigned *numbers) {
    number(p, numbers[0]);
    number(p, numbers[1]);
    OP(p, "\x86");
}

/* _rebuild_tensor_v2(storage, offset, size, stride, False, OrderedDict()) of two dimensions. */
static void tensor(struct pickle *p, const char *class, const char *key, unsigned offset,
                   const unsigned *size, const unsigned *stride) {
    global(p, "torch._utils", "_rebuild_tensor_v2");
    OP(p, "((");
    text(p, "storage");
    global(p, "torch", class);
    text(p, key);
    text(p, "cpu");
    number(p, 12);
    OP(p, "tQ");
    number(p, offset);
    pair(p, size);
    pair(p, stride);
    OP(p, "\x89");
    global(p, "collections", "OrderedDict");
    OP(p, ")RtR");
}

static const float twelve[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
static const unsigned rows[2] = {3, 4}, columns[2] = {4, 1}, turned[2] = {1, 4};

static struct pickle begin(void) {
    struct pickle p = {.n = 0};
    OP(&p, "\x80\x02");
    return p;
}

static char *archive(const struct pickle *p, const char *order) {
    static struct archive a;
    a = (struct archive){.n = 0};
    add(&a, "m/data.pkl", p->bytes, p->n, false);
    if (order)
        add(&a, "m/byteorder", order, strlen(order), false);
    add(&a, "m/data/0", twelve, sizeof twelve, false);
    finish(&a);
    return save(&a, "m.pt");
}

static void is(const struct pickle *p, const struct sb_tensor *tensors, size_t n) {
    struct sb_fingerprint found, wanted = {0};
    struct sb_error err = {0};
    ck_assert_msg(fingerprint(archive(p, "little"), &found, &err) == 0, "%s", err.text);
    ck_assert_int_eq(sb_tensors_fingerprint(tensors, n, SB_DIGEST_XXH3, &wanted, NULL), 0);
    ck_assert_str_eq(found.text, wanted.text);
    sb_fingerprint_clear(&found);
    sb_fingerprint_clear(&wanted);
}

static void refuse(const struct pickle *p, const char *says) {
    struct sb_fingerprint found;
    struct sb_error err = {0};
    ck_assert_int_eq(fingerprint(archive(p, NULL), &found, &err), -EBADMSG);
    ck_assert_msg(strstr(err.text, says) != NULL, "%s, not: %s", err.text, says);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

START_TEST(views_of_one_storage_are_tensors_of_their_own)
{
    static const uint64_t three_four[] = {3, 4}, four_three[] = {4, 3}, two_two[] = {2, 2};
    float transposed[12];
    for (int i = 0; i < 12; i++)
        transposed[i] = twelve[i % 3 * 4 + i / 3];
    static const float corner[4] = {5, 7, 9, 11};
    const struct sb_tensor tensors[] = {{"nest/0", SB_DTYPE_F32, 2, two_two, corner},
                                        {"nest/1", SB_DTYPE_F32, 2, three_four, twelve},
                                        {"t", SB_DTYPE_F32, 2, four_three, transposed},
                                        {"whole", SB_DTYPE_F32, 2, three_four, twelve}};
    static const unsigned four_rows[2] = {4, 3}, of_corner[2] = {2, 2}, every_other[2] = {4, 2};
    struct pickle p = begin();
    OP(&p, "}(");
    text(&p, "whole");
    tensor(&p, "FloatStorage", "0", 0, rows, columns);
    OP(&p, "q\x05"); /* remembered */
    text(&p, "t");
    tensor(&p, "FloatStorage", "0", 0, four_rows, turned);
    text(&p, "nest");
    OP(&p, "](");
    tensor(&p, "FloatStorage", "0", 5, of_corner, every_other);
    OP(&p, "h\x05"); /* the same object again */
    OP(&p, "e");
    text(&p, "epoch");
    number(&p, 3);
    OP(&p, "u.");
    is(&p, tensors, 4);
    clean_up();
}
END_TEST

START_TEST(big_endian_storages_are_turned_round)
{
    static const uint64_t three_four[] = {3, 4};
    unsigned char swapped[sizeof twelve];
    for (size_t i = 0; i < sizeof twelve; i++)
        swapped[i] = ((const unsigned char *)twelve)[i / 4 * 4 + 3 - i % 4];
    const struct sb_tensor wanted = {"w", SB_DTYPE_F32, 2, three_four, swapped};
    struct sb_fingerprint found, expected = {0};
    struct sb_error err = {0};
    struct pickle p = begin();
    OP(&p, "}");
    text(&p, "w");
    tensor(&p, "FloatStorage", "0", 0, rows, columns);
    OP(&p, "s.");
    ck_assert_msg(fingerprint(archive(&p, "big"), &found, &err) == 0, "%s", err.text);
    ck_assert_int_eq(sb_tensors_fingerprint(&wanted, 1, SB_DIGEST_XXH3, &expected, NULL), 0);
    ck_assert_str_eq(found.text, expected.text);
    sb_fingerprint_clear(&found);
    sb_fingerprint_clear(&expected);
    clean_up();
}
END_TEST

START_TEST(tensors_inside_of_an_unknown_object_are_not_lost_in_silence)
{
    struct pickle p = begin();
    OP(&p, "}");
    text(&p, "net");
    global(&p, "my.code", "Net");
    OP(&p, ")\x81}");
    text(&p, "weight");
    tensor(&p, "FloatStorage", "0", 0, rows, columns);
    OP(&p, "sbs.");
    refuse(&p, "net is an object of my.code.Net with tensors in it");
    clean_up();
}
END_TEST

/* What a pickle would run when it is loaded stays a node. */
START_TEST(nothing_is_executed)
{
    struct pickle p = begin();
    OP(&p, "}(");
    text(&p, "a");
    tensor(&p, "FloatStorage", "0", 0, rows, columns);
    text(&p, "b");
    global(&p, "os", "system");
    text(&p, "touch /tmp/samebits-was-here");
    OP(&p, "\x85Ru.");
    static const uint64_t three_four[] = {3, 4};
    const struct sb_tensor only = {"a", SB_DTYPE_F32, 2, three_four, twelve};
    is(&p, &only, 1);
    clean_up();
}
END_TEST

START_TEST(views_that_lie_are_refused)
{
    static const unsigned far[2] = {5, 1}, huge[2] = {60000, 60000}, still[2] = {0, 0};
    struct pickle p = begin();
    tensor(&p, "FloatStorage", "0", 0, rows, far);
    OP(&p, ".");
    refuse(&p, "reaches behind the end of its storage");
    p = begin();
    tensor(&p, "FloatStorage", "0", 9, rows, columns);
    OP(&p, ".");
    refuse(&p, "reaches behind the end of its storage");
    p = begin();
    tensor(&p, "FloatStorage", "0", 0, huge, still);
    OP(&p, ".");
    refuse(&p, "repeats its storage more than");
    p = begin();
    tensor(&p, "FloatStorage", "nowhere", 0, rows, columns);
    OP(&p, ".");
    refuse(&p, "has no m/data/nowhere");
    p = begin();
    OP(&p, "}(");
    for (int i = 0; i < 2; i++) {
        text(&p, "same");
        tensor(&p, "FloatStorage", "0", 0, rows, columns);
    }
    OP(&p, "u.");
    refuse(&p, "is there twice");
    clean_up();
}
END_TEST

/* A list in itself, and lists of which each stands twice in the next: 2^40 places. */
START_TEST(trees_without_end_end)
{
    struct pickle p = begin();
    OP(&p,
       "]q\x01h\x01"
       "a.");
    refuse(&p, "nested too deeply");
    p = begin();
    OP(&p, "]q\x01");
    for (int i = 0; i < 40; i++)
        OP(&p, "h\x01h\x01\x86q\x01");
    OP(&p, ".");
    refuse(&p, "more objects than are read");
    clean_up();
}
END_TEST

/* Random opcodes and damaged pickles: read or refused. */
START_TEST(any_bytes_are_read_or_refused)
{
    static const char codes[] =
        "(.01234NIJKLMFGXTUBC)tl]}aesducRbQqrphjg\x80\x81\x85\x86\x87\x88"
        "\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96";
    srand(2);
    for (int round = 0; round < 20000; round++) {
        char bytes[64];
        size_t n = 1 + (size_t)rand() % sizeof bytes;
        for (size_t i = 0; i < n; i++)
            bytes[i] = rand() % 3 ? codes[(size_t)rand() % (sizeof codes - 1)] : (char)rand();
        struct sb_pickle_tree tree;
        struct sb_error err = {0};
        int rc = sb_pickle_read(bytes, n, &tree, &err);
        ck_assert(rc == 0 || rc == -EBADMSG);
        if (rc == 0)
            sb_pickle_clear(&tree);
    }
}
END_TEST

START_TEST(the_format_before_1_6_is_named)
{
    static const char bytes[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    struct archive a = {.n = 0};
    struct sb_fingerprint found;
    struct sb_error err = {0};
    put_bytes(a.bytes, &a.n, bytes, sizeof bytes - 1);
    ck_assert_int_eq(fingerprint(save(&a, "old.pt"), &found, &err), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(err.text, "before 1.6"));
    clean_up();
}
END_TEST

SB_TEST_MAIN("weights-pytorch", views_of_one_storage_are_tensors_of_their_own,
             big_endian_storages_are_turned_round,
             tensors_inside_of_an_unknown_object_are_not_lost_in_silence, nothing_is_executed,
             views_that_lie_are_refused, trees_without_end_end, any_bytes_are_read_or_refused,
             the_format_before_1_6_is_named)
