/* The probe: clocks. Frozen, the calendar begins at one moment in every process and goes on by a
 * microsecond a call and by what a thread sleeps, each thread for itself; so that no loop waits for
 * ever, it catches up with the time that went by whenever a whole minute has. Clocks that only run
 * stay live. */
#include "probe/inside.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t start_s = 1577836800; /* 2020-01-01 00:00:00 UTC */
static const uint64_t second = 1000000000U, call_ns = 1000, jump_ns = 60 * 1000000000ULL;
/* A point in time above it is of the calendar and not since the machine's start. */
static const int64_t calendar_s = 1000000000;

static uint64_t begun_ns;

static uint64_t monotonic(void) {
    struct timespec now;
    SB_REAL(clock_gettime)(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * second + (uint64_t)now.tv_nsec;
}

__attribute__((constructor)) static void begin(void) {
    begun_ns = monotonic();
}

static bool is_calendar(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

/* Frozen nanoseconds since the start, without going on. */
static uint64_t frozen_ns(void) {
    struct sb_probe_thread *own = sb_probe_thread();
    uint64_t live = begun_ns ? monotonic() - begun_ns : 0;
    uint64_t caught_up = live / jump_ns * jump_ns;
    if (own->clock_ns < caught_up)
        own->clock_ns = caught_up;
    return own->clock_ns;
}

static void frozen_now(struct timespec *now) {
    uint64_t ns = frozen_ns();
    sb_probe_thread()->clock_ns = ns + call_ns;
    now->tv_sec = start_s + (int64_t)(ns / second);
    now->tv_nsec = (long)(ns % second);
}

static void slept(const struct timespec *time) {
    if (sb_probe_settings()->clock && time && time->tv_sec >= 0)
        sb_probe_thread()->clock_ns += (uint64_t)time->tv_sec * second + (uint64_t)time->tv_nsec;
}

/* ---- Asked ------------------------------------------------------------------------------------
 */

SB_INTERPOSED int clock_gettime(clockid_t clock, struct timespec *now) {
    bool calendar = is_calendar(clock), frozen = calendar && sb_probe_settings()->clock;
    sb_probe_note(calendar ? SB_PROBE_CLOCK : SB_PROBE_MONOTONIC, "clock_gettime", SB_CALLER,
                  frozen);
    if (!frozen)
        return SB_REAL(clock_gettime)(clock, now);
    frozen_now(now);
    return 0;
}

SB_INTERPOSED time_t time(time_t *result) {
    bool frozen = sb_probe_settings()->clock;
    sb_probe_note(SB_PROBE_CLOCK, "time", SB_CALLER, frozen);
    if (!frozen)
        return SB_REAL(time)(result);
    struct timespec now;
    frozen_now(&now);
    if (result)
        *result = now.tv_sec;
    return now.tv_sec;
}

SB_INTERPOSED int gettimeofday(struct timeval *restrict result, void *restrict zone) {
    bool frozen = sb_probe_settings()->clock;
    sb_probe_note(SB_PROBE_CLOCK, "gettimeofday", SB_CALLER, frozen);
    if (!frozen)
        return SB_REAL(gettimeofday)(result, zone);
    struct timespec now;
    frozen_now(&now);
    *result = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

SB_INTERPOSED int timespec_get(struct timespec *now, int base) {
    bool frozen = base == TIME_UTC && sb_probe_settings()->clock;
    sb_probe_note(SB_PROBE_CLOCK, "timespec_get", SB_CALLER, frozen);
    if (!frozen)
        return SB_REAL(timespec_get)(now, base);
    frozen_now(now);
    return base;
}

/* ---- Slept ------------------------------------------------------------------------------------
 */

SB_INTERPOSED int nanosleep(const struct timespec *length, struct timespec *left) {
    slept(length);
    return SB_REAL(nanosleep)(length, left);
}

SB_INTERPOSED int usleep(useconds_t length) {
    const struct timespec time = {length / 1000000, (long)(length % 1000000) * 1000};
    slept(&time);
    return SB_REAL(usleep)(length);
}

SB_INTERPOSED unsigned sleep(unsigned length) {
    const struct timespec time = {length, 0};
    slept(&time);
    return SB_REAL(sleep)(length);
}

/* The same point in time on the real calendar. */
static struct timespec on_real_calendar(const struct timespec *frozen) {
    struct timespec now;
    SB_REAL(clock_gettime)(CLOCK_REALTIME, &now);
    uint64_t ns = frozen_ns();
    struct timespec real = {.tv_sec =
                                frozen->tv_sec + now.tv_sec - start_s - (int64_t)(ns / second),
                            .tv_nsec = frozen->tv_nsec + now.tv_nsec - (long)(ns % second)};
    for (; real.tv_nsec < 0; real.tv_nsec += (long)second)
        real.tv_sec--;
    for (; real.tv_nsec >= (long)second; real.tv_nsec -= (long)second)
        real.tv_sec++;
    return real;
}

/* Python's time.sleep asks for a point in time that is so far away; the least difference in when it
 * asks must not show. */
static void slept_until(clockid_t clock, const struct timespec *until) {
    enum { MILLISECOND = 1000000 };
    struct timespec now, length;
    SB_REAL(clock_gettime)(clock, &now);
    int64_t ns = (until->tv_sec - now.tv_sec) * (int64_t)second + until->tv_nsec - now.tv_nsec;
    if (ns <= 0)
        return;
    ns = (ns + MILLISECOND - 1) / MILLISECOND * MILLISECOND;
    length = (struct timespec){ns / (int64_t)second, (long)(ns % (int64_t)second)};
    slept(&length);
}

SB_INTERPOSED int clock_nanosleep(clockid_t clock, int flags, const struct timespec *length,
                                  struct timespec *left) {
    struct timespec until;
    if (sb_probe_settings()->clock && flags & TIMER_ABSTIME && is_calendar(clock)) {
        until = on_real_calendar(length);
        length = &until;
    }
    if (sb_probe_settings()->clock && flags & TIMER_ABSTIME)
        slept_until(clock, length);
    else
        slept(length);
    return SB_REAL(clock_nanosleep)(clock, flags, length, left);
}

/* ---- Waited, until a point in time that was computed from the frozen calendar
 * --------------------
 */

#define UNTIL(time)                                                                                \
    struct timespec until_ = *(time);                                                              \
    if (sb_probe_settings()->clock && until_.tv_sec > calendar_s)                                  \
        until_ = on_real_calendar(&until_);

SB_INTERPOSED int pthread_cond_timedwait(pthread_cond_t *restrict condition,
                                         pthread_mutex_t *restrict mutex,
                                         const struct timespec *restrict until) {
    UNTIL(until)
    return SB_REAL(pthread_cond_timedwait)(condition, mutex, &until_);
}

SB_INTERPOSED int pthread_cond_clockwait(pthread_cond_t *restrict condition,
                                         pthread_mutex_t *restrict mutex, clockid_t clock,
                                         const struct timespec *restrict until) {
    UNTIL(until)
    return SB_REAL(pthread_cond_clockwait)(condition, mutex, clock, &until_);
}

SB_INTERPOSED int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex,
                                          const struct timespec *restrict until) {
    UNTIL(until)
    return SB_REAL(pthread_mutex_timedlock)(mutex, &until_);
}

SB_INTERPOSED int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    UNTIL(until)
    return SB_REAL(sem_timedwait)(semaphore, &until_);
}

SB_INTERPOSED int sem_clockwait(sem_t *restrict semaphore, clockid_t clock,
                                const struct timespec *restrict until) {
    UNTIL(until)
    return SB_REAL(sem_clockwait)(semaphore, clock, &until_);
}
