/* check: what an assertion finds and says, in forked children and in new programs, with and without
 * CK_FORK=no. */
#include "tests/testing.h"

#include <samebits/check.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- Functions that are asked about ------------------------------------------------------------
 */

static int knob(const char *name) {
    const char *value = getenv(name);
    return value ? atoi(value) : 0;
}

static void report_gradient(struct sb_check *check, float at_1_17) {
    float gradient[3 * 18];
    for (unsigned i = 0; i < 3 * 18; i++)
        gradient[i] = (float)i / 7;
    gradient[1 * 18 + 17] = at_1_17;
    sb_check_output(check, "gradient", gradient, SB_DTYPE_F32, 3, 18);
}

static void steady(struct sb_check *check, void *data) {
    report_gradient(check, data ? *(const float *)data : 1.25f);
}

static void by_threads(struct sb_check *check, void *data) {
    (void)data;
    report_gradient(check, knob("OMP_NUM_THREADS") >= 2 ? nextafterf(1.25f, 2) : 1.25f);
}

static void by_knob(struct sb_check *check, void *data) {
    (void)data;
    int64_t loss = 100 + knob("KNOB");
    report_gradient(check, 1.25f);
    sb_check_output(check, "loss", &loss, SB_DTYPE_I64, 1);
}

static void by_process(struct sb_check *check, void *data) {
    (void)data;
    uint32_t id = (uint32_t)getpid();
    sb_check_tensor(check, "id", &id, SB_DTYPE_U32, 0, NULL);
}

static void by_address(struct sb_check *check, void *data) {
    (void)data;
    uint64_t address = (uintptr_t)&address;
    sb_check_output(check, "address", &address, SB_DTYPE_U64, 1);
}

static void silent(struct sb_check *check, void *data) {
    (void)check, (void)data;
}

static void misbehave(struct sb_check *check, void *data) {
    const char *how = getenv("KNOB");
    if (!how)
        return report_gradient(check, 1.25f);
    printf("first line\nabout to %s\n", how);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "hang") == 0)
        pause();
    if (strcmp(how, "exit") == 0)
        _exit(3);
    if (strcmp(how, "fail") == 0)
        sb_check_fail(check, "%d of %d bytes", 3, 4);
    if (strcmp(how, "rank") == 0)
        sb_check_tensor(check, "x", data, SB_DTYPE_F32, SB_MAX_RANK + 1, NULL);
    if (strcmp(how, "less") == 0)
        sb_check_output(check, "other", how, SB_DTYPE_U8, 1);
    if (strcmp(how, "more") == 0) {
        report_gradient(check, 1.25f);
        sb_check_output(check, "other", how, SB_DTYPE_U8, 1);
    }
    if (strcmp(how, "twice") == 0) {
        report_gradient(check, 1.25f);
        report_gradient(check, 1.25f);
    }
    if (strcmp(how, "shape") == 0)
        sb_check_output(check, "gradient", (double[4]){0}, SB_DTYPE_F64, 2, 2);
}

static void assert_of_check(struct sb_check *check, void *data) {
    (void)check, (void)data;
    ck_assert_int_eq(1, 2);
}

static void large(struct sb_check *check, void *data) {
    size_t n = 32 << 20; /* 128 MiB */
    float *elements = calloc(n, sizeof *elements);
    if (!elements)
        sb_check_fail(check, "no memory");
    elements[n - 1] = (float)knob("KNOB");
    (void)data;
    sb_check_output(check, "large", elements, SB_DTYPE_F32, 2, n / 2);
    free(elements);
}

/* ---- What is said of them ----------------------------------------------------------------------
 */

static struct sb_check_report ask(sb_check_function *compute, void *data,
                                  struct sb_check_options options, int expected) {
    struct sb_check_report report;
    options.size = sizeof options;
    int rc = sb_check_same_bits(compute, data, &options, &report);
    ck_assert_msg(rc == expected, "%d, not %d: %s", rc, expected, report.failure);
    ck_assert_int_eq(rc < 0, report.failure[0] != '\0');
    return report;
}

START_TEST(equal_bits_pass_in_every_combination)
{
    float value = 2.5f;
    const struct sb_check_options options = {
        .threads = {1, 2}, .environments = {"KNOB=1", "KNOB=2 OTHER=3"}, .data_size = sizeof value};
    ck_assert_uint_eq(ask(steady, &value, options, 0).runs, 3 * 2 * 3);
    ck_assert_uint_eq(ask(steady, NULL, (struct sb_check_options){.repeats = 7}, 0).runs, 7);
}
END_TEST

START_TEST(a_difference_names_tensor_index_ulp_and_axis)
{
    const char *expected =
        "gradient[1,17]: 1.2500001 and 1.25 are 1 ulp apart (threads=2, run 1 against threads=1, "
        "run 1); 1 of 54 elements differs, at most 1 ulp; the 3 runs with threads=1 agree";
    struct sb_check_options options = {.threads = {1, 2, 4}};
    struct sb_check_report report = ask(by_threads, NULL, options, -EDOM);
    ck_assert_str_eq(report.failure, expected);
    ck_assert_uint_eq(report.runs, 4);
    options.how = SB_CHECK_FORK;
    ck_assert_str_eq(ask(by_threads, NULL, options, -EDOM).failure, expected);
}
END_TEST

START_TEST(an_environment_is_named_beside_the_one_as_it_is)
{
    struct sb_check_options options = {.environments = {"KNOB=0", "KNOB=7"}, .repeats = 1};
    ck_assert_str_eq(ask(by_knob, NULL, options, -EDOM).failure,
                     "loss[0]: 107 and 100 are 7 apart (KNOB=7, run 1 against environment as it "
                     "is, run 1); 1 of 1 element differs, at most 7");
}
END_TEST

START_TEST(what_differs_from_run_to_run_is_blamed_on_no_axis)
{
    struct sb_check_options options = {.threads = {1, 2}};
    struct sb_check_report report = ask(by_process, NULL, options, -EDOM);
    ck_assert_ptr_nonnull(
        strstr(report.failure,
               " apart (threads=1, run 2 against threads=1, run 1); 1 of 1 element "
               "differs, at most "));
    ck_assert_ptr_nonnull(
        strstr(report.failure, "; conditions were equal: it differs from run to run"));
    ck_assert_int_eq(strncmp(report.failure, "id: ", 4), 0);
}
END_TEST

START_TEST(a_new_program_has_other_addresses_and_a_forked_child_has_not)
{
    struct sb_check_options options = {.repeats = 6, .how = SB_CHECK_FORK};
    ask(by_address, NULL, options, 0);
    options.how = SB_CHECK_EXEC;
    ask(by_address, NULL, options, -EDOM);
}
END_TEST

START_TEST(a_tolerance_allows_what_it_says)
{
    struct sb_check_options options = {.threads = {1, 2}, .ulp = 1};
    ask(by_threads, NULL, options, 0);
    options.ulp = 0;
    options.rtol = 1e-6;
    ask(by_threads, NULL, options, 0);
    options.rtol = 1e-9;
    ask(by_threads, NULL, options, -EDOM);
    ask(by_knob, NULL, (struct sb_check_options){.environments = {"KNOB=2"}, .ulp = 1}, -EDOM);
}
END_TEST

struct misbehaviour {
    const char *how, *said;
    int code;
};

START_TEST(a_run_that_goes_wrong_is_named)
{
    static const struct misbehaviour known[] = {
        {"KNOB=abort",
         "KNOB=abort, run 1: killed by signal 6 (Aborted) before the function returned", -ECHILD},
        {"KNOB=hang", "KNOB=hang, run 1: still running after 0.5 s (.timeout_s)", -ECHILD},
        {"KNOB=exit", "KNOB=exit, run 1: ended with exit status 3 before the function returned",
         -ECHILD},
        {"KNOB=fail",
         "KNOB=fail, run 1: 3 of 4 bytes; it printed at the end:\nfirst line\nabout to fail",
         -ECHILD},
        {"KNOB=rank", "KNOB=rank, run 1: output 'x': rank 33 (0 to 32, with its dimensions)",
         -ECHILD},
        {"KNOB=silent",
         "KNOB=silent, run 1: the function reported no output (sb_check_output): nothing to "
         "compare",
         -ENODATA},
        {"KNOB=twice", "KNOB=twice, run 1: two outputs are called 'gradient'", -EINVAL},
        {"KNOB=less",
         "gradient: reported by environment as it is, run 1, and not by KNOB=less, run 1", -EDOM},
        {"KNOB=more", "other: reported by KNOB=more, run 1, and not by environment as it is, run 1",
         -EDOM},
        {"KNOB=shape", "gradient: f64 2x2 and f32 3x18 (KNOB=shape, run 1 against ", -EDOM},
    };
    for (unsigned how = SB_CHECK_FORK; how <= SB_CHECK_EXEC; how++)
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            struct sb_check_options options = {.environments = {known[i].how},
                                               .timeout_s = 0.5,
                                               .how = (enum sb_check_how)how,
                                               .repeats = 1};
            struct sb_check_report report = ask(misbehave, NULL, options, known[i].code);
            ck_assert_msg(strncmp(report.failure, known[i].said, strlen(known[i].said)) == 0,
                          "%s: %s", known[i].how, report.failure);
        }
}
END_TEST

START_TEST(a_function_without_outputs_is_no_pass)
{
    struct sb_check_report report = ask(silent, NULL, (struct sb_check_options){0}, -ENODATA);
    ck_assert_uint_eq(report.runs, 1);
}
END_TEST

START_TEST(a_hundred_megabytes_are_compared)
{
    struct sb_check_options options = {.environments = {"KNOB=0"}, .repeats = 1};
    ask(large, NULL, options, 0);
    options.environments[0] = "KNOB=1";
    struct sb_check_report report = ask(large, NULL, options, -EDOM);
    ck_assert_ptr_nonnull(strstr(report.failure, "large[1,16777215]: 1 and 0 are "));
}
END_TEST

START_TEST(threads_that_nobody_started_are_noted)
{
    struct sb_check_options options = {.threads = {1, 2}};
    ck_assert_str_eq(ask(steady, NULL, options, 0).note,
                     "no run was seen with more than one thread: that .threads agree is no "
                     "evidence of anything");
    ck_assert_str_eq(ask(steady, NULL, (struct sb_check_options){0}, 0).note, "");
    options = (struct sb_check_options){.environments = {"KNOB=1"}, .how = SB_CHECK_FORK};
    ck_assert_ptr_nonnull(strstr(ask(steady, NULL, options, 0).note, "forked children"));
}
END_TEST

START_TEST(options_that_mean_nothing_are_refused)
{
    struct sb_check_report report;
    float value = 1;
    report = ask(steady, &value, (struct sb_check_options){.threads = {1, 2}}, -EINVAL);
    ck_assert_ptr_nonnull(strstr(report.failure, ".data_size has to be its size"));
    report = ask(steady, NULL, (struct sb_check_options){.repeats = 1}, -EINVAL);
    ck_assert_ptr_nonnull(strstr(report.failure, "one run cannot be compared"));
    report = ask(steady, NULL, (struct sb_check_options){.environments = {"A=1 B"}}, -EINVAL);
    ck_assert_ptr_nonnull(strstr(report.failure, "'B' in 'A=1 B' is not NAME=value"));
    report = ask(steady, NULL, (struct sb_check_options){.environments = {""}}, -EINVAL);
    report = ask(steady, NULL, (struct sb_check_options){.threads = {5000}}, -EINVAL);
    ck_assert_ptr_nonnull(strstr(report.failure, "unknown level '5000'"));
    report = ask(steady, NULL, (struct sb_check_options){.ulp = 1, .rtol = 1e-6}, -EINVAL);
    report = ask(steady, NULL, (struct sb_check_options){.ulp = -1}, -EINVAL);
    report = ask(steady, NULL, (struct sb_check_options){.how = (enum sb_check_how)7}, -EINVAL);
    ck_assert_int_eq(sb_check_same_bits(steady, NULL, &(struct sb_check_options){0}, &report),
                     -EINVAL);
}
END_TEST

START_TEST(ignored_children_are_not_waited_for_forever)
{
    signal(SIGCHLD, SIG_IGN); /* then no exit status can be had */
    ask(steady, NULL, (struct sb_check_options){.how = SB_CHECK_FORK}, 0);
    ask(steady, NULL, (struct sb_check_options){.how = SB_CHECK_EXEC}, 0);
    struct sb_check_options options = {.environments = {"KNOB=abort"}};
    ck_assert_ptr_nonnull(strstr(ask(misbehave, NULL, options, -ECHILD).failure,
                                 "ended before the function returned"));
}
END_TEST

/* ---- In tests of Check -------------------------------------------------------------------------
 */

START_TEST(inner_passes)
{ sb_assert_same_bits(steady, NULL); }
END_TEST

START_TEST(inner_differs)
{ sb_assert_same_bits(by_threads, NULL, .threads = {1, 2}, .repeats = 2); }
END_TEST

START_TEST(inner_asserts)
{ sb_assert_same_bits(assert_of_check, NULL, .how = SB_CHECK_FORK, .timeout_s = 5); }
END_TEST

START_TEST(inner_is_last)
{
    const char *path = getenv("SAMEBITS_TEST_PATH");
    int file = open(path, O_WRONLY | O_APPEND);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, "x", 1), 1);
    close(file);
}
END_TEST

/* Messages of the failures in order. Returns how often the last test ran: a forked run that left
 * its function by Check's jump would run it too. */
static size_t run_inner(enum fork_status fork_status, char *messages[3]) {
    char path[] = "/tmp/samebits-check-XXXXXX";
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    setenv("SAMEBITS_TEST_PATH", path, 1);
    Suite *suite = suite_create("inner");
    const TTest *const tests[] = {inner_passes, inner_differs, inner_asserts, inner_is_last};
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *test_case = tcase_create(tests[i]->name);
        tcase_add_test(test_case, tests[i]);
        suite_add_tcase(suite, test_case);
    }
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, fork_status);
    srunner_run_all(runner, CK_SILENT);
    ck_assert_int_eq(srunner_ntests_run(runner), 4);
    ck_assert_int_eq(srunner_ntests_failed(runner), 2);
    TestResult **failures = srunner_failures(runner);
    for (size_t i = 0; i < 2; i++)
        messages[i] = strdup(tr_msg(failures[i]));
    free(failures);
    srunner_free(runner);
    off_t times = lseek(file, 0, SEEK_END);
    close(file);
    unlink(path);
    return (size_t)times;
}

static void inner_runner_fails_as_it_should(enum fork_status fork_status) {
    char *messages[3] = {0};
    ck_assert_uint_eq(run_inner(fork_status, messages), 1);
    ck_assert_str_eq(
        messages[0],
        "gradient[1,17]: 1.2500001 and 1.25 are 1 ulp apart (threads=2, run 1 against threads=1, "
        "run 1); 1 of 54 elements differs, at most 1 ulp; the 2 runs with threads=1 agree");
    /* A forked run still has Check's way to say it. */
    ck_assert_str_eq(messages[1], "Assertion '1 == 2' failed: 1 == 1, 2 == 2");
    free(messages[0]);
    free(messages[1]);
}

START_TEST(an_assertion_of_check_in_a_new_program_ends_it)
{
    struct sb_check_options options = {.how = SB_CHECK_EXEC};
    struct sb_check_report report = ask(assert_of_check, NULL, options, -ECHILD);
    ck_assert_ptr_nonnull(strstr(report.failure, "before the function returned"));
}
END_TEST

START_TEST(a_test_fails_with_the_message)
{ inner_runner_fails_as_it_should(CK_FORK); }
END_TEST

START_TEST(a_test_fails_with_the_message_without_forks_of_check)
{ inner_runner_fails_as_it_should(CK_NOFORK); }
END_TEST

int main(void) {
    sb_check_begin();
    const TTest *const tests[] = {
        equal_bits_pass_in_every_combination,
        a_difference_names_tensor_index_ulp_and_axis,
        an_environment_is_named_beside_the_one_as_it_is,
        what_differs_from_run_to_run_is_blamed_on_no_axis,
        a_new_program_has_other_addresses_and_a_forked_child_has_not,
        a_tolerance_allows_what_it_says,
        a_run_that_goes_wrong_is_named,
        a_function_without_outputs_is_no_pass,
        a_hundred_megabytes_are_compared,
        threads_that_nobody_started_are_noted,
        options_that_mean_nothing_are_refused,
        ignored_children_are_not_waited_for_forever,
        an_assertion_of_check_in_a_new_program_ends_it,
        a_test_fails_with_the_message,
        a_test_fails_with_the_message_without_forks_of_check,
    };
    return sb_tests_run("check-assertions", tests, sizeof tests / sizeof *tests);
}
