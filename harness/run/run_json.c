/* Stage 3: one run as JSON and back, complete, so that a resumed result says what the first said.
 *
 * Bytes that are no UTF-8 are escaped once, on the way out (base/json.h); reports escape the same
 * way, so that a run out of the journal and one out of memory are printed alike. */
#include "base/cleanup.h"
#include "base/json.h"
#include "run/internal.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* ---- Out ------------------------------------------------------------------------------------- */

/* Takes `value`; false without memory. */
static bool put(json_t *object, const char *key, json_t *value) {
    return json_object_set_new(object, key, value) == 0;
}

static json_t *process_to_json(const struct sb_seen_process *process) {
    json_t *json = json_object();
    if (json && put(json, "exe", sb_json_string(process->exe)) &&
        put(json, "argv", sb_json_strings((const char *const *)process->arguments)) &&
        put(json, "environment",
            process->environment ? sb_json_strings((const char *const *)process->environment)
                                 : json_null()))
        return json;
    json_decref(json);
    return NULL;
}

static json_t *processes_to_json(const struct sb_observation *seen) {
    json_t *array = json_array();
    for (size_t i = 0; array && i < seen->n_processes; i++) {
        if (json_array_append_new(array, process_to_json(&seen->processes[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *observation_to_json(const struct sb_observation *seen) {
    json_t *personality =
        seen->personality_known ? json_integer((json_int_t)seen->personality) : json_null();
    json_t *worker = seen->worker ? json_incref(seen->worker) : json_null();
    json_t *probe = seen->probe ? json_incref(seen->probe) : json_null();
    json_t *trace = seen->trace ? json_incref(seen->trace) : json_null();
    json_t *experiment = seen->experiment ? json_incref(seen->experiment) : json_null();
    json_t *machine = seen->machine ? json_incref(seen->machine) : json_null();
    json_t *json = json_object();
    bool whole = json != NULL;
    /* Every value is handed over, whatever failed before it. */
    whole &= put(json, "samples", json_integer(seen->n_samples));
    whole &= put(json, "cpus", json_integer(seen->n_cpus));
    whole &= put(json, "threads", json_integer(seen->max_threads));
    whole &= put(json, "processes", processes_to_json(seen));
    whole &= put(json, "libraries", sb_json_strings((const char *const *)seen->libraries));
    whole &= put(json, "personality", personality);
    whole &= put(json, "hostname", sb_json_string(seen->hostname));
    whole &= put(json, "cwd", sb_json_string(seen->cwd));
    whole &= put(json, "worker", worker);
    whole &= put(json, "probe", probe);
    whole &= put(json, "trace", trace);
    whole &= put(json, "experiment", experiment);
    whole &= put(json, "machine", machine);
    if (whole)
        return json;
    json_decref(json);
    return NULL;
}

json_t *sb_run_to_json(const struct sb_run *run) {
    json_t *json = json_object();
    bool whole = json != NULL;
    whole &= put(json, "id", json_string(run->id));
    whole &= put(json, "job", json_integer((json_int_t)run->job));
    whole &= put(json, "cell", json_integer((json_int_t)run->cell));
    whole &= put(json, "repeat", json_integer(run->repeat));
    whole &= put(json, "status", json_string(sb_status_names[run->status]));
    whole &= put(json, "message", sb_json_string(run->message));
    whole &= put(json, "exit", json_integer(run->exit_code));
    whole &= put(json, "signal", json_integer(run->signal));
    whole &= put(json, "fingerprint", sb_json_string(run->fingerprint));
    whole &= put(json, "sum", sb_json_real(run->sum));
    whole &= put(json, "all_zero", json_boolean(run->all_zero));
    whole &= put(json, "all_nan", json_boolean(run->all_nan));
    whole &= put(json, "untrained", json_boolean(run->untrained));
    whole &= put(json, "accuracy", sb_json_real(run->accuracy));
    whole &= put(json, "wall_s", sb_json_real(run->wall_s));
    whole &= put(json, "cpu_s", sb_json_real(run->cpu_s));
    whole &= put(json, "max_rss_kb", json_integer(run->max_rss_kb));
    whole &= put(json, "observed", observation_to_json(&run->seen));
    if (whole)
        return json;
    json_decref(json);
    return NULL;
}

/* ---- In -------------------------------------------------------------------------------------- */

/* Reads members one after the other and keeps the first thing that was wrong, so that a caller may
 * read them all and check once. */
struct reading {
    struct sb_error *err;
    int rc;
};

static json_t *member(struct reading *reading, const json_t *json, const char *key) {
    json_t *value = json_object_get(json, key);
    if (!value && reading->rc == 0)
        reading->rc = sb_error_set(reading->err, -EBADMSG, "'%s' is missing", key);
    return value;
}

static void wrong(struct reading *reading, const char *key, const char *expected) {
    if (reading->rc == 0)
        reading->rc = sb_error_set(reading->err, -EBADMSG, "'%s' is no %s", key, expected);
}

static void no_memory(struct reading *reading) {
    if (reading->rc == 0)
        reading->rc = sb_error_errno(reading->err, -ENOMEM, "reading a run");
}

static long long read_integer(struct reading *reading, const json_t *json, const char *key,
                              long long least, long long most) {
    const json_t *value = member(reading, json, key);
    if (value && (!json_is_integer(value) || json_integer_value(value) < least ||
                  json_integer_value(value) > most))
        wrong(reading, key, "integer in its range");
    return json_integer_value(value);
}

static double read_real(struct reading *reading, const json_t *json, const char *key) {
    const json_t *value = member(reading, json, key);
    if (json_is_null(value))
        return NAN;
    if (json_is_number(value))
        return json_number_value(value);
    const char *text = json_string_value(value);
    if (text && strcmp(text, "inf") == 0)
        return INFINITY;
    if (text && strcmp(text, "-inf") == 0)
        return -INFINITY;
    wrong(reading, key, "number");
    return NAN;
}

static bool read_flag(struct reading *reading, const json_t *json, const char *key) {
    const json_t *value = member(reading, json, key);
    if (!json_is_boolean(value))
        wrong(reading, key, "boolean");
    return json_is_true(value);
}

/* malloc'd, or NULL for null. */
static char *read_string(struct reading *reading, const json_t *json, const char *key) {
    const json_t *value = member(reading, json, key);
    if (json_is_null(value))
        return NULL;
    if (!json_is_string(value)) {
        wrong(reading, key, "string");
        return NULL;
    }
    char *copy = strdup(json_string_value(value));
    if (!copy)
        no_memory(reading);
    return copy;
}

/* malloc'd list that ends with NULL, or NULL for null. n may be NULL. */
static char **read_strings(struct reading *reading, const json_t *json, const char *key,
                           size_t *n) {
    const json_t *value = member(reading, json, key);
    if (json_is_null(value))
        return NULL;
    if (!json_is_array(value)) {
        wrong(reading, key, "list");
        return NULL;
    }
    size_t count = json_array_size(value);
    char **list = calloc(count + 1, sizeof *list);
    if (!list)
        no_memory(reading);
    for (size_t i = 0; list && i < count; i++) {
        const char *item = json_string_value(json_array_get(value, i));
        if (!item)
            wrong(reading, key, "list of strings");
        list[i] = strdup(item ? item : "");
        if (!list[i]) {
            no_memory(reading);
            break;
        }
        if (n)
            *n = i + 1;
    }
    return list;
}

static void read_processes(struct reading *reading, const json_t *json,
                           struct sb_observation *seen) {
    const json_t *list = member(reading, json, "processes");
    size_t n = json_array_size(list);
    if (list && !json_is_array(list))
        wrong(reading, "processes", "list");
    seen->processes = n ? calloc(n, sizeof *seen->processes) : NULL;
    if (n && !seen->processes)
        no_memory(reading);
    for (size_t i = 0; seen->processes && i < n; i++) {
        const json_t *item = json_array_get(list, i);
        struct sb_seen_process *process = &seen->processes[seen->n_processes++];
        process->exe = read_string(reading, item, "exe");
        process->arguments = read_strings(reading, item, "argv", NULL);
        process->environment = read_strings(reading, item, "environment", NULL);
    }
}

static void read_observation(struct reading *reading, const json_t *json,
                             struct sb_observation *seen) {
    seen->n_samples = (unsigned)read_integer(reading, json, "samples", 0, UINT32_MAX);
    seen->n_cpus = (unsigned)read_integer(reading, json, "cpus", 0, UINT32_MAX);
    seen->max_threads = (unsigned)read_integer(reading, json, "threads", 0, UINT32_MAX);
    read_processes(reading, json, seen);
    seen->libraries = read_strings(reading, json, "libraries", &seen->n_libraries);
    seen->personality_known = !json_is_null(member(reading, json, "personality"));
    if (seen->personality_known)
        seen->personality =
            (unsigned long)read_integer(reading, json, "personality", 0, UINT32_MAX);
    seen->hostname = read_string(reading, json, "hostname");
    seen->cwd = read_string(reading, json, "cwd");
    json_t *worker = member(reading, json, "worker");
    if (json_is_object(worker))
        seen->worker = json_incref(worker);
    else if (!json_is_null(worker))
        wrong(reading, "worker", "object");
    json_t *probe = json_object_get(json, "probe"); /* journals of before had none */
    if (json_is_object(probe))
        seen->probe = json_incref(probe);
    json_t *trace = json_object_get(json, "trace"); /* nor this */
    if (json_is_object(trace))
        seen->trace = json_incref(trace);
    json_t *experiment = json_object_get(json, "experiment"); /* nor this */
    if (json_is_object(experiment))
        seen->experiment = json_incref(experiment);
    json_t *machine = json_object_get(json, "machine"); /* nor this */
    if (json_is_object(machine))
        seen->machine = json_incref(machine);
}

bool sb_run_id_valid(const char *id) {
    size_t n = strlen(id);
    return id[0] == 'r' && n >= 2 && n < sizeof((struct sb_run *)NULL)->id &&
           strspn(id + 1, "0123456789") == n - 1;
}

/* The id names a log file, so nothing but r and digits is taken from a file. */
static void read_id(struct reading *reading, const json_t *json, struct sb_run *run) {
    const char *id = json_string_value(member(reading, json, "id"));
    if (!id || !sb_run_id_valid(id))
        wrong(reading, "id", "run id");
    else
        memcpy(run->id, id, strlen(id) + 1);
}

static void read_status(struct reading *reading, const json_t *json, struct sb_run *run) {
    const char *name = json_string_value(member(reading, json, "status"));
    for (size_t i = 0; name && sb_status_names[i]; i++) {
        if (strcmp(name, sb_status_names[i]) == 0) {
            run->status = (enum sb_status)i;
            return;
        }
    }
    wrong(reading, "status", "status");
}

int sb_run_from_json(const json_t *json, struct sb_run *run, struct sb_error *err) {
    struct reading reading = {.err = err};
    struct sb_run read = {0};
    if (!json_is_object(json))
        return sb_error_set(err, -EBADMSG, "a run is no JSON object");
    read_id(&reading, json, &read);
    read_status(&reading, json, &read);
    read.job = (size_t)read_integer(&reading, json, "job", 0, INT32_MAX);
    read.cell = (size_t)read_integer(&reading, json, "cell", 0, INT32_MAX);
    read.repeat = (unsigned)read_integer(&reading, json, "repeat", 1, INT32_MAX);
    read.message = read_string(&reading, json, "message");
    read.exit_code = (int)read_integer(&reading, json, "exit", -1, INT32_MAX);
    read.signal = (int)read_integer(&reading, json, "signal", 0, INT32_MAX);
    read.fingerprint = read_string(&reading, json, "fingerprint");
    read.sum = read_real(&reading, json, "sum");
    read.all_zero = read_flag(&reading, json, "all_zero");
    read.all_nan = read_flag(&reading, json, "all_nan");
    read.untrained = read_flag(&reading, json, "untrained");
    read.accuracy = read_real(&reading, json, "accuracy");
    read.wall_s = read_real(&reading, json, "wall_s");
    read.cpu_s = read_real(&reading, json, "cpu_s");
    read.max_rss_kb = (long)read_integer(&reading, json, "max_rss_kb", 0, INT64_MAX);
    read_observation(&reading, json_object_get(json, "observed"), &read.seen);
    if (reading.rc < 0)
        sb_run_clear(&read);
    else
        *run = read;
    return reading.rc;
}
