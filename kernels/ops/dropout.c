/* kernels: dropout, with a mask that is a function of seed and place alone. */
#include "kernels/dispatch.h"
#include "kernels/train/rng.h"

#include <math.h>

/* Word i % 4 of Philox's block i / 4 under the seed; its upper 24 bits are a number in [0, 1). */
static double draw(uint64_t seed, size_t i) {
    uint64_t block = i / 4;
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32)},
                   key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t words[4];
    sb_philox(counter, key, words);
    return (double)(words[i % 4] >> 8) * 0x1p-24;
}

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    double rate = call->attribute[0];
    for (size_t i = 0; i < call->size[0]; i++) {
        expected[2][i] = draw((uint64_t)call->attribute[1], i) >= rate;
        expected[1][i] = expected[2][i] != 0 ? sb_call_value(call, 0, i) / (1 - rate) : 0;
        scale[1][i] = fabs(expected[1][i]);
        scale[2][i] = 0; /* a bit of the mask is right or wrong */
    }
}

const struct sb_operation sb_operation_dropout = {
    .name = "dropout",
    .summary = "y = mask*x/(1 - rate); mask (0 or 1) from Philox by seed and place",
    .sizes = "n",
    .shape = {65536},
    .reduced = "",
    .matters = "",
    .operands = {{"x", SB_ROLE_IN, "n", SB_FILL_WIDE},
                 {"y", SB_ROLE_OUT, "n", SB_FILL_NOTHING},
                 {"mask", SB_ROLE_OUT, "n", SB_FILL_NOTHING}},
    .attributes = {{"rate", 0.25, 0, 0.999, "share that becomes 0"},
                   {"seed", 1, 0, 0x1p53, "key of the mask"}},
    .oracle = oracle,
};
