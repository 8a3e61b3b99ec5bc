/* Stage 2, matrix: the library that is preloaded to see and to freeze what runs consult
 * (harness/probe), and what its axes share. */
#include "probe/probe.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "matrix/axis.h"
#include "samebits-config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In a build folder it lies below the program's, installed where modules do. */
int sb_machine_find_probe(struct sb_machine *machine) {
    static const char *const folders[] = {".", "harness/probe", SB_MODULES_FROM_PROGRAM, NULL};
    SB_AUTO_FREE char *found = sb_find_beside_program(folders, SB_PROBE_LIBRARY);
    if (!found)
        machine->no_probe = sb_format("%s is not beside the program", SB_PROBE_LIBRARY);
    else if (strpbrk(found, " :")) /* ld.so(8): they separate what LD_PRELOAD lists */
        machine->no_probe = sb_format("the probe's path has a blank or a colon in it: %s", found);
    else
        machine->probe = sb_steal_pointer(&found);
    return machine->probe || machine->no_probe ? 0 : -ENOMEM;
}

char *sb_probe_unavailable(const struct sb_machine *machine, const char *level) {
    (void)level;
    return machine->no_probe ? strdup(machine->no_probe) : NULL;
}

int sb_probe_apply(const struct sb_machine *machine, struct sb_setup *setup) {
    if (setup->probe.library)
        return 0;
    setup->probe.library = strdup(machine->probe ? machine->probe : SB_PROBE_LIBRARY);
    return setup->probe.library ? 0 : -ENOMEM;
}

/* Did the probe see all that the run's programs asked of this source? Of programs that it was not
 * in, what they asked the kernel; clocks they can read without, and folders' entries are left
 * alone. */
static bool covered(const json_t *probe, const char *source) {
    const json_t *raw = json_object_get(probe, "raw");
    size_t n_raw = json_array_size(json_object_get(raw, "programs"));
    bool asks_kernel =
        strcmp(source, "entropy") == 0 && json_array_size(json_object_get(raw, "frozen")) > 0;
    return (json_array_size(json_object_get(probe, "programs")) || n_raw) &&
           (!n_raw || asks_kernel) && !json_array_size(json_object_get(probe, "not_covered")) &&
           json_integer_value(json_object_get(probe, "lost")) == 0;
}

char *sb_probe_observe(const char *source, const char *level, const struct sb_observation *seen) {
    if (!seen->probe || !covered(seen->probe, source))
        return NULL;
    return strdup(sb_observation_asked(seen, source) ? level : "not consulted");
}
