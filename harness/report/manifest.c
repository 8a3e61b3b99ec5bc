/* Stage 7: the manifest, which says what a result rests on. */
#include "report/manifest.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

static json_t *cpu_json(void) {
    SB_AUTO_FREE char *text = NULL;
    json_t *cpu = json_object();
    if (sb_file_read("/proc/cpuinfo", 1 << 24, &text, NULL, NULL) < 0)
        return cpu;
    static const struct {
        const char *label, *key;
    } lines[] = {{"\nmodel name\t: ", "model"},
                 {"\nvendor_id\t: ", "vendor"},
                 {"\nmicrocode\t: ", "microcode"},
                 {"\nCPU implementer\t: ", "implementer"}, /* what ARM has instead */
                 {"\nCPU part\t: ", "part"}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *found = strstr(text, lines[i].label);
        if (!found)
            continue;
        found += strlen(lines[i].label);
        SB_AUTO_FREE char *value = strndup(found, strcspn(found, "\n"));
        json_object_set_new(cpu, lines[i].key, sb_json_string(value));
    }
    json_object_set_new(cpu, "count", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
    return cpu;
}

json_t *sb_gpus_json(const char *gpus) {
    static const char label[] = "Model:";
    SB_AUTO_STRINGS struct sb_strings models = {0};
    SB_AUTO_DIR DIR *folder = opendir(gpus);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        SB_AUTO_FREE char *path = sb_format("%s/%s/information", gpus, entry->d_name);
        SB_AUTO_FREE char *text = NULL;
        if (!path || sb_file_read(path, 1 << 16, &text, NULL, NULL) < 0)
            continue;
        const char *found = strstr(text, label);
        if (!found)
            continue;
        found += strlen(label);
        found += strspn(found, " \t");
        sb_strings_take(&models, strndup(found, strcspn(found, "\n")));
    }
    sb_strings_sort(&models);
    return models.n ? sb_json_strings((const char *const *)models.items) : json_null();
}

static json_t *environment_json(char *const *environment) {
    json_t *json = json_object();
    for (size_t i = 0; environment[i]; i++) {
        const char *equals = strchr(environment[i], '=');
        SB_AUTO_FREE char *name =
            equals ? strndup(environment[i], (size_t)(equals - environment[i])) : NULL;
        if (name && sb_environment_matters(name))
            json_object_set_new(json, name, sb_json_string(equals + 1));
    }
    return json;
}

/* A built-in job's argument of this name, from the first job that has it: a number where it is one.
 */
static json_t *argument_json(const struct sb_suite *suite, const char *name) {
    for (size_t i = 0; i < suite->n_jobs; i++) {
        for (size_t k = 0; k < suite->jobs[i].n_arguments; k++) {
            const struct sb_argument *argument = &suite->jobs[i].arguments[k];
            if (strcmp(argument->name, name) != 0)
                continue;
            char *end;
            errno = 0;
            long long number = strtoll(argument->value, &end, 10);
            bool whole = !errno && *argument->value && !*end;
            return whole ? json_integer(number) : sb_json_string(argument->value);
        }
    }
    return json_null();
}

static json_t *deterministic_json(const struct sb_suite *suite) {
    for (size_t i = 0; i < suite->n_jobs; i++) {
        for (size_t k = 0; k < suite->jobs[i].n_axes; k++) {
            const struct sb_suite_axis *axis = &suite->jobs[i].axes[k];
            if (strcmp(axis->name, "deterministic") != 0)
                continue;
            json_t *levels = json_array();
            for (size_t l = 0; l < axis->n_levels; l++)
                json_array_append_new(levels, sb_json_string(axis->levels[l]));
            return levels;
        }
    }
    return json_null();
}

int sb_manifest_build(const struct sb_suite *suite, const struct sb_run *runs, size_t n_runs,
                      char *const *environment, json_t *git, json_t *program, json_t *inputs,
                      json_t **manifest, struct sb_error *err) {
    struct utsname kernel;
    uname(&kernel);
    SB_AUTO_FREE char *release =
        sb_format("%s %s %s", kernel.sysname, kernel.release, kernel.machine);
    *manifest = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:O?, s:o, s:O?, s:O?}", "seed",
        argument_json(suite, "seed"), "deterministic", deterministic_json(suite), "versions",
        sb_versions_json(runs, n_runs), "host", sb_json_string(kernel.nodename), "cpu", cpu_json(),
        "gpu", sb_gpus_json("/proc/driver/nvidia/gpus"), "kernel", sb_json_string(release), "git",
        git, "environment", environment_json(environment), "program", program, "inputs", inputs);
    return *manifest ? 0 : sb_error_errno(err, -ENOMEM, "manifest");
}
