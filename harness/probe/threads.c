/* The probe: what makes threads and processes gives each child a stream of its own, by the order in
 * which its parent made it. */
#include "probe/inside.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct beginning {
    void *(*routine)(void *);
    void *argument;
    struct sb_probe_thread thread;
};

static struct sb_probe_thread child_of(struct sb_probe_thread *parent) {
    return (struct sb_probe_thread){
        .key = sb_probe_child_key(parent->key, ++parent->children),
        .clock_ns = parent->clock_ns,
    };
}

static void *run(void *argument) {
    struct beginning beginning = *(struct beginning *)argument;
    free(argument);
    *sb_probe_thread() = beginning.thread;
    sb_probe_delay_start();
    return beginning.routine(beginning.argument);
}

SB_INTERPOSED int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict how,
                                 void *(*routine)(void *), void *restrict argument) {
    sb_probe_note(SB_PROBE_THREADS, "pthread_create", SB_CALLER, false);
    struct beginning *beginning = malloc(sizeof *beginning);
    if (!beginning)
        return EAGAIN;
    *beginning = (struct beginning){routine, argument, child_of(sb_probe_thread())};
    int rc = SB_REAL(pthread_create)(thread, how, run, beginning);
    if (rc)
        free(beginning);
    return rc;
}

SB_INTERPOSED pid_t fork(void) {
    struct sb_probe_thread child = child_of(sb_probe_thread());
    pid_t pid = SB_REAL(fork)();
    if (pid == 0)
        *sb_probe_thread() = child;
    return pid;
}
