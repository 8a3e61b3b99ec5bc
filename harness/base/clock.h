/* base: the clock that waits and durations are measured by. */
#ifndef SB_BASE_CLOCK_H
#define SB_BASE_CLOCK_H

/* Seconds of CLOCK_MONOTONIC: of use in differences alone. */
double sb_monotonic(void);

#endif
