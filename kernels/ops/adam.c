/* kernels: one step of Adam (Kingma and Ba, 2015), in the form that Keras computes. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    const double *attribute = call->attribute;
    long double beta_1 = attribute[1], beta_2 = attribute[2], epsilon = attribute[3],
                step = attribute[4];
    long double alpha = attribute[0] * sqrtl(1 - powl(beta_2, step)) / (1 - powl(beta_1, step));
    for (size_t i = 0; i < call->size[0]; i++) {
        long double w = sb_call_value(call, 0, i), m = sb_call_value(call, 1, i);
        long double v = sb_call_value(call, 2, i), g = sb_call_value(call, 3, i);
        long double m_next = m + (g - m) * (1 - beta_1), v_next = v + (g * g - v) * (1 - beta_2);
        long double divisor = sqrtl(v_next) + epsilon;
        expected[0][i] = (double)(w - m_next * alpha / divisor);
        expected[1][i] = (double)m_next;
        expected[2][i] = (double)v_next;
        scale[1][i] = (double)(fabsl(m) + fabsl(g));
        scale[2][i] = (double)(v + g * g);
        scale[0][i] = (double)(fabsl(w) + scale[1][i] * alpha / divisor);
    }
}

const struct sb_operation sb_operation_adam = {
    .name = "adam",
    .summary = "one step of Adam on n weights, as Keras computes it",
    .sizes = "n",
    .shape = {65536},
    .reduced = "",
    .matters = "isa alignment",
    .operands = {{"weights", SB_ROLE_INOUT, "n", SB_FILL_WIDE},
                 {"momentum", SB_ROLE_INOUT, "n", SB_FILL_WIDE},
                 {"velocity", SB_ROLE_INOUT, "n", SB_FILL_POSITIVE},
                 {"gradient", SB_ROLE_IN, "n", SB_FILL_WIDE}},
    .attributes = {{"learning_rate", 0.001, 0, 1e6, "step length"},
                   {"beta_1", 0.9, 0, 1, "decay of the momentum"},
                   {"beta_2", 0.999, 0, 1, "decay of the velocity"},
                   {"epsilon", 1e-7, 0, 1, "added to the divisor"},
                   {"step", 1, 1, 1e9, "number of this step, from 1"}},
    .oracle = oracle,
};
