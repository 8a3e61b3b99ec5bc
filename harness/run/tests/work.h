/* run: a working directory, and the best sandbox over it that can be had. */
#ifndef SB_RUN_TESTS_WORK_H
#define SB_RUN_TESTS_WORK_H

#include "run/tests/isolation.h"

static char *folder;
static struct sb_sandbox *sandbox;

static inline void set_up(void) {
    folder = new_folder("work");
    sandbox = open_sandbox(folder, SB_ISOLATE_AUTO, NULL);
}

static inline void tear_down(void) {
    sb_sandbox_close(sandbox);
    remove_folder(folder);
}

#endif
