/* Stage 3: the names and the ownership of what a run leaves behind. */
#include <samebits/run.h>

#include <stdlib.h>

volatile sig_atomic_t sb_interrupted;

const char *const sb_status_names[] = {
    "ok", "crashed", "timeout", "no-weights", "bad-weights", "spawn-failed", "interrupted", NULL,
};

void sb_run_clear(struct sb_run *run) {
    free(run->message);
    free(run->fingerprint);
    sb_observation_clear(&run->seen);
    *run = (struct sb_run){0};
}
