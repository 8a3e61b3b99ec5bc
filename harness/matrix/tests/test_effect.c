/* matrix: what the axes do to real processes. */
#include "base/file.h"
#include "matrix.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The child: this program again, with an argument ------------------------------------------
 */

static bool all_are(const unsigned char *block, size_t n, int byte) {
    for (size_t i = 0; i < n; i++) {
        if (block[i] != byte)
            return false;
    }
    return true;
}

static void report(const char *what, size_t size, const unsigned char *block, int byte) {
    if (!all_are(block, size, byte))
        printf("%s(%zu) starts with %02x%02x\n", what, size, block[0], block[1]);
}

/* Fresh blocks of all sizes, twice each, the second where one was freed: prints those that do not
 * hold the byte. */
static int child_memory(int byte) {
    static const size_t sizes[] = {16, 24, 100, 1000, 5000, 200000, 40000000};
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i / 2];
        unsigned char *volatile block = malloc(size);
        report("malloc", size, block, byte);
        memset(block, 0x33, size);
        free(block);
        void *aligned = NULL;
        if (posix_memalign(&aligned, 64, size) != 0)
            return 1;
        report("posix_memalign", size, aligned, byte);
        memset(aligned, 0x33, size);
        free(aligned);
        block = realloc(NULL, size);
        report("realloc", size, block, byte);
        memset(block, 0x33, size);
        free(block);
        block = calloc(1, size);
        report("calloc", size, block, 0);
        memset(block, 0x33, size);
        free(block);
    }
    puts("done");
    return 0;
}

/* A digest of libm's results: its FMA variants round otherwise. */
static int child_libm(void) {
    uint64_t digest = 0;
    for (int i = 1; i < 200000; i++) {
        volatile double x = i * 1.37e-2;
        double values[] = {exp(-x / 97), sin(x), pow(x, 1.1), log(x)};
        for (int k = 0; k < 4; k++) {
            uint64_t bits;
            memcpy(&bits, &values[k], sizeof bits);
            digest = digest * 31 + bits;
        }
    }
    printf("%016llx\n", (unsigned long long)digest);
    return 0;
}

/* What this program, run anew with the setup's environment, prints. */
static char *output_of(const struct sb_setup *setup, const char *mode, const char *argument) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        execle("/proc/self/exe", "test_effect", mode, argument, (char *)NULL, setup->environment);
        _exit(127);
    }
    close(ends[1]);
    SB_AUTO_TEXT struct sb_text output = {0};
    char buffer[4096];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
        sb_text_add(&output, buffer, (size_t)n);
    close(ends[0]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x: %s", (unsigned)status,
                  output.data ? output.data : "");
    return sb_text_take(&output);
}

/* With a sanitizer in this program its allocator is not glibc's. */
static bool has_other_allocator(void) {
#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
    sb_test_skip("needs glibc's malloc: the allocator in this program is another");
    return true;
#else
    return false;
#endif
}

/* ---- The tests ------------------------------------------------------------------------------- */

START_TEST(small_and_large_fresh_blocks_have_the_byte)
{
    if (has_other_allocator())
        return;
    static const char *const levels[] = {"zero", "1", "0x7f", "0xaa", "254"};
    static const char *const bytes[] = {"0", "1", "127", "170", "254"};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        struct sb_setup setup = {0};
        apply(&setup, "memory", levels[i]);
        SB_AUTO_FREE char *output = output_of(&setup, "memory", bytes[i]);
        sb_setup_clear(&setup);
        ck_assert_msg(strcmp(output, "done\n") == 0, "level %s: %s", levels[i], output);
    }
}
END_TEST

START_TEST(off_fills_nothing)
{
    if (has_other_allocator())
        return;
    struct sb_setup setup = {0};
    apply(&setup, "memory", "off");
    SB_AUTO_FREE char *output = output_of(&setup, "memory", "170");
    sb_setup_clear(&setup);
    ck_assert_ptr_nonnull(strstr(output, "malloc(16)"));
    ck_assert_ptr_nonnull(strstr(output, "malloc(200000)"));
    ck_assert_ptr_null(strstr(output, "calloc"));
}
END_TEST

START_TEST(without_emptying_the_cache_small_blocks_escape)
{
    if (has_other_allocator())
        return;
    struct sb_setup setup = {0};
    ck_assert_int_eq(sb_setup_set(&setup, "GLIBC_TUNABLES", "glibc.malloc.perturb=0x55"), 0);
    SB_AUTO_FREE char *output = output_of(&setup, "memory", "170");
    sb_setup_clear(&setup);
    ck_assert_ptr_nonnull(strstr(output, "malloc(16)"));
}
END_TEST

START_TEST(isa_reaches_the_c_library)
{
    struct sb_machine *machine = NULL;
    ck_assert_int_eq(sb_machine_probe(&machine, NULL), 0);
    bool has_fma = machine->has_isa[1];
    sb_machine_free(machine);
    if (!has_fma) {
        sb_test_skip("needs avx2: one code path only, nothing to tell apart");
        return;
    }
    struct sb_setup sse2 = {0}, avx2 = {0};
    apply(&sse2, "isa", "sse2");
    apply(&avx2, "isa", "avx2");
    SB_AUTO_FREE char *a = output_of(&sse2, "libm", "");
    SB_AUTO_FREE char *b = output_of(&avx2, "libm", "");
    SB_AUTO_FREE char *again = output_of(&sse2, "libm", "");
    sb_setup_clear(&sse2);
    sb_setup_clear(&avx2);
    ck_assert_str_ne(a, b);
    ck_assert_str_eq(a, again);
}
END_TEST

/* A machine with avx512 and without, so that its table has something to disable. */
START_TEST(numpy_can_be_imported_at_every_level)
{
    if (system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0) {
        sb_test_skip("needs numpy: an optional check, where Debian's is installed");
        return;
    }
    for (const char *const *level = sb_isa_names; *level; level++) {
        struct sb_setup setup = {0};
        apply(&setup, "isa", *level);
        const char *features = sb_setup_get(&setup, "NPY_DISABLE_CPU_FEATURES");
        SB_AUTO_FREE char *command =
            sb_format("NPY_DISABLE_CPU_FEATURES='%s' /usr/bin/python3 -W ignore -c 'import numpy'",
                      features ? features : "");
        ck_assert_msg(system(command) == 0, "%s: %s", *level, command);
        sb_setup_clear(&setup);
    }
}
END_TEST

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "memory") == 0)
        return child_memory(atoi(argv[2]));
    if (argc == 3 && strcmp(argv[1], "libm") == 0)
        return child_libm();
    const TTest *const tests[] = {
        isa_reaches_the_c_library,
        numpy_can_be_imported_at_every_level,
        small_and_large_fresh_blocks_have_the_byte,
        off_fills_nothing,
        without_emptying_the_cache_small_blocks_escape,
    };
    return sb_tests_run("matrix-effect", tests, sizeof tests / sizeof *tests);
}
