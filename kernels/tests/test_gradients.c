/* kernels: every operation's gradient against finite differences of the operation, in f64 on `ref`.
 *
 * A gradient's operands are told by their names: one named as an operand of the operation holds
 * what that does, before or after the call; "d" and such a name is the gradient of the loss with
 * respect to it: an input where it comes from above, an output where it is to be checked. The loss
 * is the sum of the operation's outputs, each times its gradient from above. */
#include "kernels/problem.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One row an operation. */
struct pair {
    const char *gradient, *forward;
    const char *names[2][2]; /* an operand of the gradient, and by what name the rule knows it */
    const char *loss;        /* the output that is the loss, where none comes from above */
    double step;             /* as a share of an input; 0: 2^-9 */
};

static const struct pair pairs[] = {
    {"bias_gradient", "bias_add", {{"dy", "dx"}, {"db", "dbias"}}, NULL},
    {"relu_gradient", "relu", {{0}}, NULL},
    {"cross_entropy", "cross_entropy", {{0}}, "loss"},
    {"ctc_loss", "ctc_loss", {{0}}, "loss"},
    {"softmax_gradient", "softmax", {{0}}, NULL},
    {"gelu_gradient", "gelu", {{0}}, NULL},
    {"layernorm_gradient", "layernorm", {{0}}, NULL},
    {"batchnorm_gradient", "batchnorm", {{0}}, NULL},
    {"embedding_gradient", "embedding", {{0}}, NULL},
    {"conv2d_gradient_data", "conv2d", {{0}}, NULL},
    {"conv2d_gradient_filter", "conv2d", {{0}}, NULL},
    /* A step must not change which is the largest; where none does, the error is but rounding. */
    {"max_pool_gradient", "max_pool", {{0}}, NULL, .step = 0x1p-20},
    {"average_pool_gradient", "average_pool", {{0}}, NULL},
    {"attention_gradient", "attention", {{0}}, NULL},
};
enum { PAIRS = sizeof pairs / sizeof *pairs };

struct check {
    const struct pair *pair;
    struct sb_engine *engine;
    struct sb_problem forward, gradient;
    void *before[SB_MAX_OPERANDS];         /* the operation's inputs, as they were */
    const double *weight[SB_MAX_OPERANDS]; /* of its outputs in the loss; NULL: 0 */
    double *value[4][SB_MAX_OPERANDS];     /* its outputs, at four points */
    double worst;                          /* error over tolerance */
    size_t checked;
};

static size_t find(const struct sb_operation *operation, const char *name) {
    size_t o = 0;
    while (operation->operands[o].name && strcmp(operation->operands[o].name, name) != 0)
        o++;
    return operation->operands[o].name ? o : SB_MAX_OPERANDS;
}

static const char *rule_name(const struct pair *pair, const char *name) {
    for (size_t i = 0; i < 2 && pair->names[i][0]; i++) {
        if (strcmp(pair->names[i][0], name) == 0)
            return pair->names[i][1];
    }
    return name;
}

static size_t bytes_of(const struct sb_problem *problem, size_t o) {
    return sb_call_elements(&problem->call, o) * sb_dtype_size(sb_call_dtype(&problem->call, o));
}

static void run(struct check *check, struct sb_problem *problem) {
    struct sb_error err = {0};
    ck_assert_msg(sb_engine_call(check->engine, &problem->call, &err) == 0, "%s", err.text);
}

static void make(const struct sb_operation *operation, const double *attributes,
                 struct sb_problem *problem) {
    static const size_t shape[] = {23, 7, 3};
    struct sb_problem_options options = {.dtype = SB_DTYPE_F64,
                                         .shape = operation->odd[0] ? operation->odd : shape,
                                         .n_shape = strlen(operation->sizes),
                                         .attributes = attributes,
                                         .seed = 17};
    struct sb_error err = {0};
    ck_assert_msg(sb_problem_make(operation, &options, problem, &err) == 0, "%s", err.text);
}

/* Attributes by name: a gradient has some of its operation's. */
static void take_attributes(const struct sb_problem *from, const struct sb_operation *to,
                            double *wanted) {
    const struct sb_operation *operation = from->call.operation;
    for (size_t i = 0; to->attributes[i].name; i++) {
        wanted[i] = to->attributes[i].value;
        for (size_t j = 0; operation->attributes[j].name; j++) {
            if (strcmp(operation->attributes[j].name, to->attributes[i].name) == 0)
                wanted[i] = from->call.attribute[j];
        }
    }
}

/* The gradient's inputs: what the operation had or made, or the loss's weights. */
static void connect(struct check *check) {
    const struct sb_operation *forward = check->forward.call.operation,
                              *gradient = check->gradient.call.operation;
    static const double ones[] = {1, 1, 1}; /* a loss is one number, or one of each of 3 */
    if (check->pair->loss)
        check->weight[find(forward, check->pair->loss)] = ones;
    for (size_t g = 0; gradient->operands[g].name; g++) {
        if (gradient->operands[g].role != SB_ROLE_IN)
            continue;
        const char *name = rule_name(check->pair, gradient->operands[g].name);
        size_t o = find(forward, name);
        if (o < SB_MAX_OPERANDS) {
            ck_assert_uint_eq(bytes_of(&check->gradient, g), bytes_of(&check->forward, o));
            memcpy(check->gradient.call.operand[g], check->forward.call.operand[o],
                   bytes_of(&check->forward, o));
            continue;
        }
        o = name[0] == 'd' ? find(forward, name + 1) : SB_MAX_OPERANDS;
        ck_assert_msg(o < SB_MAX_OPERANDS, "%s: what is '%s'?", gradient->name, name);
        ck_assert_uint_eq(bytes_of(&check->gradient, g), bytes_of(&check->forward, o));
        check->weight[o] = check->gradient.call.operand[g];
    }
}

/* Runs the operation, and its gradient on what it left. */
static void begin(const struct pair *pair, const double *attributes, struct check *check) {
    const struct sb_operation *forward = sb_operation_find(pair->forward),
                              *gradient = sb_operation_find(pair->gradient);
    struct sb_engine_options options = {.threads = 1};
    double its[SB_MAX_ATTRIBUTES];
    *check = (struct check){.pair = pair};
    ck_assert_int_eq(sb_engine_open(sb_backend_find("ref"), &options, &check->engine, NULL), 0);
    make(forward, attributes, &check->forward);
    take_attributes(&check->forward, gradient, its);
    make(gradient, its, &check->gradient);
    ck_assert_int_eq(sb_problem_expect(&check->forward, NULL), 0);
    for (size_t o = 0; forward->operands[o].name; o++) {
        size_t bytes = bytes_of(&check->forward, o);
        check->before[o] = malloc(bytes);
        memcpy(check->before[o], check->forward.call.operand[o], bytes);
        for (size_t i = 0; i < 4; i++)
            check->value[i][o] = malloc(bytes);
    }
    run(check, &check->forward);
    connect(check);
    ck_assert_int_eq(sb_problem_expect(&check->gradient, NULL), 0);
    run(check, &check->gradient);
}

static void end(struct check *check) {
    sb_problem_clear(&check->forward);
    sb_problem_clear(&check->gradient);
    for (size_t o = 0; o < SB_MAX_OPERANDS; o++) {
        free(check->before[o]);
        for (size_t i = 0; i < 4; i++)
            free(check->value[i][o]);
    }
    sb_engine_close(check->engine);
}

/* The outputs, with element k of operand o moved by `step`. */
static void evaluate(struct check *check, size_t o, size_t k, double step, double **value) {
    const struct sb_operation *forward = check->forward.call.operation;
    for (size_t i = 0; forward->operands[i].name; i++)
        memcpy(check->forward.call.operand[i], check->before[i], bytes_of(&check->forward, i));
    ((double *)check->forward.call.operand[o])[k] += step;
    run(check, &check->forward);
    for (size_t i = 0; forward->operands[i].name; i++) {
        if (check->weight[i])
            memcpy(value[i], check->forward.call.operand[i], bytes_of(&check->forward, i));
    }
}

/* (8·(f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h, good to h⁴. Steps are a share of x, so that
 * none crosses 0, where relu has a corner. Rounding of f is 2^-53 of its scale and a few. */
static void check_element(struct check *check, size_t g, size_t o, size_t k) {
    double step = check->pair->step != 0 ? check->pair->step : 0x1p-9;
    double x = ((double *)check->before[o])[k], h = step * fmax(fabs(x), 0x1p-5);
    double **at[] = {check->value[0], check->value[1], check->value[2], check->value[3]};
    static const double steps[] = {1, -1, 2, -2};
    for (size_t i = 0; i < 4; i++)
        evaluate(check, o, k, steps[i] * h, at[i]);
    long double sum = 0, noise = 0;
    for (size_t i = 0; check->forward.call.operation->operands[i].name; i++) {
        size_t n = check->weight[i] ? sb_call_elements(&check->forward.call, i) : 0;
        for (size_t j = 0; j < n; j++) {
            double weight = check->weight[i][j];
            if (at[2][i][j] == at[3][i][j])
                continue;
            sum += weight * (8 * ((long double)at[0][i][j] - at[1][i][j]) -
                             ((long double)at[2][i][j] - at[3][i][j]));
            noise += fabs(weight) * check->forward.scale[i][j];
        }
    }
    double numeric = (double)(sum / (12 * h)), scale = check->gradient.scale[g][k];
    double tolerance = 1e-8 * scale + (double)noise * 0x1p-50 / h;
    double error = fabs(numeric - sb_call_value(&check->gradient.call, g, k));
    ck_assert(isfinite(error));
    check->worst = fmax(check->worst, error > 0 ? error / tolerance : 0);
    check->checked++;
}

/* All outputs of the gradient, at some 64 places each. */
static void differentiate(struct check *check) {
    const struct sb_operation *gradient = check->gradient.call.operation;
    for (size_t g = 0; gradient->operands[g].name; g++) {
        const char *name = rule_name(check->pair, gradient->operands[g].name);
        if (gradient->operands[g].role != SB_ROLE_OUT || name[0] != 'd')
            continue;
        size_t o = find(check->forward.call.operation, name + 1);
        ck_assert_msg(o < SB_MAX_OPERANDS, "%s: what is '%s'?", gradient->name, name);
        size_t n = sb_call_elements(&check->gradient.call, g);
        ck_assert_uint_eq(n, sb_call_elements(&check->forward.call, o));
        for (size_t k = 0; k < n; k += n / 64 + 1)
            check_element(check, g, o, k);
    }
}

static bool is_switch(const struct sb_attribute *attribute) {
    return attribute->value == 0 && attribute->min == 0 && attribute->max == 1;
}

/* With the default attributes, and with each switch on. */
static void check_pair(const struct pair *pair) {
    const struct sb_operation *forward = sb_operation_find(pair->forward);
    double attributes[SB_MAX_ATTRIBUTES];
    size_t n = 0;
    while (forward->attributes[n].name)
        n++;
    for (size_t a = 0; a <= n; a++) {
        if (a < n && !is_switch(&forward->attributes[a]))
            continue;
        for (size_t i = 0; i < n; i++)
            attributes[i] = i == a ? 1 : forward->attributes[i].value;
        struct check check;
        begin(pair, attributes, &check);
        differentiate(&check);
        ck_assert_msg(check.worst <= 1, "%s, %s: error is %g of what is allowed", pair->gradient,
                      a < n ? forward->attributes[a].name : "as it is", check.worst);
        ck_assert_uint_gt(check.checked, 0);
        end(&check);
    }
}

START_TEST(every_gradient_is_that_of_finite_differences)
{
    for (size_t i = 0; i < PAIRS; i++) {
        if (!sb_operation_find(pairs[i].gradient)->planned)
            check_pair(&pairs[i]);
    }
}
END_TEST

/* The gradient by erf is not that of the approximation by tanh, from which it is a thousandth off.
 */
START_TEST(a_wrong_gradient_is_found)
{
    static const struct pair pair = {"gelu_gradient", "gelu", {{0}}, NULL};
    const double by_tanh[SB_MAX_ATTRIBUTES] = {1};
    struct check check;
    begin(&pair, by_tanh, &check);
    check.gradient.call.attribute[0] = 0;
    run(&check, &check.gradient);
    differentiate(&check);
    ck_assert_double_gt(check.worst, 100);
    end(&check);
}
END_TEST

START_TEST(no_gradient_is_left_out)
{
    for (size_t o = 0; sb_operations[o]; o++) {
        size_t i = 0;
        while (i < PAIRS && strcmp(pairs[i].gradient, sb_operations[o]->name) != 0)
            i++;
        ck_assert_msg(i < PAIRS || !strstr(sb_operations[o]->name, "_gradient"), "%s",
                      sb_operations[o]->name);
    }
}
END_TEST

SB_TEST_MAIN("kernels-gradients", every_gradient_is_that_of_finite_differences,
             a_wrong_gradient_is_found, no_gradient_is_left_out)
