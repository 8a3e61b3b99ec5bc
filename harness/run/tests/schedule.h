/* run: what the tests of the scheduler share: a suite in a folder of its own, real processes, and a
 * double of the stage that reads weights: it hashes bytes. */
#ifndef SB_RUN_TESTS_SCHEDULE_H
#define SB_RUN_TESTS_SCHEDULE_H

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

static inline int digest_fd(void *reading) {
    return ((struct reading *)reading)->fd;
}

static inline int digest_step(void *reading, const struct sb_strings_pair *files,
                              struct sb_digest_result *result, struct sb_error *err) {
    (void)files;
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

static inline void digest_free(void *reading) {
    close(((struct reading *)reading)->fd);
    free(reading);
}

static inline bool digest_recognised(void *context, const char *path) {
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

static inline void run_as_many(const struct sb_job_plan *job, unsigned *more) {
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

static inline void on_start(void *context, size_t job, const char *id) {
    (void)context, (void)job, (void)id;
    bench.started++;
}

static inline void on_finish(void *context, const struct sb_run *run) {
    (void)context, (void)run;
    bench.finished++;
}

/* Processes whose command line holds `word`. */
static inline size_t count_processes(const char *word) {
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

static inline void on_tick(void *context) {
    (void)context;
    bench.ticks++;
    if (bench.stubborn_wanted && sb_interrupted)
        sb_interrupted = bench.twice ? -SIGINT : SIGINT;
    else if (bench.stubborn_wanted && count_processes(bench_stubborn) >= bench.stubborn_wanted)
        sb_interrupted = SIGINT;
}

static inline bool on_stop(void *context) {
    (void)context;
    return bench.stop_after && bench.started >= bench.stop_after;
}

static inline bool on_give_up(void *context, size_t job) {
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

static inline void parse_suite(const char *jobs) {
    SB_AUTO_FREE char *text = sb_format("version: 1\njobs:\n%s", jobs);
    SB_AUTO_FREE char *path = sb_format("%s/dir/suite.yaml", bench.root);
    struct sb_error *err = &bench.err;
    ck_assert_msg(sb_suite_parse(text, strlen(text), path, &(struct sb_overrides){.timeout_s = -1},
                                 &bench.suite, err) == 0,
                  "%s", err->text);
    ck_assert_msg(sb_machine_probe(&bench.machine, err) == 0, "%s", err->text);
    ck_assert_msg(sb_plan_make(bench.suite, bench.machine, &bench.plan, err) == 0, "%s", err->text);
}

static inline void set_up(const char *jobs) {
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

static inline int schedule(void) {
    return sb_schedule_run(bench.plan, bench.folder, &bench.options, &callbacks, &bench.result,
                           &bench.err);
}

static inline void schedule_well(void) {
    ck_assert_msg(schedule() == 0, "%s", bench.err.text);
}

static inline void clear_done(void) {
    for (size_t i = 0; i < bench.options.n_done; i++)
        sb_run_clear(&bench.done[i]);
    free(bench.done);
    bench.done = bench.options.done = NULL;
    bench.options.n_done = 0;
}

/* Another samebits comes and reads what the first left. */
static inline void reopen(void) {
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

static inline void tear_down(void) {
    clear_done();
    sb_schedule_result_clear(&bench.result);
    sb_folder_close(bench.folder);
    sb_plan_free(bench.plan);
    sb_machine_free(bench.machine);
    sb_suite_free(bench.suite);
    ck_assert_int_eq(chdir("/"), 0);
    sb_remove_tree(bench.root, NULL);
}

static inline const struct sb_run *find_run(const char *job) {
    for (size_t i = 0; i < bench.result.n_runs; i++) {
        const struct sb_run *run = &bench.result.runs[i];
        if (strcmp(bench.plan->jobs[run->job].job->name, job) == 0)
            return run;
    }
    ck_abort_msg("no run of %s", job);
}

/* Lines of a file that runs append to, outside of their directory. */
static inline size_t count_lines(const char *name) {
    SB_AUTO_FREE char *text = NULL;
    if (sb_file_read(name, 1 << 20, &text, NULL, NULL) < 0)
        return 0;
    size_t n = 0;
    for (const char *c = text; *c; c++)
        n += *c == '\n';
    return n;
}

/* "r00001/0/1=xxh3:… " of every run: id, cell, repeat, result. */
static inline char *summary(void) {
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

static inline char *order_with_seed(uint64_t seed) {
    set_up(TWO_CELLS);
    bench.options.seed = seed;
    schedule_well();
    char *text = summary();
    tear_down();
    return text;
}

#endif
