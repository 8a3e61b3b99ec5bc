/* Stage 3: in a guard: a run whose schedule is frozen. Its threads keep the CPU until they wait for
 * something (SCHED_FIFO), so that what arrives first does not follow from how long anything takes.
 * But a thread that waits by spinning, as OpenBLAS's do, would spin for ever where the one that it
 * waits for has no CPU: after some seconds they take turns by the clock as well (SCHED_RR). */
#include "base/cleanup.h"
#include "run/guard.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static const double turns_after_s = 2;

static void let_threads_of(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    struct dirent *task;
    while (tasks && (task = readdir(tasks))) {
        int id = atoi(task->d_name);
        if (id > 0 && sched_getscheduler(id) == SCHED_FIFO)
            sched_setscheduler(id, SCHED_RR, &(struct sched_param){.sched_priority = 1});
    }
    if (tasks)
        closedir(tasks);
}

void sb_guarded_take_turns(const struct sb_guarded *run, double now) {
    SB_AUTO_FREE pid_t *pids = NULL;
    size_t n = 0;
    if (!run->request.schedule_frozen || now - run->started < turns_after_s ||
        sb_reap_descendants(getpid(), &pids, &n) < 0)
        return;
    for (size_t i = 0; i < n; i++)
        let_threads_of(pids[i]);
}
