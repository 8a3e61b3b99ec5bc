/* kernels: one step of stochastic gradient descent with momentum, in the form that Keras computes.
 */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    const double *attribute = call->attribute;
    long double rate = attribute[0], momentum = attribute[1], decay = attribute[2];
    for (size_t i = 0; i < call->size[0]; i++) {
        long double w = sb_call_value(call, 0, i), m = sb_call_value(call, 1, i),
                    step = sb_call_value(call, 2, i) * rate;
        long double next = m * momentum - step,
                    change = attribute[3] != 0 ? next * momentum - step : next;
        expected[0][i] = (double)(w - w * decay * rate + change);
        expected[1][i] = (double)next;
        scale[0][i] = (double)(fabsl(w) * (1 + decay * rate) + fabsl(m) + 2 * fabsl(step));
        scale[1][i] = (double)(fabsl(m) + fabsl(step));
    }
}

const struct sb_operation sb_operation_sgd = {
    .name = "sgd",
    .summary = "one step of gradient descent with momentum on n weights, as Keras computes it",
    .sizes = "n",
    .shape = {65536},
    .reduced = "",
    .matters = "isa alignment",
    .operands = {{"weights", SB_ROLE_INOUT, "n", SB_FILL_WIDE},
                 {"momentum", SB_ROLE_INOUT, "n", SB_FILL_WIDE},
                 {"gradient", SB_ROLE_IN, "n", SB_FILL_WIDE}},
    .attributes = {{"learning_rate", 0.01, 0, 1e6, "step length"},
                   {"momentum", 0.9, 0, 1, "momentum' = momentum·this - learning_rate·gradient"},
                   {"weight_decay", 0.0001, 0, 1,
                    "share of the weights that is taken off first, times learning_rate"},
                   {"nesterov", 0, 0, 1, "adds momentum'·momentum - learning_rate·gradient"}},
    .oracle = oracle,
};
