/* What is said while runs are under way, on a stderr that is no terminal. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "cli/progress.h"
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct world {
    struct sb_job job;
    struct sb_job_plan job_plan;
    struct sb_plan plan;
    struct sb_progress progress;
};

static void begin(struct world *world, bool quiet) {
    *world = (struct world){.job = {.name = (char *)"train.py", .id = (char *)"train.py"}};
    world->job_plan = (struct sb_job_plan){.job = &world->job, .n_cells = 1};
    world->plan = (struct sb_plan){.jobs = &world->job_plan, .n_jobs = 1};
    sb_progress_begin(&world->progress, &world->plan, quiet, false);
    sb_progress_more(&world->progress, 0, 3);
    sb_progress_started(&world->progress, 0);
}

/* How often three ticks, `seconds` after the start, point to --timeout on stderr. */
static size_t count_hints(struct world *world, double seconds) {
    char path[] = "/tmp/samebits-test-progress-XXXXXX";
    int to = mkstemp(path), kept = dup(STDERR_FILENO);
    SB_AUTO_FREE char *text = NULL;
    size_t n = 0;
    ck_assert_int_ge(dup2(to, STDERR_FILENO), 0);
    world->progress.began = sb_monotonic() - seconds;
    for (int i = 0; i < 3; i++)
        sb_progress_show(&world->progress);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(to);
    ck_assert_int_eq(sb_file_read(path, 1 << 20, &text, NULL, NULL), 0);
    unlink(path);
    for (const char *at = text; (at = strstr(at, "--timeout")); at++)
        n++;
    return n;
}

START_TEST(a_job_that_may_hang_is_pointed_to_the_timeout_once)
{
    struct world world;
    begin(&world, false);
    ck_assert_uint_eq(count_hints(&world, 30), 0);
    ck_assert_uint_eq(count_hints(&world, 61), 1);
    ck_assert_uint_eq(count_hints(&world, 90), 0);
}
END_TEST

START_TEST(nothing_is_said_where_it_would_not_help)
{
    struct world world;
    begin(&world, true);
    ck_assert_uint_eq(count_hints(&world, 61), 0);
    begin(&world, false);
    world.job.timeout_s = 600;
    ck_assert_uint_eq(count_hints(&world, 61), 0);
    begin(&world, false);
    const struct sb_run run = {.status = SB_STATUS_OK};
    sb_progress_finished(&world.progress, &run);
    ck_assert_uint_eq(count_hints(&world, 61), 0);
}
END_TEST

START_TEST(an_interrupted_run_has_not_failed)
{
    struct world world;
    begin(&world, false);
    struct sb_run run = {.status = SB_STATUS_CRASHED};
    sb_progress_finished(&world.progress, &run);
    run.status = SB_STATUS_INTERRUPTED;
    sb_progress_finished(&world.progress, &run);
    ck_assert_uint_eq(world.progress.failed, 1);
    ck_assert_uint_eq(world.progress.done, 1);
}
END_TEST

SB_TEST_MAIN("cli-progress", a_job_that_may_hang_is_pointed_to_the_timeout_once,
             nothing_is_said_where_it_would_not_help, an_interrupted_run_has_not_failed)
