/* Stage 2, matrix: what the runs of a job really had of an axis. */
#include "base/cleanup.h"
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a result.json says of an axis of the run, malloc'd, or NULL. */
static char *stated_of(const struct sb_job_axis *axis, const struct sb_observation *seen,
                       const char *key, const char *unknown) {
    const json_t *said = json_object_get(json_object_get(seen->stated, key), axis->name);
    const char *text = json_string_value(said);
    return text && strcmp(text, unknown) != 0 ? strdup(text) : NULL;
}

char *sb_axis_observe(const struct sb_job_axis *axis, const char *level,
                      const struct sb_observation *seen) {
    if (seen->stated && json_object_get(json_object_get(seen->stated, "axes"), axis->name))
        return stated_of(axis, seen, "axes", "unknown");
    if (!axis->axis)
        return strdup(level);
    return axis->axis->observe ? axis->axis->observe(axis->name, level, seen) : NULL;
}

/* Texts of one level's runs, put together; NULL where no run is known. *agreed is taken back unless
 * every run is known and all say the same. */
static int join_level(const struct sb_job_axis *axis, size_t level,
                      const struct sb_axis_sight *sights, size_t n_sights, char **joined,
                      bool *agreed) {
    SB_AUTO_STRINGS struct sb_strings texts = {0};
    for (size_t i = 0; i < n_sights; i++) {
        if (sights[i].level != level)
            continue;
        SB_AUTO_FREE char *text = sb_axis_observe(axis, axis->levels[level], sights[i].seen);
        if (!text)
            *agreed = false;
        else if (!sb_strings_contain(&texts, text) && sb_strings_add(&texts, text) < 0)
            return -ENOMEM;
    }
    if (texts.n != 1)
        *agreed = false;
    sb_strings_sort(&texts);
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t i = 0; i < texts.n; i++)
        sb_text_printf(&text, "%s%s", i ? " or " : "", texts.items[i]);
    *joined = texts.n ? sb_text_take(&text) : NULL;
    return texts.n && !*joined ? -ENOMEM : 0;
}

char *sb_axis_arrived(const struct sb_job_axis *axis, const struct sb_observation *seen) {
    if (seen->stated)
        return stated_of(axis, seen, "arrived", "");
    return axis->axis && axis->axis->arrived ? axis->axis->arrived(axis->name, seen) : NULL;
}

/* Was the same thing of the axis in the processes of every run, so that its levels cannot have
 * mattered? */
static int arrived_alike(const struct sb_job_axis *axis, const struct sb_axis_sight *sights,
                         size_t n_sights, char **text) {
    SB_AUTO_FREE char *first = NULL;
    *text = NULL;
    for (size_t i = 0; i < n_sights; i++) {
        SB_AUTO_FREE char *one = sb_axis_arrived(axis, sights[i].seen);
        if (!one || (first && strcmp(one, first) != 0))
            return 0;
        if (!first)
            first = sb_steal_pointer(&one);
    }
    *text = sb_steal_pointer(&first);
    return 0;
}

static bool every_level_ran(const struct sb_job_axis *axis, const struct sb_axis_sight *sights,
                            size_t n_sights) {
    for (size_t l = 0; l < axis->n_levels; l++) {
        bool ran = false;
        for (size_t i = 0; i < n_sights && !ran; i++)
            ran = sights[i].level == l;
        if (!ran)
            return false;
    }
    return axis->n_levels > 0;
}

int sb_axis_observed(const struct sb_job_axis *axis, const struct sb_axis_sight *sights,
                     size_t n_sights, char **observed, bool *alike) {
    char **texts = calloc(axis->n_levels + 1, sizeof *texts);
    if (!texts)
        return -ENOMEM;
    bool proven = axis->n_levels > 0;
    int status = 0;
    for (size_t l = 0; l < axis->n_levels && status == 0; l++) {
        status = join_level(axis, l, sights, n_sights, &texts[l], &proven);
        proven = proven && strcmp(texts[0], texts[l]) == 0;
    }
    if (status == 0 && !proven && every_level_ran(axis, sights, n_sights)) {
        SB_AUTO_FREE char *text = NULL;
        status = arrived_alike(axis, sights, n_sights, &text);
        for (size_t l = 0; text && l < axis->n_levels && status == 0; l++) {
            free(texts[l]);
            texts[l] = strdup(text);
            status = texts[l] ? 0 : -ENOMEM;
        }
        proven = text != NULL;
    }
    for (size_t l = 0; l < axis->n_levels; l++) {
        if (status == 0)
            observed[l] = texts[l];
        else
            free(texts[l]);
    }
    free(texts);
    if (status == 0)
        *alike = proven && !axis->in_command;
    return status;
}

bool sb_observation_asked(const struct sb_observation *observation, const char *source) {
    const json_t *entry;
    size_t i;
    json_array_foreach(json_object_get(observation->probe, "sources"), i, entry) {
        const char *name = json_string_value(json_object_get(entry, "source"));
        if (name && strcmp(name, source) == 0)
            return true;
    }
    return false;
}

void sb_observation_clear(struct sb_observation *observation) {
    for (size_t i = 0; i < observation->n_processes; i++) {
        struct sb_seen_process *process = &observation->processes[i];
        free(process->exe);
        for (char **item = process->arguments; item && *item; item++)
            free(*item);
        free(process->arguments);
        for (char **item = process->environment; item && *item; item++)
            free(*item);
        free(process->environment);
    }
    free(observation->processes);
    for (size_t i = 0; i < observation->n_libraries; i++)
        free(observation->libraries[i]);
    free(observation->libraries);
    free(observation->hostname);
    free(observation->cwd);
    json_decref(observation->worker);
    json_decref(observation->probe);
    json_decref(observation->trace);
    json_decref(observation->experiment);
    json_decref(observation->machine);
    json_decref(observation->stated);
    *observation = (struct sb_observation){0};
}
