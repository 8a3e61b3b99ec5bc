/* Stage 2, matrix: a machine as JSON and back, so that another one can make the plan that was made
 * of it. */
#include "base/cleanup.h"
#include "base/json.h"

#include <samebits/matrix.h>

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { N_ISA = sizeof((struct sb_machine *)NULL)->has_isa, MOST_CPUS = 1 << 20 };

/* Texts of struct sb_machine, NULL among them. */
static const struct {
    const char *name;
    size_t offset;
} texts[] = {
    {"no_uts_namespace", offsetof(struct sb_machine, no_uts_namespace)},
    {"no_pid_namespace", offsetof(struct sb_machine, no_pid_namespace)},
    {"no_personality", offsetof(struct sb_machine, no_personality)},
    {"no_mount_namespace", offsetof(struct sb_machine, no_mount_namespace)},
    {"probe", offsetof(struct sb_machine, probe)},
    {"no_probe", offsetof(struct sb_machine, no_probe)},
};
enum { N_TEXTS = sizeof texts / sizeof *texts };

static char **text_of(struct sb_machine *machine, size_t i) {
    return (char **)(void *)((char *)machine + texts[i].offset);
}

int sb_machine_set_cpus(struct sb_machine *machine, size_t n) {
    int *cpus = calloc(n + 1, sizeof *cpus);
    if (!cpus)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        cpus[i] = (int)i;
    free(machine->cpus);
    machine->cpus = cpus;
    machine->n_cpus = n;
    return 0;
}

json_t *sb_machine_to_json(const struct sb_machine *machine) {
    json_t *isa = json_array();
    for (size_t i = 0; i < N_ISA; i++)
        json_array_append_new(isa, json_pack("{s:b, s:b, s:o}", "has", machine->has_isa[i],
                                             "checked", machine->isa_checked[i], "refused",
                                             sb_json_string(machine->isa_refused[i])));
    json_t *json = json_pack("{s:I, s:f, s:b, s:o}", "cpus", (json_int_t)machine->n_cpus,
                             "cpu_quota", machine->cpu_quota, "user_namespace_needed",
                             machine->user_namespace_needed, "isa", isa);
    for (size_t i = 0; json && i < N_TEXTS; i++) {
        char *const *text = text_of((struct sb_machine *)machine, i);
        json_object_set_new(json, texts[i].name, sb_json_string(*text));
    }
    return json;
}

/* A text or null. -ENOMEM or 0. */
static int take_text(const json_t *json, const char *key, char **text) {
    const char *value = json_string_value(json_object_get(json, key));
    *text = value ? strdup(value) : NULL;
    return value && !*text ? -ENOMEM : 0;
}

int sb_machine_from_json(const json_t *json, struct sb_machine **machine, struct sb_error *err) {
    json_int_t n_cpus = json_integer_value(json_object_get(json, "cpus"));
    const json_t *isa = json_object_get(json, "isa");
    if (n_cpus < 1 || n_cpus > MOST_CPUS || json_array_size(isa) != N_ISA)
        return sb_error_set(err, -EBADMSG, "machine: is not as samebits writes it");
    struct sb_machine *made = calloc(1, sizeof *made);
    int rc = made ? sb_machine_set_cpus(made, (size_t)n_cpus) : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < N_ISA; i++) {
        const json_t *level = json_array_get(isa, i);
        made->has_isa[i] = json_is_true(json_object_get(level, "has"));
        made->isa_checked[i] = json_is_true(json_object_get(level, "checked"));
        rc = take_text(level, "refused", &made->isa_refused[i]);
    }
    for (size_t i = 0; rc == 0 && i < N_TEXTS; i++)
        rc = take_text(json, texts[i].name, text_of(made, i));
    if (rc < 0) {
        sb_machine_free(made);
        return sb_error_errno(err, rc, "machine");
    }
    made->cpu_quota = json_real_value(json_object_get(json, "cpu_quota"));
    made->user_namespace_needed = json_is_true(json_object_get(json, "user_namespace_needed"));
    *machine = made;
    return 0;
}
