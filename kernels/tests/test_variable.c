/* kernels, train: weights laid out in a file otherwise than in memory. */
#include "kernels/train/variable.h"
#include "tests/testing.h"

#include <string.h>

static void make(unsigned rank, const uint64_t *dims, struct sb_variable *variable) {
    ck_assert_int_eq(sb_variable_make(SB_DTYPE_F32, rank, dims, variable), 0);
    for (size_t i = 0; i < variable->n; i++)
        ((float *)variable->value)[i] = (float)i;
}

START_TEST(a_convolution_is_saved_in_the_order_of_keras)
{
    enum { K = 5, C = 3, R = 2, S = 4 };
    struct sb_variable filter;
    make(4, (const uint64_t[]){K, C, R, S}, &filter);
    memcpy(filter.order, (const unsigned[]){2, 3, 1, 0}, sizeof filter.order);
    struct sb_train_result result = {0};
    ck_assert_int_eq(
        sb_result_add_variable(&result, SB_DTYPE_F32, &filter, filter.value, "layer/%d", 7), 0);
    const struct sb_tensor *saved = &result.tensors[0];
    ck_assert_str_eq(saved->name, "layer/7");
    ck_assert_uint_eq(saved->rank, 4);
    ck_assert_mem_eq(saved->dims, ((const uint64_t[]){R, S, C, K}), 4 * sizeof(uint64_t));
    for (int r = 0; r < R; r++)
        for (int s = 0; s < S; s++)
            for (int c = 0; c < C; c++)
                for (int k = 0; k < K; k++)
                    ck_assert(((const float *)saved->data)[((r * S + s) * C + c) * K + k] ==
                              (float)(((k * C + c) * R + r) * S + s));
    sb_train_result_clear(&result);
    sb_variable_clear(&filter);
}
END_TEST

START_TEST(rows_of_a_matrix_behind_images_are_saved_channels_last)
{
    enum { C = 2, H = 3, W = 4, OUT = 5 };
    struct sb_variable kernel;
    make(4, (const uint64_t[]){C, H, W, OUT}, &kernel);
    memcpy(kernel.order, (const unsigned[]){1, 2, 0, 3}, sizeof kernel.order);
    kernel.merged = 3;
    struct sb_train_result result = {0};
    ck_assert_int_eq(sb_result_add_variable(&result, SB_DTYPE_F32, &kernel, kernel.value, "kernel"),
                     0);
    const struct sb_tensor *saved = &result.tensors[0];
    ck_assert_uint_eq(saved->rank, 2);
    ck_assert_mem_eq(saved->dims, ((const uint64_t[]){H * W * C, OUT}), 2 * sizeof(uint64_t));
    for (int h = 0; h < H; h++)
        for (int w = 0; w < W; w++)
            for (int c = 0; c < C; c++)
                for (int o = 0; o < OUT; o++)
                    ck_assert(((const float *)saved->data)[((h * W + w) * C + c) * OUT + o] ==
                              (float)(((c * H + h) * W + w) * OUT + o));
    sb_train_result_clear(&result);
    sb_variable_clear(&kernel);
}
END_TEST

START_TEST(the_optimizer_is_saved_as_keras_numbers_it)
{
    struct sb_variable a, b, *variables[] = {&a, &b};
    make(2, (const uint64_t[]){2, 3}, &a);
    make(1, (const uint64_t[]){3}, &b);
    ((float *)b.momentum)[1] = 5;
    ((float *)b.velocity)[2] = 6;
    struct sb_train_result result = {0};
    ck_assert_int_eq(sb_result_add_adam(&result, SB_DTYPE_F32, variables, 2, 0.25, 9), 0);
    ck_assert_uint_eq(result.n, 6);
    ck_assert(*(const int64_t *)result.tensors[0].data == 9 && result.tensors[0].rank == 0);
    ck_assert(*(const float *)result.tensors[1].data == 0.25f);
    ck_assert_str_eq(result.tensors[4].name, "optimizer/vars/4");
    ck_assert(((const float *)result.tensors[4].data)[1] == 5);
    ck_assert(((const float *)result.tensors[5].data)[2] == 6);
    ck_assert_uint_eq(result.tensors[2].rank, 2);
    sb_train_result_clear(&result);
    sb_variable_clear(&a);
    sb_variable_clear(&b);
}
END_TEST

SB_TEST_MAIN("kernels-variable", a_convolution_is_saved_in_the_order_of_keras,
             rows_of_a_matrix_behind_images_are_saved_channels_last,
             the_optimizer_is_saved_as_keras_numbers_it)
