/* Stage 1, suite: what the command line adds, replaces and selects, and suites of one command. */
#include "suite/tests/suites.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

static const char two_jobs[] =
    "version: 1\n"
    "defaults: {axes: {threads: [1, 2], path: [a]}}\n"
    "jobs:\n"
    "  - {name: a, command: [x], repeats: {min: 4, max: 9, stop: diverged}, ulp: 3, timeout: 5s,\n"
    "     exclude: [e], require: {threads: ignore, isa: ignore}}\n"
    "  - {name: g, kernel: gemm, backend: [ref, openblas], repeats: {min: 2, exact: true}}\n";

/* Overrides with one or two --vary. */
static struct sb_suite *parse_varied(const char *first, const char *second) {
    struct sb_suite_axis axes[2];
    struct sb_error err = {0};
    struct sb_overrides overrides = NO_OVERRIDES;
    overrides.axes = axes;
    overrides.n_axes = second ? 2 : 1;
    ck_assert_msg(sb_vary_parse(first, &axes[0], &err) == 0, "%s", err.text);
    if (second)
        ck_assert_msg(sb_vary_parse(second, &axes[1], &err) == 0, "%s", err.text);
    struct sb_suite *suite = parse_with(two_jobs, &overrides);
    for (size_t i = 0; i < overrides.n_axes; i++)
        sb_suite_axis_clear(&axes[i]);
    return suite;
}

START_TEST(vary_replaces_an_axis_or_adds_one_in_every_job)
{
    struct sb_suite *suite = parse_varied("threads=4,8,16", "env:X=,a b");
    for (size_t i = 0; i < suite->n_jobs; i++)
        assert_axes(&suite->jobs[i], "threads=4,8,16 path=a env:X=,a b");
    ck_assert_str_eq(suite->jobs[0].axes[0].where.file, "--vary");
    ck_assert_uint_eq(suite->jobs[0].axes[0].where.line, 0);
    struct sb_error err = {0};
    ck_assert_int_eq(sb_where_error(&err, -EINVAL, &suite->jobs[0].axes[0].level_where[1], "no"),
                     -EINVAL);
    ck_assert_str_eq(err.text, "--vary: no");
    sb_suite_free(suite);
}
END_TEST

START_TEST(the_command_lines_word_replaces_the_suites)
{
    static const struct sb_repeats repeats = {7, 0, false, false};
    static const enum sb_design design = SB_DESIGN_PAIRWISE;
    static const enum sb_need need = SB_NEED_ROUNDING;
    static const struct sb_tolerance tolerance = {1e-2, -1, -1};
    char *exclude[] = {(char *)"more", NULL};
    const struct sb_overrides overrides = {
        .repeats = &repeats,
        .design = &design,
        .require = &need,
        .tolerance = &tolerance,
        .timeout_s = 60,
        .exclude = exclude,
        .n_exclude = 1,
        .include = exclude,
        .n_include = 1,
    };
    struct sb_suite *suite = parse_with(two_jobs, &overrides);
    const struct sb_job *job = &suite->jobs[0];
    ck_assert_uint_eq(job->repeats.min, 7);
    ck_assert_uint_eq(job->repeats.max, 0);
    ck_assert(job->repeats.stop_diverged);
    ck_assert_int_eq(job->design, SB_DESIGN_PAIRWISE);
    ck_assert_double_eq(job->timeout_s, 60);
    assert_list(job->exclude, job->n_exclude, "e|more");
    assert_list(job->include, job->n_include, "more");
    ck_assert_double_eq(job->tolerance.rtol, 1e-2); /* and the suite's ulp no longer counts */
    ck_assert(job->tolerance.ulp < 0);
    static const char *const axes[] = {"repeats", "threads", "path", "isa"};
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++)
        ck_assert_int_eq(sb_job_need(job, axes[i]), SB_NEED_ROUNDING);
    ck_assert_int_eq(sb_job_need(&suite->jobs[1], "repeats"), SB_NEED_ROUNDING);
    ck_assert(suite->jobs[1].repeats.exact);
    sb_suite_free(suite);
}
END_TEST

START_TEST(exact_repeats_and_ranges_exclude_each_other)
{
    static const struct sb_repeats range = {5, 6, false, false};
    static const bool exact = true;
    struct sb_overrides overrides = NO_OVERRIDES;
    overrides.repeats = &range;
    struct sb_suite *suite = parse_with(two_jobs, &overrides);
    ck_assert(!suite->jobs[1].repeats.exact); /* a range was asked for */
    ck_assert_uint_eq(suite->jobs[1].repeats.max, 6);
    sb_suite_free(suite);

    overrides.repeats = NULL;
    overrides.exact = &exact;
    suite = parse_with(two_jobs, &overrides);
    ck_assert(suite->jobs[0].repeats.exact);
    ck_assert_uint_eq(suite->jobs[0].repeats.min, 4);
    ck_assert_uint_eq(suite->jobs[0].repeats.max, 0);
    ck_assert(!suite->jobs[0].repeats.stop_diverged);
    sb_suite_free(suite);

    overrides.repeats = &range;
    struct sb_error err = {0};
    suite = NULL;
    ck_assert_int_eq(sb_suite_parse(two_jobs, strlen(two_jobs), "a.yaml", &overrides, &suite, &err),
                     -EINVAL);
    ck_assert_str_eq(err.text, "--exact-repeats contradicts the range --repeats 5..6");
}
END_TEST

START_TEST(only_and_skip_choose_by_name_and_id)
{
    static const struct {
        const char *only, *skip, *ids;
    } cases[] = {
        {NULL, NULL, "a|g/ref|g/openblas"},      {"g", NULL, "g/ref|g/openblas"},
        {"g/*", NULL, "g/ref|g/openblas"},       {"g/open*", NULL, "g/openblas"},
        {"?", "g/ref", "a|g/openblas"},          {NULL, "a", "g/ref|g/openblas"},
        {NULL, "nothing", "a|g/ref|g/openblas"}, {NULL, "**", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *only[] = {(char *)cases[i].only, NULL}, *skip[] = {(char *)cases[i].skip, NULL};
        struct sb_overrides overrides = NO_OVERRIDES;
        overrides.only = only;
        overrides.n_only = cases[i].only != NULL;
        overrides.skip = skip;
        overrides.n_skip = cases[i].skip != NULL;
        struct sb_suite *suite = parse_with(two_jobs, &overrides);
        assert_ids(suite, cases[i].ids);
        sb_suite_free(suite);
    }
}
END_TEST

START_TEST(an_only_without_a_job_is_an_error_that_lists_them)
{
    char *only[] = {(char *)"a", (char *)"gem", NULL};
    struct sb_overrides overrides = NO_OVERRIDES;
    overrides.only = only;
    overrides.n_only = 2;
    struct sb_suite *suite = NULL;
    struct sb_error err = {0};
    ck_assert_int_eq(sb_suite_parse(two_jobs, strlen(two_jobs), "a.yaml", &overrides, &suite, &err),
                     -EINVAL);
    ck_assert_str_eq(err.text, "--only 'gem': no such job (a.yaml has: a, g/ref, g/openblas)");
}
END_TEST

/* ---- --vary --------------------------------------------------------------------------------- */

START_TEST(vary_splits_at_the_first_equals_and_at_commas)
{
    static const struct {
        const char *text, *expected; /* an error begins with --vary */
    } cases[] = {
        {"threads=1,2", "threads=1|2"},
        {"threads=1", "threads=1"},
        {"env:A=b=c,d", "env:A=b=c|d"},
        {"env:A=", "env:A="},
        {"env:A=,x", "env:A=|x"},
        {"lr=a\\,b,c", "lr=a,b|c"},
        {"lr=a\\b,c\\", "lr=a\\b|c\\"},
        {"lr= 1, 2", "lr= 1| 2"},
        {"threads", "--vary 'threads': write AXIS=LEVEL,LEVEL, such as threads=1,2"},
        {"", "--vary '': write AXIS=LEVEL,LEVEL, such as threads=1,2"},
        {"=1,2", "--vary '=1,2': an axis needs a name"},
        {"a b=1", "--vary 'a b=1': an axis is named by a letter and then letters, digits, _ and -"},
        {"env:=1", "--vary 'env:=1': env: needs the name of an environment variable"},
        {"threads=1,2,1", "--vary 'threads=1,2,1': level '1' is given twice"},
        {"threads=,", "--vary 'threads=,': level '' is given twice"},
        {"repeats=3",
         "--vary 'repeats=3': repeats are no axis: 'repeats' is a key of the job, and "
         "--repeats an option"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sb_suite_axis axis = {0};
        struct sb_error err = {0};
        SB_AUTO_TEXT struct sb_text text = {0};
        int rc = sb_vary_parse(cases[i].text, &axis, &err);
        ck_assert_int_eq(rc, *cases[i].expected == '-' ? -EINVAL : 0);
        if (rc < 0)
            sb_text_puts(&text, err.text);
        else
            sb_text_printf(&text, "%s=", axis.name);
        for (size_t j = 0; j < axis.n_levels; j++)
            sb_text_printf(&text, "%s%s", j ? "|" : "", axis.levels[j]);
        ck_assert_str_eq(text.data, cases[i].expected);
        sb_suite_axis_clear(&axis);
    }
}
END_TEST

START_TEST(repeats_are_a_number_or_a_range)
{
    static const struct {
        const char *text;
        unsigned min, max; /* min 0: refused */
    } cases[] = {
        {"3", 3, 0},
        {"1", 1, 0},
        {"3..50", 3, 50},
        {"3..3", 3, 3},
        {"0", 0, 0},
        {"", 0, 0},
        {"-1", 0, 0},
        {"..", 0, 0},
        {"3..", 0, 0},
        {"..3", 0, 0},
        {"5..3", 0, 0},
        {"0..3", 0, 0},
        {"3...5", 0, 0},
        {"3..5..7", 0, 0},
        {"x", 0, 0},
        {"1000001", 0, 0},
        {"00000000000000000000000000000000000003..5", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sb_repeats repeats = {0};
        int rc = sb_repeats_parse(cases[i].text, &repeats, NULL);
        ck_assert_msg(rc == (cases[i].min ? 0 : -EINVAL), "%s", cases[i].text);
        ck_assert_uint_eq(repeats.min, cases[i].min);
        ck_assert_uint_eq(repeats.max, cases[i].max);
    }
}
END_TEST

/* ---- One command ---------------------------------------------------------------------------- */

static struct sb_suite *adhoc(const char *const *command, const char *weights,
                              const struct sb_overrides *overrides) {
    struct sb_suite *suite = NULL;
    struct sb_error err = {0};
    size_t n = 0;
    while (command[n])
        n++;
    int rc = sb_suite_adhoc((char *const *)command, n, weights, overrides, &suite, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    ck_assert_uint_eq(suite->n_jobs, 1);
    return suite;
}

START_TEST(without_vary_three_axes_are_varied_one_at_a_time)
{
    static const char *const command[] = {"python3", "train.py", "a b", NULL};
    char cwd[PATH_MAX];
    ck_assert_ptr_nonnull(getcwd(cwd, sizeof cwd));
    struct sb_suite *suite = adhoc(command, "out/*.h5", NULL);
    const struct sb_job *job = &suite->jobs[0];
    ck_assert_str_eq(suite->path, "command line");
    ck_assert_ptr_null(suite->text);
    ck_assert_str_eq(job->id, "train.py");
    assert_list(job->command, job->n_command, "python3|train.py|a b");
    assert_axes(job, "hash_seed=0,1 threads=1,all deterministic=off,on");
    ck_assert_int_eq(job->design, SB_DESIGN_ONE_AT_A_TIME);
    ck_assert_uint_eq(job->repeats.min, 3);
    ck_assert_str_eq(job->weights, "out/*.h5");
    ck_assert_str_eq(job->directory, cwd);
    sb_suite_free(suite);
}
END_TEST

START_TEST(with_vary_exactly_those_axes_are_varied_and_the_design_is_full)
{
    static const char *const command[] = {"./train", NULL};
    static const enum sb_design design = SB_DESIGN_PAIRWISE;
    struct sb_suite_axis axis;
    ck_assert_int_eq(sb_vary_parse("threads=1,2", &axis, NULL), 0);
    struct sb_overrides overrides = NO_OVERRIDES;
    overrides.axes = &axis;
    overrides.n_axes = 1;
    struct sb_suite *suite = adhoc(command, NULL, &overrides);
    assert_axes(&suite->jobs[0], "threads=1,2");
    ck_assert_int_eq(suite->jobs[0].design, SB_DESIGN_FULL);
    ck_assert_ptr_null(suite->jobs[0].weights);
    sb_suite_free(suite);
    overrides.design = &design;
    suite = adhoc(command, NULL, &overrides);
    ck_assert_int_eq(suite->jobs[0].design, SB_DESIGN_PAIRWISE);
    sb_suite_free(suite);
    overrides.n_axes = 0;
    suite = adhoc(command, NULL, &overrides);
    ck_assert_uint_eq(suite->jobs[0].n_axes, 3);
    ck_assert_int_eq(suite->jobs[0].design, SB_DESIGN_PAIRWISE);
    sb_suite_free(suite);
    sb_suite_axis_clear(&axis);
}
END_TEST

START_TEST(a_command_is_named_after_its_script)
{
    static const struct {
        const char *command[6], *name;
    } cases[] = {
        {{"python3", "train.py"}, "train.py"},
        {{"python3", "-u", "jobs/train.py", "other.py"}, "train.py"},
        {{"env", "A=1", "python3.11", "t.py"}, "t.py"},
        {{"./run.sh", "train.py"}, "run.sh"},
        {{"/opt/bin/trainer", "--lr", "0.1", "data.csv"}, "trainer"},
        {{"python3", "-m", "pkg.train", "x"}, "pkg.train"},
        {{"python3", "-c", "import a; a.py"}, "python3"},
        {{"a\nb\xff"}, "a_b_"},
        {{"./"}, "./"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sb_suite *suite = adhoc(cases[i].command, NULL, NULL);
        ck_assert_str_eq(suite->jobs[0].name, cases[i].name);
        sb_suite_free(suite);
    }
}
END_TEST

START_TEST(a_wrong_command_line_is_answered)
{
    static const struct {
        const char *command[3], *weights, *message;
    } cases[] = {
        {{NULL}, NULL, "no command: write it after --, such as samebits run -- python3 train.py"},
        {{""}, NULL, "no command: write it after --, such as samebits run -- python3 train.py"},
        {{"a"},
         "/w.h5",
         "--weights: '/w.h5' is an absolute path; a run writes its weights below "
         "its own directory, and the path must be relative to it"},
        {{"a"}, "", "--weights: '' is empty"},
        {{"a", "{weights}"},
         NULL,
         "command line: {weights} stands for the path of the weights, "
         "and none is given (for a literal brace write '{{')"},
        {{"a", "{weights}"},
         "*.h5",
         "command line: {weights} stands for one path, and weights is "
         "the glob '*.h5'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sb_suite *suite = NULL;
        struct sb_error err = {0};
        size_t n = 0;
        while (cases[i].command[n])
            n++;
        ck_assert_int_eq(sb_suite_adhoc((char *const *)cases[i].command, n, cases[i].weights, NULL,
                                        &suite, &err),
                         -EINVAL);
        ck_assert_str_eq(err.text, cases[i].message);
    }
}
END_TEST

SB_TEST_MAIN("suite-overrides", vary_replaces_an_axis_or_adds_one_in_every_job,
             the_command_lines_word_replaces_the_suites,
             exact_repeats_and_ranges_exclude_each_other, only_and_skip_choose_by_name_and_id,
             an_only_without_a_job_is_an_error_that_lists_them,
             vary_splits_at_the_first_equals_and_at_commas, repeats_are_a_number_or_a_range,
             without_vary_three_axes_are_varied_one_at_a_time,
             with_vary_exactly_those_axes_are_varied_and_the_design_is_full,
             a_command_is_named_after_its_script, a_wrong_command_line_is_answered)
