/* Stage 3, inside run/: what the parts of a guard share: its life (guard.c), how it becomes one
 * (guard_setup.c), and what it does for a run (guard_start.c,
 * guard_layers.c, guard_end.c, guard_reply.c). */
#ifndef SB_RUN_GUARD_H
#define SB_RUN_GUARD_H

#include "run/process.h"
#include "run/raw.h"

/* What outlives the main process gets a moment to end by itself: a helper that ends when its pipe
 * closes was not left behind. */
#define SB_GUARD_SETTLE_S 0.1
#define SB_GUARD_KILL_AGAIN_S 0.005 /* between two rounds of KILL */
#define SB_GUARD_HOPELESS_S 20.0    /* so long after KILL nothing will end a process any more */

enum sb_phase {
    SB_PHASE_RUNNING,
    SB_PHASE_SETTLING,    /* the main process has ended, others have not */
    SB_PHASE_TERMINATING, /* TERM was sent */
    SB_PHASE_KILLING,
    SB_PHASE_DONE,
};

/* A run under way. */
struct sb_guarded {
    struct sb_run_request request;
    struct sb_layer layer;
    struct sb_log log;
    struct sb_watch watch;
    enum sb_phase phase;
    double started, deadline, hopeless;
    double next_signal; /* in the last two phases */
    pid_t main;
    struct sb_load *load; /* NULL: none */
    int probe;            /* the probe's record, -1: none */
    struct sb_raw *raw;   /* NULL: its raw system calls are left alone */
    int traces;           /* folder of its processes' traces, -1: none */
    int traces_to;        /* folder that they are gathered in */
    int view;             /* its mount namespace, -1: none of its own, or not known */
    bool main_ended, unkillable;
    double ended;
    int status;
    double cpu_s;
    long max_rss_kb;
    enum sb_ended how;
    struct sb_told told;  /* who got TERM */
    struct sb_text names; /* of them */
};

struct sb_layers {
    struct sb_layer *items;
    size_t n;
};

struct sb_guard_life {
    struct sb_sandbox *sandbox;
    int socket, signals;
    pid_t parent;
    struct sb_launch_area area;
    struct sb_text in;
    int received;              /* descriptor that came with a message, -1: none */
    bool followed;             /* another run is likely to come */
    bool orphaned;             /* is to end */
    bool bereft;               /* since samebits was killed */
    struct sb_guarded *run;    /* NULL: idle */
    int left_view;             /* the mount namespace of the run before, -1: none */
    struct sb_layer next;      /* its view stands in our namespace; root NULL: none */
    struct sb_covered covered; /* by the view of `next`, or of a run that had it before */
    struct sb_layers ended;    /* still to be read */
    struct sb_layers rubbish;  /* nobody needs them any more */
    struct sb_layers spare;    /* as good as new */
    bool raw_tried;            /* … whether runs can be given a filter of raw system calls */
    int raw_refused;           /* negative errno: they cannot */
    pid_t *hopeless;           /* processes of earlier runs that no signal ends */
    size_t n_hopeless;
};

/* ---- A busy neighbour (guard_load.c) -----------------------------------------------------------
 */

/* A thread on each of the CPUs, until it is stopped. NULL may be stopped too. */
int sb_load_start(const cpu_set_t *cpus, size_t size, struct sb_load **load, struct sb_error *err);
void sb_load_stop(struct sb_load *load);

/* ---- Becoming one (guard_setup.c) -------------------------------------------------------------
 */

/* Descriptors, signals, namespaces; the sandbox is opened and, in the first guard, tried. */
int sb_guard_set_up(struct sb_guard_life *guard, unsigned index, struct sb_error *err);

/* ---- Starting a run (guard_start.c) -----------------------------------------------------------
 */

/* -errno: no process of it is left, or one that has told its failure and is to be waited for. */
int sb_guarded_begin(struct sb_guard_life *guard, struct sb_guarded *run, struct sb_error *err);

/* ---- Layers (guard_layers.c) ------------------------------------------------------------------
 */

int sb_guard_layer_make(struct sb_guard_life *guard, struct sb_layer *layer, struct sb_error *err);
/* Where views are entered ahead: the next run's, so that it stands when the run comes. */
int sb_guard_prepare(struct sb_guard_life *guard, struct sb_error *err);
/* After a run that has left its view as it found it: the next one may have it. False: not so, or
 * there is another. */
bool sb_guard_keep_view(struct sb_guard_life *guard, struct sb_layer *layer);
/* Layers of runs that have ended are kept until samebits has read them. */
void sb_guard_remember(struct sb_guard_life *guard, struct sb_layer *layer);
void sb_guard_forget(struct sb_guard_life *guard, uint64_t serial);
/* Takes over the mount namespace of a run that has ended. A process whose namespace goes with it is
 * not seen to have ended until the kernel has taken that apart, for which it waits milliseconds;
 * held here, it goes when there is time. */
void sb_guard_hold_view(struct sb_guard_life *guard, int *view);
void sb_guard_leave_view(struct sb_guard_life *guard);
/* One layer that nobody needs is emptied for further use, or removed. */
void sb_guard_tidy(struct sb_guard_life *guard);

/* ---- Ending it (guard_end.c) ------------------------------------------------------------------
 */

/* Collects what has ended; true when no process of the run is left. */
bool sb_guarded_reap(const struct sb_guard_life *guard, struct sb_guarded *run);
/* What is due at this moment. */
void sb_guarded_advance(struct sb_guard_life *guard, struct sb_guarded *run, double now);
/* Of a run whose schedule is frozen, once it has gone on for long (guard_turns.c). */
void sb_guarded_take_turns(const struct sb_guarded *run, double now);
/* TERM; asked twice, KILL. */
void sb_guarded_interrupt(struct sb_guarded *run);
/* When something is due next, a sample too. */
double sb_guarded_deadline(const struct sb_guarded *run);

/* ---- Saying how it ended (guard_reply.c) ------------------------------------------------------
 */

/* Both end guard->run. */
void sb_guarded_finish(struct sb_guard_life *guard);
void sb_guarded_not_started(struct sb_guard_life *guard, const struct sb_error *err, int code);

#endif
