/* What both tests share: numbers of every size, as gradients have them, and a main function. */
#ifndef TEST_DOT_H
#define TEST_DOT_H

#include <check.h>
#include <samebits/check.h>

#include <math.h>
#include <stdlib.h>

typedef float dot_function(const float *a, const float *b, size_t n);

static inline void report_dot(struct sb_check *check, dot_function *dot, size_t n) {
    float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
    if (!a || !b)
        sb_check_fail(check, "no memory for 2 x %zu numbers", n);
    for (size_t i = 0; i < n; i++) {
        a[i] = sinf((float)i) / (float)(1 + i % 1000);
        b[i] = cosf((float)(3 * i));
    }
    float result = dot(a, b, n);
    sb_check_output(check, "dot", &result, SB_DTYPE_F32, 1);
    free(a);
    free(b);
}

static inline int run_test(const TTest *test) {
    Suite *suite = suite_create("dot");
    TCase *test_case = tcase_create("bits");
    tcase_set_timeout(test_case, 60);
    tcase_add_test(test_case, test);
    suite_add_tcase(suite, test_case);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
