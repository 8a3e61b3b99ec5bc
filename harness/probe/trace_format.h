/* The probe's trace as a process leaves it, for whoever collects it (run/trace.c): a folder in the
 * run's TMPDIR with a file for each process that made a traced call, named by its process id. A
 * file is a head, then at SB_TRACE_RECORDS a trace as base/trace.h has it. Both are mapped, so that
 * what was written stays however the process ends. */
#ifndef SB_PROBE_TRACE_FORMAT_H
#define SB_PROBE_TRACE_FORMAT_H

#include <stdint.h>

#define SB_TRACE_FOLDER ".samebits-probe-trace" /* in the run's TMPDIR; no listing shows it */
#define SB_TRACE_LIBRARY "libsamebits-trace.so"
#define SB_TRACE_STEPS "steps.safetensors" /* by python/inject/operations.py */
/* By python/inject/kept.py: an operation, and what can be said of it. */
#define SB_KEPT_OPERATION "operation"
#define SB_KEPT_HEAD "operation.json"
#define SB_TRACE_HEAD_MAGIC "sbtraceh"

enum { SB_TRACE_RECORDS = 4096 };

struct sb_trace_head {
    char magic[8];
    uint64_t length;     /* bytes of records */
    uint64_t calls;      /* noted; calls that such a call makes are not counted */
    uint64_t lost;       /* made but not noted: no room on the disk, or arguments that cannot be */
    uint64_t inside_ns;  /* CPU time in these calls */
    uint64_t tracing_ns; /* CPU time that tracing took */
    uint64_t started_ns; /* of the system's monotonic clock, at the first call */
};

#endif
