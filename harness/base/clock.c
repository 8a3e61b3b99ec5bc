/* base: time. See base/clock.h. */
#include "base/clock.h"

#include <time.h>

double sb_monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
