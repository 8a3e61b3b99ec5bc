/* The probe: waits that end at a time. One until a point of a frozen clock lasts as long as it
 * would; and where it was in vain the thread's frozen time is that point: who looks at the clock
 * afterwards would else wait again (std::condition_variable does). */
#include "probe/inside.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

/* ---- Until a point in time --------------------------------------------------------------------
 */

/* Where no clock is named a time tells it by itself: after 2001 it is of the calendar. */
static clockid_t clock_of(const struct timespec *until) {
    return until->tv_sec > 1000000000 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
}

static bool is_translated(clockid_t clock, const struct timespec *until) {
    return sb_probe_clock_frozen(clock) &&
           (clock == CLOCK_MONOTONIC || clock_of(until) == CLOCK_REALTIME);
}

static struct timespec translated(clockid_t clock, const struct timespec *until) {
    return is_translated(clock, until) ? sb_probe_real_time(clock, until) : *until;
}

static void waited(clockid_t clock, const struct timespec *until, bool in_vain) {
    int saved = errno;
    if (in_vain && is_translated(clock, until))
        sb_probe_waited(clock, until);
    errno = saved;
}

SB_INTERPOSED int pthread_cond_timedwait(pthread_cond_t *restrict condition,
                                         pthread_mutex_t *restrict mutex,
                                         const struct timespec *restrict until) {
    clockid_t clock = clock_of(until);
    const struct timespec real = translated(clock, until);
    int rc = SB_REAL(pthread_cond_timedwait)(condition, mutex, &real);
    waited(clock, until, rc == ETIMEDOUT);
    return rc;
}

SB_INTERPOSED int pthread_cond_clockwait(pthread_cond_t *restrict condition,
                                         pthread_mutex_t *restrict mutex, clockid_t clock,
                                         const struct timespec *restrict until) {
    const struct timespec real = translated(clock, until);
    int rc = SB_REAL(pthread_cond_clockwait)(condition, mutex, clock, &real);
    waited(clock, until, rc == ETIMEDOUT);
    return rc;
}

SB_INTERPOSED int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex,
                                          const struct timespec *restrict until) {
    const struct timespec real = translated(CLOCK_REALTIME, until);
    int rc = SB_REAL(pthread_mutex_timedlock)(mutex, &real);
    waited(CLOCK_REALTIME, until, rc == ETIMEDOUT);
    return rc;
}

SB_INTERPOSED int pthread_mutex_clocklock(pthread_mutex_t *restrict mutex, clockid_t clock,
                                          const struct timespec *restrict until) {
    const struct timespec real = translated(clock, until);
    int rc = SB_REAL(pthread_mutex_clocklock)(mutex, clock, &real);
    waited(clock, until, rc == ETIMEDOUT);
    return rc;
}

SB_INTERPOSED int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    const struct timespec real = translated(CLOCK_REALTIME, until);
    int rc = SB_REAL(sem_timedwait)(semaphore, &real);
    waited(CLOCK_REALTIME, until, rc < 0 && errno == ETIMEDOUT);
    return rc;
}

SB_INTERPOSED int sem_clockwait(sem_t *restrict semaphore, clockid_t clock,
                                const struct timespec *restrict until) {
    const struct timespec real = translated(clock, until);
    int rc = SB_REAL(sem_clockwait)(semaphore, clock, &real);
    waited(clock, until, rc < 0 && errno == ETIMEDOUT);
    return rc;
}

/* ---- For so long ------------------------------------------------------------------------------
 */

/* Event loops compare such waits with a clock that only runs; where that is live they are left
 * alone. */
static void waited_for(const struct timespec *length, bool in_vain) {
    int saved = errno;
    if (in_vain && sb_probe_clock_frozen(CLOCK_MONOTONIC))
        sb_probe_slept(length);
    errno = saved;
}

static void waited_ms(int ms, bool in_vain) {
    const struct timespec length = {ms / 1000, (long)(ms % 1000) * 1000000};
    waited_for(&length, in_vain && ms > 0);
}

SB_INTERPOSED int poll(struct pollfd *fds, nfds_t n, int ms) {
    int ready = SB_REAL(poll)(fds, n, ms);
    waited_ms(ms, ready == 0);
    return ready;
}

/* What -D_FORTIFY_SOURCE makes of it. */
SB_INTERPOSED int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t size);
SB_INTERPOSED int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t size) {
    int ready = SB_REAL(__poll_chk)(fds, n, ms, size);
    waited_ms(ms, ready == 0);
    return ready;
}

SB_INTERPOSED int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *length,
                        const sigset_t *mask) {
    int ready = SB_REAL(ppoll)(fds, n, length, mask);
    waited_for(length, ready == 0);
    return ready;
}

SB_INTERPOSED int select(int n, fd_set *restrict to_read, fd_set *restrict to_write,
                         fd_set *restrict other, struct timeval *restrict length) {
    const struct timespec asked = length ? (struct timespec){length->tv_sec, length->tv_usec * 1000}
                                         : (struct timespec){0, 0}; /* the call changes it */
    int ready = SB_REAL(select)(n, to_read, to_write, other, length);
    waited_for(&asked, ready == 0);
    return ready;
}

SB_INTERPOSED int pselect(int n, fd_set *restrict to_read, fd_set *restrict to_write,
                          fd_set *restrict other, const struct timespec *restrict length,
                          const sigset_t *restrict mask) {
    int ready = SB_REAL(pselect)(n, to_read, to_write, other, length, mask);
    waited_for(length, ready == 0);
    return ready;
}

SB_INTERPOSED int epoll_wait(int fd, struct epoll_event *events, int most, int ms) {
    int ready = SB_REAL(epoll_wait)(fd, events, most, ms);
    waited_ms(ms, ready == 0);
    return ready;
}

SB_INTERPOSED int epoll_pwait(int fd, struct epoll_event *events, int most, int ms,
                              const sigset_t *mask) {
    int ready = SB_REAL(epoll_pwait)(fd, events, most, ms, mask);
    waited_ms(ms, ready == 0);
    return ready;
}
