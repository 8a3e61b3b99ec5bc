/* check: the assertion: every combination is run, and every run's outputs are held against those of
 * the first. */
#include "check/cells.h"
#include "check/run.h"
#include "check/wording.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { DEFAULT_REPEATS = 3, DEFAULT_TIMEOUT_S = 60 };

/* One assertion under way. */
struct assertion {
    sb_check_function *compute;
    void *data;
    struct sb_check_options options;
    struct sb_check_cells cells;
    bool exec;
    bool tolerant;
    struct sb_tolerance tolerance;
    struct sb_outputs reference; /* of the first run */
    unsigned most_threads;       /* in any run */
    struct sb_text failure;
    unsigned runs;
};

static void assertion_clear(struct assertion *assertion) {
    sb_check_cells_clear(&assertion->cells);
    sb_outputs_clear(&assertion->reference);
    sb_text_clear(&assertion->failure);
}
#define AUTO_ASSERTION SB_CLEANUP(assertion_clear)

/* ---- Options -----------------------------------------------------------------------------------
 */

static int set_tolerance(struct assertion *assertion, struct sb_error *err) {
    const struct sb_check_options *options = &assertion->options;
    if (!(options->ulp >= 0 && options->rtol >= 0 && options->atol >= 0))
        return sb_error_set(err, -EINVAL, ".ulp, .rtol and .atol are numbers from 0");
    bool relative = options->rtol > 0 || options->atol > 0;
    if (options->ulp > 0 && relative)
        return sb_error_set(err, -EINVAL, "either .ulp is given, or .rtol and .atol");
    assertion->tolerant = options->ulp > 0 || relative;
    assertion->tolerance =
        (struct sb_tolerance){options->rtol, options->atol, options->ulp > 0 ? options->ulp : -1};
    return 0;
}

static bool has_axes(const struct sb_check_options *options) {
    return options->threads[0] || options->environments[0];
}

/* What is missing for a new program, or NULL. */
static const char *no_exec(const struct assertion *assertion) {
    if (!sb_check_begun())
        return "main has to begin with sb_check_begin()";
    if (assertion->data && !assertion->options.data_size)
        return "data has to be NULL, or .data_size has to be its size";
    return NULL;
}

static int choose_how(struct assertion *assertion, struct sb_error *err) {
    const char *missing = no_exec(assertion);
    switch (assertion->options.how) {
    case SB_CHECK_FORK:
        return 0;
    case SB_CHECK_EXEC:
        assertion->exec = true;
        return missing ? sb_error_set(err, -EINVAL, "SB_CHECK_EXEC: %s", missing) : 0;
    case SB_CHECK_AUTO:
        assertion->exec = !missing;
        if (missing && has_axes(&assertion->options))
            return sb_error_set(err, -EINVAL,
                                "threads and environments need a new program for each run: %s; or "
                                "say .how = SB_CHECK_FORK, whose limits samebits/check.h has",
                                missing);
        return 0;
    }
    return sb_error_set(err, -EINVAL, ".how is %d (SB_CHECK_AUTO, SB_CHECK_FORK or SB_CHECK_EXEC)",
                        (int)assertion->options.how);
}

static int read_options(struct assertion *assertion, const struct sb_check_options *given,
                        struct sb_error *err) {
    if (given->size != sizeof *given)
        return sb_error_set(err, -EINVAL,
                            "options.size is %zu, and this libsamebits has %zu: the program was "
                            "built with another samebits/check.h, or it was not set",
                            given->size, sizeof *given);
    assertion->options = *given;
    struct sb_check_options *options = &assertion->options;
    options->repeats = options->repeats ? options->repeats : DEFAULT_REPEATS;
    if (!(options->timeout_s >= 0))
        return sb_error_set(err, -EINVAL, ".timeout_s is a number of seconds from 0");
    options->timeout_s = options->timeout_s > 0 ? options->timeout_s : DEFAULT_TIMEOUT_S;
    int rc = set_tolerance(assertion, err);
    if (rc == 0)
        rc = choose_how(assertion, err);
    if (rc == 0)
        rc = sb_check_cells_make(options, &assertion->cells, err);
    if (rc == 0 && assertion->cells.n == 1 && options->repeats == 1)
        return sb_error_set(err, -EINVAL,
                            "one run cannot be compared: .repeats = 2 or more, or "
                            "several .threads, or .environments");
    return rc;
}

/* ---- One run -----------------------------------------------------------------------------------
 */

static void print_run(struct sb_text *text, const struct assertion *assertion, size_t cell,
                      unsigned repeat) {
    const char *name = assertion->cells.items[cell].name;
    sb_text_printf(text, "%s%srun %u", name, *name ? ", " : "", repeat + 1);
}

/* How a process ended that did not say that it returned. */
static void print_end(struct sb_text *text, const struct assertion *assertion,
                      const struct sb_run_end *end) {
    const char *when = end->page.state == SB_RUN_LAUNCHED ? "before the function was called"
                                                          : "before the function returned";
    if (end->page.state == SB_RUN_FAILED)
        sb_text_puts(text, end->page.text);
    else if (end->timed_out)
        sb_text_printf(text, "still running after %g s (.timeout_s)%s",
                       assertion->options.timeout_s,
                       assertion->exec ? ""
                                       : "; a forked run hangs if the test's process has used "
                                         "threads of GNU OpenMP before");
    else if (end->status_known && WIFSIGNALED(end->wait_status))
        sb_text_printf(text, "killed by signal %d (%s) %s", WTERMSIG(end->wait_status),
                       strsignal(WTERMSIG(end->wait_status)), when);
    else if (end->status_known)
        sb_text_printf(text, "ended with exit status %d %s", WEXITSTATUS(end->wait_status), when);
    else
        sb_text_printf(text, "ended %s", when);
}

static void print_printed(struct sb_text *text, const char *printed) {
    if (!printed)
        return;
    sb_text_puts(text, "; it printed at the end:\n");
    for (const char *byte = printed; *byte; byte++)
        sb_text_putc(text, *byte == '\n' || (unsigned char)*byte >= ' ' ? *byte : '?');
}

static int take_outputs(struct assertion *assertion, int file, const struct sb_run_end *end,
                        struct sb_outputs *outputs, struct sb_error *err) {
    if (end->page.state != SB_RUN_RETURNED) {
        print_end(&assertion->failure, assertion, end);
        print_printed(&assertion->failure, end->printed);
        return -ECHILD;
    }
    int rc = sb_outputs_read(file, outputs, err);
    if (rc < 0) {
        sb_check_print_name(&assertion->failure, err->text);
        return rc;
    }
    if (outputs->n == 0) {
        sb_text_puts(&assertion->failure,
                     "the function reported no output (sb_check_output): nothing to compare");
        return -ENODATA;
    }
    return 0;
}

static int make_run(struct assertion *assertion, size_t cell, struct sb_outputs *outputs,
                    struct sb_error *err) {
    SB_AUTO_FD int file = sb_run_file_make(err);
    if (file < 0)
        return file;
    const struct sb_run_request request = {
        .compute = assertion->compute,
        .data = assertion->data,
        .data_size = assertion->options.data_size,
        .exec = assertion->exec,
        .environment = assertion->cells.items[cell].environment.items,
        .threads = assertion->cells.items[cell].threads,
        .timeout_s = assertion->options.timeout_s,
        .assertion_jump = assertion->options.assertion_jump,
    };
    struct sb_run_end end;
    int rc = sb_run_make(&request, file, &end, err);
    if (rc < 0)
        return rc;
    assertion->runs++;
    if (end.page.most_threads > assertion->most_threads)
        assertion->most_threads = end.page.most_threads;
    rc = take_outputs(assertion, file, &end, outputs, err);
    sb_run_end_clear(&end);
    return rc;
}

/* ---- Against the first -------------------------------------------------------------------------
 */

/* Those of the same run as the first have all agreed by now, or this one is the first to differ. */
static void print_what_agrees(struct assertion *assertion, size_t cell, unsigned repeat) {
    struct sb_text *text = &assertion->failure;
    const char *reference = assertion->cells.items[0].name;
    if (cell == 0)
        sb_text_printf(text, "; conditions were equal: it differs from run to run");
    else if (assertion->options.repeats > 1)
        sb_text_printf(text, "; the %u runs with %s agree", assertion->options.repeats, reference);
    if (cell && repeat)
        sb_text_printf(text, ", as %s of %s before", repeat == 1 ? "the one" : "those",
                       assertion->cells.items[cell].name);
}

static int print_missing(struct assertion *assertion, const char *name, const char *in,
                         const char *not_in) {
    sb_check_print_name(&assertion->failure, name);
    sb_text_printf(&assertion->failure, ": reported by %s, and not by %s", in, not_in);
    return -EDOM;
}

static int compare_outputs(struct assertion *assertion, const struct sb_outputs *outputs,
                           const char *run, const char *first, const char *pair) {
    const struct sb_outputs *reference = &assertion->reference;
    for (size_t i = 0; i < reference->n; i++) {
        const struct sb_output *theirs = &reference->items[i];
        const struct sb_output *ours = sb_outputs_find(outputs, theirs->info.name);
        if (!ours)
            return print_missing(assertion, theirs->info.name, first, run);
        if (sb_check_compare(ours, theirs, assertion->tolerant ? &assertion->tolerance : NULL, pair,
                             &assertion->failure))
            return -EDOM;
    }
    for (size_t i = 0; i < outputs->n; i++)
        if (!sb_outputs_find(reference, outputs->items[i].info.name))
            return print_missing(assertion, outputs->items[i].info.name, run, first);
    return 0;
}

static int compare_run(struct assertion *assertion, size_t cell, unsigned repeat,
                       const struct sb_outputs *outputs) {
    SB_AUTO_TEXT struct sb_text run = {0}, first = {0};
    print_run(&run, assertion, cell, repeat);
    print_run(&first, assertion, 0, 0);
    SB_AUTO_FREE char *pair = sb_format("%s against %s", run.data, first.data);
    if (!pair || run.failed || first.failed)
        return -ENOMEM;
    int rc = compare_outputs(assertion, outputs, run.data, first.data, pair);
    if (rc < 0)
        print_what_agrees(assertion, cell, repeat);
    return rc;
}

/* Text that a failed run left gets the run's name before it. */
static int name_failure(struct assertion *assertion, size_t cell, unsigned repeat, int rc) {
    SB_AUTO_TEXT struct sb_text text = {0};
    print_run(&text, assertion, cell, repeat);
    sb_text_printf(&text, ": %s", assertion->failure.data ? assertion->failure.data : "");
    struct sb_text unnamed = assertion->failure;
    assertion->failure = text;
    text = unnamed;
    return rc;
}

static int make_and_compare(struct assertion *assertion, size_t cell, unsigned repeat,
                            struct sb_error *err) {
    struct sb_outputs outputs = {0};
    int rc = make_run(assertion, cell, &outputs, err);
    if (rc < 0) {
        sb_outputs_clear(&outputs);
        return assertion->failure.length ? name_failure(assertion, cell, repeat, rc) : rc;
    }
    if (cell == 0 && repeat == 0) {
        assertion->reference = outputs;
        return 0;
    }
    rc = compare_run(assertion, cell, repeat, &outputs);
    sb_outputs_clear(&outputs);
    return rc;
}

/* Those of the first combination come first, so that plain nondeterminism is not taken for an
 * effect of another. */
static int make_all(struct assertion *assertion, struct sb_error *err) {
    for (size_t cell = 0; cell < assertion->cells.n; cell++)
        for (unsigned repeat = 0; repeat < assertion->options.repeats; repeat++) {
            int rc = make_and_compare(assertion, cell, repeat, err);
            if (rc < 0)
                return rc;
        }
    return 0;
}

/* ---- Notes -------------------------------------------------------------------------------------
 */

static void print_notes(const struct assertion *assertion, struct sb_text *text) {
    const struct sb_check_options *options = &assertion->options;
    if (options->threads[0] && options->threads[1] && assertion->most_threads == 1)
        sb_text_puts(text,
                     "no run was seen with more than one thread: that .threads agree is no "
                     "evidence of anything");
    if (options->environments[0] && !assertion->exec)
        sb_text_printf(text,
                       "%s.environments were set in forked children: what libraries read when they "
                       "are loaded did not change",
                       text->length ? "; " : "");
}

int sb_check_same_bits(sb_check_function *compute, void *data,
                       const struct sb_check_options *options, struct sb_check_report *report) {
    AUTO_ASSERTION struct assertion assertion = {.compute = compute, .data = data};
    struct sb_error err = {0};
    *report = (struct sb_check_report){0};
    int rc = read_options(&assertion, options, &err);
    if (rc == 0)
        rc = make_all(&assertion, &err);
    report->runs = assertion.runs;
    SB_AUTO_TEXT struct sb_text note = {0};
    if (rc == 0)
        print_notes(&assertion, &note);
    snprintf(report->note, sizeof report->note, "%s", note.data ? note.data : "");
    if (rc < 0)
        snprintf(report->failure, sizeof report->failure, "%s",
                 assertion.failure.length ? assertion.failure.data
                 : err.text[0]            ? err.text
                                          : strerror(-rc));
    return rc;
}
