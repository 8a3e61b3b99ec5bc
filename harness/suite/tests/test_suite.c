/* Stage 1, suite: every key, how jobs go over the defaults, and how lists multiply out. */
#include "suite/tests/suites.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* The suite of the design document. */
static const char design[] =
    "version: 1\n"
    "defaults:\n"
    "  repeats: 3                      # or {min: 3, max: 50, stop: diverged}\n"
    "  timeout: 10m\n"
    "  axes: {threads: [1, 2], hash_seed: [0, 1], deterministic: [off, on]}\n"
    "jobs:\n"
    "  - name: notebook\n"
    "    train: dense\n"
    "    backend: [ref, openblas]\n"
    "    args: {seed: 42, epochs: 3, batch_size: 16}\n"
    "    require: {repeats: bitwise, hash_seed: bitwise, threads: rounding}\n"
    "  - name: keras\n"
    "    command: [python3, jobs/keras_dense.py, \"{weights}\"]\n"
    "    weights: w.weights.h5\n"
    "    exclude: [\"optimizer/**\"]\n"
    "    inputs: [data/train.tfrecord]\n"
    "    axes: {\"env:TF_ENABLE_ONEDNN_OPTS\": [\"0\", \"1\"]}\n"
    "  - name: gemm\n"
    "    kernel: gemm\n"
    "    backend: [ref, openblas, cublas]\n"
    "    dtype: [f32, f64]\n"
    "    shapes: [[512, 512, 512], [33, 1000, 77]]\n"
    "  - name: race\n"
    "    command: [./hogwild]\n"
    "    weights: w.h5\n"
    "    expect: nondeterministic\n";

START_TEST(the_design_documents_suite_is_read)
{
    struct sb_suite *suite = parse(design);
    assert_ids(suite,
               "notebook/ref|notebook/openblas|keras|"
               "gemm/ref/f32/512x512x512|gemm/ref/f32/33x1000x77|"
               "gemm/ref/f64/512x512x512|gemm/ref/f64/33x1000x77|"
               "gemm/openblas/f32/512x512x512|gemm/openblas/f32/33x1000x77|"
               "gemm/openblas/f64/512x512x512|gemm/openblas/f64/33x1000x77|"
               "gemm/cublas/f32/512x512x512|gemm/cublas/f32/33x1000x77|"
               "gemm/cublas/f64/512x512x512|gemm/cublas/f64/33x1000x77|race");
    ck_assert_str_eq(suite->path, "a.yaml");
    ck_assert_str_eq(suite->text, design);

    const struct sb_job *notebook = &suite->jobs[1];
    ck_assert_int_eq(notebook->kind, SB_JOB_TRAIN);
    ck_assert_str_eq(notebook->name, "notebook");
    ck_assert_str_eq(notebook->subject, "dense");
    ck_assert_str_eq(notebook->backend, "openblas");
    ck_assert_ptr_null(notebook->dtype);
    ck_assert_str_eq(notebook->weights, "weights.h5");
    ck_assert_uint_eq(notebook->n_arguments, 3);
    ck_assert_str_eq(notebook->arguments[2].name, "batch_size");
    ck_assert_str_eq(notebook->arguments[2].value, "16");
    ck_assert_uint_eq(notebook->backend_where.line, 9);
    ck_assert_uint_eq(notebook->backend_where.column, 20);
    ck_assert_uint_eq(notebook->subject_where.column, 12);
    assert_axes(notebook, "threads=1,2 hash_seed=0,1 deterministic=off,on");

    const struct sb_job *keras = &suite->jobs[2];
    ck_assert_int_eq(keras->kind, SB_JOB_COMMAND);
    assert_list(keras->command, keras->n_command, "python3|jobs/keras_dense.py|{weights}");
    ck_assert_uint_eq(keras->command_where[2].line, 13);
    ck_assert_uint_eq(keras->command_where[2].column, 45);
    ck_assert_str_eq(keras->weights, "w.weights.h5");
    assert_list(keras->exclude, keras->n_exclude, "optimizer/**");
    assert_list(keras->inputs, keras->n_inputs, "data/train.tfrecord");
    assert_axes(keras,
                "threads=1,2 hash_seed=0,1 deterministic=off,on "
                "env:TF_ENABLE_ONEDNN_OPTS=0,1");
    ck_assert_double_eq(keras->timeout_s, 600);
    ck_assert_ptr_null(keras->backend);

    const struct sb_job *gemm = &suite->jobs[6];
    ck_assert_str_eq(gemm->dtype, "f64");
    ck_assert_uint_eq(gemm->n_shape, 3);
    ck_assert_uint_eq(gemm->shape[1], 1000);
    ck_assert_int_eq(suite->jobs[15].expect, SB_EXPECT_NONDETERMINISTIC);
    sb_suite_free(suite);
}
END_TEST

START_TEST(what_nothing_says_has_a_default)
{
    struct sb_suite *suite = parse(
        "version: 1\njobs:\n"
        "  - {name: c, command: [a]}\n"
        "  - {name: t, train: dense}\n"
        "  - {name: k, kernel: gemm}\n");
    for (size_t i = 0; i < 3; i++) {
        const struct sb_job *job = &suite->jobs[i];
        ck_assert_uint_eq(job->repeats.min, 3);
        ck_assert_uint_eq(job->repeats.max, 0);
        ck_assert(!job->repeats.exact && !job->repeats.stop_diverged);
        ck_assert_double_eq(job->timeout_s, 0);
        ck_assert_int_eq(job->design, SB_DESIGN_FULL);
        ck_assert_int_eq(job->expect, SB_EXPECT_NOTHING);
        ck_assert(job->tolerance.rtol < 0 && job->tolerance.atol < 0 && job->tolerance.ulp < 0);
        ck_assert_uint_eq(job->n_axes + job->n_require + job->n_exclude + job->n_inputs, 0);
        ck_assert_str_eq(job->id, job->name);
    }
    ck_assert_ptr_null(suite->jobs[0].weights);
    ck_assert_ptr_null(suite->jobs[0].backend);
    ck_assert_str_eq(suite->jobs[1].backend, "ref");
    ck_assert_str_eq(suite->jobs[2].backend, "ref");
    ck_assert_str_eq(suite->jobs[2].dtype, "f32");
    ck_assert_ptr_null(suite->jobs[2].shape);
    sb_suite_free(suite);
}
END_TEST

START_TEST(levels_and_arguments_stay_source_text)
{
    struct sb_suite *suite = parse_job(
        "    command: [a, 1, off, ~, 1.50, \"\", 'b c', 0x10]\n"
        "    axes:\n"
        "      deterministic: [off, on, no, true, null, ~]\n"
        "      memory: [0x00, 00, 0, \"\", 1_000, 1e3, 12:30]\n"
        "      \"env:A\": yes\n");
    const struct sb_job *job = &suite->jobs[0];
    assert_list(job->command, job->n_command, "a|1|off|~|1.50||b c|0x10");
    assert_axes(job,
                "deterministic=off,on,no,true,null,~ "
                "memory=0x00,00,0,,1_000,1e3,12:30 env:A=yes");
    sb_suite_free(suite);
}
END_TEST

START_TEST(nodes_know_their_line_and_column)
{
    struct sb_suite *suite = parse(
        "\xef\xbb\xbfversion: 1 # a byte order mark moves nothing\n"
        "jobs:\n"
        "  - name: j\n"
        "    kernel: gemm\n"
        "    dtype: f64\n"
        "    require: {threads: ignore}\n"
        "    axes: {\"env:\u00e9\": 1, threads: [1,\n"
        "                  2]}\n");
    const struct sb_job *job = &suite->jobs[0];
    const struct {
        const struct sb_where *where;
        unsigned line, column;
    } cases[] = {
        {&job->where, 3, 5},
        {&job->subject_where, 4, 13},
        {&job->dtype_where, 5, 12},
        {&job->require[0].where, 6, 15},
        {&job->axes[0].where, 7, 12},
        {&job->axes[1].where, 7, 24}, /* characters count, not bytes */
        {&job->axes[1].level_where[0], 7, 34},
        {&job->axes[1].level_where[1], 8, 19},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_str_eq(cases[i].where->file, "a.yaml");
        ck_assert_uint_eq(cases[i].where->line, cases[i].line);
        ck_assert_uint_eq(cases[i].where->column, cases[i].column);
    }
    sb_suite_free(suite);
}
END_TEST

START_TEST(a_jobs_axes_go_over_the_defaults)
{
    struct sb_suite *suite = parse(
        "version: 1\n"
        "defaults: {axes: {threads: [1, 2], hash_seed: [0, 1], isa: [a]}}\n"
        "jobs:\n"
        "  - {name: a, command: [x]}\n"
        "  - {name: b, command: [x], axes: {threads: [4], path: [p, q]}}\n"
        "  - {name: c, command: [x], axes: {threads: [], isa: }}\n"
        "  - {name: d, command: [x], axes: {hash_seed: ~}}\n");
    assert_axes(&suite->jobs[0], "threads=1,2 hash_seed=0,1 isa=a");
    assert_axes(&suite->jobs[1], "threads=4 hash_seed=0,1 isa=a path=p,q");
    assert_axes(&suite->jobs[2], "hash_seed=0,1");
    assert_axes(&suite->jobs[3], "threads=1,2 isa=a");
    sb_suite_free(suite);
}
END_TEST

START_TEST(a_jobs_keys_replace_the_defaults)
{
    struct sb_suite *suite = parse(
        "version: 1\n"
        "defaults:\n"
        "  repeats: {min: 5, max: 9}\n"
        "  timeout: 1h\n"
        "  design: pairwise\n"
        "  rtol: 1e-3\n"
        "  atol: 1e-4\n"
        "  exclude: [a, b]\n"
        "  include: c\n"
        "  inputs: [d]\n"
        "  weights: out/*.h5\n"
        "  backend: [ref, openblas]\n"
        "  dtype: f64\n"
        "  args: {seed: 1, epochs: 2}\n"
        "  expect: config-dependent\n"
        "jobs:\n"
        "  - {name: as-it-is, command: [x]}\n"
        "  - {name: replaced, command: [x], repeats: 2, timeout: none, design: full, ulp: 4,\n"
        "     exclude: [], include: [e], inputs: [], weights: w.h5, expect: nondeterministic}\n"
        "  - {name: t, train: dense, args: {seed: 7, depth: 3, epochs: }}\n"
        "  - {name: k, kernel: gemm, backend: ref, atol: 0}\n");
    assert_ids(suite, "as-it-is|replaced|t/ref|t/openblas|k");
    const struct sb_job *job = &suite->jobs[0];
    ck_assert_uint_eq(job->repeats.min, 5);
    ck_assert_uint_eq(job->repeats.max, 9);
    ck_assert_double_eq(job->timeout_s, 3600);
    ck_assert_int_eq(job->design, SB_DESIGN_PAIRWISE);
    ck_assert_double_eq(job->tolerance.rtol, 1e-3);
    ck_assert_double_eq(job->tolerance.atol, 1e-4);
    assert_list(job->exclude, job->n_exclude, "a|b");
    assert_list(job->include, job->n_include, "c");
    assert_list(job->inputs, job->n_inputs, "d");
    ck_assert_str_eq(job->weights, "out/*.h5");
    ck_assert_int_eq(job->expect, SB_EXPECT_CONFIG_DEPENDENT);
    ck_assert_ptr_null(job->backend);
    ck_assert_uint_eq(job->n_arguments, 0);

    job = &suite->jobs[1];
    ck_assert_uint_eq(job->repeats.min, 2);
    ck_assert_uint_eq(job->repeats.max, 0);
    ck_assert_double_eq(job->timeout_s, 0);
    ck_assert_int_eq(job->design, SB_DESIGN_FULL);
    ck_assert_double_eq(job->tolerance.ulp, 4); /* instead of the defaults' rtol and atol */
    ck_assert(job->tolerance.rtol < 0 && job->tolerance.atol < 0);
    ck_assert_uint_eq(job->n_exclude, 0);
    assert_list(job->include, job->n_include, "e");
    ck_assert_uint_eq(job->n_inputs, 0);
    ck_assert_str_eq(job->weights, "w.h5");

    job = &suite->jobs[2];
    ck_assert_uint_eq(job->n_arguments, 2);
    ck_assert_str_eq(job->arguments[0].value, "7");
    ck_assert_str_eq(job->arguments[1].name, "depth");
    ck_assert_str_eq(job->weights, "weights.h5"); /* the defaults' is for commands */

    job = &suite->jobs[4];
    ck_assert_str_eq(job->dtype, "f64");
    ck_assert_double_eq(job->tolerance.rtol, 1e-3);
    ck_assert_double_eq(job->tolerance.atol, 0);
    sb_suite_free(suite);
}
END_TEST

START_TEST(requirements_say_what_an_axis_must_hold)
{
    struct sb_suite *suite = parse(
        "version: 1\n"
        "defaults: {axes: {threads: [1], path: [a]},\n"
        "           require: {threads: ignore}}\n"
        "jobs:\n"
        "  - {name: a, command: [x]}\n"
        "  - {name: b, command: [x], require: bitwise}\n"
        "  - {name: c, command: [x], require: {repeats: rounding}}\n");
    static const struct {
        size_t job;
        const char *axis;
        enum sb_need need;
    } cases[] = {
        {0, "repeats", SB_NEED_BITWISE},        {0, "threads", SB_NEED_IGNORE},
        {0, "path", SB_NEED_BITWISE},           {0, "isa", SB_NEED_ROUNDING},
        {0, "deterministic", SB_NEED_ROUNDING}, {0, "hash_seed", SB_NEED_BITWISE},
        {0, "env:X", SB_NEED_BITWISE},          {1, "repeats", SB_NEED_BITWISE},
        {1, "threads", SB_NEED_BITWISE},        {1, "path", SB_NEED_BITWISE},
        {2, "repeats", SB_NEED_ROUNDING},       {2, "threads", SB_NEED_IGNORE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_int_eq(sb_job_need(&suite->jobs[cases[i].job], cases[i].axis), cases[i].need);
    sb_suite_free(suite);

    /* One need for all in the defaults, and an exception in the job. */
    suite = parse(
        "version: 1\n"
        "defaults: {axes: {threads: [1], path: [a]}, require: rounding}\n"
        "jobs: [{name: a, command: [x], axes: {isa: b}, require: {path: ignore}}]\n");
    ck_assert_int_eq(sb_job_need(&suite->jobs[0], "repeats"), SB_NEED_ROUNDING);
    ck_assert_int_eq(sb_job_need(&suite->jobs[0], "path"), SB_NEED_IGNORE);
    ck_assert_int_eq(sb_job_need(&suite->jobs[0], "isa"), SB_NEED_ROUNDING);
    ck_assert_uint_eq(suite->jobs[0].n_require, 4);
    sb_suite_free(suite);
}
END_TEST

START_TEST(repeats_have_three_forms)
{
    static const struct {
        const char *text;
        struct sb_repeats repeats;
    } cases[] = {
        {"3", {3, 0, false, false}},
        {"1", {1, 0, false, false}},
        {"3..50", {3, 50, false, false}},
        {"{min: 3, max: 50, stop: diverged}", {3, 50, false, true}},
        {"{max: 50}", {3, 50, false, false}},
        {"{stop: diverged}", {3, 0, false, true}},
        {"{min: 5, exact: true}", {5, 0, true, false}},
        {"{min: 5, exact: false}", {5, 0, false, false}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *lines = sb_format("    command: [a]\n    repeats: %s\n", cases[i].text);
        struct sb_suite *suite = parse_job(lines);
        const struct sb_repeats *repeats = &suite->jobs[0].repeats;
        ck_assert_uint_eq(repeats->min, cases[i].repeats.min);
        ck_assert_uint_eq(repeats->max, cases[i].repeats.max);
        ck_assert_int_eq(repeats->exact, cases[i].repeats.exact);
        ck_assert_int_eq(repeats->stop_diverged, cases[i].repeats.stop_diverged);
        sb_suite_free(suite);
        free(lines);
    }
}
END_TEST

START_TEST(durations_have_units)
{
    static const struct {
        const char *text;
        double seconds; /* < 0: refused */
    } cases[] = {
        {"90", 90},          {"90s", 90},
        {"10m", 600},        {"1h", 3600},
        {"250ms", 0.25},     {"1.5h", 5400},
        {"2d", 172800},      {"0", 0},
        {"none", 0},         {"", -1},
        {"s", -1},           {"1x", -1},
        {"-1s", -1},         {"1 s", -1},
        {"1h30m", -1},       {"1e3", -1},
        {".", -1},           {"1..2", -1},
        {"99999999999", -1}, {"11111111111111111111111111111111111111", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double seconds = -5;
        int rc = sb_duration_parse(cases[i].text, &seconds, NULL);
        ck_assert_msg(rc == (cases[i].seconds < 0 ? -EINVAL : 0), "%s", cases[i].text);
        ck_assert_double_eq(seconds, cases[i].seconds < 0 ? -5 : cases[i].seconds);
    }
}
END_TEST

START_TEST(anchors_aliases_and_merge_keys_work)
{
    struct sb_suite *suite = parse(
        "version: 1\n"
        "jobs:\n"
        "  - &base\n"
        "    name: a\n"
        "    command: &python [python3, \"a#b\"]\n"
        "    timeout: 5s\n"
        "    axes: &axes {threads: &few [1, 2]}\n"
        "  - <<: *base\n"
        "    name: b\n"
        "    timeout: 6s\n"
        "  - <<: [{design: pairwise}, {design: full, timeout: 7s}]\n"
        "    name: c\n"
        "    command: *python\n"
        "    axes: {<<: *axes, hash_seed: *few}\n");
    assert_ids(suite, "a|b|c");
    assert_list(suite->jobs[1].command, 2, "python3|a#b");
    ck_assert_double_eq(suite->jobs[1].timeout_s, 6);
    assert_axes(&suite->jobs[1], "threads=1,2");
    ck_assert_int_eq(suite->jobs[2].design, SB_DESIGN_PAIRWISE);
    ck_assert_double_eq(suite->jobs[2].timeout_s, 7);
    assert_axes(&suite->jobs[2], "hash_seed=1,2 threads=1,2");
    sb_suite_free(suite);
}
END_TEST

static void assert_refused(struct sb_text *text, const char *part) {
    struct sb_suite *suite = NULL;
    struct sb_error err = {0};
    ck_assert(!text->failed);
    ck_assert_int_eq(sb_suite_parse(text->data, text->length, "a.yaml", NULL, &suite, &err),
                     -EINVAL);
    ck_assert_msg(strstr(err.text, part) != NULL, "%s", err.text);
    ck_assert_ptr_null(suite);
    sb_text_clear(text);
}

START_TEST(what_grows_without_measure_is_refused)
{
    struct sb_text text = {0};
    sb_text_puts(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        sb_text_printf(&text, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            sb_text_printf(&text, "%s*a%d", j ? ", " : "", i - 1);
        sb_text_puts(&text, "]\n");
    }
    assert_refused(&text, "counting what aliases repeat");

    for (int i = 0; i < 100000; i++)
        sb_text_puts(&text, i % 2 ? "[" : "{a: ");
    assert_refused(&text, "deep");

    sb_text_puts(&text, "version: 1\njobs:\n  - {name: j, command: [a], axes: {a: [");
    for (int i = 0; i < 65; i++)
        sb_text_printf(&text, "%s%d", i ? ", " : "", i);
    sb_text_puts(&text, "]}}\n");
    assert_refused(&text, "axis 'a': more than 64 levels");

    sb_text_puts(&text, "version: 1\njobs:\n  - {name: j, command: [a], axes: {");
    for (int i = 0; i < 65; i++)
        sb_text_printf(&text, "%sa%d: 1", i ? ", " : "", i);
    sb_text_puts(&text, "}}\n");
    assert_refused(&text, "more than 64 axes");

    /* 300 shapes × 300 dtypes */
    sb_text_puts(&text, "version: 1\njobs:\n  - {name: j, kernel: g, dtype: [0");
    for (int i = 1; i < 300; i++)
        sb_text_printf(&text, ", %d", i);
    sb_text_puts(&text, "], shapes: [[1]");
    for (int i = 2; i < 300; i++)
        sb_text_printf(&text, ", [%d]", i);
    sb_text_puts(&text, "]}\n");
    assert_refused(&text, "more than 10000 jobs");

    /* 4000 long globs in each of 2000 jobs */
    sb_text_puts(&text, "version: 1\ndefaults:\n  exclude: [a");
    for (int i = 0; i < 4000; i++)
        sb_text_printf(&text, ", %0100d", i);
    sb_text_puts(&text, "]\njobs:\n");
    for (int i = 0; i < 2000; i++)
        sb_text_printf(&text, "  - {name: j%d, command: [a]}\n", i);
    assert_refused(&text, "multiply out to more than fits in memory");
}
END_TEST

START_TEST(a_suites_commands_run_in_its_folder)
{
    char folder[] = "/tmp/samebits-suite-XXXXXX", cwd[PATH_MAX];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    char *real = realpath(folder, NULL), *path = sb_format("%s/sub/s.yaml", folder),
         *sub = sb_format("%s/sub", real);
    ck_assert_int_eq(mkdir(sub, 0700), 0);
    FILE *file = fopen(path, "w");
    fputs("version: 1\njobs: [{name: a, command: [x]}]\n", file);
    fclose(file);
    ck_assert_ptr_nonnull(getcwd(cwd, sizeof cwd));
    ck_assert_int_eq(chdir(folder), 0);
    static const char *const paths[] = {"sub/s.yaml", "./sub/../sub/s.yaml"};
    for (size_t i = 0; i < 2; i++) {
        struct sb_suite *suite = NULL;
        ck_assert_int_eq(sb_suite_load(paths[i], NULL, &suite, NULL), 0);
        ck_assert_str_eq(suite->jobs[0].directory, sub);
        ck_assert_str_eq(suite->path, paths[i]);
        sb_suite_free(suite);
    }
    struct sb_suite *none = NULL;
    struct sb_error err = {0};
    ck_assert_int_eq(sb_suite_load("none.yaml", NULL, &none, &err), -ENOENT);
    ck_assert_str_eq(err.text, "none.yaml: No such file or directory");
    ck_assert_int_eq(sb_suite_load("sub", NULL, &none, &err), -EISDIR);
    ck_assert_int_eq(chdir(cwd), 0);
    unlink(path);
    rmdir(sub);
    rmdir(folder);
    free(real);
    free(path);
    free(sub);
}
END_TEST

/* ---- Placeholders --------------------------------------------------------------------------- */

START_TEST(placeholders_are_names_in_braces_and_json_is_left_alone)
{
    static const struct {
        const char *argument, *expected; /* names as <name> */
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"{weights}", "<weights>"},
        {"--out={weights}.bak", "--out=<weights>.bak"},
        {"{a}{b-c}{_d1}", "<a><b-c><_d1>"},
        {"{env:HOME}", "<env:HOME>"},
        {"{env:}", "{env:}"},
        {"{env:A-B}", "{env:A-B}"},
        {"{{a}}", "{a}"},
        {"{{{a}}}", "{<a>}"},
        {"{{", "{"},
        {"}}", "}}"},
        {"{{}}", "{}"},
        {"{}", "{}"},
        {"{", "{"},
        {"{a", "{a"},
        {"{ a }", "{ a }"},
        {"{1}", "{1}"},
        {"{a b}", "{a b}"},
        {"{\"a\": {\"b\": {}}}", "{\"a\": {\"b\": {}}}"},
        {"{\"a\": {b}}", "{\"a\": <b>}"},
        {"a}b{c", "a}b{c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SB_AUTO_TEXT struct sb_text text = {0};
        struct sb_placeholders walk = {.at = cases[i].argument};
        const char *piece;
        size_t n;
        sb_text_puts(&text, "");
        for (enum sb_piece kind; (kind = sb_placeholder_next(&walk, &piece, &n));) {
            sb_text_puts(&text, kind == SB_PIECE_NAME ? "<" : "");
            sb_text_add(&text, piece, n);
            sb_text_puts(&text, kind == SB_PIECE_NAME ? ">" : "");
        }
        ck_assert_str_eq(text.data, cases[i].expected);
    }
}
END_TEST

SB_TEST_MAIN("suite", the_design_documents_suite_is_read, what_nothing_says_has_a_default,
             levels_and_arguments_stay_source_text, nodes_know_their_line_and_column,
             a_jobs_axes_go_over_the_defaults, a_jobs_keys_replace_the_defaults,
             requirements_say_what_an_axis_must_hold, repeats_have_three_forms,
             durations_have_units, anchors_aliases_and_merge_keys_work,
             what_grows_without_measure_is_refused, a_suites_commands_run_in_its_folder,
             placeholders_are_names_in_braces_and_json_is_left_alone)
