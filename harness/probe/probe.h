/* The probe: a library preloaded into a run's processes. It notes which sources of nondeterminism
 * they consult, and by whose call, and freezes those that it is told to.
 *
 * Settings come in the variable SAMEBITS_PROBE, of the same length at every level:
 *
 *     <path of the record>;entropy=0;clock=0;readdir=0;schedule=0000000000;trace=0
 *
 * entropy 1: a stream of fixed bytes; clock: enum sb_probe_clock (clock.c); readdir: 0 as it is, 1
 * sorted by bytes, 2 sorted backwards, 3 shuffled by a fixed permutation; schedule: seed of the
 * delays of threads (schedule.c), 0 none, 9999999999 another seed in every process; trace 1: kernel
 * calls are traced by libsamebits-trace.so, which is then preloaded too (trace.h).
 *
 * The record is one file for all processes of a run, mapped by each (fork keeps the mapping):
 * struct sb_probe_record. The harness makes it before the run and reads it when nothing of the run
 * is alive. The library does not see what consults a source inside the C library without going
 * through its symbols (malloc's own random bytes, mkstemp), nor raw system calls, RDRAND, AT_RANDOM
 * and programs that do not load it (statically linked, or set-uid): of those the record has no
 * SB_PROBE_START. System calls among these are the guard's to freeze (run/raw.h). */
#ifndef SB_PROBE_H
#define SB_PROBE_H

#include <stdint.h>

#define SB_PROBE_VARIABLE "SAMEBITS_PROBE"
#define SB_PROBE_FILE ".samebits-probe" /* in the run's TMPDIR; no listing shows it */
#define SB_PROBE_LIBRARY "libsamebits-probe.so"
#define SB_PROBE_MAGIC "sbprobe2"

/* What was consulted. The names in result.json are sb_probe_source_names of run/probe.c. */
enum sb_probe_source {
    SB_PROBE_START,     /* a program started with the probe in it */
    SB_PROBE_ENTROPY,   /* random bytes of the system, std::random_device */
    SB_PROBE_HASH_SEED, /* the same, by Python for its hash seed: never frozen, see PYTHONHASHSEED
                         */
    SB_PROBE_SEED,      /* srand, srandom, srand48 */
    SB_PROBE_CLOCK,     /* calendar time */
    SB_PROBE_MONOTONIC, /* clocks that only run */
    SB_PROBE_PID,
    SB_PROBE_HOSTNAME,
    SB_PROBE_READDIR,
    SB_PROBE_LOCALE,
    SB_PROBE_THREADS,
    SB_PROBE_SOURCES
};

enum sb_probe_clock { SB_PROBE_LIVE, SB_PROBE_CALENDAR, SB_PROBE_ALL_CLOCKS };

/* Where a frozen calendar begins: 2020-01-01 00:00:00 UTC. It goes on by so much a call. */
#define SB_PROBE_CALENDAR_S 1577836800
#define SB_PROBE_CALL_NS 1000U
/* So that no loop waits for ever it catches up with the time that went by whenever so much has. */
#define SB_PROBE_CATCH_UP_NS 60000000000U

/* The sixth argument of the library's own system calls, which the guard lets through; the kernel
 * does not look at it. */
#define SB_PROBE_OWN_CALL 0x5b2ec0deU

/* Python takes its hash seed in one call of this size that does not wait
 * (Python/bootstrap_hash.c, sizeof(_Py_HashSecret_t)). */
enum { SB_PROBE_PYTHON_SECRET = 24 };

#define SB_PROBE_SCHEDULE_RANDOM UINT64_C(9999999999)

enum { SB_PROBE_SLOTS = 1024, SB_PROBE_EMPTY = 0, SB_PROBE_FILLING = 1, SB_PROBE_FULL = 2 };

/* One source, call, library and program. Two slots may be of the same (they were filled at one
 * moment): the reader adds them. Texts end with 0 and are cut where they are longer. */
struct sb_probe_slot {
    uint32_t state; /* the rest is to be read where it is SB_PROBE_FULL */
    uint16_t source;
    uint16_t frozen;
    uint64_t calls;
    char call[24];
    char caller[128];  /* file name of the library; of the program, where that called itself */
    char program[128]; /* file name of the program */
};

struct sb_probe_record {
    char magic[8];
    uint64_t lost; /* calls for which there was no slot */
    struct sb_probe_slot slots[SB_PROBE_SLOTS];
};

/* The library's: from now on each call that asks for this source is told to `watcher`, which may be
 * called wherever the program asks. Weak, since what watches may lie in a process without it. */
typedef void sb_probe_watcher(const char *call);
void sb_probe_watch(enum sb_probe_source source, sb_probe_watcher *watcher) __attribute__((weak));

#endif
