/* Stage 3: a busy neighbour: threads of the guard that do nothing but take turns with the run on
 * its CPUs. They are no processes of the run, whose end, time and threads they do not count for. */
#include "run/guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct sb_load {
    atomic_bool stop;
    size_t n;
    pthread_t threads[];
};

static void *spin(void *argument) {
    struct sb_load *load = argument;
    for (volatile unsigned turns = 0; !atomic_load_explicit(&load->stop, memory_order_relaxed);)
        turns++;
    return NULL;
}

static int start_one(struct sb_load *load, size_t size, const cpu_set_t *cpu) {
    pthread_attr_t how;
    int rc = pthread_attr_init(&how);
    if (rc)
        return -rc;
    rc = pthread_attr_setaffinity_np(&how, size, cpu);
    if (rc == 0)
        rc = pthread_create(&load->threads[load->n], &how, spin, load);
    pthread_attr_destroy(&how);
    load->n += rc == 0;
    return -rc;
}

int sb_load_start(const cpu_set_t *cpus, size_t size, struct sb_load **load, struct sb_error *err) {
    size_t n = (size_t)CPU_COUNT_S(size, cpus);
    struct sb_load *made = calloc(1, sizeof *made + n * sizeof *made->threads);
    cpu_set_t *one = CPU_ALLOC(size * 8);
    int rc = made && one ? 0 : -ENOMEM;
    for (size_t cpu = 0; rc == 0 && cpu < size * 8; cpu++) {
        if (!CPU_ISSET_S(cpu, size, cpus))
            continue;
        CPU_ZERO_S(size, one);
        CPU_SET_S(cpu, size, one);
        rc = start_one(made, size, one);
    }
    if (one)
        CPU_FREE(one);
    if (rc < 0) {
        sb_load_stop(made);
        return sb_error_errno(err, rc, "a busy neighbour of the run");
    }
    *load = made;
    return 0;
}

void sb_load_stop(struct sb_load *load) {
    if (!load)
        return;
    atomic_store(&load->stop, true);
    for (size_t i = 0; i < load->n; i++)
        pthread_join(load->threads[i], NULL);
    free(load);
}
