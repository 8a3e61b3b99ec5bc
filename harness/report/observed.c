/* Stage 7: what a run really had, for people and for later questions. */
#include "report/result.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"

#include <ctype.h>
#include <string.h>
#include <sys/personality.h>

/* "libopenblasp-r0.3.21.so" → 0.3.21, "libhdf5_serial.so.103.3.0" → 103.3.0. Links need no
 * resolving: maps show the real file. */
char *sb_library_version(const char *path) {
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    const char *suffix = strstr(name, ".so.");
    if (suffix && isdigit((unsigned char)suffix[4]))
        return strdup(suffix + 4);
    const char *end = strstr(name, ".so");
    if (!end)
        return NULL;
    const char *start = end;
    while (start > name && (isdigit((unsigned char)start[-1]) || start[-1] == '.'))
        start--;
    while (start < end && *start == '.')
        start++;
    return start < end && start > name ? strndup(start, (size_t)(end - start)) : NULL;
}

static json_t *libraries_json(const struct sb_observation *seen) {
    json_t *libraries = json_array();
    for (size_t i = 0; i < seen->n_libraries; i++) {
        SB_AUTO_FREE char *version = sb_library_version(seen->libraries[i]);
        json_array_append_new(libraries,
                              json_pack("{s:o, s:o}", "path", sb_json_string(seen->libraries[i]),
                                        "version", sb_json_string(version)));
    }
    return libraries;
}

static json_t *processes_json(const struct sb_observation *seen) {
    json_t *processes = json_array();
    for (size_t i = 0; i < seen->n_processes; i++) {
        const struct sb_seen_process *process = &seen->processes[i];
        json_t *environment = process->environment
                                  ? sb_json_strings((const char *const *)process->environment)
                                  : json_null();
        json_array_append_new(
            processes, json_pack("{s:o, s:o, s:o}", "exe", sb_json_string(process->exe), "argv",
                                 sb_json_strings((const char *const *)process->arguments),
                                 "environment", environment));
    }
    return processes;
}

json_t *sb_observed_json(const struct sb_job_plan *plan, const struct sb_run *run) {
    const struct sb_observation *seen = &run->seen;
    json_t *axes = json_object();
    for (size_t i = 0; i < plan->n_axes; i++) {
        const struct sb_job_axis *axis = &plan->axes[i];
        if (!axis->n_levels)
            continue;
        const char *level = axis->levels[plan->cells[run->cell].level[i]];
        SB_AUTO_FREE char *text = sb_axis_observe(axis, level, seen);
        json_object_set_new(axes, axis->name, text ? sb_json_string(text) : json_string("unknown"));
    }
    json_t *json = json_pack("{s:o, s:i}", "axes", axes, "samples", (int)seen->n_samples);
    json_object_set_new(json, "cpus", seen->n_cpus ? json_integer(seen->n_cpus) : json_null());
    json_object_set_new(json, "threads",
                        seen->max_threads ? json_integer(seen->max_threads) : json_null());
    json_object_set_new(json, "aslr",
                        seen->personality_known
                            ? json_boolean(!(seen->personality & ADDR_NO_RANDOMIZE))
                            : json_null());
    json_object_set_new(json, "hostname", sb_json_string(seen->hostname));
    json_object_set_new(json, "cwd", sb_json_string(seen->cwd));
    json_object_set_new(json, "libraries", libraries_json(seen));
    json_object_set_new(json, "processes", processes_json(seen));
    json_object_set(json, "worker", seen->worker ? seen->worker : json_null());
    return json;
}
