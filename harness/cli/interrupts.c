/* cli: signals that end the work. See cli/interrupts.h. */
#include "cli/interrupts.h"

#include <samebits/run.h>

#include <signal.h>
#include <stddef.h>

static void note_interrupt(int signal_number) {
    sb_interrupted = sb_interrupted ? -signal_number : signal_number;
}

void sb_catch_interrupts(void) {
    const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = note_interrupt};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction before;
        sigaction(signals[i], NULL, &before);
        if (before.sa_handler != SIG_IGN) /* nohup stays nohup */
            sigaction(signals[i], &action, NULL);
    }
}
