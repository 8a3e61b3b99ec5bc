/* cli: which sources the programs of an experiment asked for, as the probe in them and the guard
 * have it. See cli/explain.h. */
#include "cli/explain.h"

#include <string.h>

const json_t *sb_explain_raw_programs(const struct sb_observation *seen) {
    return json_object_get(json_object_get(seen->probe, "raw"), "programs");
}

/* Is all that the run asks for known? Not of programs without the library in them. */
static bool is_known(const struct sb_observation *seen) {
    return json_is_object(seen->probe) &&
           json_integer_value(json_object_get(seen->probe, "lost")) == 0 &&
           json_array_size(json_object_get(seen->probe, "not_covered")) == 0 &&
           json_array_size(sb_explain_raw_programs(seen)) == 0;
}

/* Was the guard asked about raw system calls, which pass the library by? */
static bool has_raw(const struct sb_observation *seen) {
    const json_t *raw = json_object_get(seen->probe, "raw");
    return json_is_object(raw) && !json_is_string(json_object_get(raw, "refused"));
}

static bool asks_for(const struct sb_observation *seen, const char *source) {
    return sb_observation_asked(seen, source) ||
           (strcmp(source, "clock") == 0 && sb_observation_asked(seen, "monotonic"));
}

/* Of the others nothing that a program calls shows what they are to it: a namespace of process ids
 * has its threads' too, and addresses and memory are everywhere. */
static bool is_visible(const char *source) {
    static const char *const sources[] = {"entropy", "clock", "readdir"};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        if (strcmp(source, sources[i]) == 0)
            return true;
    }
    return false;
}

uint32_t sb_explain_idle(const char *const *sources, unsigned n_sources, const struct sb_run *runs,
                         size_t n) {
    bool raw = false;
    uint32_t idle = 0;
    for (unsigned s = 0; s < n_sources; s++)
        idle |= is_visible(sources[s]) ? UINT32_C(1) << s : 0;
    for (size_t i = 0; i < n; i++) {
        if (runs[i].status != SB_STATUS_OK)
            continue;
        if (!is_known(&runs[i].seen))
            return 0;
        raw |= has_raw(&runs[i].seen);
        for (unsigned s = 0; s < n_sources; s++)
            idle &= asks_for(&runs[i].seen, sources[s]) ? ~(UINT32_C(1) << s) : UINT32_MAX;
    }
    return raw ? idle : 0;
}
