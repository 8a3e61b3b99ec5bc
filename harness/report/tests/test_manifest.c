/* The manifest: commit and state of a real repository, versions from real and from made-up names.
 */
#include "base/cleanup.h"
#include "base/file.h"
#include "report/git_changes.h"
#include "report/manifest.h"
#include "report/reading.h"
#include "tests/testing.h"
#include "weights/digest.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Literals stand for texts that their structs own elsewhere; nothing here writes to them. */
#pragma GCC diagnostic ignored "-Wdiscarded-qualifiers"

static void version_is(const char *path, const char *expected) {
    SB_AUTO_FREE char *version = sb_library_version(path);
    if (!expected)
        ck_assert_msg(!version, "%s: %s", path, version);
    else
        ck_assert_msg(version && strcmp(version, expected) == 0, "%s: %s", path,
                      version ? version : "none");
}

START_TEST(versions_are_read_from_file_names)
{
    version_is("/usr/lib/openblas-pthread/libopenblasp-r0.3.21.so", "0.3.21");
    version_is("/usr/lib/libhdf5_serial.so.103.3.0", "103.3.0");
    version_is("/usr/lib/libstdc++.so.6.0.30", "6.0.30");
    version_is("/usr/lib/libpython3.11.so.1.0", "3.11");
    version_is("numpy.libs/libopenblas64_p-r0-f650aae0.3.3.so", "0.3.3");
    version_is("torch/lib/libgomp-a34b3233.so.1.0.0", "1.0.0");
}
END_TEST

START_TEST(what_is_no_version_is_not_taken_for_one)
{
    version_is("/usr/lib/libtorch_cpu.so", NULL);
    version_is("/usr/lib/libfoo2.so", NULL);
    version_is("numpy.libs/libscipy_openblas64_-ff651d77.so", NULL);
    version_is("/usr/bin/python3.11", NULL);
    version_is(".so", NULL);
    version_is("1.so", NULL);
    version_is("", NULL);
}
END_TEST

static char folder[64];

static void begin(void) {
    strcpy(folder, "/tmp/samebits-manifest-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void write_file(const char *name, const char *text) {
    SB_AUTO_FREE char *path = sb_path_join(folder, name);
    SB_AUTO_FREE char *parent = strndup(path, (size_t)(strrchr(path, '/') - path));
    ck_assert_int_eq(sb_make_folders(parent, 0777, NULL), 0);
    ck_assert_int_eq(sb_file_write(path, text, strlen(text), NULL), 0);
}

static void git(const char *arguments) {
    SB_AUTO_FREE char *command = sb_format(
        "git -C %s -c user.name=a -c user.email=a@b -c commit.gpgsign=false "
        "-c core.hooksPath=/dev/null -c init.defaultBranch=main %s >/dev/null 2>&1",
        folder, arguments);
    ck_assert_msg(system(command) == 0, "%s", command);
}

static json_t *state_of_folder(void) {
    struct sb_git *asked = sb_git_start(folder);
    ck_assert(sb_git_ready(asked, 60000));
    return sb_git_finish(asked);
}

static json_t *manifest(json_t *inputs, const struct sb_run *runs, size_t n_runs) {
    struct sb_argument seed = {.name = "seed", .value = "42"};
    struct sb_job job = {.name = "a", .directory = folder, .arguments = &seed, .n_arguments = 1};
    struct sb_suite suite = {.path = "a.yaml", .jobs = &job, .n_jobs = 1};
    char *environment[] = {"OMP_NUM_THREADS=2", "MY_TOKEN=hunter2", "OPENBLAS_KEY=hunter2", "ODD",
                           NULL};
    json_t *json = NULL;
    struct sb_error err = {0};
    SB_AUTO_JSON json_t *state = state_of_folder();
    ck_assert_msg(
        sb_manifest_build(&suite, runs, n_runs, environment, state, NULL, inputs, &json, &err) == 0,
        "%s", err.text);
    return json;
}

START_TEST(commit_and_changes_of_the_jobs_folder_are_told)
{
    begin();
    SB_AUTO_JSON json_t *outside = manifest(NULL, NULL, 0);
    ck_assert(json_is_null(json_object_get(outside, "git")));
    git("init");
    SB_AUTO_JSON json_t *unborn = manifest(NULL, NULL, 0);
    ck_assert(json_is_null(json_object_get(unborn, "git")));
    write_file("train.py", "1\n");
    git("add train.py");
    git("commit -m first");
    write_file("untracked", "does not count\n");
    setenv("GIT_DIR", "/nonexistent", 1); /* as in a hook that runs samebits */
    SB_AUTO_JSON json_t *clean = manifest(NULL, NULL, 0);
    unsetenv("GIT_DIR");
    const json_t *state = json_object_get(clean, "git");
    ck_assert_uint_eq(strlen(json_string_value(json_object_get(state, "commit"))), 40);
    ck_assert(json_is_false(json_object_get(state, "dirty")));
    write_file("train.py", "2\n");
    SB_AUTO_JSON json_t *dirty = manifest(NULL, NULL, 0);
    ck_assert(json_is_true(json_object_get(json_object_get(dirty, "git"), "dirty")));
    sb_remove_tree(folder, NULL);
}
END_TEST

/* The digest of what is not committed, or why there is none; malloc'd. */
static char *changes(void) {
    SB_AUTO_JSON json_t *state = state_of_folder();
    const char *known = sb_git_changes_of(state);
    return strdup(known ? known : sb_text_of(state, "changes"));
}

static void begin_with_two_files(void) {
    begin();
    git("init");
    write_file("train.py", "1\n");
    write_file("lib/with space.py", "1\n");
    git("add .");
    git("commit -m first");
}

START_TEST(every_change_of_the_tree_changes_its_digest)
{
    static const struct {
        const char *file, *text, *then; /* NULL: nothing is written; no git */
    } steps[] = {
        {"train.py", "2\n", NULL},
        {"train.py", "3\n", NULL},
        {"lib/with space.py", "2\n", NULL},
        {"lib/with space.py", "2\n\n", NULL},
        {NULL, NULL, "update-index --chmod=+x train.py"}, /* not in the work tree: no change */
        {NULL, NULL, "rm -f train.py"},
        {"new.py", "4\n", "add new.py"},
        {NULL, NULL, "mv new.py newer.py"},
    };
    enum { N = sizeof steps / sizeof *steps };
    SB_AUTO_STRINGS struct sb_strings met = {0};
    begin_with_two_files();
    ck_assert_int_eq(sb_strings_take(&met, changes()), 0);
    ck_assert_str_eq(met.items[0], "none");
    for (size_t i = 0; i < N; i++) {
        if (steps[i].file)
            write_file(steps[i].file, steps[i].text);
        if (steps[i].then)
            git(steps[i].then);
        SB_AUTO_FREE char *now = changes(), *again = changes();
        ck_assert_msg(sb_is_digest(now), "%s", now);
        ck_assert_str_eq(now, again);
        bool nothing = steps[i].then && strstr(steps[i].then, "chmod");
        ck_assert_msg(sb_strings_contain(&met, now) == nothing, "step %zu", i);
        sb_strings_add(&met, now);
    }
    sb_remove_tree(folder, NULL);
}
END_TEST

START_TEST(staging_a_change_leaves_it_what_it_is)
{
    begin_with_two_files();
    write_file("train.py", "2\n");
    SB_AUTO_FREE char *before = changes();
    git("add train.py");
    SB_AUTO_FREE char *after = changes();
    ck_assert_msg(sb_is_digest(before), "%s", before);
    ck_assert_str_eq(before, after);
    sb_remove_tree(folder, NULL);
}
END_TEST

START_TEST(links_count_by_what_they_say)
{
    begin_with_two_files();
    SB_AUTO_FREE char *path = sb_path_join(folder, "link");
    ck_assert_int_eq(symlink("train.py", path), 0);
    git("add link");
    SB_AUTO_FREE char *one = changes();
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("nowhere", path), 0);
    SB_AUTO_FREE char *other = changes();
    ck_assert_msg(sb_is_digest(one) && sb_is_digest(other), "%s %s", one, other);
    ck_assert_str_ne(one, other);
    sb_remove_tree(folder, NULL);
}
END_TEST

START_TEST(what_was_not_hashed_has_no_digest)
{
    begin_with_two_files();
    SB_AUTO_FREE char *path = sb_path_join(folder, "train.py");
    ck_assert_int_eq(truncate(path, (off_t)SB_MOST_HASHED + 1), 0);
    SB_AUTO_FREE char *large = changes();
    ck_assert_str_eq(large, "not hashed: train.py is too large");
    write_file("train.py", "2\n");
    const struct timespec later[2] = {{.tv_sec = time(NULL) + 3600}, {.tv_sec = time(NULL) + 3600}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, later, 0), 0);
    SB_AUTO_FREE char *meanwhile = changes();
    ck_assert_str_eq(meanwhile, "not hashed: train.py was written meanwhile");
    git("init sub");
    git("-C sub commit --allow-empty -m sub");
    git("checkout train.py");
    git("add sub");
    SB_AUTO_FREE char *inside = changes();
    ck_assert_str_eq(inside, "not hashed: sub is no file");
    sb_remove_tree(folder, NULL);
}
END_TEST

START_TEST(a_result_of_before_says_nothing_of_changes)
{
    static const struct {
        const char *git, *says;
    } cases[] = {
        {"null", NULL},
        {"{\"commit\": \"c\", \"dirty\": true}", NULL},
        {"{\"commit\": \"c\", \"dirty\": false}", NULL},
        {"{\"dirty\": true, \"changes\": null}", NULL},
        {"{\"dirty\": false, \"changes\": null}", "none"},
        {"{\"dirty\": true, \"changes\": \"not hashed: a is too large\"}", NULL},
        {"{\"dirty\": true, \"changes\": \"xxh3:00000000000000000000000000000000\"}",
         "xxh3:00000000000000000000000000000000"},
        {"{\"dirty\": true, \"changes\": \"xxh3:00 or xxh3:11\"}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SB_AUTO_JSON json_t *git_ = json_loads(cases[i].git, JSON_DECODE_ANY, NULL);
        const char *says = sb_git_changes_of(git_);
        ck_assert_msg(cases[i].says ? says && strcmp(says, cases[i].says) == 0 : !says, "case %zu",
                      i);
    }
}
END_TEST

START_TEST(more_changes_than_a_pipe_holds_are_changes_too)
{
    begin();
    git("init");
    for (int i = 0; i < 1000; i++) {
        SB_AUTO_FREE char *name = sb_format("%0100d", i);
        write_file(name, "1\n");
    }
    git("add .");
    git("commit -m first");
    for (int i = 0; i < 1000; i++) {
        SB_AUTO_FREE char *name = sb_format("%0100d", i);
        write_file(name, "two\n");
    }
    SB_AUTO_JSON json_t *json = manifest(NULL, NULL, 0);
    ck_assert(json_is_true(json_object_get(json_object_get(json, "git"), "dirty")));
    sb_remove_tree(folder, NULL);
}
END_TEST

START_TEST(every_part_is_there_and_no_secret)
{
    static const char *const keys[] = {"seed",   "deterministic", "versions",    "cpu",   "gpu",
                                       "kernel", "git",           "environment", "inputs"};
    begin();
    SB_AUTO_JSON json_t *inputs = json_pack("{s:s}", "data/a", "xxh3:00");
    SB_AUTO_JSON json_t *json = manifest(inputs, NULL, 0);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ck_assert_msg(json_object_get(json, keys[i]), "no '%s'", keys[i]);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "seed")), 42);
    SB_AUTO_FREE char *environment = json_dumps(json_object_get(json, "environment"), JSON_COMPACT);
    ck_assert_str_eq(environment, "{\"OMP_NUM_THREADS\":\"2\"}");
    ck_assert(json_equal(json_object_get(json, "inputs"), inputs));
    sb_remove_tree(folder, NULL);
}
END_TEST

static const char *version_in(const json_t *json, const char *name) {
    const char *version =
        json_string_value(json_object_get(json_object_get(json, "versions"), name));
    return version ? version : "none";
}

START_TEST(versions_of_what_runs_had_are_told)
{
    begin();
    /* A wheel's library, whose name tells nothing and whose content does. */
    write_file("libscipy_openblas64_-ff651d77.so", "\177ELF OpenBLAS %s OpenBLAS 0.3.27 NO_LAPACK");
    SB_AUTO_FREE char *blas = sb_path_join(folder, "libscipy_openblas64_-ff651d77.so");
    char *libraries[] = {"/gone/libhdf5.so.200.1.0", "/gone/libcudnn.so.8.9.2", blas, NULL};
    struct sb_seen_process process = {.exe = "/usr/bin/python3.11"};
    SB_AUTO_JSON json_t *worker = json_pack("{s:s, s:s}", "backend", "blis", "version", "0.9");
    struct sb_run runs[2] = {{.seen = {.libraries = libraries,
                                       .n_libraries = 3,
                                       .processes = &process,
                                       .n_processes = 1}},
                             {.seen = {.worker = worker}}};
    SB_AUTO_JSON json_t *json = manifest(NULL, runs, 2);
    ck_assert_str_eq(version_in(json, "OpenBLAS"), "0.3.27");
    ck_assert_str_eq(version_in(json, "HDF5"), "200.1.0");
    ck_assert_str_eq(version_in(json, "cuDNN"), "8.9.2");
    ck_assert_str_eq(version_in(json, "python"), "3.11");
    ck_assert_str_eq(version_in(json, "blis"), "0.9");
    ck_assert_str_ne(version_in(json, "libc"), "none");
    sb_remove_tree(folder, NULL);
}
END_TEST

static void write_gpu(const char *name, const char *text) {
    SB_AUTO_FREE char *path = sb_path_join(folder, name);
    ck_assert_int_eq(sb_make_folders(path, 0777, NULL), 0);
    SB_AUTO_FREE char *file = sb_path_join(name, "information");
    write_file(file, text);
}

START_TEST(models_of_gpus_are_those_that_the_driver_lists)
{
    begin();
    SB_AUTO_JSON json_t *none = sb_gpus_json("/nonexistent");
    ck_assert(json_is_null(none));
    write_gpu("0000:41:00.0", "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 94\n");
    write_gpu("0000:01:00.0", "Model: \t\t NVIDIA A10\n");
    write_gpu("0000:02:00.0", "nothing of the kind");
    SB_AUTO_JSON json_t *gpus = sb_gpus_json(folder);
    SB_AUTO_FREE char *text = json_dumps(gpus, JSON_COMPACT);
    ck_assert_str_eq(text, "[\"NVIDIA A10\",\"NVIDIA H100 80GB HBM3\"]");
    ck_assert_int_eq(sb_remove_tree(folder, NULL), 0);
}
END_TEST

SB_TEST_MAIN("report-manifest", versions_are_read_from_file_names,
             what_is_no_version_is_not_taken_for_one,
             commit_and_changes_of_the_jobs_folder_are_told,
             every_change_of_the_tree_changes_its_digest, staging_a_change_leaves_it_what_it_is,
             links_count_by_what_they_say, what_was_not_hashed_has_no_digest,
             a_result_of_before_says_nothing_of_changes,
             more_changes_than_a_pipe_holds_are_changes_too, every_part_is_there_and_no_secret,
             versions_of_what_runs_had_are_told, models_of_gpus_are_those_that_the_driver_lists)
