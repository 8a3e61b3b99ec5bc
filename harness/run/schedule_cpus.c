/* Stage 3: which CPUs a run gets. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/schedule.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* The lowest hardware thread of a CPU's core stands for the core. */
static int core_of(int cpu, const char *topology) {
    static const char *const names[] = {"core_cpus_list", "thread_siblings_list" /* Linux < 5.3 */};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        SB_AUTO_FREE char *path = sb_format("%s/cpu%d/topology/%s", topology, cpu, names[i]);
        SB_AUTO_FREE char *text = NULL;
        if (path && sb_file_read(path, 4096, &text, NULL, NULL) == 0) {
            char *end;
            long core = strtol(text, &end, 10);
            if (end != text && core >= 0 && core < INT_MAX)
                return (int)core;
        }
    }
    return cpu;
}

struct placed {
    int cpu, core;
    size_t thread; /* which of its core's */
};

static int compare_placed(const void *a, const void *b) {
    const struct placed *first = a, *second = b;
    if (first->thread != second->thread)
        return first->thread < second->thread ? -1 : 1;
    return (first->cpu > second->cpu) - (first->cpu < second->cpu);
}

int sb_cpus_open(const int *cpus, size_t n, const char *topology, struct sb_cpus *opened,
                 struct sb_error *err) {
    SB_AUTO_FREE struct placed *placed = calloc(n + 1, sizeof *placed);
    struct sb_cpus made = {.cpu = calloc(n + 1, sizeof *made.cpu),
                           .core = calloc(n + 1, sizeof *made.core),
                           .busy = calloc(n + 1, sizeof *made.busy),
                           .n = n,
                           .n_free = n};
    if (!placed || !made.cpu || !made.core || !made.busy) {
        sb_cpus_clear(&made);
        return sb_error_errno(err, -ENOMEM, "CPUs");
    }
    for (size_t i = 0; i < n; i++) {
        placed[i] = (struct placed){.cpu = cpus[i], .core = core_of(cpus[i], topology)};
        for (size_t k = 0; k < i; k++)
            placed[i].thread += placed[k].core == placed[i].core;
    }
    qsort(placed, n, sizeof *placed, compare_placed);
    for (size_t i = 0; i < n; i++) {
        made.cpu[i] = placed[i].cpu;
        made.core[i] = placed[i].core;
    }
    *opened = made;
    return 0;
}

static int compare_numbers(const void *a, const void *b) {
    const int *first = a, *second = b;
    return (*first > *second) - (*first < *second);
}

static size_t index_of(const struct sb_cpus *cpus, int cpu) {
    size_t i = 0;
    while (i + 1 < cpus->n && cpus->cpu[i] != cpu)
        i++;
    return i;
}

/* How many of taken[n] are of this core. */
static size_t taken_of_core(const struct sb_cpus *cpus, const int *taken, size_t n, int core) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += cpus->core[index_of(cpus, taken[i])] == core;
    return count;
}

void sb_cpus_take(struct sb_cpus *cpus, size_t n, int *taken) {
    for (size_t t = 0; t < n; t++) {
        size_t best = 0, best_shared = SIZE_MAX;
        for (size_t i = 0; i < cpus->n && best_shared > 0; i++) {
            if (cpus->busy[i])
                continue;
            size_t shared = taken_of_core(cpus, taken, t, cpus->core[i]);
            if (shared < best_shared) {
                best = i;
                best_shared = shared;
            }
        }
        cpus->busy[best] = true;
        cpus->n_free--;
        taken[t] = cpus->cpu[best];
    }
    qsort(taken, n, sizeof *taken, compare_numbers);
}

void sb_cpus_give(struct sb_cpus *cpus, const int *given, size_t n) {
    for (size_t i = 0; i < n; i++) {
        cpus->busy[index_of(cpus, given[i])] = false;
        cpus->n_free++;
    }
}

void sb_cpus_clear(struct sb_cpus *cpus) {
    free(cpus->cpu);
    free(cpus->core);
    free(cpus->busy);
    *cpus = (struct sb_cpus){0};
}
