/* Stage 7: what tells the machines that results are of apart. See report/machine.h. */
#include "report/machine.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "report/reading.h"

const char *const sb_mark_names[] = {"host", "cpu", "gpu", NULL};

static json_t *texts_joined(const json_t *array) {
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t i = 0; i < json_array_size(array); i++)
        sb_text_printf(&text, "%s%s", i ? " + " : "", sb_text_at(array, i));
    return text.length ? json_string(text.data) : json_null();
}

static json_t *cpu_of(const json_t *cpu) {
    const char *model = json_string_value(json_object_get(cpu, "model"));
    const char *maker = json_string_value(json_object_get(cpu, "implementer"));
    if (model)
        return json_string(model);
    return maker ? json_sprintf("implementer %s part %s", maker, sb_text_of(cpu, "part"))
                 : json_null();
}

/* The machine that a manifest is of. New reference, or NULL. */
static json_t *machine_of(const json_t *manifest) {
    const json_t *gpu = json_object_get(manifest, "gpu");
    const char *host = json_string_value(json_object_get(manifest, "host"));
    return json_pack("{s:o, s:o, s:o}", "host", host ? json_string(host) : json_null(), "cpu",
                     cpu_of(json_object_get(manifest, "cpu")), "gpu",
                     json_is_string(gpu) ? json_string(json_string_value(gpu)) : texts_joined(gpu));
}

/* Of a merged result's list: nothing but the marks is taken. */
static json_t *machine_again(const json_t *machine) {
    json_t *again = json_object();
    for (size_t i = 0; i < SB_N_MARKS; i++) {
        const char *text = json_string_value(json_object_get(machine, sb_mark_names[i]));
        json_object_set_new(again, sb_mark_names[i], text ? json_string(text) : json_null());
    }
    return again;
}

json_t *sb_machines_of(const json_t *manifest) {
    const json_t *listed = json_object_get(manifest, "machines");
    json_t *machines = json_array();
    int rc = 0;
    for (size_t i = 0; i < json_array_size(listed); i++)
        rc |= json_array_append_new(machines, machine_again(json_array_get(listed, i)));
    if (!listed)
        rc = json_array_append_new(machines, machine_of(manifest));
    if (rc == 0)
        return machines;
    json_decref(machines);
    return NULL;
}
