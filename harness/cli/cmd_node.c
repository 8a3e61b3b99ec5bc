/* cli: samebits node: a task of a batch (harness/run/batch.h), on a machine of a cluster. Nobody
 * calls it by hand. */
#include "cli/command.h"
#include "cli/digesting.h"
#include "cli/interrupts.h"
#include "cli/restored.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "report/machine.h"

#include <samebits/report.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* What was allotted to the task is said in these; everything else of its environment is the
 * cluster's affair. */
static const char *const allotted[] = {
    "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",  "GPU_DEVICE_ORDINAL",     "ZE_AFFINITY_MASK",
};

/* What a samebits that waits in a task of its own was told of that one. */
static bool is_of_another_task(const char *item) {
    return (strncmp(item, "SLURM_", 6) == 0 || strncmp(item, "SLURMD_", 7) == 0) &&
           strncmp(item, "SLURM_CONF=", 11) != 0;
}

/* The environment of runs is that of the samebits that waits, with what was allotted here. */
static int make_environment(struct sb_batch *batch, struct sb_strings *environment,
                            struct sb_error *err) {
    int rc = 0;
    for (char **item = sb_batch_environment(batch); rc == 0 && item && *item; item++) {
        if (!is_of_another_task(*item))
            rc = sb_strings_add(environment, *item);
    }
    for (size_t i = 0; rc == 0 && i < sizeof allotted / sizeof *allotted; i++) {
        const char *value = getenv(allotted[i]);
        if (value)
            rc = sb_environment_set(environment, allotted[i], value);
    }
    return rc < 0 ? sb_error_errno(err, rc, "environment") : 0;
}

/* This program once more, as if it had been called where `samebits run` was: what the loader made
 * of another environment (LD_LIBRARY_PATH) is not to stay. Returns on failure alone. */
static int start_anew(const char *path, const char *first, struct sb_error *err) {
    const char *index = getenv("SLURM_ARRAY_TASK_ID"), *node = getenv("SLURMD_NODENAME");
    struct utsname own;
    uname(&own);
    SB_AUTO_STRINGS struct sb_strings environment = {0};
    SB_AUTO_FREE char *program = sb_program_path();
    SB_AUTO_FREE char *task =
        sb_format("%lu", strtoul(first, NULL, 10) + strtoul(index ? index : "0", NULL, 10));
    if (!program || !task)
        return sb_error_errno(err, -ENOMEM, "samebits node");
    struct sb_batch *batch = NULL;
    int rc = sb_batch_open(path, &batch, err);
    if (rc == 0)
        rc = make_environment(batch, &environment, err);
    sb_batch_free(batch);
    if (rc < 0)
        return rc;
    const char *const again[] = {"samebits", "node", path, task, node ? node : own.nodename, NULL};
    execve(program, (char *const *)again, environment.items);
    return sb_error_errno(err, -errno, "%s", program);
}

/* {"host", "cpu", "gpu"} of this machine; the cluster has a name of its own for it. New reference,
 * or NULL. */
static json_t *own_machine(const struct sb_restored *result, const char *node) {
    SB_AUTO_JSON json_t *manifest = NULL;
    if (sb_manifest_build(result->suite, NULL, 0, environ, NULL, NULL, NULL, &manifest, NULL) < 0)
        return NULL;
    SB_AUTO_JSON json_t *machines = sb_machines_of(manifest);
    json_t *machine = json_incref(json_array_get(machines, 0));
    if (machine)
        json_object_set_new(machine, "host", sb_json_string(node));
    return machine;
}

static int do_task(struct sb_batch *batch, unsigned task, const char *node, struct sb_error *err) {
    SB_CLEANUP(sb_restored_clear) struct sb_restored result = {0};
    SB_AUTO_FREE char *program = sb_program_path();
    struct sb_reader *reader = NULL;
    int rc = sb_restored_open(sb_batch_results(batch), &result, err);
    if (rc == 0)
        rc = sb_restored_plan(&result, err);
    SB_AUTO_JSON json_t *machine = rc == 0 ? own_machine(&result, node) : NULL;
    if (rc == 0 && (!machine || !program))
        rc = sb_error_errno(err, -ENOMEM, "samebits node");
    if (rc == 0)
        rc = sb_reader_start(&reader, err);
    if (rc < 0)
        return rc;
    const struct sb_digesting digesting = sb_digesting_make(reader);
    rc = sb_batch_do(batch, task, result.plan, result.folder, program, machine, &digesting, err);
    sb_reader_stop(reader);
    return rc;
}

int sb_cmd_node(int argc, char **argv) {
    struct sb_error err = {{0}};
    struct sb_batch *batch = NULL;
    if (argc == 3) {
        start_anew(argv[1], argv[2], &err);
        return sb_complain(&err);
    }
    if (argc != 4) {
        sb_error_set(&err, 0, "samebits node: is what --launcher slurm has its tasks call");
        return sb_complain(&err);
    }
    sb_catch_interrupts();
    unsigned task = (unsigned)strtoul(argv[2], NULL, 10);
    int rc = sb_batch_open(argv[1], &batch, &err);
    if (rc == 0 && (rc = do_task(batch, task, argv[3], &err)) < 0) {
        sb_error_prefix(&err, rc, "%s", argv[3]);
        sb_batch_complain(batch, task, &err);
    }
    sb_batch_free(batch);
    return rc < 0 ? sb_complain(&err) : SB_EXIT_OK;
}
