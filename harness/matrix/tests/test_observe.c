/* matrix: what runs really had, and which axes are provably inert. */
#include "matrix.h"

#include <sys/personality.h>

/* An observation of processes, each "exe|argument argument…|NAME=value NAME=value…" with its
 * program name in front of the arguments; an environment of "?" could not be read. */
static struct sb_observation saw(const char *const *processes, size_t n) {
    struct sb_observation seen = {.n_samples = 1, .n_processes = n};
    seen.processes = calloc(n + 1, sizeof *seen.processes);
    for (size_t i = 0; i < n; i++) {
        SB_AUTO_FREE char *text = strdup(processes[i]);
        char *arguments = strchr(text, '|'), *variables = strchr(arguments + 1, '|'), *next;
        *arguments++ = *variables++ = '\0';
        struct sb_strings argv = {0}, environment = {0};
        seen.processes[i].exe = strdup(text);
        for (char *word = strtok_r(arguments, " ", &next); word; word = strtok_r(NULL, " ", &next))
            sb_strings_add(&argv, word);
        for (char *word = strtok_r(variables, " ", &next); word; word = strtok_r(NULL, " ", &next))
            sb_strings_add(&environment, word);
        seen.processes[i].arguments = argv.items;
        if (environment.n && strcmp(environment.items[0], "?") == 0)
            sb_strings_clear(&environment);
        else
            seen.processes[i].environment =
                environment.items ? environment.items : calloc(1, sizeof(char *));
    }
    return seen;
}

/* What the probe noted: the programs that it was in, those that it was not, one source. */
static struct sb_observation probed(const char *in, const char *out, const char *source) {
    json_t *programs = json_array(), *others = json_array(), *sources = json_array();
    if (in)
        json_array_append_new(programs, json_string(in));
    if (out)
        json_array_append_new(others, json_string(out));
    if (source)
        json_array_append_new(sources, json_pack("{s:s}", "source", source));
    return (struct sb_observation){.n_samples = 1,
                                   .probe = json_pack("{s:o, s:o, s:i, s:o}", "programs", programs,
                                                      "not_covered", others, "lost", 0, "sources",
                                                      sources)};
}

/* … in a run with raw system calls frozen: of these programs no more is. */
static struct sb_observation by_call(const char *in, const char *raw, const char *source) {
    struct sb_observation seen = probed(in, NULL, source);
    json_object_set_new(
        seen.probe, "raw",
        json_pack("{s:[s], s:n, s:[s]}", "frozen", "entropy", "refused", "programs", raw));
    return seen;
}

static void observes(const char *name, const char *level, struct sb_observation seen,
                     const char *expected) {
    SB_AUTO_FREE char *observed = axis_named(name)->observe(name, level, &seen);
    sb_observation_clear(&seen);
    ck_assert_msg(!expected == !observed, "%s: %s, not %s", name, observed ? observed : "unknown",
                  expected ? expected : "unknown");
    ck_assert_msg(!expected || strcmp(observed, expected) == 0, "%s: %s, not %s", name, observed,
                  expected);
}

static void python(const char *process, const char *expected) {
    observes("hash_seed", "5", saw(&process, 1), expected);
}

START_TEST(pythons_own_command_line_decides_whether_it_reads_the_seed)
{
    python("/usr/bin/python3.11|python3 train.py|PYTHONHASHSEED=5", "5");
    python("/usr/bin/python3.11|python3 -I train.py|PYTHONHASHSEED=5", "random");
    python("/usr/bin/python3.11|python3 -E train.py|PYTHONHASHSEED=5", "random");
    python("/usr/bin/python3.11|python3 -sE train.py|PYTHONHASHSEED=5", "random");
    python("/usr/bin/python3.11|python3 -IE -u train.py|PYTHONHASHSEED=5", "random");
    python("/usr/bin/python3.11|python3 -Ic pass|PYTHONHASHSEED=5", "random");
    python("/usr/bin/python3.11|python3 -R train.py|PYTHONHASHSEED=5", "random");
    python("/usr/bin/python3.11|python3 train.py -I|PYTHONHASHSEED=5", "5");
    python("/usr/bin/python3.11|python3 -c pass -I|PYTHONHASHSEED=5", "5");
    python("/usr/bin/python3.11|python3 -mtrain -I|PYTHONHASHSEED=5", "5");
    python("/usr/bin/python3.11|python3 -W ignore -I t.py|PYTHONHASHSEED=5", "random");
    python("/usr/bin/python3.11|python3 -WIgnore t.py|PYTHONHASHSEED=5", "5");
    python("/usr/bin/python3.11|python3 -X I t.py|PYTHONHASHSEED=5", "5");
    python("/usr/bin/python3.11|python3 --check-hash-based-pycs always -I t.py|PYTHONHASHSEED=5",
           "random");
    python("/usr/bin/python3.11|python3 - -I|PYTHONHASHSEED=5", "5");
}
END_TEST

START_TEST(the_seed_is_what_the_interpreter_got_and_not_what_was_asked)
{
    python("/usr/bin/python3.11|python3 train.py|HOME=/", "random");
    python("/usr/bin/python3.11|python3 train.py|PYTHONHASHSEED=", "random");
    python("/usr/bin/python3.11|python3 train.py|PYTHONHASHSEED=9", "9");
    python("/usr/bin/python3.11|python3 -I train.py|?", "random");
    python("/usr/bin/python3.11|python3 train.py|?", NULL);
    python("/opt/pypy3.10|pypy3 t.py|PYTHONHASHSEED=5", "5");
    python("/usr/bin/python3-dbg|python3 t.py|PYTHONHASHSEED=5", "5");
}
END_TEST

START_TEST(a_variable_in_the_environment_is_no_proof_that_it_was_used)
{
    python("/home/u/train|train|PYTHONHASHSEED=5", NULL);
    python("/usr/bin/python-config|python-config|PYTHONHASHSEED=5", NULL);
    const char *const both[] = {"/bin/dash|sh run.sh|PYTHONHASHSEED=5",
                                "/usr/bin/python3|python3 t.py|HOME=/"};
    observes("hash_seed", "5", saw(both, 2), "random");
    const char *const two[] = {"/usr/bin/python3|python3 t.py|PYTHONHASHSEED=5",
                               "/usr/bin/python3|python3 -I w.py|PYTHONHASHSEED=5"};
    observes("hash_seed", "5", saw(two, 2), "5 and random");
    observes("hash_seed", "5", (struct sb_observation){0}, NULL);
}
END_TEST

static struct sb_observation worker(const char *json) {
    struct sb_observation seen = {.n_samples = 1, .n_cpus = 2, .max_threads = 9};
    seen.worker = json_loads(json, 0, NULL);
    ck_assert_ptr_nonnull(seen.worker);
    return seen;
}

START_TEST(a_built_in_job_speaks_for_itself)
{
    observes("hash_seed", "5", worker("{\"hash_seed\": 5}"), "5");
    observes("hash_seed", "5", worker("{\"hash_seed\": \"random\"}"), "random");
    observes("threads", "4", worker("{\"threads\": 1}"), "1");
    observes("deterministic", "on", worker("{\"deterministic\": false}"), "off");
    observes("deterministic", "on", worker("{\"deterministic\": null}"), NULL);
    observes("isa", "avx512", worker("{\"core\": \"Haswell\"}"), "Haswell");
    observes("isa", "avx512", worker("{}"), NULL);
}
END_TEST

START_TEST(threads_are_the_cpus_unless_more_threads_were_seen)
{
    struct sb_observation seen = {.n_samples = 3, .n_cpus = 2, .max_threads = 1};
    observes("threads", "2", seen, "2");
    seen.max_threads = 5;
    observes("threads", "4", seen, "2 CPUs, 5 threads");
    seen.n_cpus = 1;
    observes("threads", "1", seen, "1 CPU, 5 threads");
    seen.n_samples = 0;
    observes("threads", "1", seen, NULL);
}
END_TEST

START_TEST(threads_that_ended_before_anybody_looked_are_known_by_the_probe)
{
    struct sb_observation calm = probed("job", NULL, "entropy");
    struct sb_observation quick = probed("job", NULL, "threads");
    calm.max_threads = quick.max_threads = 1;
    const struct sb_observation *seen[] = {&calm, &calm};
    ck_assert_ptr_nonnull(axis_named("threads")->limit(seen, 2));
    seen[1] = &quick;
    ck_assert_ptr_null(axis_named("threads")->limit(seen, 2));
    sb_observation_clear(&calm);
    sb_observation_clear(&quick);
}
END_TEST

START_TEST(deterministic_and_isa_of_a_command_are_unknown)
{
    const char *process = "/usr/bin/python3|python3 t.py|SAMEBITS_DETERMINISTIC=1";
    observes("deterministic", "on", saw(&process, 1), NULL);
    process = "/usr/bin/python3|python3 t.py|OPENBLAS_CORETYPE=Haswell";
    observes("isa", "avx2", saw(&process, 1), NULL);
}
END_TEST

START_TEST(aslr_is_read_from_the_personality)
{
    struct sb_observation seen = {.n_samples = 1, .personality_known = true};
    seen.personality = ADDR_NO_RANDOMIZE | 0x20000;
    observes("aslr", "on", seen, "off");
    seen.personality_known = false;
    observes("aslr", "off", seen, NULL);
}
END_TEST

static void memory(const char *process, const char *library, const char *expected) {
    struct sb_observation seen = saw(&process, 1);
    struct sb_strings libraries = {0};
    sb_strings_add(&libraries, "/lib/x86_64-linux-gnu/libm.so.6");
    sb_strings_add(&libraries, library);
    seen.libraries = libraries.items;
    seen.n_libraries = libraries.n;
    observes("memory", "0xaa", seen, expected);
}

START_TEST(memory_is_known_where_glibc_alone_allocates)
{
    static const char filled[] = "/t|t|GLIBC_TUNABLES=glibc.cpu.x=1:glibc.malloc.perturb=0x55";
    memory(filled, "/lib/libc.so.6", "0xaa");
    memory("/t|t|HOME=/", "/lib/libc.so.6", "off");
    memory("/t|t|GLIBC_TUNABLES=glibc.malloc.perturb=255", "/lib/libc.so.6", "zero");
    memory("/t|t|GLIBC_TUNABLES=glibc.malloc.perturb=0x00", "/lib/libc.so.6", "off");
    memory("/t|t|MALLOC_PERTURB_=3", "/lib/libc.so.6", NULL);
    memory(filled, "/usr/lib/libjemalloc.so.2", NULL);
    memory(filled, "/lib/ld-musl-x86_64.so.1", NULL);
    memory("/t|t|?", "/lib/libc.so.6", NULL);
}
END_TEST

START_TEST(a_variable_that_did_not_arrive_is_seen_for_what_it_was)
{
    const char *process = "/t|t|FOO=1";
    observes("env:FOO", "1", saw(&process, 1), NULL);
    observes("env:FOO", "2", saw(&process, 1), "1");
    process = "/t|t|HOME=/";
    observes("env:FOO", "1", saw(&process, 1), "<unset>");
    const char *const both[] = {"/bin/dash|sh|FOO=1", "/t|t|HOME=/"};
    observes("env:FOO", "1", saw(both, 2), NULL);
    const char *const started[] = {"/usr/bin/env|env -i t|FOO=1", "/t|t|HOME=/"};
    observes("env:FOO", "1", saw(started, 2), "<unset>");
}
END_TEST

/* Two runs of each of two levels, one process each. */
static void alike(const char *name, bool in_command, const char *const processes[4],
                  const char *first, const char *second, bool expected) {
    char *levels[] = {(char[]){"0"}, (char[]){"1"}, NULL};
    struct sb_job_axis axis = {.axis = sb_axis_find(name),
                               .name = (char *)(uintptr_t)name,
                               .levels = levels,
                               .n_levels = 2,
                               .in_command = in_command};
    struct sb_observation seen[4];
    struct sb_axis_sight sights[4];
    for (size_t i = 0; i < 4; i++) {
        seen[i] = saw(&processes[i], 1);
        sights[i] = (struct sb_axis_sight){i / 2, &seen[i]};
    }
    char *observed[2] = {NULL, NULL};
    const char *wanted[] = {first, second};
    bool is_alike = !expected;
    ck_assert_int_eq(sb_axis_observed(&axis, sights, 4, observed, &is_alike), 0);
    for (int l = 0; l < 2; l++) {
        ck_assert_msg(!wanted[l] == !observed[l] &&
                          (!wanted[l] || strcmp(wanted[l], observed[l]) == 0),
                      "%s level %d: %s", name, l, observed[l] ? observed[l] : "unknown");
        free(observed[l]);
    }
    for (size_t i = 0; i < 4; i++)
        sb_observation_clear(&seen[i]);
    ck_assert_int_eq(is_alike, expected);
}

#define PY "/usr/bin/python3|python3 "
#define ISOLATED PY "-I t.py|PYTHONHASHSEED="
#define PLAIN PY "t.py|PYTHONHASHSEED="

START_TEST(an_axis_is_alike_only_where_every_run_is_known_and_the_same)
{
    const char *const isolated[] = {ISOLATED "0", ISOLATED "0", ISOLATED "1", ISOLATED "1"};
    alike("hash_seed", false, isolated, "random", "random", true);
    alike("hash_seed", true, isolated, "random", "random",
          false); /* it stands in the command too */
    const char *const plain[] = {PLAIN "0", PLAIN "0", PLAIN "1", PLAIN "1"};
    alike("hash_seed", false, plain, "0", "1", false);
    const char *const half[] = {ISOLATED "0", PY "t.py|?", ISOLATED "1", ISOLATED "1"};
    alike("hash_seed", false, half, "random", "random", false);
    const char *const mixed[] = {ISOLATED "0", PLAIN "0", ISOLATED "1", PLAIN "0"};
    alike("hash_seed", false, mixed, "0 or random", "0 or random", false);
}
END_TEST

START_TEST(what_reached_no_process_is_alike_and_what_did_is_unknown)
{
    const char *const c_program[] = {"/t|t|PYTHONHASHSEED=0", "/t|t|PYTHONHASHSEED=0",
                                     "/t|t|PYTHONHASHSEED=1", "/t|t|PYTHONHASHSEED=1"};
    alike("hash_seed", false, c_program, NULL, NULL, false);
    const char *const emptied[] = {"/t|t|A=1", "/t|t|A=1", "/t|t|A=1", "/t|t|A=1"};
    alike("hash_seed", false, emptied, "<unset>", "<unset>", true);
    alike("env:FOO", false, emptied, "<unset>", "<unset>", true);
    alike("deterministic", false, emptied, "<unset>", "<unset>", true);
    const char *const pinned[] = {"/t|t|FOO=0", "/t|t|FOO=0", "/t|t|FOO=0", "/t|t|FOO=0"};
    alike("env:FOO", false, pinned, "0", "0", true);
    const char *const arrived[] = {"/t|t|FOO=0", "/t|t|FOO=0", "/t|t|FOO=1", "/t|t|FOO=1"};
    alike("env:FOO", false, arrived, NULL, NULL, false);
    const char *const hidden[] = {"/t|t|A=1", "/t|t|?", "/t|t|A=1", "/t|t|A=1"};
    alike("deterministic", false, hidden, NULL, NULL, false);
}
END_TEST

START_TEST(an_argument_is_what_the_process_got)
{
    const char *const any[] = {"/t|t|", "/t|t|", "/t|t|", "/t|t|"};
    alike("lr", true, any, "0", "1", false);
}
END_TEST

START_TEST(a_source_is_known_where_the_probe_was_in_every_program)
{
    observes("entropy", "frozen", probed("job", NULL, "entropy"), "frozen");
    observes("entropy", "live", probed("job", NULL, "entropy"), "live");
    observes("entropy", "live", probed("job", NULL, "hash_seed"), "not consulted");
    observes("clock", "frozen", probed("job", NULL, "monotonic"), "not consulted");
    observes("readdir", "sorted", probed("job", NULL, "readdir"), "sorted");
    observes("entropy", "frozen", probed("job", "busybox", "entropy"), NULL);
    observes("entropy", "frozen", probed(NULL, NULL, NULL), NULL);
    observes("entropy", "frozen", (struct sb_observation){.n_samples = 1}, NULL);
}
END_TEST

START_TEST(of_programs_without_the_probe_entropy_alone_is_known)
{
    observes("entropy", "frozen", by_call("sh", "job", "entropy"), "frozen");
    observes("entropy", "frozen", by_call(NULL, "job", "entropy"), "frozen");
    observes("entropy", "frozen", by_call(NULL, "job", NULL), "not consulted");
    observes("clock", "frozen", by_call("sh", "job", "clock"), NULL);
    observes("readdir", "sorted", by_call("sh", "job", NULL), NULL);
}
END_TEST

START_TEST(clocks_that_run_count_where_they_are_frozen)
{
    observes("clock", "frozen+monotonic", probed("job", NULL, "monotonic"), "frozen+monotonic");
    observes("clock", "frozen+monotonic", probed("job", NULL, "clock"), "frozen+monotonic");
    observes("clock", "frozen+monotonic", probed("job", NULL, "entropy"), "not consulted");
    observes("clock", "frozen+monotonic", probed("job", "busybox", "monotonic"), NULL);
}
END_TEST

START_TEST(a_record_that_lost_calls_proves_nothing)
{
    struct sb_observation seen = probed("job", NULL, NULL);
    json_object_set_new(seen.probe, "lost", json_integer(1));
    observes("entropy", "frozen", seen, NULL);
}
END_TEST

SB_TEST_MAIN("matrix-observe", pythons_own_command_line_decides_whether_it_reads_the_seed,
             the_seed_is_what_the_interpreter_got_and_not_what_was_asked,
             a_variable_in_the_environment_is_no_proof_that_it_was_used,
             a_built_in_job_speaks_for_itself, threads_are_the_cpus_unless_more_threads_were_seen,
             threads_that_ended_before_anybody_looked_are_known_by_the_probe,
             deterministic_and_isa_of_a_command_are_unknown, aslr_is_read_from_the_personality,
             memory_is_known_where_glibc_alone_allocates,
             a_variable_that_did_not_arrive_is_seen_for_what_it_was,
             an_axis_is_alike_only_where_every_run_is_known_and_the_same,
             what_reached_no_process_is_alike_and_what_did_is_unknown,
             an_argument_is_what_the_process_got,
             a_source_is_known_where_the_probe_was_in_every_program,
             of_programs_without_the_probe_entropy_alone_is_known,
             clocks_that_run_count_where_they_are_frozen, a_record_that_lost_calls_proves_nothing)
