/* check: one run, from both sides: the test's process launches it and watches, a child or a new
 * program makes it. */
#ifndef SB_CHECK_RUN_H
#define SB_CHECK_RUN_H

#include <samebits/check.h>

#include "base/text.h"
#include "check/outputs.h"

/* Holds the descriptors of a request and of the outputs, as "%03d,%03d", in a new program. */
#define SB_CHECK_VARIABLE "SAMEBITS_CHECK_RUN"

struct sb_run_request {
    sb_check_function *compute;
    void *data;
    size_t data_size;
    bool exec;
    char **environment; /* of the run, ending with NULL */
    unsigned threads;   /* 0: as it is */
    double timeout_s;
    jmp_buf *assertion_jump; /* may be NULL */
};

struct sb_run_end {
    struct sb_run_page page;
    int wait_status;
    bool status_known; /* false where SIGCHLD is ignored */
    bool timed_out;
    char *printed; /* the end of what it printed, or NULL */
};
void sb_run_end_clear(struct sb_run_end *end);

/* Makes the run and waits for its end. `file` (sb_run_file_make) gets its outputs. 0, or the errno
 * of launching it. */
int sb_run_make(const struct sb_run_request *request, int file, struct sb_run_end *end,
                struct sb_error *err);

/* Has the program begun with sb_check_begin? */
bool sb_check_begun(void);

/* A file that says what a new program is to do; a descriptor, or -errno. -ENOTSUP: the function
 * lies in no file that the program loads. */
int sb_run_request_write(const struct sb_run_request *request, struct sb_error *err);

/* In the run's process: calls the function and ends the process. */
_Noreturn void sb_run_here(sb_check_function *compute, void *data, int file,
                           jmp_buf *assertion_jump);
/* Ends it without having called anything. */
_Noreturn void sb_run_refuse(int file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Threads of a process, by its folder in /proc; 0: unknown. */
unsigned sb_count_threads(const char *task_folder);

/* In a forked child: has libraries that are loaded take so many threads. */
void sb_threads_tell_libraries(unsigned threads);

#endif
