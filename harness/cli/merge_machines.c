/* cli: the machines that results to be merged are of. See cli/merge.h. */
#include "cli/merge.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "report/reading.h"

#include <errno.h>
#include <string.h>

const char *sb_merge_mark_text(const struct sb_merge *merge, size_t machine, enum sb_mark mark) {
    return sb_marks_text(json_array_get(merge->machines, machine), mark);
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
        merge->inputs[i].machines =
            sb_machines_of(json_object_get(merge->inputs[i].result, "manifest"));
        const json_t *own = merge->inputs[i].machines;
        for (size_t k = 0; rc == 0 && k < json_array_size(own); k++)
            rc = add_machine(merge->machines, json_incref(json_array_get(own, k)));
        rc = own ? rc : -ENOMEM;
    }
    return rc < 0 ? sb_error_errno(err, rc, "machines") : 0;
}

int sb_merge_machine_of(const struct sb_merge *merge, const struct sb_merge_input *input,
                        const json_t *run, size_t *machine, struct sb_error *err) {
    const json_t *number = json_object_get(run, "machine"), *wanted = NULL;
    json_int_t n = json_integer_value(number);
    if (number ? json_is_integer(number) && n >= 0 : json_array_size(input->machines) == 1)
        wanted = json_array_get(input->machines, (size_t)n);
    for (size_t i = 0; wanted && i < json_array_size(merge->machines); i++) {
        if (compare_machines(json_array_get(merge->machines, i), wanted) == 0) {
            *machine = i;
            return 0;
        }
    }
    return sb_error_set(err, -EINVAL, "%s: run %s is of no machine of its manifest", input->given,
                        sb_text_of(run, "id"));
}
