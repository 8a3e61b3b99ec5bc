/* The probe's parts among themselves. Everything here may run before constructors, in a forked
 * child, in a vforked one and in a signal handler: no allocation, no lock, no libc call that is
 * interposed. */
#ifndef SB_PROBE_INSIDE_H
#define SB_PROBE_INSIDE_H

#include "probe/probe.h"
#include "probe/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define SB_INTERPOSED __attribute__((visibility("default")))
#define SB_CALLER __builtin_return_address(0)

struct sb_probe_settings {
    bool entropy;
    enum sb_probe_clock clock;
    unsigned readdir;
    uint64_t schedule; /* seed of delays, 0: none */
};

/* What each thread has for itself, so that nothing frozen depends on how threads take turns. */
struct sb_probe_thread {
    uint64_t key;      /* of its random stream; 0: not begun */
    uint64_t counter;  /* words taken from it */
    uint64_t delays;   /* drawn by it */
    uint64_t children; /* threads and processes that it made */
    uint64_t clock_ns; /* frozen calendar time since its start */
};

/* Read on the first call. */
const struct sb_probe_settings *sb_probe_settings(void);
struct sb_probe_thread *sb_probe_thread(void);

/* Counts a call. `call` is a literal. */
void sb_probe_note(enum sb_probe_source source, const char *call, const void *caller, bool frozen);

/* The function that would be called without the probe; *cache is static. */
void *sb_probe_real(void **cache, const char *name);
#define SB_REAL(name)                                                                              \
    ((__typeof__(&name))({                                                                         \
        static void *cache_;                                                                       \
        sb_probe_real(&cache_, #name);                                                             \
    }))

/* The next bytes of this thread's stream. */
void sb_probe_fill(void *bytes, size_t n);

/* Is this clock frozen; a point of it, on the real one; and what went by for this thread, which
 * slept so long, or waited until a point. */
bool sb_probe_clock_frozen(clockid_t clock);
struct timespec sb_probe_real_time(clockid_t clock, const struct timespec *frozen);
void sb_probe_slept(const struct timespec *length);
void sb_probe_waited(clockid_t clock, const struct timespec *until);

/* A delay at the beginning of a thread, where delays are asked for. */
void sb_probe_delay_start(void);

#endif
