/* kernels: the bits of `ref`, the same on every machine and, since this is also built with -O0, at
 * every level of the compiler. A change of these values is a change of every baseline that users
 * have stored. */
#include "kernels/problem.h"
#include "kernels/train/train.h"
#include "tests/testing.h"

#include <samebits/weights.h>

#include <stdlib.h>
#include <string.h>

static void is(const struct sb_tensor *tensors, size_t n, const char *wanted) {
    struct sb_fingerprint fingerprint = {0};
    struct sb_error err = {0};
    ck_assert_msg(sb_tensors_fingerprint(tensors, n, SB_DIGEST_XXH3, &fingerprint, &err) == 0, "%s",
                  err.text);
    ck_assert_str_eq(fingerprint.text, wanted);
    sb_fingerprint_clear(&fingerprint);
}

static void training_is(const char *training, const char *name, const char *value,
                        const char *wanted) {
    const struct sb_training *job = sb_training_find(training);
    struct sb_argument_value values[SB_MAX_ARGUMENTS];
    sb_arguments_default(job->arguments, values);
    if (name)
        ck_assert_int_eq(sb_argument_set(job->arguments, values, name, value, NULL), 0);
    struct sb_engine *engine;
    struct sb_engine_options engine_options = {.threads = 2};
    ck_assert_int_eq(sb_engine_open(sb_backend_find("ref"), &engine_options, &engine, NULL), 0);
    struct sb_train_options options = {.arguments = values, .threads = 2, .hash_seed = 1};
    struct sb_train_result result = {0};
    ck_assert_int_eq(job->run(engine, &options, &result, NULL), 0);
    is(result.tensors, result.n, wanted);
    sb_train_result_clear(&result);
    sb_engine_close(engine);
}

START_TEST(dense_has_the_bits_written_here)
{ training_is("dense", NULL, NULL, "xxh3:84aac7ff70275fcda6dccccd2a7001c7"); }
END_TEST

START_TEST(dense_with_wide_layers_has_the_bits_written_here)
{ training_is("dense", "hidden", "256", "xxh3:9e007425ca80d69d7ef754d5babb0019"); }
END_TEST

START_TEST(dense_by_hash_order_has_the_bits_written_here)
{ training_is("dense", "ordered", "false", "xxh3:ab23714a299070ea6f8a95a5e14ff361"); }
END_TEST

START_TEST(convnet_has_the_bits_written_here)
{ training_is("convnet", NULL, NULL, "xxh3:db6e8fa3478510333554cfa573a64341"); }
END_TEST

START_TEST(chargpt_has_the_bits_written_here)
{ training_is("chargpt", "samples", "16", "xxh3:d998e213f70ca9a08117c615107d0357"); }
END_TEST

/* Every operation in both types: its outputs on inputs of seed 5. */
START_TEST(operations_have_the_bits_written_here)
{
    static const struct {
        const char *name, *f32, *f64;
    } golden[] = {
        {"ctc_loss", "xxh3:7d255872d7bcc75bd2318e5034abbf16",
         "xxh3:6c03a5926de84029c6c4fc66c60631e0"},
        {"symv", "xxh3:d00db6f0c2a5bc968b215bbd5d785021", "xxh3:4b626d701bc2aae0fe737d697f417283"},
        {"gemm", "xxh3:1b80961ea1f27b9cc63cef450258f661", "xxh3:42fafb0a07af408d2cf73ca949602e8e"},
        {"gemv", "xxh3:5bf38e3e63530494a869bee2d35dcea1", "xxh3:64538934070adc9f58a1fe2a33db1f24"},
        {"dot", "xxh3:1ed574bb5620b7556cd96bcf0c758139", "xxh3:6e2bc5770c0fcc149708afb4a0e9ef91"},
        {"sum", "xxh3:8e004cb72fccc1983128375bcf723fe5", "xxh3:d0a00a4d78cf8ed396e38579cbd008eb"},
        {"bias_add", "xxh3:ad005c0dbc58d577d022f53c602422b0",
         "xxh3:9077ef9f7e94dedda0cfa0d5784bbdcc"},
        {"bias_gradient", "xxh3:81869e28cd389f7897704dbdcdf67c01",
         "xxh3:36b42d05e8314b17bd8305841eda5ae6"},
        {"relu", "xxh3:f9924e1d834c1d59f5c5b4ba7824fb8d", "xxh3:b247707b5414945687a2ca6b9f88c9ea"},
        {"relu_gradient", "xxh3:ce1155469cafc1a473da707bca25bd10",
         "xxh3:6cb42927387b9421c0a59beac457c5c7"},
        {"cross_entropy", "xxh3:86264e8043517bc76dcad6489ed42517",
         "xxh3:5131078113eb18992c150adbb88f7140"},
        {"adam", "xxh3:5b71aaa41ff6ffdef64dbe2ffe866996", "xxh3:f8fe07d799f55781f00abe055e9af1ae"},
        {"mean", "xxh3:4a2f4cc5637ef088562e045b4ea91936", "xxh3:07c528697804470e5c03051bca2d0c73"},
        {"softmax", "xxh3:1887f2e5d84ff290427da3c27f2a2d14",
         "xxh3:858a920f7eb283bf2c55ad9e028b0c22"},
        {"softmax_gradient", "xxh3:c99e472d75ca9889b451a63516378148",
         "xxh3:2b333735bcaf4d865527df2d47bbd86a"},
        {"gelu", "xxh3:523e0c34f93052cc5ef602670c17abda", "xxh3:9cf99f8afcf3dc07122a89ce57b8bf75"},
        {"gelu_gradient", "xxh3:0008980b30047328be79e6077344effe",
         "xxh3:ef2353f4736fd26419303e404108d6fc"},
        {"dropout", "xxh3:7bb5d781e9d2fddd10613771466af009",
         "xxh3:2676f862894ecf0b0804d97a63a06917"},
        {"layernorm", "xxh3:a409671a720ddc67cf78c91f4c323fc8",
         "xxh3:158981cdc90f5e4c296661e472f68208"},
        {"layernorm_gradient", "xxh3:a637c08b2cce222691f1d0cfce8de07f",
         "xxh3:4eb570d70bb1dd67e37f9a4d25b89e0d"},
        {"batchnorm", "xxh3:58b99c87daf5bbc84e0a1e25085cfd9a",
         "xxh3:5a70c01734849f3ccf2d464e0a2bfe50"},
        {"batchnorm_gradient", "xxh3:3b1813687b3813fb48a8cff39bf34c27",
         "xxh3:28d6e87470e6250cf1677a5aa7cbeb4e"},
        {"embedding", "xxh3:b8abea35f8e9e5d5273f4a5b11c6839a",
         "xxh3:17ed7842c76d2265f71ad89500a995bf"},
        {"embedding_gradient", "xxh3:32b0905a81b8bfb9c33db1b3476219c2",
         "xxh3:2b07be95e110de8334f0bd875d570eb1"},
        {"sgd", "xxh3:24276866ada37e2805b9742b60f453fa", "xxh3:5df36842863b0b48c5e79570ea54c74f"},
        {"gradient_norm", "xxh3:15f1a10d88136bb158fe0ba296e98018",
         "xxh3:d766f0af00cbb1e8a684a9ffdce98728"},
        {"allreduce", "xxh3:be9af7bf67ccd12999d791e776c7fde1",
         "xxh3:b63904c088450f8d2bbe14e5ea804cbd"},
        {"conv2d", "xxh3:75bceacb8b63f7a6a36071e90ca3c02b",
         "xxh3:bc72abe98f9c8ff8713ff9408d737a9d"},
        {"conv2d_gradient_data", "xxh3:1aebd771e7bd949f72e8c675127995a5",
         "xxh3:87c49b206a4adaa091f4eef3e8dbc14d"},
        {"conv2d_gradient_filter", "xxh3:9b694a4f633dcffdb8c924aece7becde",
         "xxh3:6e1bb8ec0f97167647214d96c20da6b9"},
        {"max_pool", "xxh3:9e121bbfede909e99884cbbf986fcfa9",
         "xxh3:9da6c7783c29ca16c4f6aa6b1bf62f1e"},
        {"max_pool_gradient", "xxh3:4fe88b1ba78fb4d8a0fe30e481cfffbe",
         "xxh3:0b4b3df8eb797ecd5984a7d8bc2b0e20"},
        {"average_pool", "xxh3:ffc42aea8bfc946431a5f270c5a18a11",
         "xxh3:a9ae4fc72dabc2d84b28856507758c39"},
        {"average_pool_gradient", "xxh3:296622494cb9fb4dca2087a8e69c01c1",
         "xxh3:5abb3778a5d6f5978a3b55bea275146e"},
        {"attention", "xxh3:a4160846ac16e60404151ee6f45c2fd3",
         "xxh3:f6f29135b7e4fb232cc5615882c814c5"},
        {"attention_gradient", "xxh3:1195883acd06a4e1ded2acf187f781ac",
         "xxh3:0ca16f66ae6c570007181caceb8f112d"},
    };
    static const size_t shape[] = {130, 77, 61};
    struct sb_engine *engine;
    struct sb_engine_options options = {.threads = 2};
    ck_assert_int_eq(sb_engine_open(sb_backend_find("ref"), &options, &engine, NULL), 0);
    size_t n_golden = sizeof golden / sizeof *golden;
    for (size_t i = 0; i < 2 * n_golden; i++) {
        const struct sb_operation *operation = sb_operation_find(golden[i / 2].name);
        struct sb_problem problem;
        struct sb_problem_options make = {.dtype = i % 2 ? SB_DTYPE_F64 : SB_DTYPE_F32,
                                          .shape = operation->odd[0] ? operation->odd : shape,
                                          .n_shape = strlen(operation->sizes),
                                          .seed = 5};
        ck_assert_int_eq(sb_problem_make(operation, &make, &problem, NULL), 0);
        ck_assert_int_eq(sb_engine_call(engine, &problem.call, NULL), 0);
        struct sb_problem_room room;
        struct sb_tensor tensors[SB_MAX_OPERANDS];
        size_t n = sb_problem_outputs(&problem, &room, tensors);
        is(tensors, n, i % 2 ? golden[i / 2].f64 : golden[i / 2].f32);
        sb_problem_clear(&problem);
    }
    sb_engine_close(engine);
    for (size_t o = 0, g; sb_operations[o]; o++) { /* none is left out */
        for (g = 0; g < n_golden && strcmp(golden[g].name, sb_operations[o]->name) != 0; g++)
            ;
        ck_assert_msg(g < n_golden || sb_operations[o]->planned, "%s", sb_operations[o]->name);
    }
}
END_TEST

SB_TEST_MAIN("kernels-golden", dense_has_the_bits_written_here,
             dense_with_wide_layers_has_the_bits_written_here,
             dense_by_hash_order_has_the_bits_written_here, convnet_has_the_bits_written_here,
             chargpt_has_the_bits_written_here, operations_have_the_bits_written_here)
