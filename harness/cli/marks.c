/* cli: what tells the machines that results are of apart. See cli/marks.h. */
#include "cli/marks.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/options.h"
#include "report/reading.h"

#include <errno.h>
#include <string.h>

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

static const char *const none_texts[] = {"unknown", "unknown", "none"};

const char *sb_marks_text(const json_t *machine, enum sb_mark mark) {
    const char *text = json_string_value(json_object_get(machine, sb_mark_names[mark]));
    return text ? text : none_texts[mark];
}

json_t *sb_marks_machines(const json_t *manifest) {
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

int sb_marks_parse(const char *command, const char *text, unsigned *marks, struct sb_error *err) {
    *marks = SB_ALL_MARKS;
    if (!text)
        return 0;
    *marks = 0;
    if (strcmp(text, "none") == 0)
        return 0;
    for (const char *at = text;;) {
        size_t n = strcspn(at, ",");
        SB_AUTO_FREE char *name = strndup(at, n);
        int mark = name ? sb_take_choice(sb_mark_names, name, err) : -ENOMEM;
        if (mark < 0)
            return sb_error_prefix(err, mark, "%s: --machine", command);
        *marks |= 1U << mark;
        if (!at[n])
            return 0;
        at += n + 1;
    }
}
