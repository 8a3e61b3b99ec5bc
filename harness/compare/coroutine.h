/* Stage 5, compare: functions that stop in the middle and go on later, in one thread.
 *
 * Formats push a file's tensors into a sink. To read two files side by side, each reading runs on a
 * stack of its own: no threads, which libhdf5 does not bear, and no process in between. */
#ifndef SB_COMPARE_COROUTINE_H
#define SB_COMPARE_COROUTINE_H

#include <stdbool.h>

struct sb_coroutine;

/* NULL without memory. Nothing runs yet. */
struct sb_coroutine *sb_coroutine_new(void (*body)(void *context), void *context);
/* Runs until the body suspends itself (true) or returns (false). */
bool sb_coroutine_resume(struct sb_coroutine *coroutine);
/* Called from within the body, however deep. */
void sb_coroutine_suspend(struct sb_coroutine *coroutine);
/* One that has not returned is dropped with all that it holds. May be NULL. */
void sb_coroutine_free(struct sb_coroutine *coroutine);

#endif
