/* cli: signals that end the work in good order. */
#ifndef SB_CLI_INTERRUPTS_H
#define SB_CLI_INTERRUPTS_H

/* From now on SIGINT, SIGTERM and SIGHUP, where they are not ignored, are noted in sb_interrupted.
 */
void sb_catch_interrupts(void);

#endif
