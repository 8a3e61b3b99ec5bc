#include "columns.h"

#include <check.h>
#include <samebits/check.h>

#include <math.h>
#include <stdlib.h>

#ifndef COLUMNS_SUM
#define COLUMNS_SUM columns_sum_tree
#endif

enum { N_ROWS = 20011, N_COLUMNS = 12 };

static void compute(struct sb_check *check, void *data) {
    (void)data;
    float *matrix = malloc(sizeof(float[N_ROWS][N_COLUMNS])), sums[N_COLUMNS];
    if (!matrix)
        sb_check_fail(check, "no memory for the matrix");
    for (size_t i = 0; i < (size_t)N_ROWS * N_COLUMNS; i++)
        matrix[i] = sinf((float)i) / (float)(1 + i % 1000);
    if (COLUMNS_SUM(matrix, N_ROWS, N_COLUMNS, sums) < 0)
        sb_check_fail(check, "no memory for the sums");
    sb_check_output(check, "bias/gradient", sums, SB_DTYPE_F32, N_COLUMNS);
    free(matrix);
}

START_TEST(sums_keep_their_bits)
{
    sb_assert_same_bits(compute, NULL, .threads = {1, 2, 4},
                        .environments = {"OMP_SCHEDULE=dynamic"});
}
END_TEST

int main(void) {
    sb_check_begin();
    Suite *suite = suite_create("columns");
    TCase *test_case = tcase_create("bits");
    tcase_set_timeout(test_case, 60);
    tcase_add_test(test_case, sums_keep_their_bits);
    suite_add_tcase(suite, test_case);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
