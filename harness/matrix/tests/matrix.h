/* Tests of stage 2: machines, suites and setups to try it with. */
#ifndef SB_MATRIX_TESTS_MATRIX_H
#define SB_MATRIX_TESTS_MATRIX_H

#include "base/cleanup.h"
#include "base/text.h"
#include "matrix/axis.h"
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

/* Four CPUs, AVX2 and no AVX-512, all privileges: the same wherever the tests run. */
static inline struct sb_machine a_machine(void) {
    static int cpus[] = {0, 1, 2, 3};
    return (struct sb_machine){.cpus = cpus, .n_cpus = 4, .has_isa = {true, true, false}};
}

static inline const struct sb_axis *axis_named(const char *name) {
    const struct sb_axis *axis = sb_axis_find(name);
    ck_assert_msg(axis != NULL, "no axis %s", name);
    return axis;
}

/* Applies NAME=LEVEL to the setup. */
static inline void apply(struct sb_setup *setup, const char *name, const char *level) {
    struct sb_machine machine = a_machine();
    ck_assert_int_eq(axis_named(name)->apply(&machine, name, level, setup), 0);
}

static inline void has(const struct sb_setup *setup, const char *name, const char *value) {
    const char *is = sb_setup_get(setup, name);
    if (!value)
        ck_assert_msg(!is, "%s is %s", name, is);
    else
        ck_assert_msg(is && strcmp(is, value) == 0, "%s is %s, not %s", name, is ? is : "not set",
                      value);
}

#endif
