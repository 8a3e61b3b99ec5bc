/* What a fix says of who asked for the time: the program before what merely lies beside it. */
#include "base/cleanup.h"
#include "cli/explain.h"
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

static const char *const libraries[] = {
    "/usr/lib/x86_64-linux-gnu/libnorm.so.1", "/lib/libglib-2.0.so.0", "/usr/lib64/libc.so.6",
    "/usr/lib/python3.11/lib-dynload/_multiprocessing.cpython-311-x86_64-linux-gnu.so", NULL};

/* Calls as "CALL CALLER", of a program train. */
static char *fix_of(const char *const *calls, const char *program) {
    SB_AUTO_JSON json_t *sources = json_array();
    for (; *calls; calls++) {
        const char *blank = strchr(*calls, ' ');
        json_array_append_new(sources, json_pack("{s:s, s:s%, s:s, s:s}", "source", "clock", "call",
                                                 *calls, (size_t)(blank - *calls), "by", blank + 1,
                                                 "program", program));
    }
    SB_AUTO_JSON json_t *probe = json_pack("{s:O}", "sources", sources);
    const struct sb_observation seen = {
        .probe = probe, .libraries = (char **)libraries, .n_libraries = 4};
    return sb_explain_fix("clock", &seen, false);
}

static void says(const char *const *calls, const char *program, const char *expected) {
    SB_AUTO_FREE char *fix = fix_of(calls, program);
    const char *open = fix ? strchr(fix, '(') : NULL;
    ck_assert_msg(open && strcmp(open, expected) == 0, "%s", fix ? fix : "nothing");
}

START_TEST(the_interpreter_comes_first_and_system_libraries_go)
{
    static const char *const calls[] = {
        "gettimeofday _multiprocessing.cpython-311-x86_64-linux-gnu.so", "time libglib-2.0.so.0",
        "gettimeofday libnorm.so.1", "clock_gettime python3.11", NULL};
    says(calls, "python3.11",
         "(clock_gettime by python3.11, gettimeofday by "
         "_multiprocessing.cpython-311-x86_64-linux-gnu.so)");
}
END_TEST

START_TEST(an_interpreter_may_be_a_library)
{
    static const char *const calls[] = {"gettimeofday bash", "time libc.so.6",
                                        "clock_gettime libpython3.11.so.1.0", NULL};
    says(calls, "python3", "(clock_gettime by libpython3.11.so.1.0)");
}
END_TEST

START_TEST(system_libraries_are_named_where_nothing_else_called)
{
    static const char *const calls[] = {"time libglib-2.0.so.0", "gettimeofday libnorm.so.1",
                                        "time libc.so.6", "time libother.so", NULL};
    says(calls, "train",
         "(time by libother.so, time by libglib-2.0.so.0, gettimeofday by libnorm.so.1)");
}
END_TEST

static void threads_say(const char *loaded, const char *expected) {
    const struct sb_observation seen = {.libraries = (char **)&loaded, .n_libraries = 1};
    SB_AUTO_FREE char *fix = sb_explain_fix("threads", &seen, false);
    ck_assert_str_eq(fix, expected);
}

START_TEST(threads_are_fixed_by_what_the_program_has)
{
    threads_say("/usr/lib/jvm/java-17/lib/server/libjvm.so",
                "fix the number of threads, since the order of a sum follows it, or compare with a "
                "tolerance");
    threads_say(
        "/usr/lib/x86_64-linux-gnu/libopenblas.so.0",
        "fix the number of threads (OPENBLAS_NUM_THREADS), since the order of a sum follows "
        "it, or compare with a tolerance");
}
END_TEST

SB_TEST_MAIN("cli-explain-fix", threads_are_fixed_by_what_the_program_has,
             the_interpreter_comes_first_and_system_libraries_go, an_interpreter_may_be_a_library,
             system_libraries_are_named_where_nothing_else_called)
