/* Stage 3: the probe in a run (harness/probe): the variables that bring it there, and its record.
 */
#include "probe/probe.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "probe/trace_format.h"
#include "run/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* By enum sb_probe_source; a start is no source. */
static const char *const source_names[SB_PROBE_SOURCES] = {
    NULL,  "entropy",  "hash_seed", "seed",   "clock",   "monotonic",
    "pid", "hostname", "readdir",   "locale", "threads",
};

int sb_probe_preload(const struct sb_setup_probe *probe, bool trace, const char *tmp,
                     struct sb_strings *environment) {
    const char *others = sb_environment_get(environment, "LD_PRELOAD");
    bool any = others && *others;
    const char *slash = strrchr(probe->library, '/'); /* both libraries lie in one folder */
    SB_AUTO_FREE char *tracing = sb_format(
        ":%.*s" SB_TRACE_LIBRARY, slash ? (int)(slash + 1 - probe->library) : 0, probe->library);
    if (!tracing)
        return -ENOMEM;
    SB_AUTO_FREE char *preload = sb_format("%s%s%s%s", probe->library, trace ? tracing : "",
                                           any ? ":" : "", any ? others : "");
    SB_AUTO_FREE char *settings =
        sb_format("%s/%s;entropy=%d;clock=%d;readdir=%d;schedule=%010llu;trace=%d", tmp,
                  SB_PROBE_FILE, probe->entropy_frozen, (int)probe->clock, (int)probe->readdir,
                  (unsigned long long)probe->schedule, trace);
    if (!preload || !settings)
        return -ENOMEM;
    int rc = sb_environment_set(environment, "LD_PRELOAD", preload);
    return rc < 0 ? rc : sb_environment_set(environment, SB_PROBE_VARIABLE, settings);
}

unsigned sb_probe_raw(const struct sb_setup_probe *probe) {
    return (probe->entropy_frozen ? SB_RAW_ENTROPY : 0) |
           (probe->clock != SB_CLOCK_LIVE ? SB_RAW_CLOCK : 0);
}

int sb_probe_record_make(const char *tmp, struct sb_error *err) {
    SB_AUTO_FREE char *path = sb_format("%s/%s", tmp, SB_PROBE_FILE);
    if (!path)
        return sb_error_errno(err, -ENOMEM, "the probe's record");
    if (unlink(path) < 0 && errno != ENOENT)
        return sb_error_errno(err, -errno, "%s", path);
    SB_AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct sb_probe_record)) < 0 ||
        pwrite(fd, SB_PROBE_MAGIC, strlen(SB_PROBE_MAGIC), 0) < 0)
        return sb_error_errno(err, -errno, "%s", path);
    return sb_steal_fd(&fd);
}

/* ---- Reading ----------------------------------------------------------------------------------
 */

/* A run may have written anything there: texts end where they must. */
static void end_texts(struct sb_probe_slot *slot) {
    slot->call[sizeof slot->call - 1] = '\0';
    slot->caller[sizeof slot->caller - 1] = '\0';
    slot->program[sizeof slot->program - 1] = '\0';
}

static bool same(const struct sb_probe_slot *a, const struct sb_probe_slot *b) {
    return a->source == b->source && a->frozen == b->frozen && strcmp(a->call, b->call) == 0 &&
           strcmp(a->caller, b->caller) == 0 && strcmp(a->program, b->program) == 0;
}

/* Adds up those of one source, call, library and program; how many are left, in the front. */
static size_t merge(struct sb_probe_slot *slots, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (slots[i].state != SB_PROBE_FULL || slots[i].source >= SB_PROBE_SOURCES)
            continue;
        end_texts(&slots[i]);
        size_t j = 0;
        while (j < kept && !same(&slots[j], &slots[i]))
            j++;
        if (j < kept)
            slots[j].calls += slots[i].calls;
        else
            slots[kept++] = slots[i];
    }
    return kept;
}

/* Processes take the slots as they come to them. */
static int in_order(const void *left, const void *right) {
    const struct sb_probe_slot *a = left, *b = right;
    int order = a->source < b->source ? -1 : a->source > b->source;
    order = order ? order : strcmp(a->program, b->program);
    order = order ? order : strcmp(a->caller, b->caller);
    order = order ? order : strcmp(a->call, b->call);
    return order ? order : (int)a->frozen - (int)b->frozen;
}

static json_t *source_json(const struct sb_probe_slot *slot) {
    json_t *json = json_object();
    if (!json)
        return NULL;
    json_object_set_new(json, "source", json_string(source_names[slot->source]));
    json_object_set_new(json, "call", sb_json_string(slot->call));
    json_object_set_new(json, "by", sb_json_string(slot->caller));
    json_object_set_new(json, "program", sb_json_string(slot->program));
    json_object_set_new(json, "calls", json_integer((json_int_t)slot->calls));
    json_object_set_new(json, "frozen", json_boolean(slot->frozen));
    return json;
}

static bool started(const struct sb_probe_slot *slots, size_t n, const char *program) {
    enum { KEPT = sizeof slots->program - 1 };
    for (size_t i = 0; i < n; i++) {
        if (slots[i].source == SB_PROBE_START && strncmp(slots[i].program, program, KEPT) == 0)
            return true;
    }
    return false;
}

static bool holds(const json_t *list, const char *text) {
    const json_t *item;
    size_t i;
    json_array_foreach(list, i, item) {
        const char *held = json_string_value(item);
        if (held && strcmp(held, text) == 0)
            return true;
    }
    return false;
}

/* ---- What the library was not in --------------------------------------------------------------
 */

static void add_program(json_t *list, const char *name) {
    if (!holds(list, name))
        json_array_append_new(list, sb_json_string(name));
}

/* A program without the library is covered so far as its system calls go, or not at all. */
static void sort_program(const struct sb_probe_slot *slots, size_t n, const char *name,
                         const struct sb_raw *raw, json_t *by_call, json_t *not_covered) {
    bool reached = raw && !raw->refused && !sb_strings_contain(&raw->unreachable, name);
    if (*name && !started(slots, n, name))
        add_program(reached ? by_call : not_covered, name);
}

/* Programs that were seen, or asked, of which the record has no start. */
static void sort_programs(const struct sb_probe_slot *slots, size_t n,
                          const struct sb_observation *seen, const struct sb_raw *raw,
                          json_t *by_call, json_t *not_covered) {
    for (size_t i = 0; i < seen->n_processes; i++) {
        const char *exe = seen->processes[i].exe;
        const char *slash = exe ? strrchr(exe, '/') : NULL;
        if (exe)
            sort_program(slots, n, slash ? slash + 1 : exe, raw, by_call, not_covered);
    }
    for (size_t i = 0; raw && i < raw->n_slots; i++)
        sort_program(slots, n, raw->slots[i].program, raw, by_call, not_covered);
    for (size_t i = 0; raw && i < raw->unreachable.n; i++)
        add_program(not_covered, raw->unreachable.items[i]);
}

/* Takes the programs over. */
static json_t *raw_json(const struct sb_raw *raw, json_t *programs) {
    json_t *frozen = json_array();
    if (!raw->refused && raw->frozen & SB_RAW_ENTROPY)
        json_array_append_new(frozen, json_string("entropy"));
    if (!raw->refused && raw->frozen & SB_RAW_CLOCK)
        json_array_append_new(frozen, json_string("clock"));
    return json_pack("{s:o, s:s?, s:o}", "frozen", frozen, "refused", raw->refused, "programs",
                     programs);
}

static json_t *record_json(struct sb_probe_slot *slots, size_t n, uint64_t lost,
                           const struct sb_observation *seen, const struct sb_raw *raw) {
    json_t *json = json_object(), *programs = json_array(), *sources = json_array();
    json_t *by_call = json_array(), *not_covered = json_array();
    n = merge(slots, n);
    qsort(slots, n, sizeof *slots, in_order);
    for (size_t i = 0; i < n; i++) {
        if (slots[i].source == SB_PROBE_START)
            json_array_append_new(programs, sb_json_string(slots[i].program));
        else
            json_array_append_new(sources, source_json(&slots[i]));
    }
    sort_programs(slots, n, seen, raw, by_call, not_covered);
    json_object_set_new(json, "programs", programs);
    json_object_set_new(json, "not_covered", not_covered);
    json_object_set_new(json, "lost", json_integer((json_int_t)(lost & INT64_MAX)));
    json_object_set_new(json, "sources", sources);
    json_object_set_new(json, "raw", raw ? raw_json(raw, json_incref(by_call)) : json_null());
    json_decref(by_call);
    return json;
}

json_t *sb_probe_record_read(int fd, const struct sb_observation *seen, const struct sb_raw *raw) {
    SB_AUTO_FREE struct sb_probe_record *record = malloc(sizeof *record);
    /* A run may have cut the file off. */
    if (!record || pread(fd, record, sizeof *record, 0) != (ssize_t)sizeof *record ||
        memcmp(record->magic, SB_PROBE_MAGIC, sizeof record->magic) != 0)
        return NULL;
    size_t more = raw ? raw->n_slots : 0;
    SB_AUTO_FREE struct sb_probe_slot *slots = calloc(SB_PROBE_SLOTS + more, sizeof *slots);
    if (!slots)
        return NULL;
    memcpy(slots, record->slots, sizeof record->slots);
    if (more)
        memcpy(slots + SB_PROBE_SLOTS, raw->slots, more * sizeof *slots);
    return record_json(slots, SB_PROBE_SLOTS + more, record->lost, seen, raw);
}
