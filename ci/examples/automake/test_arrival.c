#include "dot.h"
#include "test_dot.h"

static void compute(struct sb_check *check, void *data) {
    report_dot(check, dot_arrival, *(const size_t *)data);
}

START_TEST(an_order_of_arrival_keeps_its_bits)
{
    size_t n = 300001;
    sb_assert_same_bits(compute, &n, .data_size = sizeof n, .threads = {1, 2, 4});
}
END_TEST

int main(void) {
    sb_check_begin();
    return run_test(an_order_of_arrival_keeps_its_bits);
}
