/* matrix: a suite's jobs to cells, and cells to setups. */
#include "matrix.h"

#include <errno.h>

static struct sb_suite *suite_of(const char *text) {
    struct sb_suite *suite = NULL;
    struct sb_error err = {0};
    int status = sb_suite_parse(text, strlen(text), "a.yaml", NULL, &suite, &err);
    ck_assert_msg(status == 0, "%s", err.text);
    return suite;
}

struct planned {
    struct sb_machine machine;
    struct sb_suite *suite;
    struct sb_plan *plan;
};

static void plan_with(struct planned *planned, const char *text) {
    struct sb_error err = {0};
    planned->suite = suite_of(text);
    int status = sb_plan_make(planned->suite, &planned->machine, &planned->plan, &err);
    ck_assert_msg(status == 0, "%s", err.text);
}

static void unplan(struct planned *planned) {
    sb_plan_free(planned->plan);
    sb_suite_free(planned->suite);
}

static void refused(const char *text, const char *expected) {
    struct sb_machine machine = a_machine();
    struct sb_suite *suite = suite_of(text);
    struct sb_plan *plan = NULL;
    struct sb_error err = {0};
    ck_assert_int_lt(sb_plan_make(suite, &machine, &plan, &err), 0);
    ck_assert_ptr_null(plan);
    ck_assert_msg(strstr(err.text, expected) != NULL, "%s", err.text);
    sb_suite_free(suite);
}

static struct sb_setup setup_of(const struct planned *planned, size_t job, size_t cell,
                                char *const *base) {
    struct sb_setup setup = {0};
    struct sb_error err = {0};
    const struct sb_job_plan *plan = &planned->plan->jobs[job];
    ck_assert_msg(sb_setup_make(planned->plan, plan, &plan->cells[cell], base, &setup, &err) == 0,
                  "%s", err.text);
    return setup;
}

#define HEAD "version: 1\njobs:\n  - name: j\n    weights: w.h5\n"

START_TEST(a_job_becomes_the_cells_of_its_design)
{
    struct planned planned = {.machine = a_machine()};
    plan_with(&planned, HEAD
              "    command: [./train]\n"
              "    axes: {threads: [1, 2], hash_seed: [0, 1, random]}\n");
    const struct sb_job_plan *job = &planned.plan->jobs[0];
    ck_assert_uint_eq(planned.plan->n_jobs, 1);
    ck_assert_uint_eq(job->n_axes, 2);
    ck_assert_uint_eq(job->n_cells, 6);
    ck_assert(!job->fractional);
    struct sb_setup setup = setup_of(&planned, 0, 5, NULL);
    has(&setup, "OMP_NUM_THREADS", "2");
    has(&setup, "PYTHONHASHSEED", "random");
    ck_assert_str_eq(setup.command[0], "./train");
    ck_assert_ptr_null(setup.command[1]);
    sb_setup_clear(&setup);
    unplan(&planned);
}
END_TEST

START_TEST(designs_that_leave_cells_out_say_so)
{
    struct planned planned = {.machine = a_machine()};
    plan_with(&planned, HEAD
              "    command: [./train]\n    design: one-at-a-time\n"
              "    axes: {threads: [1, 2], hash_seed: [0, 1]}\n"
              "  - name: k\n    weights: w.h5\n    command: [./train]\n"
              "    design: one-at-a-time\n    axes: {threads: [1, 2]}\n"
              "  - name: l\n    weights: w.h5\n    command: [./train]\n"
              "    axes: {}\n");
    ck_assert_uint_eq(planned.plan->jobs[0].n_cells, 3);
    ck_assert(planned.plan->jobs[0].fractional);
    ck_assert_uint_eq(planned.plan->jobs[1].n_cells, 2);
    ck_assert(!planned.plan->jobs[1].fractional);
    ck_assert_uint_eq(planned.plan->jobs[2].n_cells, 1);
    ck_assert(!planned.plan->jobs[2].fractional);
    unplan(&planned);
}
END_TEST

START_TEST(mistakes_are_answered_with_their_place_and_the_choices)
{
    refused(HEAD "    command: [./train]\n    require: {thread: bitwise}\n",
            "a.yaml:6:15: require: 'thread' is no axis of this suite");
    refused(HEAD "    command: [./train]\n    axes:\n      thread: [1, 2]\n",
            "a.yaml:7:7: unknown axis 'thread' (axes: hash_seed, threads, ");
    refused(HEAD "    command: [./train]\n    axes:\n      thread: [1, 2]\n",
            "env:NAME, or {thread} in the command); did you mean 'threads'?");
    refused(HEAD "    command: [./train]\n    axes:\n      isa: [sse2, avx3]\n",
            "a.yaml:7:19: axis 'isa': unknown level 'avx3' (this CPU has: sse2 avx2)");
    refused(
        HEAD "    command: [./train, '{lr}']\n    axes: {threads: [1, 2]}\n",
        "a.yaml:5:24: unknown placeholder '{lr}' (known: {weights}, {threads}, any varied axis; ");
    refused(HEAD "    command: [./train]\n    axes: {'env:A-B': [a, b]}\n",
            "'A-B' is no name of a variable");
    refused("version: 1\njobs:\n  - name: j\n    train: dense\n    axes: {lr: [1, 2]}\n",
            "unknown axis 'lr'");
    refused(HEAD "    command: [./train]\n    axes:\n      batch: [1, 2]\n",
            "a.yaml:7:7: axis 'batch' has a meaning for single kernels only");
}
END_TEST

START_TEST(a_design_that_is_too_large_names_the_job)
{
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_puts(&text, HEAD "    command: [./train]\n    axes:\n");
    for (int i = 0; i < 21; i++)
        sb_text_printf(&text, "      \"env:A%d\": [a, b]\n", i);
    refused(text.data, "a.yaml:3:");
    refused(text.data, "job 'j': the full design");
}
END_TEST

START_TEST(a_name_in_the_command_makes_any_flag_an_axis)
{
    struct planned planned = {.machine = a_machine()};
    plan_with(&planned, HEAD
              "    command: [./train, '--lr={lr}', '--out', '{weights}',\n"
              "      '{{lr}}', '{\"a\": {\"b\": 1}}', '{threads}/{batch}']\n"
              "    axes: {lr: ['0.1', '0.2'], threads: [all], batch: [8, 16]}\n");
    const struct sb_job_plan *job = &planned.plan->jobs[0];
    ck_assert_uint_eq(job->n_cells, 4);
    ck_assert_ptr_null(job->axes[0].axis);
    ck_assert(job->axes[0].in_command);
    ck_assert_ptr_null(job->axes[2].axis); /* a flag, whatever this build can vary */
    struct sb_setup setup = setup_of(&planned, 0, 3, NULL);
    const char *const expected[] = {
        "./train", "--lr=0.2", "--out", "w.h5", "{lr}", "{\"a\": {\"b\": 1}}", "4/16"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        ck_assert_str_eq(setup.command[i], expected[i]);
    has(&setup, "OMP_NUM_THREADS", "4");
    sb_setup_clear(&setup);
    unplan(&planned);
}
END_TEST

START_TEST(what_cannot_be_varied_here_is_left_out_with_its_reason)
{
    struct planned planned = {.machine = a_machine()};
    planned.machine.no_uts_namespace = (char[]){"no privilege"};
    planned.machine.no_probe = (char[]){"no library"};
    plan_with(&planned, HEAD
              "    command: [./train, '{hostname}']\n"
              "    axes: {hostname: [a, b], isa: [avx2, avx512], entropy: [live, "
              "frozen], locale: [xx_XX, C], threads: [1, 2]}\n");
    const struct sb_job_plan *job = &planned.plan->jobs[0];
    const struct sb_job_axis *hostname = &job->axes[0], *isa = &job->axes[1];
    ck_assert_uint_eq(hostname->n_levels, 0);
    ck_assert_uint_eq(hostname->n_written, 2);
    ck_assert_str_eq(hostname->unavailable, "hostname: no privilege");
    ck_assert_uint_eq(isa->n_levels, 1);
    ck_assert_str_eq(isa->levels[0], "avx2");
    ck_assert_str_eq(isa->written[1], "avx512");
    ck_assert_str_eq(isa->unavailable, "isa: this CPU has no avx512");
    ck_assert_uint_eq(job->axes[2].n_levels, 0);
    ck_assert_ptr_nonnull(strstr(job->axes[2].unavailable, "entropy: no library"));
    ck_assert_uint_eq(job->axes[3].n_levels, 0); /* its reference cannot be had */
    ck_assert_ptr_null(job->axes[4].unavailable);
    ck_assert_uint_eq(job->n_cells, 2);
    struct sb_setup setup = setup_of(&planned, 0, 1, NULL);
    ck_assert_ptr_null(setup.hostname);
    ck_assert_ptr_null(setup.locale);
    ck_assert_str_eq(setup.command[1], "a");
    has(&setup, "OPENBLAS_CORETYPE", "Haswell");
    sb_setup_clear(&setup);
    unplan(&planned);
}
END_TEST

START_TEST(levels_that_are_the_same_here_count_once)
{
    struct planned planned = {.machine = a_machine()};
    planned.machine.n_cpus = 1;
    plan_with(&planned, HEAD "    command: [./train]\n    axes: {threads: [1, all, 3]}\n");
    const struct sb_job_axis *threads = &planned.plan->jobs[0].axes[0];
    ck_assert_uint_eq(threads->n_levels, 2);
    ck_assert_str_eq(threads->levels[1], "3");
    ck_assert_str_eq(threads->unavailable, "threads: 'all' is the same as '1' here");
    unplan(&planned);
}
END_TEST

START_TEST(a_default_that_does_not_fit_a_command_is_dropped)
{
    struct planned planned = {.machine = a_machine()};
    plan_with(&planned,
              "version: 1\ndefaults:\n  axes: {resume: [none, 3], batch: [1, 2], threads: [1, 2]}\n"
              "jobs:\n  - name: j\n    command: [./train]\n    weights: w.h5\n"
              "  - name: k\n    train: dense\n");
    ck_assert_uint_eq(planned.plan->jobs[0].n_axes, 1);
    ck_assert_str_eq(planned.plan->jobs[0].axes[0].name, "threads");
    ck_assert_uint_eq(planned.plan->jobs[1].n_axes, 2);
    ck_assert_str_eq(planned.plan->jobs[1].axes[0].name, "resume");
    unplan(&planned);
}
END_TEST

START_TEST(the_environment_is_the_base_but_for_the_axes)
{
    struct planned planned = {.machine = a_machine()};
    plan_with(&planned, HEAD
              "    command: [./train]\n"
              "    axes: {\"env:OMP_NUM_THREADS\": ['7'], threads: [1, 2]}\n");
    char *const base[] = {(char[]){"A=1"}, (char[]){"OMP_NUM_THREADS=9"},
                          (char[]){"A=2"}, (char[]){"junk"},
                          (char[]){"=x"},  NULL};
    struct sb_setup setup = setup_of(&planned, 0, 1, base);
    has(&setup, "A", "1");
    has(&setup, "OMP_NUM_THREADS", "7"); /* who names one variable means it */
    has(&setup, "OPENBLAS_NUM_THREADS", "2");
    size_t n = 0;
    for (char **item = setup.environment; *item; item++)
        n += strncmp(*item, "A=", 2) == 0 || strcmp(*item, "junk") == 0;
    ck_assert_uint_eq(n, 1);
    sb_setup_clear(&setup);
    unplan(&planned);
}
END_TEST

START_TEST(a_job_without_axes_keeps_its_environment)
{
    struct planned planned = {.machine = a_machine()};
    plan_with(&planned, "version: 1\njobs:\n  - name: j\n    train: dense\n    axes: {}\n");
    char *const base[] = {(char[]){"A=1"}, NULL};
    struct sb_setup setup = setup_of(&planned, 0, 0, base);
    ck_assert_str_eq(setup.environment[0], "A=1");
    ck_assert_ptr_null(setup.environment[1]);
    ck_assert_ptr_null(setup.command);
    ck_assert(!setup.aslr_given);
    ck_assert_uint_eq(setup.threads, 0);
    sb_setup_clear(&setup);
    setup = setup_of(&planned, 0, 0, NULL);
    ck_assert_ptr_nonnull(setup.environment);
    sb_setup_clear(&setup);
    unplan(&planned);
}
END_TEST

static int refuse_avx2(void *context, const char *level, char **refused, struct sb_error *err) {
    (void)err;
    sb_text_printf(context, "%s ", level);
    if (strcmp(level, "avx2") == 0)
        *refused = strdup("results are off by 3e-2");
    return 0;
}

START_TEST(accuracy_is_asked_about_the_levels_that_are_varied_and_there)
{
    struct sb_machine machine = a_machine();
    SB_AUTO_TEXT struct sb_text asked = {0};
    sb_text_puts(&asked, "");
    struct sb_suite *suite = suite_of(HEAD "    command: [./train]\n    axes: {threads: [1, 2]}\n");
    ck_assert_int_eq(sb_machine_check_isa(&machine, suite, refuse_avx2, &asked, NULL), 0);
    ck_assert_uint_eq(asked.length, 0);
    sb_suite_free(suite);
    suite = suite_of(HEAD "    command: [./train]\n    axes: {isa: [sse2, avx2, avx512]}\n");
    ck_assert_int_eq(sb_machine_check_isa(&machine, suite, refuse_avx2, &asked, NULL), 0);
    ck_assert_int_eq(sb_machine_check_isa(&machine, suite, refuse_avx2, &asked, NULL), 0);
    ck_assert_str_eq(asked.data, "sse2 avx2 ");
    struct sb_plan *plan = NULL;
    ck_assert_int_eq(sb_plan_make(suite, &machine, &plan, NULL), 0);
    ck_assert_uint_eq(plan->jobs[0].axes[0].n_levels, 1);
    ck_assert_str_eq(plan->jobs[0].axes[0].unavailable,
                     "isa: results are off by 3e-2; this CPU has no avx512");
    sb_plan_free(plan);
    sb_suite_free(suite);
    free(machine.isa_refused[1]);
}
END_TEST

SB_TEST_MAIN("matrix-plan", a_job_becomes_the_cells_of_its_design,
             designs_that_leave_cells_out_say_so,
             mistakes_are_answered_with_their_place_and_the_choices,
             a_design_that_is_too_large_names_the_job, a_name_in_the_command_makes_any_flag_an_axis,
             what_cannot_be_varied_here_is_left_out_with_its_reason,
             levels_that_are_the_same_here_count_once,
             a_default_that_does_not_fit_a_command_is_dropped,
             the_environment_is_the_base_but_for_the_axes, a_job_without_axes_keeps_its_environment,
             accuracy_is_asked_about_the_levels_that_are_varied_and_there)
