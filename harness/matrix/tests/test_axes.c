/* matrix: levels, and what they set. */
#include "matrix.h"

#include <errno.h>
#include <sys/personality.h>

/* 0, or the code, with the text in err. */
static int check(const char *name, const char *level, struct sb_error *err) {
    struct sb_machine machine = a_machine();
    const struct sb_axis *axis = axis_named(name);
    return sb_axis_check(axis, &machine, level, err);
}

START_TEST(levels_are_taken_or_refused_with_the_choices)
{
    static const struct {
        const char *axis, *level, *said; /* said NULL: taken */
    } cases[] = {
        {"hash_seed", "0", NULL},
        {"hash_seed", "4294967295", NULL},
        {"hash_seed", "random", NULL},
        {"hash_seed", "4294967296", "4294967295"},
        {"hash_seed", "99999999999999999999999", "4294967295"},
        {"hash_seed", "-1", "random"},
        {"hash_seed", "", "random"},
        {"hash_seed", "0x10", "random"},
        {"threads", "1", NULL},
        {"threads", "64", NULL}, /* more than the machine has */
        {"threads", "all", NULL},
        {"threads", "0", "all"},
        {"threads", "1.5", "all"},
        {"threads", "100000", "4096"},
        {"deterministic", "on", NULL},
        {"deterministic", "onn", "did you mean 'on'?"},
        {"deterministic", "true", "levels: off on"},
        {"isa", "sse2", NULL},
        {"isa", "avx512", NULL}, /* known; that it cannot be had here is another matter */
        {"isa", "avx3", "unknown level 'avx3' (this CPU has: sse2 avx2)"},
        {"aslr", "off", NULL},
        {"aslr", "maybe", "on off"},
        {"memory", "off", NULL},
        {"memory", "zero", NULL},
        {"memory", "254", NULL},
        {"memory", "0xFE", NULL},
        {"memory", "255", "0xfe"},
        {"memory", "0xff", "0xfe"},
        {"memory", "nan", "0xfe"},
        {"memory", "256", "0xfe"},
        {"memory", "0x", "0xfe"},
        {"path", "usual", NULL},
        {"path", "my folder-2.x", NULL},
        {"path", "a/b", "usual"},
        {"path", "..", "usual"},
        {"path", "", "usual"},
        {"locale", "C.UTF-8", NULL},
        {"locale", "../../etc", "locale"},
        {"locale", "", "locale"},
        {"hostname", "build-7.example", NULL},
        {"hostname", "-x", "host name"},
        {"hostname", "a..b", "host name"},
        {"hostname", "a b", "host name"},
        {"batch", "all", NULL},
        {"batch", "17", NULL},
        {"batch", "0", "or all"},
        {"alignment", "4", NULL},
        {"alignment", "12", "1 2 4 8"},
        {"alignment", "128", "1 2 4 8"},
        {"resume", "none", NULL},
        {"resume", "12", NULL},
        {"resume", "0", "a step from 1"},
        {"ranks", "4", NULL},
        {"ranks", "0", "from 1"},
        {"env:FOO", "anything at all", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sb_error err = {0};
        int status = check(cases[i].axis, cases[i].level, &err);
        ck_assert_msg(status == (cases[i].said ? -EINVAL : 0), "%s=%s: %d %s", cases[i].axis,
                      cases[i].level, status, err.text);
        ck_assert_msg(!cases[i].said || strstr(err.text, cases[i].said), "%s=%s: %s", cases[i].axis,
                      cases[i].level, err.text);
    }
}
END_TEST

START_TEST(every_axis_of_the_design_is_known_by_name)
{
    static const char *const names[] = {
        "hash_seed", "threads",  "deterministic", "isa",       "aslr",     "memory",  "path",
        "locale",    "hostname", "readdir",       "load",      "schedule", "entropy", "clock",
        "pid",       "gpu",      "batch",         "alignment", "resume",   "ranks",   "env:NAME",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct sb_axis *axis = axis_named(names[i]);
        ck_assert_ptr_nonnull(axis->summary);
        ck_assert_ptr_nonnull(axis->levels);
        ck_assert_msg(axis->planned || axis->apply, "%s does nothing and does not say why",
                      names[i]);
    }
    ck_assert_ptr_null(sb_axis_find("thread"));
    ck_assert_ptr_null(sb_axis_find("env:"));
    ck_assert_ptr_null(sb_axis_find("env:1X"));
    ck_assert_ptr_null(sb_axis_find("env:A=B"));
    ck_assert_ptr_null(sb_axis_find(""));
}
END_TEST

static void resolves(const char *name, const char *level, const char *expected) {
    struct sb_machine machine = a_machine();
    SB_AUTO_FREE char *resolved = axis_named(name)->resolve(&machine, level);
    ck_assert_str_eq(resolved, expected);
}

START_TEST(levels_that_mean_the_same_are_told_alike)
{
    resolves("threads", "all", "4");
    resolves("threads", "04", "4");
    resolves("hash_seed", "007", "7");
    resolves("hash_seed", "random", "random");
    resolves("memory", "0xAA", "0xaa");
    resolves("memory", "170", "0xaa");
    resolves("memory", "0x00", "zero");
    resolves("memory", "off", "off");
}
END_TEST

START_TEST(hash_seed_sets_pythons_and_our_own)
{
    struct sb_setup setup = {0};
    apply(&setup, "hash_seed", "7");
    has(&setup, "PYTHONHASHSEED", "7");
    has(&setup, "SAMEBITS_HASH_SEED", "7");
    sb_setup_clear(&setup);
}
END_TEST

START_TEST(threads_may_be_more_than_the_cpus)
{
    struct sb_setup setup = {0};
    apply(&setup, "threads", "3");
    has(&setup, "OMP_NUM_THREADS", "3");
    has(&setup, "OPENBLAS_NUM_THREADS", "3");
    has(&setup, "SAMEBITS_THREADS", "3");
    has(&setup, "OMP_DYNAMIC", "FALSE");
    ck_assert_uint_eq(setup.threads, 3);
    apply(&setup, "threads", "16");
    has(&setup, "OMP_NUM_THREADS", "16");
    ck_assert_uint_eq(setup.threads, 4);
    sb_setup_clear(&setup);
}
END_TEST

START_TEST(deterministic_off_unsets_what_on_sets_and_nothing_else)
{
    struct sb_setup setup = {0};
    ck_assert_int_eq(sb_setup_set(&setup, "PATH", "/bin"), 0);
    ck_assert_int_eq(sb_setup_set(&setup, "XLA_FLAGS", "--a=1 --xla_gpu_deterministic_ops=false"),
                     0);
    apply(&setup, "deterministic", "on");
    has(&setup, "SAMEBITS_DETERMINISTIC", "1");
    has(&setup, "CUBLAS_WORKSPACE_CONFIG", ":4096:8");
    has(&setup, "XLA_FLAGS", "--a=1 --xla_gpu_deterministic_ops=true");
    apply(&setup, "deterministic", "off");
    has(&setup, "XLA_FLAGS", "--a=1");
    has(&setup, "PATH", "/bin");
    ck_assert_str_eq(setup.environment[0], "PATH=/bin");
    ck_assert_str_eq(setup.environment[1], "XLA_FLAGS=--a=1");
    ck_assert_ptr_null(setup.environment[2]);
    sb_setup_clear(&setup);

    apply(&setup, "deterministic", "on");
    has(&setup, "XLA_FLAGS", "--xla_gpu_deterministic_ops=true");
    apply(&setup, "deterministic", "off");
    has(&setup, "XLA_FLAGS", NULL);
    ck_assert_ptr_null(setup.environment[0]);
    sb_setup_clear(&setup);
}
END_TEST

START_TEST(isa_overrides_a_core_type_that_is_pinned)
{
    struct sb_setup setup = {0};
    ck_assert_int_eq(sb_setup_set(&setup, "OPENBLAS_CORETYPE", "Haswell"), 0);
    apply(&setup, "isa", "sse2");
    has(&setup, "OPENBLAS_CORETYPE", "Prescott");
    has(&setup, "ATEN_CPU_CAPABILITY", "default");
    ck_assert_ptr_nonnull(strstr(sb_setup_get(&setup, "GLIBC_TUNABLES"), "glibc.cpu.hwcaps=-AVX"));
    const char *numpy = sb_setup_get(&setup, "NPY_DISABLE_CPU_FEATURES");
    ck_assert(!numpy || !strstr(numpy, "SSE")); /* numpy cannot be imported without its baseline */
    sb_setup_clear(&setup);
}
END_TEST

START_TEST(isa_and_memory_share_the_tunables_with_those_that_were_there)
{
    static const char before[] = "glibc.cpu.hwcaps=-ERMS:glibc.malloc.arena_max=1";
    const char *const orders[2][2] = {{"isa", "memory"}, {"memory", "isa"}};
    for (int i = 0; i < 2; i++) {
        struct sb_setup setup = {0};
        ck_assert_int_eq(sb_setup_set(&setup, "GLIBC_TUNABLES", before), 0);
        for (int k = 0; k < 2; k++)
            apply(&setup, orders[i][k], strcmp(orders[i][k], "isa") == 0 ? "sse2" : "0xaa");
        const char *tunables = sb_setup_get(&setup, "GLIBC_TUNABLES");
        ck_assert_ptr_nonnull(strstr(tunables, "glibc.malloc.arena_max=1"));
        ck_assert_ptr_nonnull(strstr(tunables, "glibc.cpu.hwcaps=-ERMS,-"));
        ck_assert_ptr_nonnull(strstr(tunables, "glibc.malloc.perturb=0x55"));
        ck_assert_ptr_nonnull(strstr(tunables, "glibc.malloc.tcache_count=0"));
        ck_assert_ptr_null(strstr(strstr(tunables, "hwcaps") + 1, "hwcaps"));
        sb_setup_clear(&setup);
    }
}
END_TEST

START_TEST(memory_levels_differ_in_the_byte_alone)
{
    struct sb_setup off = {0}, fill = {0};
    ck_assert_int_eq(sb_setup_set(&off, "MALLOC_PERTURB_", "77"), 0);
    apply(&off, "memory", "off");
    apply(&fill, "memory", "0xaa");
    has(&off, "MALLOC_PERTURB_", NULL);
    has(&off, "PYTHONMALLOC", "malloc");
    has(&fill, "PYTHONMALLOC", "malloc");
    ck_assert_uint_eq(strlen(sb_setup_get(&off, "GLIBC_TUNABLES")),
                      strlen(sb_setup_get(&fill, "GLIBC_TUNABLES")));
    sb_setup_clear(&off);
    sb_setup_clear(&fill);
}
END_TEST

START_TEST(locale_replaces_every_variable_of_it)
{
    struct sb_setup setup = {0};
    const char *const before[] = {"LC_TIME", "LC_CTYPE", "LANGUAGE", "LANG", "LC_ALL"};
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(sb_setup_set(&setup, before[i], "de_DE.UTF-8"), 0);
    ck_assert_int_eq(sb_setup_set(&setup, "LC", "kept"), 0);
    apply(&setup, "locale", "C");
    has(&setup, "LC_ALL", "C");
    has(&setup, "LANG", "C");
    has(&setup, "LC_TIME", NULL);
    has(&setup, "LC_CTYPE", NULL);
    has(&setup, "LANGUAGE", NULL);
    has(&setup, "LC", "kept");
    ck_assert_str_eq(setup.locale, "C");
    sb_setup_clear(&setup);
}
END_TEST

START_TEST(the_other_axes_reach_the_setup)
{
    struct sb_setup setup = {0};
    apply(&setup, "aslr", "off");
    ck_assert(setup.aslr_given && !setup.aslr_on);
    apply(&setup, "aslr", "on");
    ck_assert(setup.aslr_given && setup.aslr_on);
    apply(&setup, "hostname", "other");
    ck_assert_str_eq(setup.hostname, "other");
    apply(&setup, "path", "other");
    ck_assert_str_eq(setup.path, "other");
    apply(&setup, "path", "usual");
    ck_assert_ptr_null(setup.path);
    apply(&setup, "env:FOO", "a=b");
    has(&setup, "FOO", "a=b");
    apply(&setup, "env:FOO", "");
    has(&setup, "FOO", "");
    apply(&setup, "env:FOO", "<unset>");
    has(&setup, "FOO", NULL);
    sb_setup_clear(&setup);
}
END_TEST

/* Else one axis would undo or confound another. GLIBC_TUNABLES is merged. */
START_TEST(no_two_axes_set_the_same_variable)
{
    SB_AUTO_STRINGS struct sb_strings seen = {0};
    static const char *const levels[][2] = {
        {"hash_seed", "1"}, {"threads", "2"}, {"deterministic", "on"},
        {"isa", "sse2"},    {"memory", "1"},  {"locale", "C"},
    };
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        struct sb_setup setup = {0};
        apply(&setup, levels[i][0], levels[i][1]);
        for (char **item = setup.environment; *item; item++) {
            SB_AUTO_FREE char *name = strndup(*item, strcspn(*item, "="));
            if (strcmp(name, "GLIBC_TUNABLES") == 0)
                continue;
            ck_assert_msg(!sb_strings_contain(&seen, name), "%s by two axes", name);
            ck_assert_int_eq(sb_strings_add(&seen, name), 0);
        }
        sb_setup_clear(&setup);
    }
    ck_assert_uint_gt(seen.n, 30);
}
END_TEST

static void is_unavailable(const struct sb_machine *machine, const char *name, const char *level,
                           const char *why) {
    SB_AUTO_FREE char *reason = axis_named(name)->unavailable(machine, level);
    ck_assert_msg(!why == !reason, "%s=%s: %s", name, level, reason ? reason : "available");
    ck_assert_msg(!why || strstr(reason, why), "%s=%s: %s", name, level, reason);
}

START_TEST(what_a_machine_cannot_vary_comes_with_its_reason)
{
    struct sb_machine machine = a_machine();
    is_unavailable(&machine, "hostname", "x", NULL);
    is_unavailable(&machine, "path", "x", NULL);
    is_unavailable(&machine, "aslr", "off", NULL);
    is_unavailable(&machine, "isa", "avx2", NULL);
    is_unavailable(&machine, "isa", "avx512", "avx512");
    is_unavailable(&machine, "locale", "C", NULL);
    is_unavailable(&machine, "locale", "xx_XX.UTF-8", "locale 'xx_XX.UTF-8' is not installed here");
    machine.no_uts_namespace = machine.no_personality = machine.no_mount_namespace =
        (char[]){"no privilege"};
    machine.isa_refused[1] = (char[]){"too inaccurate"};
    is_unavailable(&machine, "hostname", "x", "no privilege");
    is_unavailable(&machine, "path", "x", "no privilege");
    is_unavailable(&machine, "path", "usual", NULL);
    is_unavailable(&machine, "aslr", "off", "no privilege");
    is_unavailable(&machine, "isa", "avx2", "too inaccurate");
}
END_TEST

SB_TEST_MAIN("matrix-axes", levels_are_taken_or_refused_with_the_choices,
             every_axis_of_the_design_is_known_by_name, levels_that_mean_the_same_are_told_alike,
             hash_seed_sets_pythons_and_our_own, threads_may_be_more_than_the_cpus,
             deterministic_off_unsets_what_on_sets_and_nothing_else,
             isa_overrides_a_core_type_that_is_pinned,
             isa_and_memory_share_the_tunables_with_those_that_were_there,
             memory_levels_differ_in_the_byte_alone, locale_replaces_every_variable_of_it,
             the_other_axes_reach_the_setup, no_two_axes_set_the_same_variable,
             what_a_machine_cannot_vary_comes_with_its_reason)
