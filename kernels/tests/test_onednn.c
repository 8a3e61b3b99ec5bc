/* kernels: the backends `onednn`, of whichever version was found, and `onednn3`: what each says of
 * itself, and its promise of determinism where it has the attribute. Their results are held against
 * the oracles, as every backend's are, in test_operations.c. */
#include "kernels/problem.h"
#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* See test_operations.c. */
const char *__lsan_default_options(void);
const char *__lsan_default_options(void) {
    return "use_tls=0:print_suppressions=0";
}
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:_dlerror_run\nleak:libgomp.so\nleak:libdnnl.so\n";
}

/* NULL, and said so: this build has none. */
static struct sb_engine *engine_of(const char *name, bool deterministic) {
    struct sb_engine *engine = NULL;
    struct sb_error err = {0};
    struct sb_engine_options options = {2, deterministic};
    if (sb_backend_find(name)->planned) {
        sb_test_skip(strcmp(name, "onednn3") == 0 ? "needs oneDNN 3: ci/install-deps --onednn3"
                                                  : "needs oneDNN: ci/install-deps --tests");
        return NULL;
    }
    int rc = sb_engine_open(sb_backend_find(name), &options, &engine, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    return engine;
}

/* The attribute came with 3.4. */
static bool has_attribute(const struct sb_engine *engine) {
    struct sb_backend_facts facts = {0};
    int major = 0, minor = 0;
    sb_engine_describe(engine, &facts);
    ck_assert_int_eq(sscanf(facts.version, "%d.%d", &major, &minor), 2);
    return major > 3 || (major == 3 && minor >= 4);
}

static void says_what_it_is(const char *name, int oldest) {
    struct sb_engine *engine = engine_of(name, false);
    struct sb_backend_facts facts = {0};
    if (!engine)
        return;
    sb_engine_describe(engine, &facts);
    ck_assert_int_ge(atoi(facts.version), oldest);
    ck_assert_ptr_nonnull(strstr(facts.library, "libdnnl"));
    ck_assert_uint_gt(strlen(facts.core), 0);
    ck_assert_ptr_null(strstr(facts.core, "cpu_isa"));
    if (strstr(facts.config, "OpenMP"))
        ck_assert_uint_eq(facts.threads, 2);
    sb_engine_close(engine);
}

START_TEST(onednn_says_what_it_is)
{ says_what_it_is("onednn", 2); }
END_TEST

START_TEST(onednn3_says_what_it_is)
{ says_what_it_is("onednn3", 3); }
END_TEST

/* Of the kernel's answer and its claim, for every kernel that has one. The claim is what the
 * primitive's own attribute says. */
static void claims(const char *name, bool deterministic) {
    struct sb_engine *engine = engine_of(name, deterministic);
    if (!engine)
        return;
    enum sb_claim wanted =
        deterministic && has_attribute(engine) ? SB_CLAIM_DETERMINISTIC : SB_CLAIM_NONE;
    for (const struct sb_kernel *kernel = sb_backend_find(name)->kernels; kernel->operation;
         kernel++) {
        const struct sb_operation *operation = sb_operation_find(kernel->operation);
        struct sb_problem_options options = {.dtype = SB_DTYPE_F32, .seed = 3};
        if (operation->odd[0]) {
            options.shape = operation->odd;
            options.n_shape = strlen(operation->sizes);
        }
        struct sb_problem problem;
        struct sb_call_report report = {0};
        struct sb_error err = {0};
        ck_assert_int_eq(sb_problem_make(operation, &options, &problem, NULL), 0);
        ck_assert_int_eq(sb_problem_expect(&problem, NULL), 0);
        problem.call.report = &report;
        ck_assert_msg(sb_engine_call(engine, &problem.call, &err) == 0, "%s", err.text);
        ck_assert_msg(report.claim == wanted, "%s claims %s", operation->name,
                      sb_claim_names[report.claim]);
        ck_assert_uint_gt(strlen(report.algorithm), 0);
        ck_assert_int_eq(report.note[0] != '\0', wanted == SB_CLAIM_DETERMINISTIC);
        ck_assert(sb_problem_error(&problem) <= sb_problem_tolerance(&problem));
        sb_problem_clear(&problem);
    }
    sb_engine_close(engine);
}

START_TEST(onednn_promises_determinism_where_it_was_asked_and_has_the_attribute)
{ claims("onednn", true); }
END_TEST

START_TEST(onednn3_promises_determinism_where_it_was_asked_and_has_the_attribute)
{ claims("onednn3", true); }
END_TEST

START_TEST(they_promise_nothing_unasked)
{
    claims("onednn", false);
    claims("onednn3", false);
}
END_TEST

SB_TEST_MAIN("kernels-onednn", onednn_says_what_it_is, onednn3_says_what_it_is,
             onednn_promises_determinism_where_it_was_asked_and_has_the_attribute,
             onednn3_promises_determinism_where_it_was_asked_and_has_the_attribute,
             they_promise_nothing_unasked)
