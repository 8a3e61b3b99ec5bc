/* run: which runs there are, in which order, and on which CPUs. */
#include "run/tests/schedule.h"

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
    "run-order", the_same_seed_gives_the_same_ids, a_round_begins_when_the_one_before_has_ended,
    a_job_that_is_given_up_leaves_the_next_alone, runs_that_could_not_be_started_are_tried_again,
    shards_share_out_whole_cells_of_the_first_round, cpus_of_different_cores_are_taken_first,
    pinned_runs_never_share_a_cpu, a_run_without_threads_is_alone_unless_told_otherwise,
    ids_are_of_one_length_however_many_runs_there_may_be, progress_is_told_while_something_runs)
