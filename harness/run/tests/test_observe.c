/* run: what is observed of a run while it runs. */
#include "run/tests/work.h"

#include <sys/personality.h>

static bool has_library(const struct sb_observation *seen, const char *part) {
    for (size_t i = 0; i < seen->n_libraries; i++)
        if (strstr(seen->libraries[i], part))
            return true;
    return false;
}

START_TEST(a_run_is_observed_while_it_runs)
{
    set_up();
    cpu_set_t set;
    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &set))
        cpu++;
    struct test_run run = finish_run(
        sandbox, &(struct test_options){
                     .script = "sleep 0.05; sleep 0.3; true",
                     .environment = (char *[]){(char *)"PATH=/bin", (char *)"LEVEL=1 2", NULL},
                     .cpus = &cpu,
                     .n_cpus = 1});
    const struct sb_observation *seen = &run.end.seen;
    assert_exit(&run, 0);
    ck_assert_uint_ge(seen->n_samples, 2);
    ck_assert_uint_eq(seen->n_cpus, 1);
    ck_assert_uint_eq(seen->max_threads, 1);
    ck_assert_uint_ge(seen->n_processes, 2);
    ck_assert_str_eq(seen->processes[0].arguments[1], "-c");
    bool level = false, sleeps = false;
    for (char **item = seen->processes[0].environment; *item; item++)
        level |= strcmp(*item, "LEVEL=1 2") == 0;
    for (size_t i = 0; i < seen->n_processes; i++) {
        char **arguments = seen->processes[i].arguments;
        sleeps |= arguments[0] && arguments[1] && strcmp(arguments[1], "0.3") == 0;
    }
    ck_assert(level);
    ck_assert(sleeps);
    ck_assert(has_library(seen, "libc.so") || has_library(seen, "libc-") ||
              has_library(seen, "musl"));
    ck_assert(seen->personality_known);
    ck_assert_str_eq(seen->cwd, folder);
    ck_assert_ptr_nonnull(seen->hostname);
    for (size_t i = 1; i < seen->n_libraries; i++)
        ck_assert(strcmp(seen->libraries[i - 1], seen->libraries[i]) < 0);
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(aslr_can_be_switched_off)
{
    set_up();
    int persona = personality(0xffffffff);
    if (personality((unsigned long)persona | ADDR_NO_RANDOMIZE) < 0) {
        tear_down();
        sb_test_skip("needs personality: this container forbids it");
        return;
    }
    personality((unsigned long)persona);
    struct test_run run =
        finish_run(sandbox, &(struct test_options){.script = "cat /proc/$$/personality; sleep 0.1",
                                                   .aslr_off = true});
    assert_printed(&run, "00040000\n");
    ck_assert(run.end.seen.personality_known);
    ck_assert_uint_eq(run.end.seen.personality, ADDR_NO_RANDOMIZE);
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(threads_and_late_libraries_are_seen)
{
    if (access("/usr/bin/python3", X_OK) < 0) {
        sb_test_skip("needs python3: a program with threads that loads libraries late");
        return;
    }
    set_up();
    struct test_run run = finish_run(
        sandbox,
        &(struct test_options){
            .command = (char *[]){
                (char *)"python3", (char *)"-c",
                (char *)"import threading, time, ctypes, ctypes.util\n"
                        "ts = [threading.Thread(target=time.sleep, args=(1,)) for _ in range(5)]\n"
                        "[t.start() for t in ts]\n"
                        "time.sleep(0.15)\n"
                        "ctypes.CDLL('libresolv.so.2')\n"
                        "[t.join() for t in ts]\n",
                NULL}});
    assert_exit(&run, 0);
    ck_assert_uint_eq(run.end.seen.max_threads, 6);
    ck_assert(has_library(&run.end.seen, "libresolv"));
    ck_assert_uint_eq(run.end.seen.n_processes, 1);
    clear_run(&run);
    tear_down();
}
END_TEST

/* The C library ends each of its tunables in the environment that it was given. */
START_TEST(tunables_are_seen_whole)
{
    set_up();
    char tunables[] =
        "GLIBC_TUNABLES=glibc.malloc.tcache_count=0:no.tunable=1:"
        "glibc.malloc.arena_max=1:glibc.malloc.perturb=0x55";
    struct test_run run = finish_run(
        sandbox, &(struct test_options){
                     .command = (char *[]){(char *)"/bin/sleep", (char *)"0.3", NULL},
                     .environment = (char *[]){(char *)"A=1", tunables, (char *)"B=glibc", NULL}});
    assert_exit(&run, 0);
    ck_assert_uint_eq(run.end.seen.n_processes, 1);
    char **environment = run.end.seen.processes[0].environment;
    bool whole = false, others = false;
    for (char **item = environment; *item; item++) {
        whole |= strcmp(*item, tunables) == 0;
        others |= strcmp(*item, "B=glibc") == 0;
    }
    ck_assert(whole);
    ck_assert(others);
    clear_run(&run);
    tear_down();
}
END_TEST

/* By then its samples no longer look at what it executes, unless something says that it may be
 * another. */
START_TEST(a_late_exec_is_seen)
{
    set_up();
    struct test_run run = finish_run(
        sandbox,
        &(struct test_options){
            .command = (char *[]){
                (char *)"/bin/sh", (char *)"-c",
                (char *)"for i in 1 2 3 4 5 6 7 8; do /bin/sleep 0.02; done; exec /bin/sleep 0.23",
                NULL}});
    assert_exit(&run, 0);
    bool sleeps = false;
    for (size_t i = 0; i < run.end.seen.n_processes; i++) {
        char **arguments = run.end.seen.processes[i].arguments;
        sleeps |= arguments[0] && arguments[1] && strcmp(arguments[1], "0.23") == 0;
    }
    ck_assert(sleeps);
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(a_run_too_short_to_be_seen_says_so)
{
    set_up();
    struct test_run run = finish_run(
        sandbox, &(struct test_options){.command = (char *[]){(char *)"/bin/true", NULL}});
    assert_exit(&run, 0);
    ck_assert_uint_le(run.end.seen.n_processes, 1);
    if (run.end.seen.n_samples == 0)
        ck_assert_ptr_null(run.end.seen.hostname);
    for (size_t i = 0; i < run.end.seen.n_processes; i++) /* never the child before its exec */
        ck_assert_ptr_nonnull(strstr(run.end.seen.processes[i].exe, "true"));
    clear_run(&run);
    tear_down();
}
END_TEST

SB_TEST_MAIN_IN_SETTINGS("run-observe", a_run_is_observed_while_it_runs, aslr_can_be_switched_off,
                         threads_and_late_libraries_are_seen, tunables_are_seen_whole,
                         a_late_exec_is_seen, a_run_too_short_to_be_seen_says_so)
