/* cli: the machines that runs of one result were done on. See cli/run_machines.h. */
#include "cli/run_machines.h"

#include "base/cleanup.h"

#include <errno.h>

/* Index of the machine, which is added where it is new. */
static size_t index_of(json_t *machines, json_t *machine) {
    size_t i = 0;
    while (i < json_array_size(machines) && !json_equal(json_array_get(machines, i), machine))
        i++;
    if (i == json_array_size(machines))
        json_array_append(machines, machine);
    return i;
}

int sb_run_machines_add(const struct sb_run *runs, size_t n_runs, json_t *result,
                        struct sb_error *err) {
    SB_AUTO_JSON json_t *machines = json_array();
    size_t i;
    json_t *listed;
    int rc = machines ? 0 : -ENOMEM;
    json_array_foreach(json_object_get(result, "runs"), i, listed) {
        json_t *machine = i < n_runs ? runs[i].seen.machine : NULL; /* in the same order */
        if (machine && json_object_set_new(listed, "machine",
                                           json_integer((json_int_t)index_of(machines, machine))))
            rc = -ENOMEM;
    }
    if (rc == 0 && json_array_size(machines) &&
        json_object_set(json_object_get(result, "manifest"), "machines", machines) < 0)
        rc = -ENOMEM;
    return rc < 0 ? sb_error_errno(err, rc, "machines") : 0;
}
