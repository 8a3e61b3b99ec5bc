/* The probe and its trace: where a program asks for a source. A run of which that is wanted has the
 * variable, with the source's name in it (run/probe.c), beside trace=1; the trace library writes
 * the file into the folder of the run's traces. Text: of each place the call, its frames as lines,
 * innermost first, Python's before those of the machine, and an empty line. A place stands there
 * once a process. */
#ifndef SB_PROBE_ASKED_H
#define SB_PROBE_ASKED_H

#define SB_ASKED_VARIABLE "SAMEBITS_TRACE_ASKED"
#define SB_ASKED_FILE "asked"

enum {
    SB_ASKED_PLACES = 1024,   /* in one process */
    SB_ASKED_LOOKS = 32768,   /* so many calls are looked at in one process */
    SB_ASKED_RECORD = 8192,   /* bytes */
    SB_ASKED_BYTES = 16 << 20 /* of the file */
};

#endif
