/* compare: two streams of tensors side by side, and what comes back from the child. */
#include "base/cleanup.h"
#include "compare/answer.h"
#include "compare/merge.h"
#include "compare/tests/slow.h"
#include "tests/testing.h"

#include <samebits/compare.h>

#include <errno.h>

static const struct sb_tolerance defaults = {-1, -1, -1};
static const uint64_t large[] = {700, 301};
enum { LARGE = 700 * 301 };

static void fill(float *elements, uint64_t n, uint64_t seed) {
    for (uint64_t i = 0; i < n; i++)
        elements[i] = (float)next_uniform(&seed);
}

/* ---- A format of our own -----------------------------------------------------------------------
 */

/* Tensors that come in pieces of odd sizes, and whatever else a test wants of them. */
struct script {
    const struct sb_tensor *tensors;
    size_t n;
    uint64_t piece;
    size_t lacking; /* index + 1 of a tensor whose last element does not come */
    size_t failing; /* index + 1 of a tensor in which reading fails */
    bool *unwound;  /* set where the reading returns */
};

static struct script scripts[4];

static struct sb_tensor_info info_of(const struct sb_tensor *tensor) {
    struct sb_tensor_info info = {
        .name = (char *)tensor->name, .dtype = tensor->dtype, .rank = tensor->rank};
    info.n_elements = 1;
    for (unsigned i = 0; i < tensor->rank; i++)
        info.n_elements *= info.dims[i] = tensor->dims[i];
    return info;
}

static int play(const struct script *script, size_t i, struct sb_tensor_sink *sink,
                struct sb_error *err) {
    struct sb_tensor_info info = info_of(&script->tensors[i]);
    size_t size = sb_dtype_size(info.dtype);
    SB_AUTO_FREE char *piece = malloc(script->piece * size); /* a leak would be seen */
    bool wanted = true;
    int r = sink->begin(sink->context, &info, &wanted, err);
    if (r < 0 || !wanted)
        return r;
    uint64_t n = info.n_elements - (script->lacking == i + 1);
    for (uint64_t done = 0; done < n && r == 0;) {
        uint64_t take = n - done < script->piece ? n - done : script->piece;
        memcpy(piece, (const char *)script->tensors[i].data + done * size, take * size);
        r = sink->data(sink->context, piece, take, err);
        memset(piece, 0xee, take * size);
        done += take;
        if (script->failing == i + 1)
            return sb_error_set(err, -EBADMSG, "scripted");
    }
    return r < 0 ? r : sink->end(sink->context, err);
}

static int scripted_read(const struct sb_source *source, struct sb_tensor_sink *sink,
                         struct sb_error *err) {
    const struct script *script = &scripts[atoi(source->path)];
    int r = 0;
    for (size_t i = 0; i < script->n && r == 0; i++)
        r = play(script, i, sink, err);
    if (script->unwound)
        *script->unwound = true;
    return r;
}

static const struct sb_format scripted = {.name = "scripted", .read = scripted_read};

static int keep_tensor(void *context, const struct sb_tensor_difference *difference,
                       struct sb_error *err) {
    (void)err;
    sb_answer_put_tensor(context, difference);
    return 0;
}

static int keep_axis(void *context, uint64_t index, int axis, struct sb_error *err) {
    (void)err;
    sb_answer_put_axis(context, index, axis);
    return 0;
}

/* One block of what was put; *comparison is set only where it is an answer. */
static int take(struct sb_text *answer, struct sb_comparison *comparison) {
    SB_AUTO_TEXT struct sb_text block = {0};
    SB_CLEANUP(sb_comparison_clear) struct sb_comparison taken = {0};
    sb_answer_block(answer, &block);
    int r = sb_answer_take(&block, &taken);
    if (r == 0) {
        *comparison = taken;
        taken = (struct sb_comparison){0};
    }
    return r;
}

/* Scripts 0 and 1 against each other, in this process. */
static int merge_scripts(struct sb_comparison *comparison, struct sb_error *err) {
    static const struct sb_weights_file a = {.path = "0", .fd = -1, .format = &scripted},
                                        b = {.path = "1", .fd = -1, .format = &scripted};
    const struct sb_weights_file *const sides[2] = {&a, &b};
    SB_AUTO_TEXT struct sb_text answer = {0};
    const struct sb_merge merge = {
        .files = {&sides[0], &sides[1]},
        .n_files = {1, 1},
        .tolerance = defaults,
        .context = &answer,
        .tensor = keep_tensor,
        .axis = keep_axis,
    };
    int r = sb_merge_run(&merge, err);
    if (r < 0)
        return r;
    sb_answer_put_end(&answer);
    return take(&answer, comparison);
}

START_TEST(pieces_of_different_sizes_meet)
{
    static float x[LARGE], y[LARGE];
    const uint64_t pieces[] = {1, 7, 256, 1000, 65536, LARGE};
    fill(x, LARGE, 5);
    memcpy(y, x, sizeof x);
    for (int i = 0; i < LARGE; i += 777)
        y[i] += 0.5f;
    struct sb_tensor_info info = {
        .dtype = SB_DTYPE_F32, .rank = 2, .dims = {700, 301}, .n_elements = LARGE};
    struct sb_tensor_difference want;
    sb_compare_elements(&info, x, y, &defaults, &want);
    const struct sb_tensor a = {"w", SB_DTYPE_F32, 2, large, x};
    const struct sb_tensor b = {"w", SB_DTYPE_F32, 2, large, y};
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 6; j++) {
            SB_CLEANUP(sb_comparison_clear) struct sb_comparison got = {0};
            scripts[0] = (struct script){&a, 1, pieces[i]};
            scripts[1] = (struct script){&b, 1, pieces[j]};
            ck_assert_int_eq(merge_scripts(&got, NULL), 0);
            ck_assert_uint_eq(got.n_tensors, 1);
            struct sb_tensor_difference spread, *one = &spread;
            sb_comparison_tensor(&got, 0, one);
            ck_assert_uint_eq(one->n_different, want.n_different);
            ck_assert(one->max_abs == want.max_abs && one->max_ulp == want.max_ulp);
            ck_assert_mem_eq(one->ulp_histogram, want.ulp_histogram, sizeof want.ulp_histogram);
            ck_assert_mem_eq(one->worst, want.worst, sizeof want.worst);
            ck_assert_mem_eq(one->first, want.first, sizeof want.first);
            ck_assert_int_eq(one->shape, want.shape);
        }
    }
}
END_TEST

START_TEST(tensors_without_elements_are_the_same)
{
    SB_CLEANUP(sb_comparison_clear) struct sb_comparison got = {0};
    const uint64_t none[] = {0, 5};
    const struct sb_tensor tensors[] = {{"a", SB_DTYPE_F32, 2, none, ""},
                                        {"b", SB_DTYPE_F32, 2, none, ""}};
    scripts[0] = scripts[1] = (struct script){tensors, 2, 16};
    ck_assert_int_eq(merge_scripts(&got, NULL), 0);
    ck_assert_uint_eq(got.n_tensors, 2);
    ck_assert_int_eq(got.grade, SB_GRADE_IDENTICAL);
}
END_TEST

START_TEST(readings_that_go_wrong_are_errors_and_unwind)
{
    static float x[LARGE];
    const struct sb_tensor sorted[] = {{"a", SB_DTYPE_F32, 2, large, x},
                                       {"b", SB_DTYPE_F32, 2, large, x}};
    const struct sb_tensor unsorted[] = {sorted[1], sorted[0]}, twice[] = {sorted[0], sorted[0]};
    const struct {
        struct script bad;
        const char *says;
    } cases[] = {
        {{sorted, 2, 100, .lacking = 2}, "other elements"},
        {{sorted, 2, 100, .failing = 1}, "scripted"},
        {{unsorted, 2, 100}, "'a' comes after 'b'"},
        {{twice, 2, 100}, "'a' occurs twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int side = 0; side < 2; side++) {
            struct sb_comparison untouched = {.n_tensors = 77};
            struct sb_error err = {0};
            bool unwound[2] = {false, false};
            scripts[side] = cases[i].bad;
            scripts[!side] = (struct script){sorted, 2, 64};
            scripts[0].unwound = &unwound[0];
            scripts[1].unwound = &unwound[1];
            ck_assert_int_eq(merge_scripts(&untouched, &err), -EBADMSG);
            ck_assert_msg(strstr(err.text, cases[i].says) != NULL, "%s", err.text);
            ck_assert_msg(err.text[0] == (side ? '1' : '0'), "%s", err.text); /* the path */
            ck_assert(unwound[0] && unwound[1]);
            ck_assert_uint_eq(untouched.n_tensors, 77);
        }
    }
}
END_TEST

/* ---- Answers -----------------------------------------------------------------------------------
 */

START_TEST(an_answer_comes_back_as_it_was_put)
{
    SB_CLEANUP(sb_comparison_clear) struct sb_comparison got = {0};
    SB_AUTO_TEXT struct sb_text answer = {0};
    struct sb_tensor_difference put = {
        .info = {.name = (char *)"n", .dtype = SB_DTYPE_F16, .rank = 2, .dims = {3, 4}},
        .state = SB_TENSOR_DIFFERS,
        .grade = SB_GRADE_PERMUTATION,
        .shape = SB_SHAPE_PERMUTATION,
        .n_different = 5,
        .share = 0.25,
        .max_abs = INFINITY,
        .max_rel = 1.5,
        .max_ulp = 3,
        .first = {1, 2},
        .worst = {2, 3},
        .permuted_axis = -1,
    };
    put.ulp_histogram[64] = 9;
    sb_answer_put_tensor(&answer, &put);
    sb_answer_put_axis(&answer, 0, 1);
    sb_answer_put_end(&answer);
    ck_assert_int_eq(take(&answer, &got), 0);
    ck_assert_uint_eq(got.n_tensors, 1);
    struct sb_tensor_difference spread, *one = &spread;
    sb_comparison_tensor(&got, 0, one);
    ck_assert_str_eq(one->info.name, "n");
    ck_assert_uint_eq(one->info.n_elements, 12);
    ck_assert_int_eq(one->permuted_axis, 1);
    ck_assert_int_eq(one->grade, SB_GRADE_PERMUTATION);
    ck_assert(isinf(one->max_abs) && one->max_rel == 1.5 && one->max_ulp == 3);
    ck_assert_uint_eq(one->worst[1], 3);
    ck_assert_uint_eq(one->ulp_histogram[64], 9);
}
END_TEST

START_TEST(an_answer_is_taken_block_by_block_however_it_arrives)
{
    SB_AUTO_TEXT struct sb_text answer = {0};
    SB_AUTO_TEXT struct sb_text sent = {0};
    for (int i = 0; i < 5; i++) {
        SB_AUTO_TEXT struct sb_text block = {0};
        SB_AUTO_FREE char *name = sb_format("tensor%d", i);
        struct sb_tensor_difference put = {.info = {.name = name, .dtype = SB_DTYPE_F32},
                                           .permuted_axis = -1};
        sb_answer_put_tensor(&answer, &put);
        sb_answer_put_tensor(&answer, &put);
        if (i == 4)
            sb_answer_put_end(&answer);
        sb_answer_block(&answer, &block);
        sb_text_add(&sent, block.data, block.length);
    }
    for (size_t step = 1; step <= sent.length; step++) {
        SB_CLEANUP(sb_comparison_clear) struct sb_comparison got = {0};
        SB_AUTO_TEXT struct sb_text received = {0};
        int r = 1;
        for (size_t at = 0; at < sent.length; at += step) {
            ck_assert_int_eq(r, 1);
            sb_text_add(&received, sent.data + at,
                        sent.length - at < step ? sent.length - at : step);
            r = sb_answer_take(&received, &got);
        }
        ck_assert_int_eq(r, 0);
        ck_assert_uint_eq(got.n_tensors, 10);
    }
    sb_text_putc(&sent, 'x'); /* and nothing after the end */
    struct sb_comparison got = {0};
    ck_assert_int_eq(sb_answer_take(&sent, &got), -EBADMSG);
    sb_comparison_clear(&got);
}
END_TEST

/* Whatever a child that was taken over sends: refused or read, never a crash. */
START_TEST(answers_that_make_no_sense_are_refused)
{
    SB_AUTO_TEXT struct sb_text answer = {0};
    struct sb_tensor_difference put = {
        .info = {.name = (char *)"name", .dtype = SB_DTYPE_F16, .rank = 2, .dims = {3, 4}},
        .state = SB_TENSOR_CHANGED_TYPE,
        .changed = (char *)"f16 3x4 | f32 3x4",
        .permuted_axis = -1,
    };
    sb_answer_put_tensor(&answer, &put);
    sb_answer_put_end(&answer);
    for (size_t n = 0; n < answer.length; n++) {
        struct sb_comparison got;
        SB_AUTO_TEXT struct sb_text torn = {0};
        sb_text_add(&torn, answer.data, n);
        int r = take(&torn, &got); /* after a whole message more may come, but for the end */
        ck_assert_int_eq(r, n == 0 || n == answer.length - sizeof(uint64_t) ? 1 : -EBADMSG);
    }
    uint64_t random = 1;
    for (int round = 0; round < 20000; round++) {
        SB_CLEANUP(sb_comparison_clear) struct sb_comparison got = {0};
        SB_AUTO_TEXT struct sb_text changed = {0};
        sb_text_add(&changed, answer.data, answer.length);
        for (uint64_t i = next_random(&random) % 4 + 1; i-- > 0;)
            changed.data[next_random(&random) % answer.length] = (char)next_random(&random);
        if (take(&changed, &got) == 0) {
            for (size_t i = 0; i < got.n_tensors; i++) {
                struct sb_tensor_difference spread, *one = &spread;
                sb_comparison_tensor(&got, i, one);
                ck_assert_ptr_nonnull(one->info.name);
                ck_assert_ptr_nonnull(sb_grade_names[one->grade]);
                ck_assert_ptr_nonnull(sb_shape_names[one->shape]);
                ck_assert_int_lt(one->permuted_axis, (int)one->info.rank);
            }
        }
    }
}
END_TEST

SB_TEST_MAIN("compare-merge", pieces_of_different_sizes_meet, tensors_without_elements_are_the_same,
             readings_that_go_wrong_are_errors_and_unwind, an_answer_comes_back_as_it_was_put,
             an_answer_is_taken_block_by_block_however_it_arrives,
             answers_that_make_no_sense_are_refused)
