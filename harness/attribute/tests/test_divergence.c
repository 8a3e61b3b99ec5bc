/* attribute: the call that two traces part at, in generated traces whose answer is known. A made-up
 * program's calls are functions of their inputs, each of which is an output of an earlier call; one
 * call in the second trace may give something else. */
#include "attribute/divergence.h"
#include "base/trace.h"
#include "tests/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { MOST_CALLS = 60, TRACES = 10000 };

static char paths[2][64];
static uint64_t state;

static uint64_t draw(uint64_t below) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (state >> 33) % below;
}

struct program {
    unsigned n;
    unsigned from[MOST_CALLS][2]; /* inputs: 0 the data, else 1 + a call */
    unsigned kernel[MOST_CALLS], shape[MOST_CALLS];
};

struct execution {
    uint64_t value[MOST_CALLS], in[MOST_CALLS];
    unsigned order[MOST_CALLS];
};

static struct program new_program(void) {
    struct program program = {.n = 1 + (unsigned)draw(MOST_CALLS)};
    for (unsigned i = 0; i < program.n; i++) {
        program.from[i][0] = (unsigned)draw(i + 1);
        program.from[i][1] = (unsigned)draw(i + 1);
        program.kernel[i] = (unsigned)draw(3);
        program.shape[i] = (unsigned)draw(3);
    }
    return program;
}

/* `fault`: the call that gives something else; n: none. */
static struct execution execute(const struct program *program, uint64_t data, unsigned fault) {
    struct execution done = {0};
    for (unsigned i = 0; i < program->n; i++) {
        uint64_t given[4] = {0, 0, program->kernel[i], program->shape[i]};
        for (int k = 0; k < 2; k++) {
            unsigned from = program->from[i][k];
            given[k] = from ? done.value[from - 1] : data;
        }
        done.in[i] = XXH3_64bits(given, sizeof given);
        done.value[i] = XXH3_64bits(given, sizeof given) + 1 + (i == fault);
        done.order[i] = i;
    }
    return done;
}

static bool needs(const struct program *program, unsigned later, unsigned earlier) {
    return program->from[later][0] == earlier + 1 || program->from[later][1] == earlier + 1;
}

/* Other turns of threads: neighbours that do not need each other change places. */
static void shuffle(const struct program *program, struct execution *done) {
    for (unsigned round = 0; round < 3 * program->n; round++) {
        unsigned at = (unsigned)draw(program->n);
        if (at + 1 < program->n && !needs(program, done->order[at + 1], done->order[at])) {
            unsigned moved = done->order[at];
            done->order[at] = done->order[at + 1];
            done->order[at + 1] = moved;
        }
    }
}

static void write_call(struct sb_trace_writer *writer, const char *kernel, unsigned shape,
                       unsigned thread, uint64_t call, uint64_t in, uint64_t out) {
    struct sb_trace_record record = {.kernel = kernel,
                                     .backend = "made-up",
                                     .n_sizes = 1,
                                     .sizes = {shape},
                                     .thread = thread,
                                     .call = call};
    memcpy(record.in, &in, sizeof in);
    memcpy(record.out, &out, sizeof out);
    ck_assert_int_eq(sb_trace_write(writer, &record, NULL), 0);
}

/* Some calls more, of which the other trace knows nothing. */
static void write_trace(const char *path, const struct program *program,
                        const struct execution *done, unsigned extra) {
    static const char *const kernels[] = {"gemm", "gemv", "dot"};
    struct sb_trace_writer *writer;
    unlink(path); /* to cut it off would have ext4 write it to the disk */
    ck_assert_int_eq(sb_trace_writer_open(path, &writer, NULL), 0);
    for (unsigned at = 0; at < program->n; at++) {
        unsigned i = done->order[at];
        write_call(writer, kernels[program->kernel[i]], program->shape[i], (unsigned)draw(4),
                   at + 1, done->in[i], done->value[i]);
    }
    for (unsigned i = 0; i < extra; i++) {
        uint64_t in = draw(1000);
        write_call(writer, "extra", 7, 0, program->n + i + 1, in, in + 1);
    }
    ck_assert_int_eq(sb_trace_writer_close(writer, NULL), 0);
}

static void new_paths(void) {
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "/tmp/samebits-divergence-XXXXXX");
        int fd = mkstemp(paths[i]);
        ck_assert_int_ge(fd, 0);
        close(fd);
    }
}

static void remove_paths(void) {
    unlink(paths[0]);
    unlink(paths[1]);
}

static struct sb_divergence find(void) {
    struct sb_divergence divergence;
    struct sb_error err = {0};
    int rc = sb_divergence_find(paths[0], paths[1], &divergence, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    return divergence;
}

/* Where call i stands in an execution, from 1. */
static uint64_t place(const struct program *program, const struct execution *done, unsigned i) {
    for (unsigned at = 0; at < program->n; at++) {
        if (done->order[at] == i)
            return at + 1;
    }
    return 0;
}

START_TEST(a_planted_fault_is_the_culprit_in_ten_thousand_traces)
{
    new_paths();
    for (unsigned trace = 0; trace < TRACES; trace++) {
        state = trace;
        struct program program = new_program();
        unsigned fault = (unsigned)draw(program.n);
        struct execution a = execute(&program, trace, program.n);
        struct execution b = execute(&program, trace, fault);
        shuffle(&program, &a);
        shuffle(&program, &b);
        write_trace(paths[0], &program, &a, (unsigned)draw(3));
        write_trace(paths[1], &program, &b, (unsigned)draw(3));
        struct sb_divergence found = find();
        /* Of several calls that are the same call, one cannot be told from the other. */
        uint64_t seq = found.culprit.seq;
        ck_assert_msg(seq > 0 && seq <= program.n, "trace %u: culprit %lu", trace, seq);
        ck_assert_msg(a.in[a.order[seq - 1]] == a.in[fault],
                      "trace %u: culprit %lu, planted at %lu", trace, seq,
                      place(&program, &a, fault));
        ck_assert(found.culprit_seq_b > 0);
        sb_divergence_clear(&found);
    }
    remove_paths();
}
END_TEST

START_TEST(other_data_has_no_culprit)
{
    new_paths();
    for (unsigned trace = 0; trace < 500; trace++) {
        state = trace;
        struct program program = new_program();
        struct execution a = execute(&program, 1, program.n), b = execute(&program, 2, program.n);
        shuffle(&program, &a);
        write_trace(paths[0], &program, &a, 0);
        write_trace(paths[1], &program, &b, 0);
        struct sb_divergence found = find();
        ck_assert_uint_eq(found.culprit.seq, 0);
        ck_assert_uint_eq(found.other.seq, 1);
        sb_divergence_clear(&found);
    }
    remove_paths();
}
END_TEST

START_TEST(turns_of_threads_and_further_calls_are_no_divergence)
{
    new_paths();
    for (unsigned trace = 0; trace < 500; trace++) {
        state = trace;
        struct program program = new_program();
        struct execution a = execute(&program, 3, program.n), b = a;
        shuffle(&program, &b);
        write_trace(paths[0], &program, &a, 0);
        write_trace(paths[1], &program, &b, 2);
        struct sb_divergence found = find();
        ck_assert_uint_eq(found.culprit.seq, 0);
        ck_assert_uint_eq(found.other.seq, 0);
        ck_assert_uint_eq(found.same, program.n);
        ck_assert_uint_eq(found.calls[1], program.n + 2);
        sb_divergence_clear(&found);
    }
    remove_paths();
}
END_TEST

/* Two threads make one call each, with equal inputs and a result that a race decides. */
static void write_pair(const char *path, uint64_t first, uint64_t second) {
    struct sb_trace_writer *writer;
    unlink(path); /* to cut it off would have ext4 write it to the disk */
    ck_assert_int_eq(sb_trace_writer_open(path, &writer, NULL), 0);
    write_call(writer, "gemm", 1, 1, 1, 5, first);
    write_call(writer, "gemm", 1, 2, 2, 5, second);
    ck_assert_int_eq(sb_trace_writer_close(writer, NULL), 0);
}

START_TEST(results_that_changed_threads_are_no_divergence)
{
    new_paths();
    write_pair(paths[0], 10, 11);
    write_pair(paths[1], 11, 10);
    struct sb_divergence found = find();
    ck_assert_uint_eq(found.culprit.seq, 0);
    write_pair(paths[1], 10, 12);
    found = find();
    ck_assert_uint_eq(found.culprit.seq, 2);
    ck_assert_uint_eq(found.culprit_seq_b, 2);
    ck_assert_str_eq(found.culprit.kernel, "gemm");
    ck_assert_str_eq(found.culprit.backend, "made-up");
    ck_assert_uint_eq(found.culprit.thread, 2);
    sb_divergence_clear(&found);
    remove_paths();
}
END_TEST

/* Two processes: each makes a call of its own and adds up with the other, twice. */
static void write_processes(const char *path, const uint64_t own[2][2], const uint64_t sums[2]) {
    unlink(path);
    for (unsigned process = 0; process < 2; process++) {
        struct sb_trace_writer *writer;
        ck_assert_int_eq(sb_trace_writer_open(path, &writer, NULL), 0);
        for (unsigned round = 0; round < 2; round++) {
            write_call(writer, "gemm", 1, 1, 2 * round + 1, 100 * process + round,
                       own[process][round]);
            write_call(writer, "MPI_Allreduce", 1, 1, 2 * round + 2, own[process][round],
                       sums[round]);
        }
        ck_assert_int_eq(sb_trace_writer_close(writer, NULL), 0);
    }
}

START_TEST(a_reduction_is_blamed_only_where_all_processes_put_in_the_same)
{
    static const uint64_t own[2][2] = {{1, 2}, {3, 4}}, other[2][2] = {{1, 2}, {9, 4}};
    static const uint64_t sums[2] = {50, 60}, changed[2] = {51, 61}, late[2] = {50, 61};
    new_paths();
    /* The second process's gemm differs, and so all sums: it stands behind the first's sum. */
    write_processes(paths[0], own, sums);
    write_processes(paths[1], other, changed);
    struct sb_divergence found = find();
    ck_assert_uint_eq(found.culprit.seq, 5);
    ck_assert_uint_eq(found.culprit.process, 2);
    ck_assert_str_eq(found.culprit.kernel, "gemm");
    sb_divergence_clear(&found);
    write_processes(paths[1], own, late);
    found = find();
    ck_assert_uint_eq(found.culprit.seq, 4);
    ck_assert_str_eq(found.culprit.kernel, "MPI_Allreduce");
    sb_divergence_clear(&found);
    remove_paths();
}
END_TEST

START_TEST(what_is_no_trace_is_an_error)
{
    struct sb_divergence divergence;
    struct sb_error err = {0};
    new_paths();
    ck_assert_int_eq(sb_divergence_find(paths[0], paths[1], &divergence, &err), -EBADMSG);
    ck_assert_int_eq(sb_divergence_find("/nowhere", paths[1], &divergence, &err), -EBADMSG);
    ck_assert_int_eq(sb_divergence_find(paths[1], "/nowhere", &divergence, &err), -ENOENT);
    remove_paths();
}
END_TEST

SB_TEST_MAIN("attribute-divergence", a_planted_fault_is_the_culprit_in_ten_thousand_traces,
             other_data_has_no_culprit, turns_of_threads_and_further_calls_are_no_divergence,
             results_that_changed_threads_are_no_divergence,
             a_reduction_is_blamed_only_where_all_processes_put_in_the_same,
             what_is_no_trace_is_an_error)
