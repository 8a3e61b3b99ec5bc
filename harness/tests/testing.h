/* Tests: a main function around Check that speaks TAP, so that every test is counted by name. */
#ifndef SB_TESTS_TESTING_H
#define SB_TESTS_TESTING_H

#include <check.h>
#include <stdio.h>

/* Last line of a test file: SB_TEST_MAIN("matrix-design", name_of_a_test, name_of_another) */
#define SB_TEST_MAIN(subject, ...)                                                                 \
    int main(void) {                                                                               \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        return sb_tests_run(subject, tests, sizeof tests / sizeof *tests);                         \
    }

/* For a main of one's own: the whole file cannot run on this machine. Returns the exit code. */
static inline int sb_tests_skip(const char *why) {
    printf("1..0 # SKIP %s\n", why);
    return 0;
}

/* Inside a test, before it returns: this machine lacks something. `why` is `needs CAPABILITY: …`,
 * of ci/check's list. Check knows no skipped tests and prints `ok`; ci/check takes the comment that
 * comes before a result for the result's own. */
static inline void sb_test_skip(const char *why) {
    printf("# SKIP %s\n", why);
    fflush(stdout);
}

static inline int sb_tests_run(const char *subject, const TTest *const *tests, size_t n) {
    Suite *suite = suite_create(subject);
    for (size_t i = 0; i < n; i++) {
        TCase *test_case = tcase_create(tests[i]->name);
        tcase_add_test(test_case, tests[i]);
        suite_add_tcase(suite, test_case);
    }
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

#endif
