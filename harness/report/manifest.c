/* Stage 7: the manifest, which says what a result rests on. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "report/result.h"
#include "samebits-config.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>

/* Libraries whose version is worth a line of its own, by how their file names begin. */
static const struct {
    const char *begins, *name;
} known_libraries[] = {
    {"libopenblas", "OpenBLAS"}, {"libscipy_openblas", "OpenBLAS"},
    {"libblis", "BLIS"},         {"libmkl_core", "MKL"},
    {"libdnnl", "oneDNN"},       {"libhdf5", "HDF5"},
    {"libcudart", "CUDA"},       {"libcudnn", "cuDNN"},
    {"libcublas", "cuBLAS"},     {"libnccl", "NCCL"},
    {"libgomp", "libgomp"},      {"libomp", "libomp"},
    {"libtorch", "torch"},       {"libtensorflow", "tensorflow"},
    {"libpython", "python"},     {"libstdc++", "libstdc++"},
};

static void add_libraries(json_t *versions, const struct sb_run *run) {
    for (size_t i = 0; i < run->seen.n_libraries; i++) {
        const char *path = run->seen.libraries[i], *slash = strrchr(path, '/');
        const char *file = slash ? slash + 1 : path;
        for (size_t k = 0; k < sizeof known_libraries / sizeof *known_libraries; k++) {
            if (strncmp(file, known_libraries[k].begins, strlen(known_libraries[k].begins)) != 0)
                continue;
            SB_AUTO_FREE char *version = sb_library_version(path);
            if (version && !json_object_get(versions, known_libraries[k].name))
                json_object_set_new(versions, known_libraries[k].name, sb_json_string(version));
        }
    }
}

/* "python3.11" → the version is in the program's own name. */
static void add_python(json_t *versions, const struct sb_run *run) {
    for (size_t i = 0; i < run->seen.n_processes; i++) {
        const char *slash =
            run->seen.processes[i].exe ? strrchr(run->seen.processes[i].exe, '/') : NULL;
        if (slash && strncmp(slash, "/python", 7) == 0 && strchr(slash, '.') &&
            !json_object_get(versions, "python"))
            json_object_set_new(versions, "python", sb_json_string(slash + 7));
    }
}

/* The worker's own word of its backend: {"backend": "openblas", "version": "0.3.21"}. */
static void add_backend(json_t *versions, const struct sb_run *run) {
    const char *backend = json_string_value(json_object_get(run->seen.worker, "backend"));
    const char *version = json_string_value(json_object_get(run->seen.worker, "version"));
    if (backend && version && strcmp(backend, "ref") != 0)
        json_object_set_new(versions, strcmp(backend, "openblas") == 0 ? "OpenBLAS" : backend,
                            sb_json_string(version));
}

static json_t *versions_json(const struct sb_run *runs, size_t n_runs) {
    json_t *versions = json_pack("{s:s, s:s, s:s}", "samebits", SB_VERSION, "libc",
                                 gnu_get_libc_version(), "compiler", SB_COMPILER);
    for (size_t i = 0; i < n_runs; i++) {
        add_libraries(versions, &runs[i]);
        add_python(versions, &runs[i]);
        add_backend(versions, &runs[i]);
    }
    return versions;
}

static json_t *cpu_json(void) {
    SB_AUTO_FREE char *text = NULL;
    json_t *cpu = json_object();
    if (sb_file_read("/proc/cpuinfo", 1 << 24, &text, NULL, NULL) < 0)
        return cpu;
    static const struct {
        const char *label, *key;
    } lines[] = {{"\nmodel name\t: ", "model"},
                 {"\nvendor_id\t: ", "vendor"},
                 {"\nmicrocode\t: ", "microcode"}};
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

/* First line of what `git -C directory …` prints, malloc'd; NULL when it fails. */
static char *git_line(const char *directory, const char *const *arguments) {
    const char *argv[8] = {"git", "-C", directory};
    size_t n = 3;
    while (arguments[n - 3] && n < 7) {
        argv[n] = arguments[n - 3];
        n++;
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return NULL;
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(ends[1], 1);
        dup2(null, 2);
        execvp("git", (char *const *)argv);
        _exit(127);
    }
    close(ends[1]);
    char line[512];
    size_t length = 0;
    for (ssize_t got; length < sizeof line - 1 &&
                      (got = read(ends[0], line + length, sizeof line - 1 - length)) > 0;)
        length += (size_t)got;
    close(ends[0]);
    int status = -1;
    if (child > 0)
        waitpid(child, &status, 0);
    line[length] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return status == 0 ? strdup(line) : NULL;
}

static json_t *git_json(const char *directory) {
    static const char *const head[] = {"rev-parse", "HEAD", NULL};
    static const char *const status[] = {"status", "--porcelain", "-uno", NULL};
    SB_AUTO_FREE char *commit = git_line(directory, head);
    if (!commit)
        return json_null();
    SB_AUTO_FREE char *changed = git_line(directory, status);
    return json_pack("{s:o, s:b}", "commit", sb_json_string(commit), "dirty", changed && *changed);
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

/* A built-in job's argument of this name, from the first job that has it. */
static json_t *argument_json(const struct sb_suite *suite, const char *name) {
    for (size_t i = 0; i < suite->n_jobs; i++) {
        for (size_t k = 0; k < suite->jobs[i].n_arguments; k++) {
            if (strcmp(suite->jobs[i].arguments[k].name, name) == 0)
                return sb_json_string(suite->jobs[i].arguments[k].value);
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
                      char *const *environment, json_t *inputs, json_t **manifest,
                      struct sb_error *err) {
    struct utsname kernel;
    uname(&kernel);
    SB_AUTO_FREE char *release =
        sb_format("%s %s %s", kernel.sysname, kernel.release, kernel.machine);
    const char *directory = suite->n_jobs ? suite->jobs[0].directory : ".";
    *manifest = json_pack("{s:o, s:o, s:o, s:o, s:n, s:o, s:o, s:o, s:O}", "seed",
                          argument_json(suite, "seed"), "deterministic", deterministic_json(suite),
                          "versions", versions_json(runs, n_runs), "cpu", cpu_json(), "gpu",
                          "kernel", sb_json_string(release), "git", git_json(directory),
                          "environment", environment_json(environment), "inputs", inputs);
    return *manifest ? 0 : sb_error_errno(err, -ENOMEM, "manifest");
}
