/* Stage 3, inside run/: raw system calls of a run that ask for what an axis freezes, and pass the
 * preloaded probe by: those of statically linked programs, for one. A seccomp filter has the kernel
 * hand them to the run's guard, which answers them or lets them go on. The filter costs every
 * system call of the run something, and so is there only where something is frozen.
 *
 * Out of reach stay what is no system call (RDRAND, AT_RANDOM, clocks read through the vDSO) and
 * folders' entries. Random bytes of the vDSO are turned into system calls: their state needs
 * memory of a kind that the filter refuses. */
#ifndef SB_RUN_RAW_H
#define SB_RUN_RAW_H

#include "probe/probe.h"
#include "run/process.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

/* What is frozen, as a set. */
enum { SB_RAW_ENTROPY = 1, SB_RAW_CLOCK = 2 };

enum sb_raw_kind {
    SB_RAW_NOTHING,
    SB_RAW_RANDOM, /* getrandom */
    SB_RAW_OPEN,
    SB_RAW_OPEN_AT,
    SB_RAW_OPEN_HOW, /* openat2 */
    SB_RAW_MAP,      /* refused by the filter itself, where it is for random bytes of the vDSO */
    SB_RAW_FORK,
    SB_RAW_CLONE,
    SB_RAW_CLONE_HOW, /* clone3 */
    SB_RAW_EXIT,
    SB_RAW_TIME,
    SB_RAW_TIME_OF_DAY,
    SB_RAW_CLOCK_GET,
};

/* ---- The filter (raw_filter.c) ----------------------------------------------------------------
 */

struct sb_raw_call {
    uint32_t arch; /* AUDIT_ARCH_… */
    int number;
    enum sb_raw_kind kind;
};

enum { SB_RAW_CALLS = 32, SB_RAW_INSTRUCTIONS = 256 };

struct sb_raw_filter {
    struct sb_raw_call calls[SB_RAW_CALLS]; /* that it knows */
    size_t n_calls;
    unsigned short n;
    struct sock_filter instructions[SB_RAW_INSTRUCTIONS];
};

void sb_raw_filter_make(unsigned frozen, struct sb_raw_filter *filter);
/* Can a process here have such a filter, and the guard answer? 0 or a negative errno. */
int sb_raw_filter_try(void);
/* Between fork and exec: installs it and sends its listener to the other end of `socket`; no call
 * that it knows may follow before the exec. 0 or a negative errno. Without CAP_SYS_ADMIN it takes
 * no_new_privs. */
int sb_raw_filter_install(const struct sb_raw_filter *filter, int socket);
enum sb_raw_kind sb_raw_filter_kind(const struct sb_raw_filter *filter,
                                    const struct seccomp_data *data);

/* ---- Who asks (raw_places.c) ------------------------------------------------------------------
 */

/* What each thread has for itself. It follows from the arguments of its program and from the order
 * in which its parents made it, as in the preloaded library. */
struct sb_raw_stream {
    uint64_t key, counter;
    uint64_t children; /* threads and processes that it made */
    uint64_t clock_ns; /* frozen calendar time since its start */
};

struct sb_raw_task {
    pid_t id;
    unsigned long long started; /* ticks: tells ids that were used again */
    struct sb_raw_stream stream;
};

/* A program as it was exec'd, or forked from that. */
struct sb_raw_program {
    pid_t id; /* of the process */
    uint64_t image;
    double begun; /* seconds of CLOCK_MONOTONIC */
    char name[sizeof((struct sb_probe_slot *)NULL)->program];
    unsigned calls; /* that it made for random bytes */
    uint64_t strangers;
    struct sb_raw_task *tasks;
    size_t n_tasks;
};

/* A thread or process that was being made when its maker was last seen. */
struct sb_raw_birth {
    pid_t maker, program; /* thread and process */
    uint64_t image;
    bool thread;
    struct sb_raw_stream stream;
};

struct sb_raw_places {
    struct sb_raw_program *programs;
    size_t n_programs;
    struct sb_raw_birth *births;
    size_t n_births;
};

/* The task with this id, and its program; NULL: it is gone, or no memory. Both stay where they are
 * until the next call. */
struct sb_raw_task *sb_raw_places_find(struct sb_raw_places *places, pid_t id,
                                       struct sb_raw_program **program);
/* It is about to make a thread or process. */
void sb_raw_places_birth(struct sb_raw_places *places, pid_t id, bool thread);
/* It is about to end, or its process is: what it was making is looked for while it can be told
 * whose it is. */
void sb_raw_places_end(struct sb_raw_places *places, pid_t id);
void sb_raw_places_clear(struct sb_raw_places *places);

/* ---- Answering (raw_serve.c) ------------------------------------------------------------------
 */

struct sb_raw {
    unsigned frozen;
    int listener;  /* to be polled; -1: none */
    char *refused; /* why there is none, or NULL */
    struct sb_raw_filter filter;
    struct sb_raw_places places;
    struct sb_probe_slot *slots; /* what was consulted */
    size_t n_slots;
    struct sb_strings unreachable; /* programs whose memory the guard may not touch */
};

/* Answers what is there, some of it at the most. */
void sb_raw_serve(struct sb_raw *raw);
/* NULL may be ended too. */
void sb_raw_end(struct sb_raw *raw);

#endif
