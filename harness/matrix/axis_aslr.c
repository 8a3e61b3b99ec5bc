/* Stage 2, matrix: axis aslr: whether addresses are laid out at random. */
#include "base/cleanup.h"
#include "base/file.h"
#include "matrix/axis.h"

#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>

static const char *const levels[] = {"on", "off", NULL};

/* Is randomisation off for the whole machine (proc_sys_kernel(5))? */
static bool off_everywhere(void) {
    SB_AUTO_FREE char *text = NULL;
    if (sb_file_read("/proc/sys/kernel/randomize_va_space", 64, &text, NULL, NULL) < 0)
        return false;
    return text[0] == '0';
}

static char *unavailable(const struct sb_machine *machine, const char *level) {
    if (machine->no_personality)
        return strdup(machine->no_personality);
    if (strcmp(level, "on") == 0 && off_everywhere())
        return strdup("kernel.randomize_va_space is 0 on this machine");
    return NULL;
}

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)machine, (void)name;
    setup->aslr_given = true;
    setup->aslr_on = strcmp(level, "on") == 0;
    return 0;
}

static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    (void)name, (void)level;
    if (!seen->personality_known)
        return NULL;
    return strdup(seen->personality & ADDR_NO_RANDOMIZE || off_everywhere() ? "off" : "on");
}

const struct sb_axis sb_axis_aslr = {
    .name = "aslr",
    .summary = "address space layout randomisation",
    .levels = "on, off",
    .among = levels,
    .unavailable = unavailable,
    .apply = apply,
    .observe = observe,
};
