/* kernels: backend `ref`, plain C in a fixed order: the same bits on every machine, at every
 * compiler level, thread count and batch size. Built with -ffp-contract=off and without -march. */
#include "kernels/backends/ref_kernels.h"
#include "kernels/dispatch.h"
#include "kernels/numeric.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By squaring: pow() differs between C libraries. */
static double power(double base, uint64_t exponent) {
    double value = 1;
    for (; exponent; exponent >>= 1, base *= base) {
        if (exponent & 1)
            value *= base;
    }
    return value;
}

#define REAL float
#define N(name) name##_f32
#include "kernels/backends/ref_plain.h"

#define REAL double
#define N(name) name##_f64
#include "kernels/backends/ref_plain.h"

static int load(void **state, struct sb_error *err) {
    struct sb_ref *ref = calloc(1, sizeof *ref);
    if (!ref)
        return sb_error_errno(err, -ENOMEM, "load");
    *ref = (struct sb_ref){.threads = 1, .path = sb_ref_path_here()};
    *state = ref;
    return 0;
}

static void unload(void *state) {
    free(state);
}

static int set_threads(void *state, unsigned threads, struct sb_error *err) {
    (void)err;
    ((struct sb_ref *)state)->threads = threads;
    return 0;
}

static void describe(void *state, struct sb_backend_facts *facts) {
    const struct sb_ref *ref = state;
    snprintf(facts->core, sizeof facts->core, "%s", ref->path->name);
    facts->threads = ref->threads;
}

static int gemm(void *state, const struct sb_call *call, struct sb_error *err) {
    const struct sb_ref *ref = state;
    return sb_ref_gemm(ref->path, ref->threads, call->dtype, call->attribute[0] != 0,
                       call->attribute[1] != 0, call->size[0], call->size[1], call->size[2],
                       call->operand[0], call->operand[1], call->operand[2], err);
}

#define PLAIN(name)                                                                                \
    static int name(void *state, const struct sb_call *call, struct sb_error *err) {               \
        (void)state, (void)err;                                                                    \
        (call->dtype == SB_DTYPE_F32 ? name##_f32 : name##_f64)(call);                             \
        return 0;                                                                                  \
    }
PLAIN(gemv)
PLAIN(symv)
PLAIN(dot)
PLAIN(sum)
PLAIN(bias_add)
PLAIN(bias_gradient)
PLAIN(relu)
PLAIN(relu_gradient)
PLAIN(adam)
PLAIN(sgd)
PLAIN(gradient_norm)
PLAIN(allreduce)

static int cross_entropy(void *state, const struct sb_call *call, struct sb_error *err) {
    (void)state;
    return (call->dtype == SB_DTYPE_F32 ? cross_entropy_f32 : cross_entropy_f64)(call, err);
}

enum {
    BOTH = SB_BIT(SB_DTYPE_F32) | SB_BIT(SB_DTYPE_F64),
    HALF = SB_BIT(SB_DTYPE_F16) | SB_BIT(SB_DTYPE_BF16),
};

static const struct sb_kernel kernels[] = {
    {"gemm", BOTH, gemm, HALF},
    {"gemv", BOTH, gemv, HALF},
    {"symv", BOTH, symv, HALF},
    {"dot", BOTH, dot, HALF},
    {"sum", BOTH, sum, HALF},
    {"bias_add", BOTH, bias_add, HALF},
    {"bias_gradient", BOTH, bias_gradient, HALF},
    {"relu", BOTH, relu, HALF},
    {"relu_gradient", BOTH, relu_gradient, HALF},
    {"cross_entropy", BOTH, cross_entropy, HALF},
    {"ctc_loss", BOTH, sb_ref_ctc_loss, HALF},
    {"adam", BOTH, adam, HALF},
    {"mean", BOTH, sb_ref_mean, HALF},
    {"softmax", BOTH, sb_ref_softmax, HALF},
    {"softmax_gradient", BOTH, sb_ref_softmax_gradient, HALF},
    {"gelu", BOTH, sb_ref_gelu, HALF},
    {"gelu_gradient", BOTH, sb_ref_gelu_gradient, HALF},
    {"dropout", BOTH, sb_ref_dropout, HALF},
    {"layernorm", BOTH, sb_ref_layernorm, HALF},
    {"layernorm_gradient", BOTH, sb_ref_layernorm_gradient, HALF},
    {"batchnorm", BOTH, sb_ref_batchnorm, HALF},
    {"batchnorm_gradient", BOTH, sb_ref_batchnorm_gradient, HALF},
    {"embedding", BOTH, sb_ref_embedding, HALF},
    {"embedding_gradient", BOTH, sb_ref_embedding_gradient, HALF},
    {"sgd", BOTH, sgd, HALF},
    {"gradient_norm", BOTH, gradient_norm, HALF},
    {"allreduce", BOTH, allreduce, HALF},
    {"conv2d", BOTH, sb_ref_conv2d, HALF},
    {"conv2d_gradient_data", BOTH, sb_ref_conv2d_gradient_data, HALF},
    {"conv2d_gradient_filter", BOTH, sb_ref_conv2d_gradient_filter, HALF},
    {"max_pool", BOTH, sb_ref_max_pool, HALF},
    {"max_pool_gradient", BOTH, sb_ref_max_pool_gradient, HALF},
    {"average_pool", BOTH, sb_ref_average_pool, HALF},
    {"average_pool_gradient", BOTH, sb_ref_average_pool_gradient, HALF},
    {"attention", BOTH, sb_ref_attention, HALF},
    {"attention_gradient", BOTH, sb_ref_attention_gradient, HALF},
    {NULL},
};

const struct sb_backend sb_backend_ref = {
    .api = SB_BACKEND_API,
    .name = "ref",
    .summary = "plain C in a fixed order: the same bits everywhere",
    .kernels = kernels,
    .load = load,
    .unload = unload,
    .set_threads = set_threads,
    .describe = describe,
};
