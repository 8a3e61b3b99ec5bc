/* Stage 7: what a run really had, for people and for later questions. */
#include "report/result.h"
#include "report/shared_lists.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <string.h>
#include <sys/personality.h>

static bool is_kept(const char *variable) {
    SB_AUTO_FREE char *name = strndup(variable, strcspn(variable, "="));
    return name && sb_environment_matters(name);
}

/* The key of the list, which the document holds once: as an earlier run made it, or as `make` makes
 * it. */
static json_t *shared_list(struct sb_making *making, const struct sb_list_key *key,
                           const struct sb_observation *seen,
                           json_t *(*make)(struct sb_making *, const struct sb_observation *)) {
    if (!json_object_get(making->seen, key->text))
        sb_put(making, making->seen, key->text, make(making, seen));
    return making->refer ? json_string(key->text)
                         : json_incref(json_object_get(making->seen, key->text));
}

static json_t *make_libraries(struct sb_making *making, const struct sb_observation *seen) {
    json_t *libraries = sb_new(making, json_array());
    for (size_t i = 0; i < seen->n_libraries; i++) {
        SB_AUTO_FREE char *version = sb_library_version(seen->libraries[i]);
        json_t *library = sb_new(making, json_object());
        sb_put(making, library, "path", sb_json_string(seen->libraries[i]));
        sb_put(making, library, "version", sb_json_string(version));
        sb_push(making, libraries, library);
    }
    return libraries;
}

static json_t *libraries_json(struct sb_making *making, const struct sb_observation *seen) {
    struct sb_list_key key;
    sb_list_key_begin(&key, "libraries");
    for (size_t i = 0; i < seen->n_libraries; i++)
        sb_list_key_add(&key, seen->libraries[i]);
    making->failed |= !sb_list_key_end(&key);
    return shared_list(making, &key, seen, make_libraries);
}

/* Only variables that may change what is computed: the rest may be secrets. */
static json_t *environment_json(struct sb_making *making, char *const *environment) {
    json_t *json = sb_new(making, json_array());
    for (size_t i = 0; environment[i]; i++) {
        if (is_kept(environment[i]))
            sb_push(making, json, sb_json_string(environment[i]));
    }
    return json;
}

static json_t *make_processes(struct sb_making *making, const struct sb_observation *seen) {
    json_t *processes = sb_new(making, json_array());
    for (size_t i = 0; i < seen->n_processes; i++) {
        const struct sb_seen_process *process = &seen->processes[i];
        json_t *json = sb_new(making, json_object());
        sb_put(making, json, "exe", sb_json_string(process->exe));
        sb_put(making, json, "argv", sb_json_strings((const char *const *)process->arguments));
        sb_put(making, json, "environment",
               process->environment ? environment_json(making, process->environment) : json_null());
        sb_push(making, processes, json);
    }
    return processes;
}

static json_t *processes_json(struct sb_making *making, const struct sb_observation *seen) {
    struct sb_list_key key;
    sb_list_key_begin(&key, "processes");
    for (size_t i = 0; i < seen->n_processes; i++) {
        const struct sb_seen_process *process = &seen->processes[i];
        sb_list_key_add(&key, process->exe);
        for (char **argument = process->arguments; argument && *argument; argument++)
            sb_list_key_add(&key, *argument);
        sb_list_key_add(&key, process->environment ? "environment" : "");
        for (char **item = process->environment; item && *item; item++) {
            if (is_kept(*item))
                sb_list_key_add(&key, *item);
        }
    }
    making->failed |= !sb_list_key_end(&key);
    return shared_list(making, &key, seen, make_processes);
}

static json_t *axes_json(struct sb_making *making, const struct sb_job_plan *plan,
                         const struct sb_run *run) {
    json_t *axes = sb_new(making, json_object());
    for (size_t i = 0; i < plan->n_axes; i++) {
        const struct sb_job_axis *axis = &plan->axes[i];
        if (!axis->n_levels)
            continue;
        const char *level = axis->levels[plan->cells[run->cell].level[i]];
        SB_AUTO_FREE char *text = sb_axis_observe(axis, level, &run->seen);
        sb_put_named(making, axes, axis->name, sb_json_string(text ? text : "unknown"));
    }
    return axes;
}

/* The key of a list, which it takes and the document holds. */
static json_t *refer_to(struct sb_making *making, const struct sb_shared_list *shared,
                        json_t *list) {
    struct sb_list_key key;
    if (sb_shared_list_key(shared, list, &key) < 0)
        making->failed = true;
    else if (!json_object_get(making->seen, key.text))
        sb_put(making, making->seen, key.text, json_incref(list));
    json_decref(list);
    return making->failed ? json_null() : json_string(key.text);
}

/* What reached processes of axes that can be seen so. */
static json_t *arrived_json(struct sb_making *making, const struct sb_job_plan *plan,
                            const struct sb_run *run) {
    json_t *arrived = sb_new(making, json_object());
    for (size_t i = 0; i < plan->n_axes; i++) {
        SB_AUTO_FREE char *text =
            plan->axes[i].n_levels ? sb_axis_arrived(&plan->axes[i], &run->seen) : NULL;
        if (text)
            sb_put_named(making, arrived, plan->axes[i].name, sb_json_string(text));
    }
    return making->refer ? refer_to(making, &sb_shared_lists[SB_N_SHARED_LISTS - 1], arrived)
                         : arrived;
}

/* As another result.json has it. */
static json_t *stated_json(struct sb_making *making, const struct sb_job_plan *plan,
                           const struct sb_run *run) {
    json_t *json = sb_new(making, json_copy(run->seen.stated));
    sb_put(making, json, "axes", axes_json(making, plan, run));
    for (size_t i = 0; i < SB_N_SHARED_LISTS; i++) {
        const char *name = sb_shared_lists[i].name;
        json_t *said = json_object_get(json, name);
        const char *key = json_string_value(said);
        json_t *list = key ? json_object_get(making->lists, key) : said;
        if (list && making->refer)
            sb_put(making, json, name, refer_to(making, &sb_shared_lists[i], json_incref(list)));
        else if (list)
            sb_put(making, json, name, json_incref(list));
    }
    return json;
}

json_t *sb_observed_json(struct sb_making *making, const struct sb_job_plan *plan,
                         const struct sb_run *run) {
    const struct sb_observation *seen = &run->seen;
    if (seen->stated)
        return stated_json(making, plan, run);
    json_t *json = sb_new(making, json_object());
    sb_put(making, json, "axes", axes_json(making, plan, run));
    sb_put(making, json, "samples", json_integer(seen->n_samples));
    sb_put(making, json, "cpus", seen->n_cpus ? json_integer(seen->n_cpus) : json_null());
    sb_put(making, json, "threads",
           seen->max_threads ? json_integer(seen->max_threads) : json_null());
    sb_put(making, json, "aslr",
           seen->personality_known ? json_boolean(!(seen->personality & ADDR_NO_RANDOMIZE))
                                   : json_null());
    sb_put(making, json, "hostname", sb_json_string(seen->hostname));
    sb_put(making, json, "cwd", sb_json_string(seen->cwd));
    sb_put(making, json, "libraries", libraries_json(making, seen));
    sb_put(making, json, "processes", processes_json(making, seen));
    sb_put(making, json, "arrived", arrived_json(making, plan, run));
    sb_put(making, json, "worker", seen->worker ? json_incref(seen->worker) : json_null());
    sb_put(making, json, "probe", seen->probe ? json_incref(seen->probe) : json_null());
    sb_put(making, json, "trace", seen->trace ? json_incref(seen->trace) : json_null());
    if (seen->experiment)
        sb_put(making, json, "experiment", json_incref(seen->experiment));
    return json;
}
