/* Stage 3, run: built-in jobs, checked before a run and done in a process of their own. */
#include <samebits/run.h>
#include <samebits/weights.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "tests/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

/* For a link in which nothing else asks for the scheduler's own, which comes before this one. */
__attribute__((weak)) volatile sig_atomic_t sb_interrupted;

/* ---- A folder, and a worker in it ------------------------------------------------------------ */

static char folder[64];

static void enter_folder(void) {
    snprintf(folder, sizeof folder, "/tmp/samebits-worker-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    static const char *const names[] = {"SAMEBITS_THREADS", "OMP_NUM_THREADS", "SAMEBITS_HASH_SEED",
                                        "SAMEBITS_DETERMINISTIC"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    setenv("SAMEBITS_REPORT", "report.json", 1);
}

static void leave_folder(void) {
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(sb_remove_tree(folder, NULL), 0);
}

/* The exit code of a worker; its output is in "output". Arguments end with NULL. `before` runs
 * first in the child. */
static int worker_after(void (*before)(void), va_list arguments) {
    char *argv[32] = {(char *)"worker"};
    int argc = 1;
    while ((argv[argc] = va_arg(arguments, char *)))
        argc++;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        int output = open("output", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(output, 1);
        dup2(output, 2);
        if (before)
            before();
        int code = sb_worker_main(argc, argv);
        fflush(NULL);
        _exit(code);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int worker(const char *first, ...) __attribute__((sentinel));
static int worker(const char *first, ...) {
    va_list arguments;
    va_start(arguments, first);
    /* `first` says only where the arguments begin. */
    (void)first;
    int code = worker_after(NULL, arguments);
    va_end(arguments);
    return code;
}

static char *output(void) {
    char *text;
    ck_assert_int_eq(sb_file_read("output", 65536, &text, NULL, NULL), 0);
    return text;
}

static json_t *report(void) {
    json_error_t err;
    json_t *json = json_load_file("report.json", 0, &err);
    ck_assert_msg(json != NULL, "%s", err.text);
    return json;
}

static void fingerprint_of(const char *path, struct sb_fingerprint *fingerprint) {
    char *paths[] = {(char *)path};
    struct sb_weights_files files = {.paths = paths, .n = 1};
    struct sb_weights_options options = {0};
    struct sb_error err = {0};
    int rc = sb_weights_fingerprint(&files, &options, fingerprint, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
}

/* ---- Runs ------------------------------------------------------------------------------------ */

START_TEST(a_training_writes_weights_and_a_report)
{
    enter_folder();
    setenv("SAMEBITS_THREADS", "2", 1);
    setenv("SAMEBITS_HASH_SEED", "7", 1);
    setenv("SAMEBITS_DETERMINISTIC", "1", 1);
    ck_assert_int_eq(worker("", "train", "dense", "--backend", "ref", "--arg", "epochs=2",
                            "--weights", "w.h5", NULL),
                     0);
    struct sb_fingerprint fingerprint = {0};
    fingerprint_of("w.h5", &fingerprint);
    ck_assert_uint_eq(fingerprint.n_tensors, 4);
    ck_assert_str_eq(fingerprint.tensors[0].info.name, "layers/dense/vars/0");
    ck_assert_str_eq(fingerprint.tensors[3].info.name, "layers/dense_1/vars/1");
    ck_assert(fingerprint.tensors[0].info.dtype == SB_DTYPE_F32);
    ck_assert_uint_eq(fingerprint.tensors[0].info.dims[1], 8);
    sb_fingerprint_clear(&fingerprint);
    SB_AUTO_JSON json_t *json = report();
    ck_assert_str_eq(json_string_value(json_object_get(json, "backend")), "ref");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "threads")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "hash_seed")), 7);
    ck_assert(json_is_true(json_object_get(json, "deterministic")));
    ck_assert(json_is_false(json_object_get(json, "untrained")));
    ck_assert_str_eq(json_string_value(json_object_get(json, "rounding_mode")), "nearest");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "losses")), 2);
    leave_folder();
}
END_TEST

START_TEST(the_same_training_has_the_same_fingerprint_on_any_thread_count)
{
    enter_folder();
    struct sb_fingerprint one = {0}, two = {0};
    setenv("SAMEBITS_THREADS", "1", 1);
    ck_assert_int_eq(worker("", "train", "dense", "--backend", "ref", "--weights", "a.h5", NULL),
                     0);
    setenv("SAMEBITS_THREADS", "3", 1);
    ck_assert_int_eq(worker("", "train", "dense", "--backend", "ref", "--weights", "b.h5", NULL),
                     0);
    fingerprint_of("a.h5", &one);
    fingerprint_of("b.h5", &two);
    ck_assert_str_eq(one.text, two.text);
    sb_fingerprint_clear(&one);
    sb_fingerprint_clear(&two);
    leave_folder();
}
END_TEST

START_TEST(a_kernel_writes_its_output_and_its_accuracy)
{
    enter_folder();
    ck_assert_int_eq(worker("", "kernel", "gemm", "--backend", "ref", "--dtype", "f64", "--shape",
                            "33x20x77", "--arg", "transpose_b=1", "--weights", "w.h5", NULL),
                     0);
    struct sb_fingerprint fingerprint = {0};
    fingerprint_of("w.h5", &fingerprint);
    ck_assert_uint_eq(fingerprint.n_tensors, 1);
    ck_assert_str_eq(fingerprint.tensors[0].info.name, "gemm/output");
    ck_assert(fingerprint.tensors[0].info.dtype == SB_DTYPE_F64);
    ck_assert_uint_eq(fingerprint.tensors[0].info.dims[0], 33);
    ck_assert_uint_eq(fingerprint.tensors[0].info.dims[1], 20);
    sb_fingerprint_clear(&fingerprint);
    SB_AUTO_JSON json_t *json = report();
    json_t *accuracy = json_object_get(json, "accuracy");
    double error = json_real_value(json_object_get(accuracy, "max_rel_vs_f64"));
    ck_assert(error > 0 && error < 1e-13);
    ck_assert_ptr_null(json_object_get(json, "untrained"));
    ck_assert_str_eq(json_string_value(json_object_get(json, "hash_seed")), "random");
    leave_folder();
}
END_TEST

START_TEST(a_training_without_steps_reports_untrained)
{
    enter_folder();
    ck_assert_int_eq(worker("", "train", "dense", "--arg", "epochs=0", "--weights", "w.h5", NULL),
                     0);
    SB_AUTO_JSON json_t *json = report();
    ck_assert(json_is_true(json_object_get(json, "untrained")));
    leave_folder();
}
END_TEST

START_TEST(what_a_backend_has_not_exits_77_and_says_why)
{
    enter_folder();
    ck_assert_int_eq(
        worker("", "kernel", "relu", "--backend", "openblas", "--weights", "w.h5", NULL), 77);
    SB_AUTO_JSON json_t *json = report();
    ck_assert_int_eq(strncmp(json_string_value(json_object_get(json, "unsupported")),
                             "backend 'openblas': no kernel 'relu' (", 38),
                     0);
    ck_assert_int_ne(access("w.h5", F_OK), 0);
    leave_folder();
}
END_TEST

START_TEST(mistakes_exit_2_and_write_nothing)
{
    enter_folder();
    ck_assert_int_eq(worker("", "train", "dense", "--weights", NULL), 2);
    ck_assert_int_eq(worker("", "train", "dense", NULL), 2);
    ck_assert_int_eq(worker("", "train", "dens", "--weights", "w.h5", NULL), 2);
    ck_assert_int_eq(worker("", "train", "dense", "--weigths", "w.h5", NULL), 2);
    ck_assert_int_eq(worker("", "train", "dense", "--backend", "x", "--weights", "w.h5", NULL), 2);
    ck_assert_int_eq(worker("", "kernel", "gemm", "--shape", "3x", "--weights", "w.h5", NULL), 2);
    ck_assert_int_eq(worker("", "kernel", "gemm", "--shape", "3x4", "--weights", "w.h5", NULL), 2);
    ck_assert_int_eq(
        worker("", "kernel", "gemm", "--shape", "1x1x1x1x1x1x1x1x1x1", "--weights", "w.h5", NULL),
        2);
    ck_assert_int_eq(worker("", "train", "dense", "--arg", "epochs", "--weights", "w.h5", NULL), 2);
    ck_assert_int_eq(worker("", "frobnicate", NULL), 2);
    ck_assert_int_eq(worker("", "train", "dense", "--weights", "no/such/folder/w.h5", NULL), 2);
    setenv("SAMEBITS_HASH_SEED", "x", 1);
    ck_assert_int_eq(worker("", "train", "dense", "--weights", "w.h5", NULL), 2);
    setenv("SAMEBITS_HASH_SEED", "1", 1);
    setenv("SAMEBITS_THREADS", "0", 1);
    ck_assert_int_eq(worker("", "train", "dense", "--weights", "w.h5", NULL), 2);
    SB_AUTO_FREE char *said = output();
    ck_assert_ptr_nonnull(strstr(said, "SAMEBITS_THREADS"));
    ck_assert_int_ne(access("w.h5", F_OK), 0);
    ck_assert_int_ne(access("report.json", F_OK), 0);
    leave_folder();
}
END_TEST

/* ---- Floating point that is not as it should be: planted, and refused ------------------------ */

static void round_upward(void) {
    fesetround(FE_UPWARD);
}

static int worker_with(void (*before)(void), ...) {
    va_list arguments;
    va_start(arguments, before);
    int code = worker_after(before, arguments);
    va_end(arguments);
    return code;
}

START_TEST(another_rounding_mode_is_refused)
{
    enter_folder();
    ck_assert_int_eq(worker_with(round_upward, "train", "dense", "--weights", "w.h5", NULL), 2);
    SB_AUTO_FREE char *said = output();
    ck_assert_ptr_nonnull(strstr(said, "rounding upward"));
    leave_folder();
}
END_TEST

#ifdef __SSE__
static void flush_to_zero(void) {
    _mm_setcsr(_mm_getcsr() | 0x8000);
}
static void operands_to_zero(void) {
    _mm_setcsr(_mm_getcsr() | 0x0040);
}

START_TEST(flushing_to_zero_is_refused)
{
    enter_folder();
    ck_assert_int_eq(worker_with(flush_to_zero, "train", "dense", "--weights", "w.h5", NULL), 2);
    SB_AUTO_FREE char *ftz = output();
    ck_assert_ptr_nonnull(strstr(ftz, "ftz on, daz off"));
    ck_assert_int_eq(worker_with(operands_to_zero, "train", "dense", "--weights", "w.h5", NULL), 2);
    SB_AUTO_FREE char *daz = output();
    ck_assert_ptr_nonnull(strstr(daz, "ftz off, daz on"));
    leave_folder();
}
END_TEST
#else
START_TEST(flushing_to_zero_is_refused)
{}
END_TEST
#endif

/* ---- Before a run ---------------------------------------------------------------------------- */

/* The one job of a suite, whose error or command is wanted. */
static struct sb_suite *suite_of(const char *job) {
    SB_AUTO_FREE char *text = sb_format("version: 1\njobs:\n  - name: a\n%s", job);
    struct sb_suite *suite = NULL;
    struct sb_error err = {0};
    int rc = sb_suite_parse(text, strlen(text), "s.yaml", NULL, &suite, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    return suite;
}

static void refused(const char *job, const char *message) {
    struct sb_suite *suite = suite_of(job);
    struct sb_error err = {0};
    ck_assert_int_eq(sb_worker_check(&suite->jobs[0], &err), -EINVAL);
    ck_assert_msg(strncmp(err.text, message, strlen(message)) == 0, "%s", err.text);
    sb_suite_free(suite);
}

START_TEST(mistakes_are_answered_with_place_and_choices)
{
    refused("    train: dens\n    backend: ref\n",
            "s.yaml:4:12: unknown training job 'dens' (choices: dense");
    refused("    train: dense\n    backend: reff\n",
            "s.yaml:5:14: unknown backend 'reff' (choices: ref openblas ");
    refused("    kernel: gem\n    backend: ref\n",
            "s.yaml:4:13: unknown kernel 'gem' (choices: gemm");
    refused("    kernel: gemm\n    backend: ref\n    dtype: f23\n",
            "s.yaml:6:12: unknown dtype 'f23' (choices: f16 bf16 f32 f64)");
    refused("    kernel: gemm\n    backend: ref\n    shapes: [[3, 4]]\n", "s.yaml:");
    refused("    train: dense\n    backend: ref\n    args: {epoch: 3}\n",
            "s.yaml:6:19: train 'dense': unknown argument 'epoch' (choices: seed ");
    refused(
        "    train: dense\n    backend: ref\n    args: {epochs: many}\n",
        "s.yaml:6:20: train 'dense': argument 'epochs': 'many' is no integer from 0 to 1000000");
    refused("    kernel: gemm\n    backend: ref\n    args: {transpose: 1}\n",
            "s.yaml:6:23: kernel 'gemm': unknown argument 'transpose' (choices: transpose_a "
            "transpose_b seed calls)");
}
END_TEST

START_TEST(an_algorithm_must_be_one_of_the_kernels)
{
    refused("    kernel: gemm\n    backend: ref\n    algorithm: [fast]\n",
            "s.yaml:6:17: unknown algorithm 'fast' (choices: none)");
}
END_TEST

static double number_in(const json_t *json, const char *object, const char *key) {
    return json_number_value(json_object_get(json_object_get(json, object), key));
}

START_TEST(a_kernel_is_called_several_times_and_says_how_its_results_compare)
{
    enter_folder();
    ck_assert_int_eq(
        worker("", "kernel", "bias_add", "--arg", "calls=7", "--weights", "w.h5", NULL), 0);
    SB_AUTO_JSON json_t *json = report();
    ck_assert(number_in(json, "calls", "n") == 7);
    ck_assert(number_in(json, "calls", "distinct") == 1); /* its operand is restored each time */
    ck_assert_double_gt(number_in(json, "calls", "seconds"), 0);
    ck_assert_double_lt(number_in(json, "accuracy", "max_rel_vs_f64"),
                        number_in(json, "accuracy", "tolerance"));
    leave_folder();
}
END_TEST

/* On ref the same bits however the rows are cut, and wherever operands start; and an output that is
 * summed over rows is left out. */
START_TEST(batches_and_alignment_are_what_was_asked)
{
    static const char *const settings[][3] = {{"SAMEBITS_BATCH", "all", "batch"},
                                              {"SAMEBITS_BATCH", "1", "batch"},
                                              {"SAMEBITS_BATCH", "7", "batch"},
                                              {"SAMEBITS_ALIGNMENT", "64", "alignment"},
                                              {"SAMEBITS_ALIGNMENT", "4", "alignment"}};
    static const json_int_t wanted[] = {65, 1, 7, 64, 4};
    struct sb_fingerprint first = {0};
    enter_folder();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct sb_fingerprint one = {0};
        setenv(settings[i][0], settings[i][1], 1);
        ck_assert_int_eq(worker("", "kernel", "gemm", "--shape", "65x33x17", "--arg",
                                "transpose_a=1", "--weights", "w.h5", NULL),
                         0);
        unsetenv(settings[i][0]);
        SB_AUTO_JSON json_t *json = report();
        ck_assert_int_eq(json_integer_value(json_object_get(json, settings[i][2])), wanted[i]);
        fingerprint_of("w.h5", i ? &one : &first);
        if (i)
            ck_assert_str_eq(one.text, first.text);
        sb_fingerprint_clear(&one);
    }
    sb_fingerprint_clear(&first);
    setenv("SAMEBITS_BATCH", "1", 1);
    ck_assert_int_eq(worker("", "kernel", "dot", "--weights", "w.h5", NULL), 77);
    setenv("SAMEBITS_BATCH", "0", 1);
    ck_assert_int_eq(worker("", "kernel", "gemm", "--weights", "w.h5", NULL), 2);
    unsetenv("SAMEBITS_BATCH");
    leave_folder();
}
END_TEST

START_TEST(what_is_only_planned_is_no_mistake_but_unavailable)
{
    static const struct {
        const char *job, *why;
    } cases[] = {
        {"    kernel: relu\n    backend: openblas\n",
         "backend 'openblas': no kernel 'relu' (BLAS has vectors, products"},
        {"    kernel: gemm\n    backend: ref\n    dtype: i8\n",
         "backend 'ref': no kernel 'gemm' for dtype i8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sb_suite *suite = suite_of(cases[i].job);
        struct sb_error err = {0};
        ck_assert_msg(sb_worker_check(&suite->jobs[0], &err) == 0, "%s", err.text);
        SB_AUTO_FREE char *why = sb_worker_unavailable(&suite->jobs[0]);
        ck_assert_ptr_nonnull(why);
        ck_assert_msg(strncmp(why, cases[i].why, strlen(cases[i].why)) == 0, "%s", why);
        sb_suite_free(suite);
    }
    struct sb_suite *suite = suite_of("    train: dense\n    backend: ref\n");
    ck_assert_ptr_null(sb_worker_unavailable(&suite->jobs[0]));
    sb_suite_free(suite);
}
END_TEST

START_TEST(a_command_says_all_that_the_job_says)
{
    struct sb_suite *suite = suite_of(
        "    kernel: gemm\n    backend: openblas\n    dtype: f64\n    shapes: [[3, 4, 5]]\n"
        "    args: {seed: 9}\n    weights: out.h5\n");
    char **command;
    ck_assert_int_eq(sb_worker_command(&suite->jobs[0], "/bin/samebits", &command, NULL), 0);
    static const char *const wanted[] = {
        "/bin/samebits", "worker", "kernel", "gemm",   "--backend", "openblas", "--dtype", "f64",
        "--shape",       "3x4x5",  "--arg",  "seed=9", "--weights", "out.h5",   NULL};
    for (size_t i = 0; wanted[i] || command[i]; i++)
        ck_assert_pstr_eq(command[i], wanted[i]);
    for (size_t i = 0; command[i]; i++)
        free(command[i]);
    free(command);
    sb_suite_free(suite);
}
END_TEST

START_TEST(describing_loads_nothing_into_this_process)
{
    char *missing;
    SB_AUTO_JSON json_t *json = sb_worker_describe("openblas", &missing);
    if (json)
        ck_assert_ptr_nonnull(
            strstr(json_string_value(json_object_get(json, "library")), "openblas"));
    else
        ck_assert_ptr_nonnull(missing);
    free(missing);
    char *maps;
    ck_assert_int_eq(sb_file_read("/proc/self/maps", 1 << 22, &maps, NULL, NULL), 0);
    ck_assert_ptr_null(strstr(maps, "openblas"));
    free(maps);
    json_t *none = sb_worker_describe("chaos", &missing);
    ck_assert_ptr_null(none);
    ck_assert_int_eq(strncmp(missing, "backend 'chaos': not built (", 28), 0);
    free(missing);
}
END_TEST

START_TEST(a_library_that_is_not_there_is_said_so)
{
    enter_folder();
    /* A file of that name that is no library stands before the real one. */
    ck_assert_int_eq(sb_file_write("libopenblas.so.0", "no library", 10, NULL), 0);
    ck_assert_int_eq(sb_file_write("libopenblas.so", "no library", 10, NULL), 0);
    SB_AUTO_FREE char *program = sb_program_path();
    SB_AUTO_FREE char *command =
        sb_format("LD_LIBRARY_PATH=%s '%s' worker describe openblas >output 2>&1", folder, program);
    ck_assert_int_eq(WEXITSTATUS(system(command)), 2);
    SB_AUTO_FREE char *said = output();
    ck_assert_ptr_nonnull(strstr(said, "backend 'openblas': "));
    leave_folder();
}
END_TEST

/* ---- check-isa ------------------------------------------------------------------------------- */

START_TEST(accurate_levels_are_not_refused)
{
    SB_AUTO_FREE char *program = sb_program_path();
    for (const char *const *level = sb_isa_names; *level; level++) {
        char *refusal = NULL;
#ifdef __x86_64__
        if ((strcmp(*level, "avx512") == 0 && !__builtin_cpu_supports("avx512f")) ||
            (strcmp(*level, "avx2") == 0 && !__builtin_cpu_supports("avx2")))
            continue;
#endif
        ck_assert_int_eq(sb_worker_check_isa(program, *level, &refusal), 0);
        ck_assert_msg(!refusal, "%s", refusal);
    }
}
END_TEST

static void make_program(const char *text) {
    ck_assert_int_eq(sb_file_write("program", text, strlen(text), NULL), 0);
    ck_assert_int_eq(chmod("program", 0755), 0);
}

START_TEST(wrong_results_and_crashes_are_refused_with_their_reason)
{
    enter_folder();
    SB_AUTO_FREE char *program = sb_format("%s/program", folder);
    char *refusal = NULL;
    make_program("#!/bin/sh\necho noise\necho its core X makes errors\nexit 1\n");
    ck_assert_int_eq(sb_worker_check_isa(program, "avx2", &refusal), 0);
    ck_assert_str_eq(refusal, "OpenBLAS is wrong at avx2: its core X makes errors");
    free(refusal);
    make_program("#!/bin/sh\nkill -ILL $$\n");
    ck_assert_int_eq(sb_worker_check_isa(program, "avx2", &refusal), 0);
    ck_assert_ptr_nonnull(strstr(refusal, "OpenBLAS crashes at avx2 (Illegal instruction"));
    free(refusal);
    make_program("#!/bin/sh\n[ \"$OPENBLAS_CORETYPE\" = Haswell ] && exit 77\nexit 1\n");
    ck_assert_int_eq(sb_worker_check_isa(program, "avx2", &refusal), 0);
    ck_assert_ptr_null(refusal);
    ck_assert_int_eq(sb_worker_check_isa("/no/such/program", "avx2", &refusal), -ECHILD);
    leave_folder();
}
END_TEST

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return sb_worker_main(argc - 1, argv + 1);
    const TTest *const tests[] = {
        a_training_writes_weights_and_a_report,
        the_same_training_has_the_same_fingerprint_on_any_thread_count,
        a_kernel_writes_its_output_and_its_accuracy,
        a_training_without_steps_reports_untrained,
        what_a_backend_has_not_exits_77_and_says_why,
        mistakes_exit_2_and_write_nothing,
        another_rounding_mode_is_refused,
        flushing_to_zero_is_refused,
        mistakes_are_answered_with_place_and_choices,
        an_algorithm_must_be_one_of_the_kernels,
        a_kernel_is_called_several_times_and_says_how_its_results_compare,
        batches_and_alignment_are_what_was_asked,
        what_is_only_planned_is_no_mistake_but_unavailable,
        a_command_says_all_that_the_job_says,
        describing_loads_nothing_into_this_process,
        a_library_that_is_not_there_is_said_so,
        accurate_levels_are_not_refused,
        wrong_results_and_crashes_are_refused_with_their_reason,
    };
    return sb_tests_run("run-worker", tests, sizeof tests / sizeof *tests);
}
