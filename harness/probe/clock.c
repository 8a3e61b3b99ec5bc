/* The probe: clocks. Frozen, the calendar begins at one moment in every process and goes on by a
 * microsecond a call and by what a thread sleeps, each thread for itself; so that no loop waits for
 * ever, it catches up with the time that went by whenever a whole minute has. Clocks that only run
 * stay live, unless they are asked for: then they do the same, a second after their zero, which no
 * machine that has started is before. So what reaches the kernel untranslated is over, and a wait
 * for it ends too soon rather than never. */
#include "probe/inside.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t monotonic_start_s = 1;
static const uint64_t second = 1000000000U;

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
    uint64_t caught_up = live / SB_PROBE_CATCH_UP_NS * SB_PROBE_CATCH_UP_NS;
    if (own->clock_ns < caught_up)
        own->clock_ns = caught_up;
    return own->clock_ns;
}

/* Not those of CPU time. */
static bool is_monotonic(clockid_t clock) {
    return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE ||
           clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_BOOTTIME;
}

bool sb_probe_clock_frozen(clockid_t clock) {
    enum sb_probe_clock level = sb_probe_settings()->clock;
    return (level != SB_PROBE_LIVE && is_calendar(clock)) ||
           (level == SB_PROBE_ALL_CLOCKS && is_monotonic(clock));
}

static int64_t start_of(clockid_t clock) {
    return is_calendar(clock) ? SB_PROBE_CALENDAR_S : monotonic_start_s;
}

static void frozen_now(clockid_t clock, struct timespec *now) {
    uint64_t ns = frozen_ns();
    sb_probe_thread()->clock_ns = ns + SB_PROBE_CALL_NS;
    now->tv_sec = start_of(clock) + (int64_t)(ns / second);
    now->tv_nsec = (long)(ns % second);
}

void sb_probe_slept(const struct timespec *time) {
    if (sb_probe_settings()->clock && time && time->tv_sec >= 0)
        sb_probe_thread()->clock_ns += (uint64_t)time->tv_sec * second + (uint64_t)time->tv_nsec;
}

void sb_probe_waited(clockid_t clock, const struct timespec *until) {
    struct sb_probe_thread *own = sb_probe_thread();
    int64_t ns = (until->tv_sec - start_of(clock)) * (int64_t)second + until->tv_nsec;
    if (ns > 0 && own->clock_ns < (uint64_t)ns)
        own->clock_ns = (uint64_t)ns;
}

/* ---- Asked ------------------------------------------------------------------------------------
 */

SB_INTERPOSED int clock_gettime(clockid_t clock, struct timespec *now) {
    bool frozen = sb_probe_clock_frozen(clock);
    sb_probe_note(is_calendar(clock) ? SB_PROBE_CLOCK : SB_PROBE_MONOTONIC, "clock_gettime",
                  SB_CALLER, frozen);
    if (!frozen)
        return SB_REAL(clock_gettime)(clock, now);
    frozen_now(clock, now);
    return 0;
}

SB_INTERPOSED time_t time(time_t *result) {
    bool frozen = sb_probe_settings()->clock;
    sb_probe_note(SB_PROBE_CLOCK, "time", SB_CALLER, frozen);
    if (!frozen)
        return SB_REAL(time)(result);
    struct timespec now;
    frozen_now(CLOCK_REALTIME, &now);
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
    frozen_now(CLOCK_REALTIME, &now);
    *result = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

SB_INTERPOSED int timespec_get(struct timespec *now, int base) {
    bool frozen = base == TIME_UTC && sb_probe_settings()->clock;
    sb_probe_note(SB_PROBE_CLOCK, "timespec_get", SB_CALLER, frozen);
    if (!frozen)
        return SB_REAL(timespec_get)(now, base);
    frozen_now(CLOCK_REALTIME, now);
    return base;
}

/* ---- Slept ------------------------------------------------------------------------------------
 */

SB_INTERPOSED int nanosleep(const struct timespec *length, struct timespec *left) {
    sb_probe_slept(length);
    return SB_REAL(nanosleep)(length, left);
}

SB_INTERPOSED int usleep(useconds_t length) {
    const struct timespec time = {length / 1000000, (long)(length % 1000000) * 1000};
    sb_probe_slept(&time);
    return SB_REAL(usleep)(length);
}

SB_INTERPOSED unsigned sleep(unsigned length) {
    const struct timespec time = {length, 0};
    sb_probe_slept(&time);
    return SB_REAL(sleep)(length);
}

/* The same point in time on the real clock. Where the vDSO cannot tell, the C library asks the
 * kernel, which a guard may freeze too. */
struct timespec sb_probe_real_time(clockid_t clock, const struct timespec *frozen) {
    struct timespec now;
    syscall(SYS_clock_gettime, clock, &now, 0, 0, 0, SB_PROBE_OWN_CALL);
    uint64_t ns = frozen_ns();
    struct timespec real = {.tv_sec = frozen->tv_sec + now.tv_sec - start_of(clock) -
                                      (int64_t)(ns / second),
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
    sb_probe_slept(&length);
}

SB_INTERPOSED int clock_nanosleep(clockid_t clock, int flags, const struct timespec *length,
                                  struct timespec *left) {
    struct timespec until;
    if (flags & TIMER_ABSTIME && sb_probe_clock_frozen(clock)) {
        until = sb_probe_real_time(clock, length);
        length = &until;
    }
    if (sb_probe_settings()->clock && flags & TIMER_ABSTIME)
        slept_until(clock, length);
    else
        sb_probe_slept(length);
    return SB_REAL(clock_nanosleep)(clock, flags, length, left);
}
