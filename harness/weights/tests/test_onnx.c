/* weights: ONNX models, good and wrong. */
#include "weights/tests/cut.h"

static void put_varint(struct sb_text *message, uint64_t value) {
    for (; value > 0x7f; value >>= 7)
        sb_text_putc(message, (char)(0x80 | (value & 0x7f)));
    sb_text_putc(message, (char)value);
}

static void put_number(struct sb_text *message, uint32_t field, uint64_t value) {
    put_varint(message, field << 3);
    put_varint(message, value);
}

static void put_bytes(struct sb_text *message, uint32_t field, const void *bytes, size_t n) {
    put_varint(message, field << 3 | 2);
    put_varint(message, n);
    sb_text_add(message, bytes, n);
}

static void put_message(struct sb_text *outer, uint32_t field, struct sb_text *message) {
    put_bytes(outer, field, message->data ? message->data : "", message->length);
    message->length = 0;
}

/* A model of one initializer, which `tensor` is. */
static void write_model(const char *path, struct sb_text *tensor) {
    SB_AUTO_TEXT struct sb_text graph = {0};
    SB_AUTO_TEXT struct sb_text model = {0};
    put_message(&graph, 5, tensor);
    put_number(&model, 1, 8);
    put_message(&model, 7, &graph);
    ck_assert_int_eq(sb_file_write(path, model.data, model.length, NULL), 0);
}

static void describe(struct sb_text *tensor, const char *name, uint64_t type, uint64_t dim) {
    put_number(tensor, 1, dim);
    put_number(tensor, 2, type);
    put_bytes(tensor, 8, name, strlen(name));
}

static void put_pair(struct sb_text *tensor, const char *key, const char *value) {
    SB_AUTO_TEXT struct sb_text pair = {0};
    put_bytes(&pair, 1, key, strlen(key));
    put_bytes(&pair, 2, value, strlen(value));
    put_message(tensor, 13, &pair);
}

static void put_external(struct sb_text *tensor, const char *location, const char *offset,
                         const char *length) {
    put_pair(tensor, "location", location);
    put_pair(tensor, "offset", offset);
    if (length)
        put_pair(tensor, "length", length);
    put_number(tensor, 14, 1);
}

static void expect(const char *path, struct sb_text *tensor, const char *says) {
    write_model(path, tensor);
    expect_refused(path, says);
}

START_TEST(raw_and_typed_elements_are_the_same)
{
    static const float floats[] = {0, 1, 2, 3, 4, 5};
    static const uint64_t dims[] = {2, 3}, two[] = {2}, one[] = {1};
    static const int8_t small[] = {-1, 1};
    static const int64_t large[] = {-2, 3};
    static const unsigned char flag = 1;
    static const double zero;
    static const uint64_t most = UINT64_C(1) << 63;
    const struct sb_tensor tensors[] = {
        {"floats", SB_DTYPE_F32, 2, dims, floats}, {"spread", SB_DTYPE_F32, 1, two, floats},
        {"small", SB_DTYPE_I8, 1, two, small},     {"large", SB_DTYPE_I64, 1, two, large},
        {"flag", SB_DTYPE_BOOL, 0, NULL, &flag},   {"complex", SB_DTYPE_C64, 1, one, floats},
        {"double", SB_DTYPE_F64, 1, one, &zero},   {"unsigned", SB_DTYPE_U64, 1, one, &most},
    };
    SB_AUTO_FREE char *path = corpus_file("onnx", "typed");
    expect_tensors(path, tensors, 8);
}
END_TEST

/* More than one piece, of which the field is as long as its elements are many. */
START_TEST(long_fields_of_varints_are_gathered)
{
    enum { N = 300000 };
    static int32_t values[N];
    static const uint64_t dims[] = {N};
    SB_AUTO_TEXT struct sb_text tensor = {0};
    SB_AUTO_TEXT struct sb_text packed = {0};
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.onnx");
    describe(&tensor, "w", 6, N);
    for (int i = 0; i < N; i++) {
        values[i] = (i - N / 2) * 1000;
        put_varint(&packed, (uint64_t)(int64_t)values[i]);
    }
    put_message(&tensor, 5, &packed);
    write_model(path, &tensor);
    const struct sb_tensor want = {"w", SB_DTYPE_I32, 1, dims, values};
    expect_tensors(path, &want, 1);
    remove_folder(folder);
}
END_TEST

START_TEST(what_has_no_equal_is_ignored_and_listed)
{
    SB_AUTO_FREE char *path = corpus_file("onnx", "odd");
    struct sb_fingerprint file = {0};
    ck_assert_int_eq(read_here(path, NULL, &file, NULL), 0);
    ck_assert_uint_eq(file.n_tensors, 1);
    ck_assert_uint_eq(find_tensor(&file, "packed dims")->info.dims[0], 2);
    ck_assert_uint_eq(file.n_ignored, 3);
    ck_assert_str_eq(file.ignored[0], "int4: data type 22, which has no equal here");
    ck_assert_str_eq(file.ignored[1], "sparse: sparse, which has no equal here");
    sb_fingerprint_clear(&file);
}
END_TEST

START_TEST(elements_may_lie_in_files_beside_it)
{
    static const float values[] = {9, 1, 2};
    static const uint64_t dims[] = {2};
    const struct sb_tensor want = {"w", SB_DTYPE_F32, 1, dims, values + 1};
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.onnx");
    SB_AUTO_FREE char *data = sb_path_join(folder, "data");
    SB_AUTO_TEXT struct sb_text tensor = {0};
    ck_assert_int_eq(sb_file_write(data, (const char *)values, sizeof values, NULL), 0);
    describe(&tensor, "w", 1, 2);
    put_external(&tensor, "./data", "4", "8");
    write_model(path, &tensor);
    expect_tensors(path, &want, 1);
    remove_folder(folder);
}
END_TEST

START_TEST(what_breaks_the_format_is_refused)
{
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.onnx");
    SB_AUTO_TEXT struct sb_text tensor = {0};
    const char bytes[16] = {0};
    describe(&tensor, "w", 1, 2);
    put_bytes(&tensor, 9, bytes, 7);
    expect(path, &tensor, "'w' has other bytes than its dims need");
    describe(&tensor, "w", 1, 2);
    put_bytes(&tensor, 9, bytes, 4);
    put_bytes(&tensor, 9, bytes, 4);
    expect(path, &tensor, "'w' has other bytes than its dims need");
    describe(&tensor, "w", 1, 2);
    expect(path, &tensor, "'w' has fewer elements");
    describe(&tensor, "w", 1, 2);
    put_bytes(&tensor, 4, bytes, 12);
    expect(path, &tensor, "'w' has more elements");
    describe(&tensor, "w", 1, 2);
    put_bytes(&tensor, 4, bytes, 6);
    expect(path, &tensor, "'w' ends within an element");
    describe(&tensor, "w", 9, 1);
    put_number(&tensor, 5, 2);
    expect(path, &tensor, "bool");
    describe(&tensor, "w", 1, UINT64_MAX);
    expect(path, &tensor, "no usable dims");
    describe(&tensor, "w", 11, UINT64_C(1) << 62);
    expect(path, &tensor, "more elements");
    describe(&tensor, "w", 1, 2);
    put_external(&tensor, "../w.onnx", "0", NULL);
    expect(path, &tensor, "'../w.onnx', which is no file of its own folder");
    describe(&tensor, "w", 1, 2);
    put_external(&tensor, "/dev/zero", "0", NULL);
    expect(path, &tensor, "'/dev/zero', which is no file of its own folder");
    describe(&tensor, "w", 1, 2);
    put_external(&tensor, "none", "0", NULL);
    expect(path, &tensor, "'none', which does not lie beside it");
    SB_AUTO_FREE char *data = sb_path_join(folder, "data");
    ck_assert_int_eq(sb_file_write(data, bytes, 16, NULL), 0);
    describe(&tensor, "w", 1, 2);
    put_external(&tensor, "data", "9", NULL);
    expect(path, &tensor, "'w' reaches behind the end");
    describe(&tensor, "w", 1, 2);
    put_external(&tensor, "data", "-1", NULL);
    expect(path, &tensor, "'w' has other bytes");
    describe(&tensor, "w", 1, 2);
    put_external(&tensor, "data", "0", "16");
    expect(path, &tensor, "'w' has other bytes");
    SB_AUTO_FREE char *link = sb_path_join(folder, "link");
    ck_assert_int_eq(symlink("/etc/passwd", link), 0);
    describe(&tensor, "w", 2, 2);
    put_external(&tensor, "link", "0", NULL);
    expect(path, &tensor, "'link', which does not lie beside it");
    put_varint(&tensor, 3); /* a group, which nobody has used for a long time */
    expect(path, &tensor, "no number");
    put_varint(&tensor, 1 << 3 | 3);
    expect(path, &tensor, "of a kind that is not known");
    put_varint(&tensor, 9 << 3 | 2);
    put_varint(&tensor, 1000);
    expect(path, &tensor, "longer than what it is in");
    for (int i = 0; i < 11; i++)
        sb_text_putc(&tensor, (char)0xff);
    expect(path, &tensor, "a number has no end");
    remove_folder(folder);
}
END_TEST

START_TEST(other_messages_are_no_models)
{
    static const char *const others[] = {"\x08\x08", "\x08\x00\x3a\x01z", "\x08\x7f\x3a\x01z",
                                         "\x12\x01z\x3a\x01z", "\x08\x08\x3a"};
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.onnx");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        size_t n = i == 1 ? 5 : strlen(others[i]);
        ck_assert_int_eq(sb_file_write(path, others[i], n, NULL), 0);
        ck_assert_msg(!sb_format_recognise(path), "%zu", i);
    }
    remove_folder(folder);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused_or_whole)
{
    cut_everywhere("onnx", "raw");
    cut_everywhere("onnx", "typed");
    cut_everywhere("onnx", "odd");
}
END_TEST

SB_TEST_MAIN("weights-onnx", raw_and_typed_elements_are_the_same,
             long_fields_of_varints_are_gathered, what_has_no_equal_is_ignored_and_listed,
             elements_may_lie_in_files_beside_it, what_breaks_the_format_is_refused,
             other_messages_are_no_models, a_file_cut_anywhere_is_refused_or_whole)
