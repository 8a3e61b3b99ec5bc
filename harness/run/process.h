/* Stage 3, inside run/: one run, seen from its guard. A guard is a small process that samebits
 * forks once for each run that may be under way at a time. It starts the runs given to it one after
 * the other, watches them and ends what they leave behind. Being the child subreaper of exactly one
 * run it knows whose every orphan is, and when samebits is killed it kills the run and tidies up.
 */
#ifndef SB_RUN_PROCESS_H
#define SB_RUN_PROCESS_H

#include "base/text.h"
#include "run/sandbox.h"

#include <samebits/run.h>

#include <sched.h>
#include <sys/types.h>

/* ---- Messages between samebits and a guard (process_message.c) --------------------------------
 */

enum sb_message {
    SB_MESSAGE_MAP,       /* from the guard: map its user namespace; back: 1 when done */
    SB_MESSAGE_READY,     /* from the guard: it can take runs, or says why not */
    SB_MESSAGE_START,     /* to the guard, with the descriptor of the log's folder */
    SB_MESSAGE_INTERRUPT, /* to the guard; a second one kills at once */
    SB_MESSAGE_FREE,      /* to the guard: a serial number whose layer may go */
    SB_MESSAGE_STOP,      /* to the guard: no more runs */
    SB_MESSAGE_END,       /* from the guard */
};

/* What a guard is asked to run. Owned strings. */
struct sb_run_request {
    uint64_t serial;
    struct sb_strings command, environment;
    struct sb_strings cpus; /* as text */
    uint64_t log_limit;
    double timeout_s, grace_s;
    bool aslr_given, aslr_on;
    bool pid_frozen, schedule_frozen, load;
    char *hostname; /* or NULL */
    char *alias;    /* where the working directory is mounted too, or NULL */
    char *start;    /* where the run starts */
    char *log;      /* name of the log in its folder, or NULL */
    int log_folder; /* -1: no log */
    bool followed;  /* another run is likely to follow */
    bool probed;    /* the probe is preloaded, and wants its record */
    unsigned raw;   /* what of raw system calls is frozen (run/raw.h) */
    char *trace;    /* name of the trace in the log's folder, or NULL */
};

/* How a run ended, with what it wrote. */
struct sb_reply {
    uint64_t serial;
    struct sb_process_end end;
    char *files; /* folder of what was written, as readable from samebits */
    struct sb_strings written;
    bool printed; /* there is a log */
};

struct sb_ready {
    char *error; /* NULL: ready */
    int code;
    unsigned overlay_variant;
    struct sb_strings notes; /* for sb_sandbox_shared */
};

void sb_run_request_clear(struct sb_run_request *request);
void sb_reply_clear(struct sb_reply *reply);
void sb_ready_clear(struct sb_ready *ready);

/* Each appends one framed message to `out`; out->failed tells. */
void sb_run_request_pack(const struct sb_run_request *request, struct sb_text *out);
void sb_reply_pack(const struct sb_reply *reply, struct sb_text *out);
void sb_ready_pack(const struct sb_ready *ready, struct sb_text *out);
void sb_message_pack(enum sb_message kind, uint64_t serial, struct sb_text *out);

/* The first whole message in `in`: its kind and its length with the frame, or -EAGAIN, -EBADMSG. */
int sb_message_next(const struct sb_text *in, enum sb_message *kind, size_t *length);
int sb_run_request_unpack(const char *message, size_t length, struct sb_run_request *request);
int sb_reply_unpack(const char *message, size_t length, struct sb_reply *reply);
int sb_ready_unpack(const char *message, size_t length, struct sb_ready *ready);
uint64_t sb_message_serial(const char *message, size_t length);
/* Takes the first `length` bytes away. */
void sb_message_drop(struct sb_text *in, size_t length);

/* sendmsg and recvmsg with at most one descriptor. _send sends all; _receive appends what there is:
 * bytes read, 0 at the end, or a negative errno. */
int sb_message_send(int socket, const struct sb_text *out, int descriptor);
ssize_t sb_message_receive(int socket, struct sb_text *in, int *descriptor, bool wait);

/* ---- Starting (process_launch.c) --------------------------------------------------------------
 */

struct sb_raw;
struct sb_raw_filter;

/* Everything between fork and exec. The child shares the guard's memory until it execs, so it
 * allocates nothing and tells its failure here. */
struct sb_launch {
    const struct sb_sandbox *sandbox;
    const struct sb_layer *layer;
    const struct sb_run_request *request;
    char **candidates; /* paths to try, in the order of PATH; ends with NULL */
    char **shell;      /* argv of /bin/sh for a script without #!, shell[1] to be filled */
    cpu_set_t *cpus;   /* NULL: as they are */
    size_t cpus_size;
    int null, output; /* become 0; 1 and 2 */
    int namespaces;   /* of unshare(2) */
    uid_t uid;        /* of the guard, and so of the run */
    gid_t gid;
    bool map_user;                   /* the namespaces need a user namespace of their own */
    const struct sb_raw_filter *raw; /* NULL: none */
    int raw_socket;                  /* where its listener is sent */
    /* Set by the child. */
    const char *step;  /* "execvp" and the like */
    const char *about; /* the path that it was about */
    int error;         /* positive errno */
    int raw_refused;   /* positive errno: the filter could not be had */
    struct sb_covered covered;
    char options[256]; /* of a mount */
};

/* Memory that a guard keeps for all its launches. */
struct sb_launch_area {
    void *stack;            /* of the child */
    struct sb_launch *told; /* shared with the child, also where that has memory of its own */
    cpu_set_t *home;        /* CPUs that the guard itself may run on */
    size_t home_size;
};
int sb_launch_area_open(struct sb_launch_area *area, struct sb_error *err);

/* 0, or a negative errno with `err` saying "<step> <about>: <why>"; *pid is set where there is a
 * child to be waited for. The caller blocks signals but has default actions for all. */
int sb_launch_start(const struct sb_launch *launch, const struct sb_launch_area *area, pid_t *pid,
                    struct sb_error *err);
int sb_launch_fail(struct sb_launch *launch, const char *step, const char *about);
/* What a launch that failed has told, as an error. */
int sb_launch_error(const struct sb_launch *launch, struct sb_error *err);
int sb_launch_prepare(struct sb_launch *launch, struct sb_error *err);
void sb_launch_clear(struct sb_launch *launch);

/* ---- The log (process_log.c) ------------------------------------------------------------------
 */

/* The file is made when there is something to write: most of what an inode costs is its making,
 * and many jobs print nothing. */
struct sb_log {
    int from, to;       /* the pipe's end, the file; -1: none */
    int folder;         /* -1: nothing is kept */
    const char *name;   /* of the file; borrowed */
    bool printed;       /* something came */
    uint64_t head_left; /* bytes that go to the file at once */
    char *tail;         /* the last bytes, a ring */
    size_t tail_size, tail_used, tail_at;
    uint64_t skipped;
    int error;
};

/* The pipe's other end becomes *output. Takes the folder over. */
int sb_log_open(struct sb_log *log, int folder, const char *name, uint64_t limit, int *output,
                struct sb_error *err);
/* Reads a bounded amount of what is there; false when the pipe has ended. */
bool sb_log_drain(struct sb_log *log);
/* Writes the tail, with a line about what was left out, and closes. */
void sb_log_close(struct sb_log *log);

/* In samebits: removes the log of an earlier run of this name, and opens its folder. */
int sb_log_begin(const char *path, int *folder, struct sb_error *err);
/* The log of a run that printed nothing: one more name of the empty file `*empty`, which is made
 * where there is none yet (NULL). */
void sb_log_leave_empty(const char *path, char **empty);

/* ---- Watching (observe.c) ---------------------------------------------------------------------
 */

struct sb_watched;
struct sb_watch {
    struct sb_observation seen;
    struct sb_watched *known; /* processes seen */
    size_t n_known;
    double started, next; /* CLOCK_MONOTONIC seconds */
    double interval;
    double settling; /* seconds to the next look at a process in the middle of an exec, or 0 */
    pid_t main;
};

void sb_watch_start(struct sb_watch *watch, pid_t main, double now);
/* One sample of the run's processes, which are the descendants of the calling process. */
void sb_watch_sample(struct sb_watch *watch);
void sb_watch_clear(struct sb_watch *watch);

/* Of proc(5)'s stat file of a process or thread. */
struct sb_proc_stat {
    int parent;
    unsigned long long started; /* ticks */
    unsigned long size;
    unsigned threads;
    char state;
    uint64_t image; /* hash of what an exec changes and a fork does not; 0: hidden from us */
};
bool sb_proc_stat(pid_t pid, struct sb_proc_stat *line);

/* ---- The probe's record (probe.c) --------------------------------------------------------------
 */

/* The variables by which a run's processes find the probe, its settings and its record. */
int sb_probe_preload(const struct sb_setup_probe *probe, bool trace, const char *tmp,
                     struct sb_strings *environment);
/* What of raw system calls is to be frozen (run/raw.h). */
unsigned sb_probe_raw(const struct sb_setup_probe *probe);
/* In the guard: makes the record in the folder that the run will have as TMPDIR; a descriptor or a
 * negative errno. */
int sb_probe_record_make(const char *tmp, struct sb_error *err);
/* What it holds after the run, of which these programs were seen, with what the guard noted of raw
 * system calls (NULL: it was not asked to). NULL: no memory, or not readable. */
json_t *sb_probe_record_read(int record, const struct sb_observation *seen,
                             const struct sb_raw *raw);

/* ---- Traces (trace.c) --------------------------------------------------------------------------
 */

/* By which samebits's own worker finds where to trace. */
int sb_trace_environment(const char *tmp, struct sb_strings *environment);
/* In the guard: the folder for traces, in the one that the run will have as TMPDIR; a descriptor or
 * a negative errno. */
int sb_trace_folder_make(const char *tmp, struct sb_error *err);
/* After the run: all its processes' traces as one file, and beside it, as r00001.call, the call
 * that one of them kept (base/saved_call.h). *trace: see samebits/run.h. */
int sb_trace_gather(int folder, int to_folder, const char *name, double cpu_s, json_t **trace);

/* ---- Ending (reap.c) --------------------------------------------------------------------------
 */

/* Descendants of a process that are alive, in no order. 0 or a negative errno; *pids is malloc'd.
 */
int sb_reap_descendants(pid_t root, pid_t **pids, size_t *n);
struct sb_told {
    pid_t *pids;
    size_t n;
};
/* Sends TERM to each descendant of the calling process that was not told yet; `names` receives the
 * first few programs' names. */
void sb_reap_terminate(struct sb_told *told, struct sb_text *names);
/* Stops all descendants until no new ones appear, then kills them. */
void sb_reap_kill(void);
/* Its parent, and its own name where that is asked for; -1: gone. */
pid_t sb_reap_parent(pid_t pid, char *name, size_t size);
/* Was it, or who started it, started with this cookie? */
bool sb_reap_carries(pid_t pid, const char *cookie);
/* In samebits, after a guard died: kills children of the calling process that carry the cookie and
 * have a session of their own. */
void sb_reap_strays(const char *cookie, const pid_t *spare, size_t n_spare);

/* ---- Guards (guard*.c, process.c) --------------------------------------------------------------
 */

struct sb_guard {
    pid_t pid;
    int socket;
    struct sb_text in;
    struct sb_process *process; /* under way, or NULL */
    bool ready;                 /* it has said so */
    bool dismissed;             /* it has been told to go */
    bool dead;
    unsigned index;
};

/* Forks a guard of the sandbox, which gets ready by itself. */
int sb_guard_start(struct sb_sandbox *sandbox, struct sb_guard **guard, struct sb_error *err);
/* Waits until it is ready. `ready` may be NULL. A guard that cannot be is dead. */
int sb_guard_await(struct sb_guard *guard, struct sb_ready *ready, struct sb_error *err);
/* It has no more runs: it tidies up and ends, by itself. */
void sb_guard_dismiss(struct sb_guard *guard);
/* Waits until it has ended, and frees it. */
void sb_guard_stop(struct sb_guard *guard);
/* The guard's own life; never returns. */
_Noreturn void sb_guard_main(struct sb_sandbox *sandbox, int socket, unsigned index, pid_t parent);

#endif
