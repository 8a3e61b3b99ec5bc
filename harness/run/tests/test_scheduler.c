/* run: the scheduler, with real processes. Reading weights is stage 4's: here a double hashes
 * bytes. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/schedule.h"
#include "run/tests/isolation.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

/* ---- A double of stage 4 ----------------------------------------------------------------------
 */

/* A weights file begins with W; "WBAD" is malformed and "WNONE" holds no tensor. */
struct reading {
    int fd, steps;
    char content[64];
};

static int digest_start(void *context, const struct sb_job *job,
                        const struct sb_strings_pair *files, void **reading, struct sb_error *err) {
    (void)context, (void)job;
    SB_AUTO_FREE char *text = NULL;
    int rc = sb_file_read(files->absolute[0], 63, &text, NULL, err);
    if (rc < 0)
        return rc;
    struct reading *started = calloc(1, sizeof *started);
    started->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    strcpy(started->content, text);
    *reading = started;
    return 0;
}

static int digest_fd(void *reading) {
    return ((struct reading *)reading)->fd;
}

static int digest_step(void *reading, struct sb_digest_result *result, struct sb_error *err) {
    struct reading *under_way = reading;
    if (++under_way->steps < 3)
        return -EAGAIN;
    if (strncmp(under_way->content, "WBAD", 4) == 0)
        return sb_error_set(err, -EBADMSG, "malformed");
    if (strncmp(under_way->content, "WNONE", 5) == 0)
        return sb_error_set(err, -ENODATA, "holds no tensor");
    *result = (struct sb_digest_result){.sum = 0.1};
    snprintf(result->fingerprint, sizeof result->fingerprint, "xxh3:%016llx",
             (unsigned long long)XXH3_64bits(under_way->content, strlen(under_way->content)));
    return 0;
}

static void digest_free(void *reading) {
    close(((struct reading *)reading)->fd);
    free(reading);
}

static bool digest_recognised(void *context, const char *path) {
    (void)context;
    SB_AUTO_FREE char *text = NULL;
    return sb_file_read(path, 1 << 20, &text, NULL, NULL) == 0 && text[0] == 'W';
}

static const struct sb_digesting digesting = {.start = digest_start,
                                              .fd = digest_fd,
                                              .step = digest_step,
                                              .free = digest_free,
                                              .recognised = digest_recognised};

/* ---- A bench ----------------------------------------------------------------------------------
 */

static struct bench {
    char root[64];
    struct sb_suite *suite;
    struct sb_machine *machine;
    struct sb_plan *plan;
    struct sb_folder *folder;
    struct sb_schedule_options options;
    struct sb_schedule_result result;
    struct sb_run *done; /* what options.done points to */
    struct sb_error err;
    unsigned rounds; /* that `more` asks for */
    unsigned started, finished, ticks;
    unsigned stop_after;      /* runs started; 0: never */
    unsigned give_up_after;   /* runs finished, of the first job; 0: never */
    unsigned stubborn_wanted; /* interrupt once so many stubborn processes are there; 0: never */
    bool twice;               /* and again */
} bench;

static char bench_stubborn[32];

static void run_as_many(const struct sb_job_plan *job, unsigned *more) {
    for (size_t i = 0; i < job->n_cells; i++)
        more[i] = job->job->repeats.min;
}

/* The first round as the suite says; each later one a single run of the last cell. */
static int more(void *context, size_t job, const struct sb_run *runs, size_t n_runs,
                unsigned *counts, struct sb_error *err) {
    (void)context, (void)err;
    const struct sb_job_plan *plan = &bench.plan->jobs[job];
    size_t first_round = plan->n_cells * plan->job->repeats.min;
    for (size_t i = 0; i < n_runs; i++) {
        if (runs[i].job != job || (i && strcmp(runs[i - 1].id, runs[i].id) >= 0))
            return -EINVAL;
    }
    if (n_runs == 0)
        run_as_many(plan, counts);
    else if (n_runs - first_round + 1 < bench.rounds)
        counts[plan->n_cells - 1] = 1;
    return 0;
}

static void on_start(void *context, size_t job, const char *id) {
    (void)context, (void)job, (void)id;
    bench.started++;
}

static void on_finish(void *context, const struct sb_run *run) {
    (void)context, (void)run;
    bench.finished++;
}

/* Processes whose command line holds `word`. */
static size_t count_processes(const char *word) {
    SB_AUTO_DIR DIR *proc = opendir("/proc");
    size_t found = 0;
    for (struct dirent *entry; (entry = readdir(proc));) {
        SB_AUTO_FREE char *path = sb_format("/proc/%s/cmdline", entry->d_name);
        SB_AUTO_FREE char *text = NULL;
        size_t n = 0;
        if (!isdigit(entry->d_name[0]) || sb_file_read(path, 1 << 16, &text, &n, NULL) < 0)
            continue;
        found += memmem(text, n, word, strlen(word)) != NULL;
    }
    return found;
}

static void on_tick(void *context) {
    (void)context;
    bench.ticks++;
    if (bench.stubborn_wanted && sb_interrupted)
        sb_interrupted = bench.twice ? -SIGINT : SIGINT;
    else if (bench.stubborn_wanted && count_processes(bench_stubborn) >= bench.stubborn_wanted)
        sb_interrupted = SIGINT;
}

static bool on_stop(void *context) {
    (void)context;
    return bench.stop_after && bench.started >= bench.stop_after;
}

static bool on_give_up(void *context, size_t job) {
    (void)context;
    return job == 0 && bench.give_up_after && bench.finished >= bench.give_up_after;
}

static const struct sb_schedule_callbacks callbacks = {.more = more,
                                                       .digesting = &digesting,
                                                       .started = on_start,
                                                       .finished = on_finish,
                                                       .tick = on_tick,
                                                       .stop = on_stop,
                                                       .give_up = on_give_up};

static void parse_suite(const char *jobs) {
    SB_AUTO_FREE char *text = sb_format("version: 1\njobs:\n%s", jobs);
    SB_AUTO_FREE char *path = sb_format("%s/dir/suite.yaml", bench.root);
    struct sb_error *err = &bench.err;
    ck_assert_msg(sb_suite_parse(text, strlen(text), path, &(struct sb_overrides){.timeout_s = -1},
                                 &bench.suite, err) == 0,
                  "%s", err->text);
    ck_assert_msg(sb_machine_probe(&bench.machine, err) == 0, "%s", err->text);
    ck_assert_msg(sb_plan_make(bench.suite, bench.machine, &bench.plan, err) == 0, "%s", err->text);
}

static void set_up(const char *jobs) {
    bench = (struct bench){.rounds = 1};
    strcpy(bench.root, "/tmp/samebits-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(bench.root));
    ck_assert_int_eq(chdir(bench.root), 0);
    ck_assert_int_eq(mkdir("dir", 0755), 0);
    setenv("ROOT", bench.root, 1);
    parse_suite(jobs);
    bench.options = (struct sb_schedule_options){
        .shard = 1, .n_shards = 1, .environment = environ, .program = getenv("SAMEBITS")};
    ck_assert_msg(sb_folder_create("out", false, &bench.folder, &bench.err) == 0, "%s",
                  bench.err.text);
}

static int schedule(void) {
    return sb_schedule_run(bench.plan, bench.folder, &bench.options, &callbacks, &bench.result,
                           &bench.err);
}

static void schedule_well(void) {
    ck_assert_msg(schedule() == 0, "%s", bench.err.text);
}

static void clear_done(void) {
    for (size_t i = 0; i < bench.options.n_done; i++)
        sb_run_clear(&bench.done[i]);
    free(bench.done);
    bench.done = bench.options.done = NULL;
    bench.options.n_done = 0;
}

/* Another samebits comes and reads what the first left. */
static void reopen(void) {
    sb_interrupted = 0;
    clear_done();
    sb_schedule_result_clear(&bench.result);
    sb_folder_close(bench.folder);
    bench.folder = NULL;
    ck_assert_msg(sb_folder_open("out", true, &bench.folder, &bench.err) == 0, "%s",
                  bench.err.text);
    ck_assert_msg(sb_journal_read(bench.folder, &bench.done, &bench.options.n_done, &bench.err) >=
                      0,
                  "%s", bench.err.text);
    bench.options.done = bench.done;
    bench.started = bench.finished = bench.stop_after = bench.stubborn_wanted = 0;
}

static void tear_down(void) {
    clear_done();
    sb_schedule_result_clear(&bench.result);
    sb_folder_close(bench.folder);
    sb_plan_free(bench.plan);
    sb_machine_free(bench.machine);
    sb_suite_free(bench.suite);
    ck_assert_int_eq(chdir("/"), 0);
    sb_remove_tree(bench.root, NULL);
}

static const struct sb_run *find_run(const char *job) {
    for (size_t i = 0; i < bench.result.n_runs; i++) {
        const struct sb_run *run = &bench.result.runs[i];
        if (strcmp(bench.plan->jobs[run->job].job->name, job) == 0)
            return run;
    }
    ck_abort_msg("no run of %s", job);
}

/* Lines of a file that runs append to, outside of their directory. */
static size_t count_lines(const char *name) {
    SB_AUTO_FREE char *text = NULL;
    if (sb_file_read(name, 1 << 20, &text, NULL, NULL) < 0)
        return 0;
    size_t n = 0;
    for (const char *c = text; *c; c++)
        n += *c == '\n';
    return n;
}

/* "r00001/0/1=xxh3:… " of every run: id, cell, repeat, result. */
static char *summary(void) {
    struct sb_text text = {0};
    for (size_t i = 0; i < bench.result.n_runs; i++) {
        const struct sb_run *run = &bench.result.runs[i];
        sb_text_printf(&text, "%s/%zu/%zu/%u=%s ", run->id, run->job, run->cell, run->repeat,
                       run->fingerprint ? run->fingerprint : sb_status_names[run->status]);
    }
    return sb_text_take(&text);
}

/* A job of two cells that says when it ran. */
#define TWO_CELLS                                                                                  \
    "  - name: cells\n"                                                                            \
    "    command: [sh, -c, 'echo ran >> $ROOT/ran; echo W$MODE > w']\n"                            \
    "    weights: w\n"                                                                             \
    "    repeats: 4\n"                                                                             \
    "    axes: {'env:MODE': [a, b], threads: [1]}\n"

/* ---- How runs end -----------------------------------------------------------------------------
 */

#define ENDING(name, script) "  - {name: " name ", command: [sh, -c, '" script "'], repeats: 1}\n"

static const struct {
    const char *job;
    enum sb_status status;
    const char *message;
} endings[] = {
    {"ok", SB_STATUS_OK, NULL},
    {"exits", SB_STATUS_CRASHED, "exit code 3; last line of its log: no such luck"},
    {"dies", SB_STATUS_CRASHED, "signal 9"},
    {"hangs", SB_STATUS_TIMEOUT, "still running after 0.3 s"},
    {"nothing", SB_STATUS_NO_WEIGHTS, "wrote no file"},
    {"other", SB_STATUS_NO_WEIGHTS, "wrote a.txt, b.txt: no weights file"},
    {"misses", SB_STATUS_NO_WEIGHTS, "wrote a.txt; nothing that matches 'w'"},
    {"leftover", SB_STATUS_NO_WEIGHTS, "old is left over from before"},
    {"bad", SB_STATUS_BAD_WEIGHTS, "malformed"},
    {"empty", SB_STATUS_NO_WEIGHTS, "holds no tensor"},
    {"missing", SB_STATUS_SPAWN_FAILED, "no-such-program"},
    {"last", SB_STATUS_OK, NULL},
};

START_TEST(every_end_has_its_status_and_stops_no_other_run)
{
    set_up(ENDING("ok", "echo W > w; echo x > other")
               ENDING("exits", "echo W > w; echo no such luck; exit 3") ENDING("dies", "kill -9 $$")
                   ENDING("nothing", "true") ENDING("other", "echo x > b.txt; echo x > a.txt")
                       ENDING("bad", "echo WBAD > w") ENDING("empty", "echo WNONE > w") //
           "  - {name: hangs, command: [sleep, '98761'], timeout: 300ms, repeats: 1}\n"
           "  - {name: misses, command: [sh, -c, 'echo W > a.txt'], weights: w, repeats: 1}\n"
           "  - {name: leftover, command: ['true'], weights: old, repeats: 1}\n"
           "  - {name: missing, command: [no-such-program], repeats: 1}\n" //
           ENDING("last", "echo W > w"));
    ck_assert_int_eq(sb_file_write("dir/old", "W", 1, NULL), 0);
    schedule_well();
    const size_t n = sizeof endings / sizeof *endings;
    ck_assert_uint_eq(bench.result.n_runs, n);
    ck_assert_uint_eq(bench.started, n);
    ck_assert_uint_eq(bench.finished, n);
    for (size_t i = 0; i < n; i++) {
        const struct sb_run *run = find_run(endings[i].job);
        const char *message = run->message ? run->message : "";
        ck_assert_msg(run->status == endings[i].status, "%s: %s: %s", endings[i].job,
                      sb_status_names[run->status], message);
        ck_assert_msg(strstr(message, endings[i].message ? endings[i].message : "") != NULL,
                      "%s: %s", endings[i].job, message);
        ck_assert(!run->fingerprint == (run->status != SB_STATUS_OK));
        SB_AUTO_FREE char *log = sb_format("out/logs/%s.log", run->id);
        ck_assert_int_eq(access(log, F_OK), 0);
    }
    ck_assert_int_eq(find_run("exits")->exit_code, 3);
    ck_assert_int_eq(find_run("dies")->signal, SIGKILL);
    ck_assert_int_eq(find_run("ok")->exit_code, 0);
    ck_assert(find_run("ok")->sum == 0.1 && isnan(find_run("ok")->accuracy));
    struct sb_strings_pair kept = {0};
    ck_assert_int_eq(sb_store_find(bench.folder, find_run("ok")->fingerprint, &kept, NULL), 0);
    ck_assert_uint_eq(kept.n, 1);
    ck_assert_str_eq(kept.relative[0], "w");
    sb_strings_pair_clear(&kept);
    ck_assert_uint_eq(count_processes("98761"), 0);
    /* Nothing of the runs is in the user's directory. */
    ck_assert_int_ne(access("dir/w", F_OK), 0);
    tear_down();
}
END_TEST

START_TEST(a_directory_that_is_not_there_fails_its_runs_only)
{
    set_up("  - {name: here, command: [sh, -c, 'echo W > w'], repeats: 2}\n");
    free(bench.suite->jobs[0].directory);
    bench.suite->jobs[0].directory = sb_format("%s/nowhere", bench.root);
    schedule_well();
    ck_assert_uint_eq(bench.result.n_runs, 2);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(bench.result.runs[i].status, SB_STATUS_SPAWN_FAILED);
        ck_assert_ptr_nonnull(strstr(bench.result.runs[i].message, "nowhere"));
    }
    tear_down();
}
END_TEST

START_TEST(a_daemon_does_not_outlive_its_run)
{
    set_up(ENDING("daemon", "setsid sleep 98762 > /dev/null 2>&1 & echo W > w"));
    schedule_well();
    ck_assert_int_eq(bench.result.runs[0].status, SB_STATUS_OK);
    ck_assert_uint_eq(count_processes("98762"), 0);
    tear_down();
}
END_TEST

START_TEST(secrets_do_not_reach_the_journal)
{
    setenv("MY_API_TOKEN", "hunter2", 1);
    setenv("MODE", "a", 1);
    set_up(
        "  - name: waits\n"
        "    command: [sh, -c, 'sleep 0.2; echo W > w']\n"
        "    repeats: 1\n"
        "    axes: {'env:MODE': [a, b]}\n");
    schedule_well();
    SB_AUTO_FREE char *text = NULL;
    ck_assert_int_eq(sb_file_read("out/journal", 1 << 20, &text, NULL, NULL), 0);
    ck_assert_ptr_null(strstr(text, "hunter2"));
    /* Also where the level is what the variable was already. */
    ck_assert_ptr_nonnull(strstr(text, "\"MODE=a\""));
    ck_assert_ptr_nonnull(strstr(text, "\"MODE=b\""));
    tear_down();
}
END_TEST

/* A program that does built-in jobs as samebits would: only the first in an empty folder. */
static void put_program(const char *script) {
    SB_AUTO_FREE char *text = sb_format(
        "#!/bin/sh\n[ \"$1 $2 $3\" = 'worker train dense' ] || exit 7\n"
        "[ -z \"$(ls -A)\" ] || exit 8\n%s\n",
        script);
    ck_assert_int_eq(sb_file_write("program", text, strlen(text), NULL), 0);
    ck_assert_int_eq(chmod("program", 0755), 0);
}

START_TEST(a_built_in_job_reports_beside_its_weights)
{
    set_up("  - {name: dense, train: dense, backend: ref, repeats: 2}\n");
    put_program(
        "echo W > weights.h5; echo '{\"core\": \"Haswell\", \"untrained\": true,"
        "\"accuracy\": {\"max_rel_vs_f64\": 0.25}}' > $SAMEBITS_REPORT");
    SB_AUTO_FREE char *program = sb_format("%s/program", bench.root);
    bench.options.program = program;
    schedule_well();
    ck_assert_uint_eq(bench.result.n_runs, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct sb_run *run = &bench.result.runs[i];
        ck_assert_msg(run->status == SB_STATUS_OK, "%s", run->message);
        ck_assert(run->untrained && run->accuracy == 0.25);
        ck_assert_str_eq(json_string_value(json_object_get(run->seen.worker, "core")), "Haswell");
    }
    struct sb_strings_pair kept = {0};
    ck_assert_int_eq(sb_store_find(bench.folder, bench.result.runs[0].fingerprint, &kept, NULL), 0);
    ck_assert_uint_eq(kept.n, 1);
    ck_assert_str_eq(kept.relative[0], "weights.h5");
    sb_strings_pair_clear(&kept);
    ck_assert_int_ne(access("out/work", F_OK), 0);
    tear_down();
}
END_TEST

START_TEST(what_a_built_in_job_cannot_do_is_its_message)
{
    set_up("  - {name: dense, train: dense, backend: ref, repeats: 1}\n");
    put_program("echo '{\"unsupported\": \"no such core\"}' > $SAMEBITS_REPORT; exit 1");
    SB_AUTO_FREE char *program = sb_format("%s/program", bench.root);
    bench.options.program = program;
    schedule_well();
    ck_assert_int_eq(bench.result.runs[0].status, SB_STATUS_CRASHED);
    ck_assert_ptr_nonnull(strstr(bench.result.runs[0].message, "no such core"));
    tear_down();
}
END_TEST

/* ---- Order ------------------------------------------------------------------------------------
 */

static char *order_with_seed(uint64_t seed) {
    set_up(TWO_CELLS);
    bench.options.seed = seed;
    schedule_well();
    char *text = summary();
    tear_down();
    return text;
}

START_TEST(the_same_seed_gives_the_same_ids)
{
    SB_AUTO_FREE char *a = order_with_seed(1), *b = order_with_seed(1);
    ck_assert_str_eq(a, b);
    /* The reference cell's repeats come first. */
    ck_assert(strncmp(a, "r00001/0/0/1=", 13) == 0);
    ck_assert_ptr_nonnull(strstr(a, "r00004/0/0/4="));
}
END_TEST

START_TEST(a_round_begins_when_the_one_before_has_ended)
{
    set_up(TWO_CELLS "  - {name: next, command: [sh, -c, 'echo W > w'], repeats: 1}\n");
    bench.rounds = 3;
    schedule_well();
    ck_assert_uint_eq(bench.result.n_runs, 8 + 2 + 1 + 2);
    /* Ids go on from round to round and from job to job. */
    ck_assert_str_eq(bench.result.runs[8].id, "r00009");
    ck_assert_uint_eq(bench.result.runs[8].cell, 1);
    ck_assert_uint_eq(bench.result.runs[8].repeat, 5);
    ck_assert_uint_eq(bench.result.runs[9].repeat, 6);
    ck_assert_str_eq(bench.result.runs[10].id, "r00011");
    ck_assert_uint_eq(bench.result.runs[10].job, 1);
    ck_assert_uint_eq(bench.result.runs[10].repeat, 1);
    tear_down();
}
END_TEST

START_TEST(a_job_that_is_given_up_leaves_the_next_alone)
{
    set_up(
        "  - {name: given-up, command: [./nowhere], repeats: 40}\n"
        "  - {name: next, command: [sh, -c, 'echo W > w'], repeats: 2}\n");
    bench.give_up_after = 1;
    schedule_well();
    size_t n[2] = {0};
    for (size_t i = 0; i < bench.result.n_runs; i++)
        n[bench.result.runs[i].job]++;
    ck_assert_uint_ge(n[0], 1);
    ck_assert_uint_lt(n[0], 40);
    ck_assert_uint_eq(n[1], 2);
    /* Ids are those of the plan, so that what is left out can be done later. */
    ck_assert_str_eq(bench.result.runs[bench.result.n_runs - 1].id, "r00042");
    tear_down();
}
END_TEST

START_TEST(runs_that_could_not_be_started_are_tried_again)
{
    set_up("  - {name: late, command: [./late], repeats: 2}\n");
    schedule_well();
    ck_assert_int_eq(bench.result.runs[0].status, SB_STATUS_SPAWN_FAILED);
    reopen();
    SB_AUTO_FREE char *path = sb_format("%s/dir/late", bench.root);
    const char script[] = "#!/bin/sh\necho W > w\n";
    ck_assert_int_eq(sb_file_write(path, script, strlen(script), NULL), 0);
    ck_assert_int_eq(chmod(path, 0755), 0);
    schedule_well();
    ck_assert_uint_eq(bench.result.n_runs, 2);
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(bench.result.runs[i].status, SB_STATUS_OK);
    tear_down();
}
END_TEST

START_TEST(shards_share_out_whole_cells_of_the_first_round)
{
    SB_AUTO_STRINGS struct sb_strings ids = {0};
    size_t most = 0, fewest = SIZE_MAX;
    for (unsigned shard = 1; shard <= 3; shard++) {
        set_up(TWO_CELLS);
        bench.rounds = 2;
        bench.options.shard = shard;
        bench.options.n_shards = 3;
        schedule_well();
        unsigned repeats[2] = {0};
        for (size_t i = 0; i < bench.result.n_runs; i++) {
            ck_assert(!sb_strings_contain(&ids, bench.result.runs[i].id));
            sb_strings_add(&ids, bench.result.runs[i].id);
            repeats[bench.result.runs[i].cell]++;
        }
        for (size_t cell = 0; cell < 2; cell++)
            ck_assert(repeats[cell] == 0 || repeats[cell] == 4);
        most = bench.result.n_runs > most ? bench.result.n_runs : most;
        fewest = bench.result.n_runs < fewest ? bench.result.n_runs : fewest;
        tear_down();
    }
    ck_assert_uint_eq(ids.n, 8);
    ck_assert_uint_eq(most, 4);
    ck_assert_uint_eq(fewest, 0);
}
END_TEST

/* ---- Going on ---------------------------------------------------------------------------------
 */

START_TEST(a_stopped_schedule_is_completed_to_the_same_runs)
{
    SB_AUTO_FREE char *whole = order_with_seed(7);
    for (unsigned after = 1; after < 8; after++) {
        set_up(TWO_CELLS);
        bench.options.seed = 7;
        bench.stop_after = after;
        schedule_well();
        ck_assert(bench.result.stopped && !bench.result.interrupted);
        ck_assert_uint_eq(bench.result.n_runs, after);
        reopen();
        ck_assert_uint_eq(bench.options.n_done, after);
        schedule_well();
        SB_AUTO_FREE char *again = summary();
        ck_assert_str_eq(again, whole);
        ck_assert_uint_eq(bench.started, 8 - after);
        ck_assert_uint_eq(bench.finished, 8);
        ck_assert_uint_eq(count_lines("ran"), 8);
        tear_down();
    }
}
END_TEST

START_TEST(a_finished_schedule_is_taken_over_whole)
{
    set_up(TWO_CELLS "  - {name: next, command: [sh, -c, 'echo W > w; exit 1'], repeats: 1}\n");
    bench.rounds = 2;
    schedule_well();
    SB_AUTO_FREE char *whole = summary();
    enum sb_isolation mode = bench.result.mode;
    ck_assert_int_ne(mode, SB_ISOLATE_AUTO);
    reopen();
    schedule_well();
    SB_AUTO_FREE char *again = summary();
    ck_assert_str_eq(again, whole);
    ck_assert_uint_eq(bench.started, 0);
    ck_assert_int_eq(bench.result.mode, mode);
    tear_down();
}
END_TEST

START_TEST(runs_whose_weights_are_lost_are_done_again)
{
    set_up(TWO_CELLS);
    schedule_well();
    SB_AUTO_FREE char *whole = summary();
    SB_AUTO_FREE char *kept =
        sb_format("out/weights/xxh3-%s", bench.result.runs[0].fingerprint + 5);
    ck_assert_int_eq(sb_remove_tree(kept, NULL), 0);
    reopen();
    schedule_well();
    SB_AUTO_FREE char *again = summary();
    ck_assert_str_eq(again, whole);
    ck_assert_uint_eq(bench.started, 4);
    ck_assert_int_eq(access(kept, F_OK), 0);
    tear_down();
}
END_TEST

START_TEST(another_plan_is_refused)
{
    set_up(TWO_CELLS);
    bench.stop_after = 6;
    schedule_well();
    reopen();
    bench.done[5].cell = !bench.done[5].cell;
    ck_assert_int_eq(schedule(), -EINVAL);
    ck_assert_ptr_nonnull(strstr(bench.err.text, "r00006"));
    ck_assert_ptr_nonnull(strstr(bench.err.text, "--force"));
    ck_assert_uint_eq(bench.started, 0);
    tear_down();
}
END_TEST

/* ---- Interruption -----------------------------------------------------------------------------
 */

/* Processes that ignore TERM, one of them a daemon. The length of their sleep is one of this test
 * alone. */
#define STUBBORN                                                                                   \
    "trap \"\" TERM; sleep $STUBBORN & setsid sleep $STUBBORN & touch $ROOT/there; sleep "         \
    "$STUBBORN"

static void set_stubborn(void) {
    snprintf(bench_stubborn, sizeof bench_stubborn, "9876543.%ld", (long)getpid());
    setenv("STUBBORN", bench_stubborn, 1);
}

static void interrupt_stubborn(bool twice) {
    set_stubborn();
    set_up(
        "  - {name: quick, command: [sh, -c, 'echo W > w'], repeats: 2}\n"
        "  - {name: stubborn, command: [sh, -c, '" STUBBORN "'], repeats: 3}\n");
    bench.stubborn_wanted = 3;
    bench.twice = twice;
    schedule_well();
    ck_assert(bench.result.interrupted);
    ck_assert_uint_eq(bench.result.n_runs, 3);
    ck_assert_int_eq(bench.result.runs[1].status, SB_STATUS_OK);
    ck_assert_int_eq(bench.result.runs[2].status, SB_STATUS_INTERRUPTED);
    ck_assert_uint_eq(count_processes(bench_stubborn), 0);
    reopen();
    ck_assert_uint_eq(bench.options.n_done, 2);
    tear_down();
}

START_TEST(an_interruption_leaves_no_process_and_no_lost_result)
{ interrupt_stubborn(false); }
END_TEST

START_TEST(a_second_interruption_does_too)
{ interrupt_stubborn(true); }
END_TEST

START_TEST(a_journal_that_cannot_be_written_ends_everything)
{
    set_stubborn();
    set_up(
        "  - name: both\n"
        "    command: [sh, -c, 'if [ $MODE = b ]; then " STUBBORN
        "; fi;\n"
        "      for i in 1 2 3 4 5 6 7 8 9; do [ -e $ROOT/there ] || sleep 0.1; done;\n"
        "      echo W > w']\n"
        "    axes: {'env:MODE': [a, b]}\n"
        "    repeats: 1\n");
    bench.options.jobs = 2;
    close(bench.folder->journal);
    bench.folder->journal = open("/dev/full", O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(schedule(), -ENOSPC);
    ck_assert_ptr_nonnull(strstr(bench.err.text, "/journal"));
    /* Where runs go one by one, the second never starts. */
    ck_assert_uint_eq(bench.result.n_runs, bench.started);
    ck_assert_int_eq(bench.result.runs[0].status, SB_STATUS_OK);
    if (bench.started == 2)
        ck_assert_int_eq(bench.result.runs[1].status, SB_STATUS_INTERRUPTED);
    ck_assert_uint_eq(count_processes(bench_stubborn), 0);
    tear_down();
}
END_TEST

/* kill -9 of everything that schedules, at moments that are spread over its life. */
START_TEST(a_killed_schedule_is_completed_to_the_same_runs)
{
    SB_AUTO_FREE char *whole = order_with_seed(3);
    for (unsigned moment = 0; moment < 12; moment++) {
        set_up(TWO_CELLS);
        bench.options.seed = 3;
        sb_folder_close(bench.folder);
        bench.folder = NULL;
        pid_t pid = fork();
        if (pid == 0) {
            if (sb_folder_open("out", true, &bench.folder, NULL) < 0)
                _exit(1);
            _exit(schedule() == 0 ? 0 : 1);
        }
        usleep(moment * 6000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        reopen();
        size_t n_done = bench.options.n_done;
        schedule_well();
        for (size_t i = 0; i < bench.result.n_runs; i++)
            ck_assert_msg(bench.result.runs[i].status == SB_STATUS_OK, "moment %u: %s", moment,
                          bench.result.runs[i].message);
        SB_AUTO_FREE char *again = summary();
        ck_assert_str_eq(again, whole);
        ck_assert_uint_eq(bench.started, 8 - n_done);
        tear_down();
    }
}
END_TEST

/* ---- CPUs -------------------------------------------------------------------------------------
 */

static void put_topology(int cpu, const char *siblings) {
    SB_AUTO_FREE char *folder = sb_format("topology/cpu%d/topology", cpu);
    SB_AUTO_FREE char *file = sb_format("%s/core_cpus_list", folder);
    ck_assert_int_eq(sb_make_folders(folder, 0755, NULL), 0);
    ck_assert_int_eq(sb_file_write(file, siblings, strlen(siblings), NULL), 0);
}

START_TEST(cpus_of_different_cores_are_taken_first)
{
    set_up(TWO_CELLS);
    put_topology(0, "0,4\n");
    put_topology(4, "0,4\n");
    put_topology(1, "1,5\n");
    put_topology(5, "1,5\n");
    const int cpus[] = {0, 1, 4, 5};
    struct sb_cpus open;
    int taken[4], other[4];
    ck_assert_int_eq(sb_cpus_open(cpus, 4, "topology", &open, NULL), 0);
    sb_cpus_take(&open, 2, taken);
    ck_assert(taken[0] == 0 && taken[1] == 1);
    sb_cpus_take(&open, 1, other);
    ck_assert_int_eq(other[0], 4);
    sb_cpus_give(&open, taken + 1, 1); /* 1 is free again, and 5 */
    sb_cpus_take(&open, 2, other);
    ck_assert(other[0] == 1 && other[1] == 5);
    ck_assert_uint_eq(open.n_free, 0);
    sb_cpus_clear(&open);
    /* 0 and 4 are one core: a run of two gets 5 beside 0. */
    ck_assert_int_eq(sb_cpus_open(cpus, 4, "topology", &open, NULL), 0);
    sb_cpus_take(&open, 2, taken);
    sb_cpus_give(&open, taken, 1);
    sb_cpus_take(&open, 2, other);
    ck_assert(other[0] == 0 && other[1] == 5);
    sb_cpus_clear(&open);
    tear_down();
}
END_TEST

/* Each run notes its CPUs when it begins and when it ends. */
#define NOTES_CPUS                                                                                 \
    "  - name: notes\n"                                                                            \
    "    command: [sh, -c, 'cpus=$(grep Cpus_allowed_list /proc/self/status | tr -dc 0-9,-);\n"    \
    "      echo + $cpus >> $ROOT/notes; sleep 0.05; echo - $cpus >> $ROOT/notes; echo W > w']\n"   \
    "    repeats: 6\n"

/* The most runs that were under way at once; asserts that no two had the same list of CPUs. */
static unsigned replay_notes(bool disjoint) {
    SB_AUTO_FILE FILE *notes = fopen("notes", "r");
    ck_assert_ptr_nonnull(notes);
    char line[256], list[16][256];
    unsigned n = 0, most = 0;
    while (fgets(line, sizeof line, notes)) {
        unsigned i = 0;
        while (i < n && strcmp(list[i], line + 2) != 0)
            i++;
        if (line[0] == '+') {
            ck_assert_msg(!disjoint || i == n, "shared: %s", line);
            strcpy(list[n++], line + 2);
        } else {
            ck_assert_uint_lt(i, n);
            memmove(list[i], list[n - 1], sizeof *list);
            n--;
        }
        most = n > most ? n : most;
    }
    return most;
}

START_TEST(pinned_runs_never_share_a_cpu)
{
    for (unsigned jobs = 0; jobs < 9; jobs += 4) {
        set_up(NOTES_CPUS "    axes: {threads: [1]}\n");
        bench.options.jobs = jobs;
        schedule_well();
        unsigned most = replay_notes(true);
        ck_assert_uint_le(most, bench.machine->n_cpus);
        for (size_t i = 0; i < bench.result.n_runs; i++)
            ck_assert_uint_le(bench.result.runs[i].seen.n_cpus, 1);
        tear_down();
    }
}
END_TEST

START_TEST(a_run_without_threads_is_alone_unless_told_otherwise)
{
    set_up(NOTES_CPUS);
    schedule_well();
    ck_assert_uint_eq(replay_notes(true), 1);
    tear_down();
    set_up(NOTES_CPUS);
    bench.options.jobs = 3;
    schedule_well();
    ck_assert_uint_le(replay_notes(false), 3);
    tear_down();
}
END_TEST

START_TEST(ids_are_of_one_length_however_many_runs_there_may_be)
{
    set_up(TWO_CELLS);
    struct sb_numbering numbering;
    ck_assert_int_eq(sb_numbering_start(bench.plan, &numbering, NULL), 0);
    ck_assert_uint_eq(numbering.width, 5);
    bench.suite->jobs[0].repeats = (struct sb_repeats){.min = 3, .max = 50000};
    ck_assert_int_eq(sb_numbering_start(bench.plan, &numbering, NULL), 0);
    ck_assert_uint_eq(numbering.width, 6); /* two cells: up to r100000 */
    tear_down();
}
END_TEST

START_TEST(progress_is_told_while_something_runs)
{
    set_up("  - {name: slow, command: [sh, -c, 'sleep 1; echo W > w'], repeats: 1}\n");
    schedule_well();
    ck_assert_uint_ge(bench.ticks, 2);
    tear_down();
}
END_TEST

SB_TEST_MAIN_IN_SETTINGS(
    "run-scheduler", every_end_has_its_status_and_stops_no_other_run,
    a_directory_that_is_not_there_fails_its_runs_only, a_daemon_does_not_outlive_its_run,
    secrets_do_not_reach_the_journal, a_built_in_job_reports_beside_its_weights,
    what_a_built_in_job_cannot_do_is_its_message, the_same_seed_gives_the_same_ids,
    a_round_begins_when_the_one_before_has_ended, shards_share_out_whole_cells_of_the_first_round,
    a_job_that_is_given_up_leaves_the_next_alone, runs_that_could_not_be_started_are_tried_again,
    a_stopped_schedule_is_completed_to_the_same_runs, a_finished_schedule_is_taken_over_whole,
    runs_whose_weights_are_lost_are_done_again, another_plan_is_refused,
    an_interruption_leaves_no_process_and_no_lost_result, a_second_interruption_does_too,
    a_journal_that_cannot_be_written_ends_everything,
    a_killed_schedule_is_completed_to_the_same_runs, cpus_of_different_cores_are_taken_first,
    pinned_runs_never_share_a_cpu, a_run_without_threads_is_alone_unless_told_otherwise,
    ids_are_of_one_length_however_many_runs_there_may_be, progress_is_told_while_something_runs)
