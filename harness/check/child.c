/* check: what happens in a run's process: the function is called and its outputs are written. */
#include "check/run.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct sb_check {
    int file;
    struct sb_run_page page;
};

unsigned sb_count_threads(const char *task_folder) {
    struct stat found;
    /* It has a link for itself, one in its parent, and one from each thread's folder. */
    return stat(task_folder, &found) == 0 && found.st_nlink > 2 ? (unsigned)found.st_nlink - 2 : 0;
}

static void note_threads(struct sb_check *check) {
    unsigned threads = sb_count_threads("/proc/self/task");
    if (threads > check->page.most_threads)
        check->page.most_threads = threads;
}

/* What the function printed is to be seen; other streams belong to the test. */
_Noreturn static void finish(struct sb_check *check, enum sb_run_state state) {
    note_threads(check);
    check->page.state = state;
    sb_run_page_write(check->file, &check->page);
    fflush(stdout);
    fflush(stderr);
    _exit(0);
}

void sb_check_fail(struct sb_check *check, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check->page.text, sizeof check->page.text, format, arguments);
    va_end(arguments);
    finish(check, SB_RUN_FAILED);
}

void sb_check_tensor(struct sb_check *check, const char *name, const void *elements,
                     enum sb_dtype dtype, unsigned rank, const uint64_t *dims) {
    note_threads(check);
    struct sb_tensor tensor = {
        .name = name, .dtype = dtype, .rank = rank, .dims = dims, .data = elements};
    struct sb_error err = {0};
    if (sb_output_append(check->file, &check->page, &tensor, &err) < 0)
        sb_check_fail(check, "%s", err.text);
}

void sb_run_refuse(int file, const char *format, ...) {
    struct sb_check check = {.file = file};
    if (sb_run_page_read(file, &check.page) < 0)
        _exit(1);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check.page.text, sizeof check.page.text, format, arguments);
    va_end(arguments);
    finish(&check, SB_RUN_FAILED);
}

void sb_run_here(sb_check_function *compute, void *data, int file, jmp_buf *assertion_jump) {
    /* Static: what a longjmp comes back to must not have been kept in a register. */
    static struct sb_check check;
    check.file = file;
    if (sb_run_page_read(file, &check.page) < 0)
        _exit(1);
    check.page.state = SB_RUN_BEGUN;
    sb_run_page_write(file, &check.page);
    if (assertion_jump && setjmp(*assertion_jump))
        sb_check_fail(&check, "an assertion of Check failed in it; sb_check_fail would say which");
    compute(&check, data);
    finish(&check, SB_RUN_RETURNED);
}
