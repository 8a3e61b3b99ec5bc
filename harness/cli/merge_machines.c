/* cli: the machines that results to be merged are of. See cli/merge.h. */
#include "cli/merge.h"

#include "base/cleanup.h"
#include "base/text.h"
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

const char *sb_merge_mark_text(const struct sb_merge *merge, size_t machine,
                               enum sb_merge_mark mark) {
    const char *text = json_string_value(
        json_object_get(json_array_get(merge->machines, machine), sb_mark_names[mark]));
    return text ? text : none_texts[mark];
}

static int compare_machines(const json_t *a, const json_t *b) {
    int order = 0;
    for (size_t i = 0; i < SB_N_MARKS && !order; i++) {
        const char *x = json_string_value(json_object_get(a, sb_mark_names[i]));
        const char *y = json_string_value(json_object_get(b, sb_mark_names[i]));
        order = x && y ? strcmp(x, y) : (x != NULL) - (y != NULL);
    }
    return order;
}

/* Takes the machine. */
static int add_machine(json_t *machines, json_t *machine) {
    size_t i = 0;
    int order = 1;
    while (machine && i < json_array_size(machines) &&
           (order = compare_machines(json_array_get(machines, i), machine)) < 0)
        i++;
    if (machine && i < json_array_size(machines) && order == 0) {
        json_decref(machine);
        return 0;
    }
    return json_array_insert_new(machines, i, machine) < 0 ? -ENOMEM : 0;
}

int sb_merge_find_machines(struct sb_merge *merge, struct sb_error *err) {
    merge->machines = json_array();
    int rc = merge->machines ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < merge->n_inputs; i++) {
        const json_t *manifest = json_object_get(merge->inputs[i].result, "manifest");
        const json_t *listed = json_object_get(manifest, "machines");
        for (size_t k = 0; rc == 0 && k < json_array_size(listed); k++)
            rc = add_machine(merge->machines, machine_again(json_array_get(listed, k)));
        if (rc == 0 && !listed)
            rc = add_machine(merge->machines, machine_of(manifest));
    }
    return rc < 0 ? sb_error_errno(err, rc, "machines") : 0;
}

int sb_merge_machine_of(const struct sb_merge *merge, const struct sb_merge_input *input,
                        const json_t *run, size_t *machine, struct sb_error *err) {
    const json_t *manifest = json_object_get(input->result, "manifest");
    const json_t *listed = json_object_get(manifest, "machines");
    const json_t *number = json_object_get(run, "machine");
    json_int_t n = json_integer_value(number);
    SB_AUTO_JSON json_t *wanted = NULL;
    if (!listed)
        wanted = machine_of(manifest);
    else if (json_is_integer(number) && n >= 0 && (size_t)n < json_array_size(listed))
        wanted = machine_again(json_array_get(listed, (size_t)n));
    for (size_t i = 0; wanted && i < json_array_size(merge->machines); i++) {
        if (compare_machines(json_array_get(merge->machines, i), wanted) == 0) {
            *machine = i;
            return 0;
        }
    }
    return sb_error_set(err, -EINVAL, "%s: run %s is of no machine of its manifest", input->given,
                        sb_text_of(run, "id"));
}
