/* The probe: delays of random length where threads meet, so that races show in few runs. Each
 * thread draws its own; a seed gives the same lengths in every run, in whatever order threads then
 * come. */
#include "probe/inside.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Places that are come to often are delayed seldom. */
enum { SELDOM = 64, LONGEST_NS = 300000, SHORT_NS = 30000 };

static void delay(unsigned one_in, uint64_t longest_ns) {
    uint64_t seed = sb_probe_settings()->schedule;
    if (!seed)
        return;
    struct sb_probe_thread *own = sb_probe_thread();
    uint64_t word = sb_probe_mix(own->key ^ sb_probe_mix(seed, 1), own->delays++);
    if (word % one_in)
        return;
    int saved = errno;
    const struct timespec length = {.tv_nsec = (long)((word >> 16) % longest_ns)};
    syscall(SYS_nanosleep, &length, NULL);
    errno = saved;
}

void sb_probe_delay_start(void) {
    delay(1, LONGEST_NS);
}

/* ---- POSIX threads ----------------------------------------------------------------------------
 */

SB_INTERPOSED int pthread_mutex_lock(pthread_mutex_t *mutex) {
    delay(SELDOM, SHORT_NS);
    return SB_REAL(pthread_mutex_lock)(mutex);
}

SB_INTERPOSED int pthread_barrier_wait(pthread_barrier_t *barrier) {
    delay(2, LONGEST_NS);
    int rc = SB_REAL(pthread_barrier_wait)(barrier);
    delay(2, LONGEST_NS);
    return rc;
}

SB_INTERPOSED int sem_wait(sem_t *semaphore) {
    int rc = SB_REAL(sem_wait)(semaphore);
    delay(4, SHORT_NS);
    return rc;
}

SB_INTERPOSED int pthread_cond_signal(pthread_cond_t *condition) {
    delay(4, SHORT_NS);
    return SB_REAL(pthread_cond_signal)(condition);
}

SB_INTERPOSED int pthread_cond_broadcast(pthread_cond_t *condition) {
    delay(4, SHORT_NS);
    return SB_REAL(pthread_cond_broadcast)(condition);
}

SB_INTERPOSED int pthread_cond_wait(pthread_cond_t *restrict condition,
                                    pthread_mutex_t *restrict mutex) {
    int rc = SB_REAL(pthread_cond_wait)(condition, mutex);
    delay(4, SHORT_NS);
    return rc;
}

/* ---- OpenMP of GCC ----------------------------------------------------------------------------
 */

typedef void region(void *data);
typedef void parallel(region *, void *, unsigned, unsigned);

struct delayed {
    region *run;
    void *data;
};

static void run_delayed(void *argument) {
    const struct delayed *delayed = argument;
    delay(1, LONGEST_NS);
    delayed->run(delayed->data);
}

/* libgomp is seldom where RTLD_NEXT looks: what Python loads is known to those alone who asked for
 * it, and there may be two of it. So it is looked up as the caller would have found it. */
static void *openmp(const char *name, const void *caller) {
    Dl_info object;
    void *real = dlsym(RTLD_NEXT, name);
    if (real || !dladdr(caller, &object))
        return real;
    void *handle = dlopen(object.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (!handle)
        return NULL;
    real = dlsym(handle, name);
    dlclose(handle);
    return real;
}

/* The same, kept for callers that come again. */
static void *openmp_kept(const char *name, const void *caller) {
    enum { KEPT = 64 };
    static struct {
        const void *caller;
        void *real;
    } kept[KEPT];
    size_t place = ((uintptr_t)caller >> 3) % KEPT;
    if (__atomic_load_n(&kept[place].caller, __ATOMIC_ACQUIRE) == caller)
        return __atomic_load_n(&kept[place].real, __ATOMIC_RELAXED);
    void *real = openmp(name, caller);
    const void *nobody = NULL;
    /* A place is given once: whoever has it reads what belongs to it. */
    static int giving;
    if (real && !__atomic_exchange_n(&giving, 1, __ATOMIC_ACQUIRE)) {
        if (kept[place].caller == nobody) {
            __atomic_store_n(&kept[place].real, real, __ATOMIC_RELAXED);
            __atomic_store_n(&kept[place].caller, caller, __ATOMIC_RELEASE);
        }
        __atomic_store_n(&giving, 0, __ATOMIC_RELEASE);
    }
    return real;
}

SB_INTERPOSED void GOMP_parallel(region *run, void *data, unsigned threads, unsigned flags);
SB_INTERPOSED void GOMP_parallel(region *run, void *data, unsigned threads, unsigned flags) {
    parallel *real = (parallel *)openmp_kept("GOMP_parallel", SB_CALLER);
    struct delayed delayed = {run, data};
    if (sb_probe_settings()->schedule)
        real(run_delayed, &delayed, threads, flags);
    else
        real(run, data, threads, flags);
}

SB_INTERPOSED void GOMP_barrier(void);
SB_INTERPOSED void GOMP_barrier(void) {
    void (*real)(void) = (void (*)(void))openmp_kept("GOMP_barrier", SB_CALLER);
    delay(2, LONGEST_NS);
    real();
}

SB_INTERPOSED void GOMP_critical_start(void);
SB_INTERPOSED void GOMP_critical_start(void) {
    void (*real)(void) = (void (*)(void))openmp_kept("GOMP_critical_start", SB_CALLER);
    delay(2, LONGEST_NS);
    real();
}

SB_INTERPOSED void GOMP_atomic_start(void);
SB_INTERPOSED void GOMP_atomic_start(void) {
    void (*real)(void) = (void (*)(void))openmp_kept("GOMP_atomic_start", SB_CALLER);
    delay(2, LONGEST_NS);
    real();
}
