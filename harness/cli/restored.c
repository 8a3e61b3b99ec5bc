/* cli: a result that was made before. See cli/restored.h. */
#include "cli/restored.h"

#include "base/cleanup.h"
#include "cli/identity.h"
#include "cli/kept_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void sb_restored_clear(struct sb_restored *restored) {
    for (size_t i = 0; i < restored->n_runs; i++)
        sb_run_clear(&restored->runs[i]);
    free(restored->runs);
    sb_plan_free(restored->plan);
    sb_machine_free(restored->machine);
    sb_machine_free(restored->planned_for);
    sb_suite_free(restored->suite);
    if (restored->parsed)
        sb_request_clear(&restored->request);
    sb_strings_clear(&restored->argv);
    sb_folder_close(restored->folder);
    json_decref(restored->plan_json);
    json_decref(restored->identity);
    *restored = (struct sb_restored){0};
}

int sb_restored_open(const char *path, struct sb_restored *restored, struct sb_error *err) {
    int rc = sb_folder_open(path, false, &restored->folder, err);
    if (rc < 0)
        return rc;
    SB_AUTO_FREE char *file = sb_folder_file(restored->folder, "plan.json");
    json_error_t problem;
    restored->plan_json = file ? json_load_file(file, 0, &problem) : NULL;
    if (!restored->plan_json)
        return sb_error_set(err, -EINVAL, "%s: %s", file ? file : path, problem.text);
    return sb_journal_read(restored->folder, &restored->runs, &restored->n_runs, err);
}

static int check_plan(const struct sb_restored *restored, struct sb_error *err) {
    SB_AUTO_JSON json_t *now = sb_kept_plan_json(&restored->request, (int)restored->argv.n,
                                                 restored->argv.items, restored->plan, NULL);
    return now ? sb_kept_plan_same_jobs(restored->plan_json, now, err)
               : sb_error_errno(err, -ENOMEM, "plan.json");
}

/* A plan for machines elsewhere is made as it was made for them; what is done, is done here. */
static int restore_plan(struct sb_restored *restored, struct sb_error *err) {
    const json_t *elsewhere = json_object_get(restored->plan_json, "machine");
    int rc = sb_request_machine(restored->suite, &restored->machine, err);
    if (rc == 0 && elsewhere)
        rc = sb_machine_from_json(elsewhere, &restored->planned_for, err);
    if (rc == 0)
        rc = sb_request_plan(restored->suite, elsewhere ? restored->planned_for : restored->machine,
                             &restored->plan, err);
    if (rc == 0)
        rc = check_plan(restored, err);
    if (rc == 0)
        restored->plan->machine = restored->machine;
    return rc;
}

int sb_restored_plan(struct sb_restored *restored, struct sb_error *err) {
    size_t i;
    json_t *argument;
    json_array_foreach(json_object_get(restored->plan_json, "argv"), i, argument) {
        if (sb_strings_add(&restored->argv, json_string_value(argument)) < 0)
            return sb_error_errno(err, -ENOMEM, "plan.json");
    }
    const char *cwd = json_string_value(json_object_get(restored->plan_json, "cwd"));
    if (!cwd || chdir(cwd) < 0)
        return sb_error_errno(err, -errno, "the folder that the result was made in: %s",
                              cwd ? cwd : "unknown");
    int rc = sb_request_parse((int)restored->argv.n, restored->argv.items, &restored->request, err);
    restored->parsed = rc == 0;
    if (rc == 0)
        rc = sb_request_inject(
            &restored->request,
            json_string_value(json_object_get(restored->plan_json, "injected_seed")), err);
    if (rc == 0)
        rc = sb_request_suite(&restored->request,
                              json_string_value(json_object_get(restored->plan_json, "suite_text")),
                              &restored->suite, err);
    return rc == 0 ? restore_plan(restored, err) : rc;
}

int sb_restored_identity(struct sb_restored *restored, struct sb_error *err) {
    return sb_identity_now(restored->plan, true, &restored->identity, err);
}
