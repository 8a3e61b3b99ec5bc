/* Stage 3: a guard ends a run: from the end of its main process until nothing of it is left. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "run/guard.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const double term_again_s = 0.02;

static void account(struct sb_guarded *run, pid_t pid, int status, const struct rusage *usage) {
    run->cpu_s += (double)usage->ru_utime.tv_sec + (double)usage->ru_utime.tv_usec * 1e-6 +
                  (double)usage->ru_stime.tv_sec + (double)usage->ru_stime.tv_usec * 1e-6;
    if (usage->ru_maxrss > run->max_rss_kb)
        run->max_rss_kb = usage->ru_maxrss;
    if (pid == run->main) {
        run->main_ended = true;
        run->status = status;
        run->ended = sb_monotonic();
    }
}

static bool only_hopeless(const struct sb_guard_life *guard) {
    SB_AUTO_FREE pid_t *pids = NULL;
    size_t n = 0, known = 0;
    if (!guard->n_hopeless || sb_reap_descendants(getpid(), &pids, &n) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < guard->n_hopeless; j++)
            known += pids[i] == guard->hopeless[j];
    return known == n;
}

/* Collects what has ended; true when no process of the run is left. */
bool sb_guarded_reap(const struct sb_guard_life *guard, struct sb_guarded *run) {
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid > 0)
            account(run, pid, status, &usage);
        else if (pid < 0 && errno == EINTR)
            continue;
        else
            return pid < 0 || (run->main_ended && only_hopeless(guard));
    }
}

static void terminate(struct sb_guarded *run, double now) {
    run->phase = SB_PHASE_TERMINATING;
    run->deadline = now + run->request.grace_s;
    run->next_signal = now;
}

/* What is due at this moment. */
void sb_guarded_advance(struct sb_guard_life *guard, struct sb_guarded *run, double now) {
    bool gone = sb_guarded_reap(guard, run);
    if (gone) {
        run->phase = SB_PHASE_DONE;
        return;
    }
    if (run->phase == SB_PHASE_RUNNING && run->main_ended) {
        run->phase = SB_PHASE_SETTLING;
        run->deadline = now + SB_GUARD_SETTLE_S;
    }
    if (run->phase == SB_PHASE_RUNNING && run->request.timeout_s > 0 &&
        now >= run->started + run->request.timeout_s) {
        run->how = SB_ENDED_TIMEOUT;
        terminate(run, now);
    }
    if (run->phase == SB_PHASE_SETTLING && now >= run->deadline)
        terminate(run, now);
    /* Who was being forked meanwhile is told in a later round. */
    if (run->phase == SB_PHASE_TERMINATING && now >= run->next_signal) {
        sb_reap_terminate(&run->told, &run->names);
        run->next_signal = now + term_again_s;
    }
    if (run->phase == SB_PHASE_TERMINATING && now >= run->deadline) {
        run->phase = SB_PHASE_KILLING;
        run->hopeless = now + SB_GUARD_HOPELESS_S;
        run->next_signal = now;
    }
    if (run->phase == SB_PHASE_KILLING && now >= run->next_signal) {
        sb_reap_kill();
        if (sb_guarded_reap(guard, run)) {
            run->phase = SB_PHASE_DONE;
        } else if (now >= run->hopeless) {
            run->phase = SB_PHASE_DONE;
            run->unkillable = true;
            free(guard->hopeless);
            guard->hopeless = NULL;
            guard->n_hopeless = 0;
            sb_reap_descendants(getpid(), &guard->hopeless, &guard->n_hopeless);
        }
        run->next_signal = now + SB_GUARD_KILL_AGAIN_S;
    }
}

void sb_guarded_interrupt(struct sb_guarded *run) {
    double now = sb_monotonic();
    if (run->how != SB_ENDED_TIMEOUT && !run->main_ended)
        run->how = SB_ENDED_INTERRUPTED;
    if (run->phase == SB_PHASE_RUNNING || run->phase == SB_PHASE_SETTLING)
        terminate(run, now);
    else
        run->deadline = now; /* asked twice: no more grace */
}

double sb_guarded_deadline(const struct sb_guarded *run) {
    double next = run->watch.next;
    if (run->phase == SB_PHASE_RUNNING && run->request.timeout_s > 0)
        next = fmin(next, run->started + run->request.timeout_s);
    if (run->phase == SB_PHASE_SETTLING || run->phase == SB_PHASE_TERMINATING)
        next = fmin(next, run->deadline);
    if (run->phase == SB_PHASE_TERMINATING || run->phase == SB_PHASE_KILLING)
        next = fmin(next, run->next_signal);
    return next;
}
