/* For tests in C, with Check (libcheck) or without: does a function give the same bits each time,
 * at every number of threads and in every environment?
 *
 *     #include <check.h>
 *     #include <samebits/check.h>
 *
 *     static void compute(struct sb_check *check, void *data) {
 *         float gradient[3 * 18];
 *         train(*(unsigned *)data, gradient);
 *         sb_check_output(check, "gradient", gradient, SB_DTYPE_F32, 3, 18);
 *     }
 *
 *     START_TEST(gradients_keep_their_bits) {
 *         unsigned seed = 42;
 *         sb_assert_same_bits(compute, &seed, .data_size = sizeof seed, .threads = {1, 2, 4});
 *     }
 *
 *     int main(void) {
 *         sb_check_begin();
 *         …
 *
 * Every run of `compute` has a process of its own, under CK_FORK=no too; what it leaves in memory
 * is gone after it, and what it prints is shown only where it fails. Link with
 * `pkg-config --libs samebits check`. docs/check.md says more. */
#ifndef SAMEBITS_CHECK_H
#define SAMEBITS_CHECK_H

#include <samebits/weights.h>

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- In the function that is asked about ---------------------------------------------------- */

/* One run, which outputs are reported to. */
struct sb_check;

typedef void sb_check_function(struct sb_check *check, void *data);

/* Reports an output under a name of its own: its elements in C order, of a dtype, and its
 * dimensions, at least one: sb_check_output(check, "gradient", gradient, SB_DTYPE_F32, 3, 18). It
 * copies them, so that the memory may change or go afterwards. For one element, 1. */
#define sb_check_output(check, name, elements, dtype, ...)                                         \
    sb_check_tensor(check, name, elements, dtype,                                                  \
                    (unsigned)(sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)),        \
                    (const uint64_t[]){__VA_ARGS__})

/* The same with rank and dims[rank] as they are; rank 0, and dims NULL, for a scalar. A name has 1
 * to 255 bytes; two outputs of one name, a rank above SB_MAX_RANK and an unknown dtype end the run
 * as sb_check_fail does. From one thread at a time. */
void sb_check_tensor(struct sb_check *check, const char *name, const void *elements,
                     enum sb_dtype dtype, unsigned rank, const uint64_t *dims);

/* Ends the run, and fails the assertion with this reason and the run's name: for what ck_assert
 * would be used for. ck_assert itself fails the test too, in a forked run with its own message
 * alone, in a new program without it. */
_Noreturn void sb_check_fail(struct sb_check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- The assertion -------------------------------------------------------------------------- */

/* How a run gets its process. */
enum sb_check_how {
    /* A new program where that can be: main begins with sb_check_begin, and data is NULL or
     * data_size says how much it is. A forked child otherwise, unless threads or environments are
     * given: then it is an error to have neither what a new program needs, nor asked for FORK. */
    SB_CHECK_AUTO,
    /* The test's process forks. What it holds is there, data with pointers too; but addresses are
     * alike in all runs, and variables are seen only by code that reads them after it was loaded.
     * Thread counts of OpenMP, OpenBLAS, BLIS and MKL are set by their functions as well. GNU
     * OpenMP hangs in a child of a process that has used it. */
    SB_CHECK_FORK,
    /* The program is started anew, as far as sb_check_begin, which calls the function. Nothing of
     * the test's process is there but a copy of data: no pointers in it, and no variables that
     * fixtures set. Libraries are loaded with the run's variables. */
    SB_CHECK_EXEC,
};

enum { SB_CHECK_MAX_LEVELS = 16 };

/* Every member may be left out. Runs are made of every combination of threads and environments; all
 * are compared with the first run of the first combination. */
struct sb_check_options {
    size_t size; /* of this struct; the macro sets it, with file and line */
    const char *file;
    int line;
    unsigned repeats; /* runs of each combination; 0: 3 */
    /* Numbers of threads, up to the first 0: in the variables that the axis `threads` of samebits
     * sets (OMP_NUM_THREADS and others), and as many CPUs, where there are as many. None: as it is.
     */
    unsigned threads[SB_CHECK_MAX_LEVELS];
    /* "NAME=value" or "NAME=value NAME=value", with a blank between two: the environment as it is,
     * and with each of these. NULL ends them. */
    const char *environments[SB_CHECK_MAX_LEVELS];
    /* Without any of these the bits have to be the same: +0 and -0 differ, and NaN equals NaN with
     * the same bits. Either ulp, or rtol and atol as in |a - b| <= atol + rtol |b|, b being the
     * first run. Below 0 is an error. */
    double ulp, rtol, atol;
    double timeout_s; /* of one run; 0: 60. Check's own of the whole test is 4 s unless set
                         (tcase_set_timeout) */
    enum sb_check_how how;
    size_t data_size;        /* bytes at `data`, for a new program */
    jmp_buf *assertion_jump; /* the macro sets it */
};

/* Check's: where a failed ck_assert goes under CK_FORK=no. A forked run that went there would go on
 * with the tests that follow. NULL where there is no Check, or it is another one. */
extern jmp_buf error_jmp_buffer __attribute__((weak));

/* What came of it. */
struct sb_check_report {
    char failure[4000]; /* why it failed, in one paragraph; "" where it did not */
    char note[1000]; /* what a reader should know all the same, such as threads that did nothing */
    unsigned runs;   /* that were made */
};

/* 0: the outputs agree. Otherwise a negative errno, and report->failure says why: -EDOM where
 * outputs differ, -ECHILD where a run crashed, hung or failed, -ENODATA where nothing was reported,
 * -EINVAL for options; others are the system's. Prints nothing. */
int sb_check_same_bits(sb_check_function *compute, void *data,
                       const struct sb_check_options *options, struct sb_check_report *report);

/* First statement of main. In a program that was started for a run, it makes that run and ends;
 * elsewhere it only notes that it was there. */
void sb_check_begin(void);

/* sb_assert_same_bits(compute, data, .repeats = 5, .threads = {1, 4}, …) in a test of Check: fails
 * it with a message such as
 *
 *     gradient[1,17]: 1.25 and 1.2500001 are 1 ulp apart (threads=2, run 1 against threads=1, run
 *     1); 41 of 54 elements differ, at most 3 ulp; the 3 runs with threads=1 agree
 */
#define sb_assert_same_bits(...)                                                                   \
    SB_CHECK_ASSERT_(__VA_ARGS__, .size = sizeof(struct sb_check_options), .file = __FILE__,       \
                     .line = __LINE__, .assertion_jump = &error_jmp_buffer)

#define SB_CHECK_ASSERT_(compute, data, ...)                                                       \
    do {                                                                                           \
        struct sb_check_report sb_report_;                                                         \
        int sb_status_ = sb_check_same_bits(                                                       \
            compute, data, &(const struct sb_check_options){__VA_ARGS__}, &sb_report_);            \
        if (sb_report_.note[0])                                                                    \
            fprintf(stderr, "%s:%d: note: %s\n", __FILE__, __LINE__, sb_report_.note);             \
        if (sb_status_ < 0)                                                                        \
            ck_abort_msg("%s", sb_report_.failure);                                                \
    } while (0)

#endif
