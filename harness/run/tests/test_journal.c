/* run: the journal survives every way in which a process can die over it. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/internal.h"
#include "tests/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char root[64];
static char *path;

static void make_root(void) {
    strcpy(root, "/tmp/samebits-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    path = sb_format("%s/results", root);
}

static void remove_root(void) {
    sb_remove_tree(root, NULL);
    free(path);
}

static char **list(const char *a, const char *b) {
    char **items = calloc(3, sizeof *items);
    items[0] = strdup(a);
    items[1] = b ? strdup(b) : NULL;
    return items;
}

/* A run with something in every member. */
static struct sb_run full_run(unsigned number) {
    struct sb_run run = {.job = 1,
                         .cell = number % 4,
                         .repeat = 1 + number / 4,
                         .status = SB_STATUS_OK,
                         .message = strdup("bytes \xff and \"quotes\"\nand lines"),
                         .exit_code = 0,
                         .fingerprint = strdup("xxh3:00112233445566778899aabbccddeeff"),
                         .sum = 0.1 + 0.2,
                         .all_zero = true,
                         .untrained = true,
                         .accuracy = 1e-300,
                         .wall_s = 1.0 / 3,
                         .cpu_s = 5e-324,
                         .max_rss_kb = 123456};
    snprintf(run.id, sizeof run.id, "r%05u", number);
    struct sb_observation *seen = &run.seen;
    seen->n_samples = 3;
    seen->n_cpus = 2;
    seen->max_threads = 7;
    seen->n_processes = 2;
    seen->processes = calloc(2, sizeof *seen->processes);
    seen->processes[0].exe = strdup("/usr/bin/python3");
    seen->processes[0].arguments = list("python3", "tr\xc3\xa4in.py");
    seen->processes[0].environment = list("PYTHONHASHSEED=1", NULL);
    seen->processes[1].exe = strdup("/bin/true");
    seen->processes[1].arguments = list("true", NULL);
    seen->libraries = list("/lib/libc.so.6", "/lib/libm.so.6");
    seen->n_libraries = 2;
    seen->personality_known = true;
    seen->personality = 0x0040000;
    seen->hostname = strdup("here");
    seen->cwd = strdup("/tmp");
    seen->worker = json_pack("{s:s, s:i}", "core", "Haswell", "threads", 2);
    return run;
}

static void append_runs(struct sb_folder *folder, unsigned first, unsigned last) {
    for (unsigned i = first; i <= last; i++) {
        struct sb_run run = full_run(i);
        struct sb_error err = {{0}};
        ck_assert_msg(sb_journal_append(folder, &run, &err) == 0, "%s", err.text);
        sb_run_clear(&run);
    }
}

/* Ids in the journal as "r00001 r00002 ". The caller gets the code of sb_journal_read. */
static int read_ids(struct sb_folder *folder, char *ids, size_t n, struct sb_error *err) {
    struct sb_run *runs = NULL;
    size_t n_runs = 0;
    int rc = sb_journal_read(folder, &runs, &n_runs, err);
    ids[0] = '\0';
    for (size_t i = 0; rc >= 0 && i < n_runs; i++) {
        snprintf(ids + strlen(ids), n - strlen(ids), "%s ", runs[i].id);
        sb_run_clear(&runs[i]);
    }
    free(runs);
    return rc;
}

static void open_folder(struct sb_folder **folder, bool lock) {
    struct sb_error err = {{0}};
    ck_assert_msg(sb_folder_open(path, lock, folder, &err) == 0, "%s", err.text);
}

/* A journal of so many runs as bytes. */
static char *journal_of(unsigned n, size_t *length) {
    struct sb_folder *folder;
    struct sb_error err = {{0}};
    ck_assert_msg(sb_folder_create(path, true, &folder, &err) == 0, "%s", err.text);
    append_runs(folder, 1, n);
    SB_AUTO_FREE char *file = sb_folder_file(folder, "journal");
    char *data = NULL;
    ck_assert_int_eq(sb_file_read(file, 1 << 24, &data, length, NULL), 0);
    sb_folder_close(folder);
    return data;
}

static void write_journal(const char *data, size_t n) {
    SB_AUTO_FREE char *file = sb_path_join(path, "journal");
    ck_assert_int_eq(sb_file_write(file, data, n, NULL), 0);
}

START_TEST(a_run_comes_back_as_it_was)
{
    make_root();
    struct sb_run run = full_run(7), again = {0};
    struct sb_error err = {{0}};
    json_t *json = sb_run_to_json(&run);
    ck_assert_msg(sb_run_from_json(json, &again, &err) == 0, "%s", err.text);
    ck_assert_str_eq(again.id, run.id);
    ck_assert_uint_eq(again.job, run.job);
    ck_assert_uint_eq(again.cell, run.cell);
    ck_assert_uint_eq(again.repeat, run.repeat);
    ck_assert_str_eq(again.message, "bytes \\xff and \"quotes\"\nand lines");
    ck_assert_str_eq(again.fingerprint, run.fingerprint);
    ck_assert(again.sum == run.sum && again.wall_s == run.wall_s && again.cpu_s == run.cpu_s &&
              again.accuracy == run.accuracy);
    ck_assert(again.all_zero && !again.all_nan && again.untrained);
    ck_assert_uint_eq(again.seen.n_processes, 2);
    ck_assert_ptr_null(again.seen.processes[1].environment);
    ck_assert_str_eq(again.seen.processes[0].arguments[1], "tr\xc3\xa4in.py");
    ck_assert_uint_eq(again.seen.n_libraries, 2);
    ck_assert(json_equal(again.seen.worker, run.seen.worker));
    json_t *second = sb_run_to_json(&again);
    ck_assert(json_equal(json, second));
    json_decref(json);
    json_decref(second);
    sb_run_clear(&run);
    sb_run_clear(&again);
    remove_root();
}
END_TEST

START_TEST(numbers_that_json_lacks_come_back)
{
    struct sb_run run = full_run(1), again = {0};
    run.sum = -INFINITY;
    run.accuracy = NAN;
    json_t *json = sb_run_to_json(&run);
    ck_assert_int_eq(sb_run_from_json(json, &again, NULL), 0);
    ck_assert(again.sum == -INFINITY && isnan(again.accuracy));
    json_decref(json);
    sb_run_clear(&run);
    sb_run_clear(&again);
}
END_TEST

START_TEST(an_id_that_is_a_path_is_refused)
{
    static const char *const ids[] = {"../../etc/passwd", "r",    "",
                                      "r0000x",           "r1/2", "r00000000000000001"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct sb_run run = full_run(1), again = {0};
        struct sb_error err = {{0}};
        json_t *json = sb_run_to_json(&run);
        json_object_set_new(json, "id", json_string(ids[i]));
        ck_assert_int_eq(sb_run_from_json(json, &again, &err), -EBADMSG);
        ck_assert_ptr_nonnull(strstr(err.text, "'id'"));
        json_decref(json);
        sb_run_clear(&run);
    }
}
END_TEST

START_TEST(every_member_is_checked)
{
    struct sb_run run = full_run(1);
    json_t *json = sb_run_to_json(&run);
    const char *key;
    json_t *value;
    json_object_foreach(json, key, value) {
        json_t *without = json_copy(json), *odd = json_copy(json);
        json_object_del(without, key);
        json_object_set_new(odd, key, json_pack("[[]]"));
        struct sb_run again = {0};
        ck_assert_msg(sb_run_from_json(without, &again, NULL) == -EBADMSG, "without %s", key);
        ck_assert_msg(sb_run_from_json(odd, &again, NULL) == -EBADMSG, "odd %s", key);
        json_decref(without);
        json_decref(odd);
    }
    json_decref(json);
    sb_run_clear(&run);
}
END_TEST

START_TEST(runs_are_read_in_order_and_the_last_of_equal_ids_wins)
{
    make_root();
    struct sb_folder *folder;
    ck_assert_int_eq(sb_folder_create(path, false, &folder, NULL), 0);
    append_runs(folder, 3, 4);
    append_runs(folder, 1, 2);
    struct sb_run again = full_run(3);
    again.status = SB_STATUS_CRASHED;
    ck_assert_int_eq(sb_journal_append(folder, &again, NULL), 0);
    sb_run_clear(&again);
    struct sb_run *runs;
    size_t n;
    ck_assert_int_eq(sb_journal_read(folder, &runs, &n, NULL), 0);
    ck_assert_uint_eq(n, 4);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(runs[i].id[5] - '0', (int)i + 1);
        ck_assert_int_eq(runs[i].status, i == 2 ? SB_STATUS_CRASHED : SB_STATUS_OK);
        sb_run_clear(&runs[i]);
    }
    free(runs);
    sb_folder_close(folder);
    remove_root();
}
END_TEST

/* As a kill at any moment of a write would leave it. */
START_TEST(a_journal_cut_anywhere_keeps_its_whole_records)
{
    make_root();
    size_t n = 0;
    SB_AUTO_FREE char *data = journal_of(2, &n);
    size_t header = (size_t)(strchr(data, '\n') - data) + 1;
    size_t first = (size_t)(strchr(data + header, '\n') - data) + 1;
    for (size_t cut = 0; cut <= n; cut++) {
        write_journal(data, cut);
        struct sb_folder *folder;
        char ids[256];
        if (cut >= header) { /* what reads does not change */
            open_folder(&folder, false);
            ck_assert_int_eq(read_ids(folder, ids, sizeof ids, NULL), 0);
            sb_folder_close(folder);
        }
        open_folder(&folder, true);
        const char *expected = cut < first ? "" : cut < n ? "r00001 " : "r00001 r00002 ";
        ck_assert_int_eq(read_ids(folder, ids, sizeof ids, NULL), 0);
        ck_assert_str_eq(ids, expected);
        append_runs(folder, 9, 9);
        ck_assert_int_eq(read_ids(folder, ids, sizeof ids, NULL), 0);
        ck_assert_ptr_nonnull(strstr(ids, "r00009 "));
        ck_assert(strncmp(ids, expected, strlen(expected)) == 0);
        sb_folder_close(folder);
    }
    remove_root();
}
END_TEST

START_TEST(damage_costs_the_damaged_record_only)
{
    make_root();
    size_t n = 0;
    SB_AUTO_FREE char *data = journal_of(8, &n);
    size_t header = (size_t)(strchr(data, '\n') - data) + 1;
    unsigned state = 1;
    for (int i = 0; i < 300; i++) {
        SB_AUTO_FREE char *copy = malloc(n);
        memcpy(copy, data, n);
        state = state * 1103515245 + 12345;
        size_t at = header + (state >> 4) % (n - header);
        copy[at] ^= (char)(1 << (state >> 28) % 8);
        write_journal(copy, n);
        struct sb_folder *folder;
        struct sb_error err = {{0}};
        char ids[256];
        open_folder(&folder, true);
        int rc = read_ids(folder, ids, sizeof ids, &err);
        ck_assert_msg(rc >= 0 && rc <= 2, "%d: %s", rc, err.text);
        /* A newline made or unmade touches two records. */
        ck_assert_uint_ge(strlen(ids), 6 * 7);
        ck_assert_uint_le(strlen(ids), 7 * 7);
        if (rc > 0) {
            ck_assert_ptr_nonnull(strstr(err.text, "/journal:"));
            ck_assert_ptr_nonnull(strstr(err.text, "not done"));
        }
        sb_folder_close(folder);
    }
    remove_root();
}
END_TEST

START_TEST(a_later_schema_and_foreign_files_are_left_alone)
{
    make_root();
    size_t n = 0;
    SB_AUTO_FREE char *data = journal_of(1, &n);
    static const char foreign[] = "dear diary\ntoday\n";
    write_journal(foreign, sizeof foreign - 1);
    struct sb_folder *folder;
    struct sb_error err = {{0}};
    ck_assert_int_eq(sb_folder_open(path, true, &folder, &err), -EBADMSG);
    SB_AUTO_FREE char *file = sb_path_join(path, "journal");
    SB_AUTO_FREE char *after = NULL;
    ck_assert_int_eq(sb_file_read(file, 1000, &after, NULL, NULL), 0);
    ck_assert_str_eq(after, foreign);
    /* XXH3-64 of {"schema":"samebits.journal/2"} */
    static const char later[] = "7c1ffc76924a2f18 {\"schema\":\"samebits.journal/2\"}\n";
    write_journal(later, sizeof later - 1);
    ck_assert_int_eq(sb_folder_open(path, true, &folder, &err), -EBADMSG);
    ck_assert_msg(strstr(err.text, "samebits.journal/2") != NULL, "%s", err.text);
    remove_root();
}
END_TEST

START_TEST(a_full_disk_leaves_the_journal_valid)
{
    make_root();
    struct sb_folder *folder;
    ck_assert_int_eq(sb_folder_create(path, false, &folder, NULL), 0);
    append_runs(folder, 1, 2);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = (rlim_t)folder->journal_length + 100,
                           .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct sb_run run = full_run(3);
    struct sb_error err = {{0}};
    ck_assert_int_eq(sb_journal_append(folder, &run, &err), -EFBIG);
    ck_assert_ptr_nonnull(strstr(err.text, "/journal"));
    sb_run_clear(&run);
    char ids[256];
    ck_assert_int_eq(read_ids(folder, ids, sizeof ids, NULL), 0);
    ck_assert_str_eq(ids, "r00001 r00002 ");
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    append_runs(folder, 4, 4);
    ck_assert_int_eq(read_ids(folder, ids, sizeof ids, NULL), 0);
    ck_assert_str_eq(ids, "r00001 r00002 r00004 ");
    sb_folder_close(folder);
    remove_root();
}
END_TEST

/* The writer is killed while it writes: at most the record in flight is lost. */
START_TEST(a_killed_writer_loses_at_most_one_record)
{
    make_root();
    struct sb_folder *folder;
    ck_assert_int_eq(sb_folder_create(path, false, &folder, NULL), 0);
    sb_folder_close(folder);
    for (int round = 0; round < 20; round++) {
        int told[2];
        ck_assert_int_eq(pipe(told), 0);
        pid_t pid = fork();
        if (pid == 0) {
            /* No assertion in here: Check's own messages would be torn too. */
            if (sb_folder_open(path, true, &folder, NULL) < 0)
                _exit(1);
            for (unsigned i = 1;; i++) {
                struct sb_run run = full_run(i);
                if (sb_journal_append(folder, &run, NULL) < 0 || write(told[1], &i, sizeof i) < 0)
                    _exit(1);
                sb_run_clear(&run);
            }
        }
        close(told[1]);
        unsigned last = 0;
        for (int i = 0; i <= round; i++)
            ck_assert_int_eq(read(told[0], &last, sizeof last), sizeof last);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(told[0], &last, sizeof last) > 0) {
        }
        close(told[0]);
        open_folder(&folder, true);
        struct sb_run *runs;
        size_t n;
        ck_assert_int_eq(sb_journal_read(folder, &runs, &n, NULL), 0);
        ck_assert_uint_ge(n, last);
        for (size_t i = 0; i < n; i++)
            sb_run_clear(&runs[i]);
        free(runs);
        sb_folder_close(folder);
    }
    remove_root();
}
END_TEST

START_TEST(secrets_in_environments_are_not_kept)
{
    static const char *const variables[] = {"AWS_SECRET_ACCESS_KEY=s",
                                            "PYTHONHASHSEED=1",
                                            "GITHUB_TOKEN=t",
                                            "OMP_NUM_THREADS=2",
                                            "MY_FLAG=3",
                                            "TF_API_TOKEN=u",
                                            "LC_ALL=C",
                                            "HOME=/root"};
    const size_t n = sizeof variables / sizeof *variables;
    struct sb_run run = full_run(1);
    char **environment = calloc(n + 1, sizeof *environment);
    for (size_t i = 0; i < n; i++)
        environment[i] = strdup(variables[i]);
    for (char **item = run.seen.processes[0].environment; *item; item++)
        free(*item);
    free(run.seen.processes[0].environment);
    run.seen.processes[0].environment = environment;
    SB_AUTO_STRINGS struct sb_strings names = {0};
    sb_strings_add(&names, "MY_FLAG");
    sb_observation_filter(&run.seen, &names);
    static const char *const kept[] = {"PYTHONHASHSEED=1", "OMP_NUM_THREADS=2", "MY_FLAG=3",
                                       "LC_ALL=C"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        ck_assert_str_eq(environment[i], kept[i]);
    ck_assert_ptr_null(environment[sizeof kept / sizeof *kept]);
    ck_assert_ptr_null(run.seen.processes[1].environment);
    sb_run_clear(&run);
}
END_TEST

SB_TEST_MAIN("run-journal", a_run_comes_back_as_it_was, numbers_that_json_lacks_come_back,
             an_id_that_is_a_path_is_refused, every_member_is_checked,
             runs_are_read_in_order_and_the_last_of_equal_ids_wins,
             a_journal_cut_anywhere_keeps_its_whole_records, damage_costs_the_damaged_record_only,
             a_later_schema_and_foreign_files_are_left_alone, a_full_disk_leaves_the_journal_valid,
             a_killed_writer_loses_at_most_one_record, secrets_in_environments_are_not_kept)
