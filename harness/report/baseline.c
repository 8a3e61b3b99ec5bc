/* Stage 7: a baseline made from a result, and its text. See report/baseline.h. */
#include "report/baseline.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "report/baseline_cells.h"
#include "report/machine.h"
#include "report/manifest_flat.h"
#include "report/reading.h"
#include "report/sentences.h"
#include "suite/quote.h"

#include <errno.h>
#include <string.h>

/* ---- From a result ----------------------------------------------------------------------------
 */

/* "python3 train.py", "dense ref seed=42 epochs=3": what was run, in a line. */
static json_t *asked_json(const json_t *job) {
    static const char *const parts[] = {"kernel", "backend", "dtype", "algorithm"};
    SB_AUTO_TEXT struct sb_text text = {0};
    const json_t *asked = json_object_get(job, "asked");
    const char *name;
    size_t i;
    json_t *word;
    json_array_foreach(json_object_get(asked, "command"), i, word) {
        sb_text_puts(&text, text.length ? " " : "");
        sb_text_quote(&text, json_is_string(word) ? json_string_value(word) : "");
    }
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        const char *part = sb_text_of(job, parts[k]);
        sb_text_printf(&text, "%s%s", text.length && *part ? " " : "", part);
    }
    json_array_foreach(json_object_get(job, "shape"), i, word) {
        sb_text_printf(&text, "%s%lld", i ? "x" : " ", (long long)json_integer_value(word));
    }
    json_object_foreach(json_object_get(asked, "arguments"), name, word) {
        sb_text_printf(&text, " %s=", name);
        sb_text_quote(&text, json_is_string(word) ? json_string_value(word) : "");
    }
    return sb_json_string(text.length ? text.data : "");
}

/* Was a cell of this level run? */
static bool is_had(const json_t *cells, const char *axis, const json_t *level) {
    size_t i;
    json_t *cell;
    json_array_foreach(cells, i, cell) {
        if (json_equal(json_object_get(json_object_get(cell, "levels"), axis), level))
            return true;
    }
    return false;
}

/* Axes and those of their levels that there are bits of: a shard has not all. */
static json_t *axes_json(const json_t *job, const json_t *cells) {
    json_t *axes = json_object(), *axis, *level;
    size_t i, k;
    json_array_foreach(json_object_get(job, "axes"), i, axis) {
        const char *name = sb_text_of(axis, "name");
        json_t *levels = json_array();
        json_array_foreach(json_object_get(axis, "levels"), k, level) {
            if (is_had(cells, name, level))
                json_array_append(levels, level);
        }
        json_object_set_new(axes, name, levels);
    }
    return axes;
}

/* The axes that bits are given by: those that decide them, or all that were varied. */
static json_t *by_json(const json_t *job) {
    json_t *depends = json_object_get(job, "depends_on"), *axis;
    bool known =
        sb_text_is(job, "verdict", "bitwise") || sb_text_is(job, "verdict", "config-dependent");
    if (known && json_is_array(depends))
        return json_incref(depends);
    json_t *all = json_array();
    size_t i;
    json_array_foreach(json_object_get(job, "axes"), i, axis) {
        if (json_array_size(json_object_get(axis, "levels")) > 1)
            json_array_append(all, json_object_get(axis, "name"));
    }
    return all;
}

static json_t *job_json(const json_t *job, const json_t *cells) {
    json_t *entry = json_object(), *by = by_json(job), *bits = json_object(), *cell;
    size_t i;
    json_object_set(entry, "verdict", json_object_get(job, "verdict"));
    json_object_set_new(entry, "asked", asked_json(job));
    json_object_set_new(entry, "axes", axes_json(job, cells));
    json_object_set_new(entry, "by", by);
    if (sb_text_is(job, "verdict", "nondeterministic")) {
        SB_AUTO_TEXT struct sb_text when = {0};
        sb_say_when(&when, json_object_get(job, "unstable_when"));
        json_object_set_new(entry, "unstable_when", sb_json_string(when.length ? when.data : ""));
    }
    json_array_foreach(cells, i, cell) {
        SB_AUTO_TEXT struct sb_text key = {0};
        if (json_is_string(json_object_get(cell, "fingerprint")) &&
            sb_cell_key(&key, json_object_get(cell, "levels"), by))
            json_object_set(bits, key.length ? key.data : "", json_object_get(cell, "fingerprint"));
    }
    json_object_set_new(entry, "bits", bits);
    return entry;
}

/* Of a job of which runs failed, the verdict speaks of the others alone. */
static bool has_answer(const json_t *job) {
    return !sb_text_is(job, "outcome", "error") &&
           (sb_text_is(job, "verdict", "bitwise") ||
            sb_text_is(job, "verdict", "config-dependent") ||
            sb_text_is(job, "verdict", "nondeterministic"));
}

/* A mark of the machine, or of all that a merged result is of. New reference. */
static json_t *mark_json(const json_t *manifest, enum sb_mark mark) {
    SB_AUTO_JSON json_t *machines = sb_machines_of(manifest);
    SB_AUTO_TEXT struct sb_text text = {0};
    const char *before = "";
    size_t i;
    json_t *machine;
    json_array_foreach(machines, i, machine) {
        const char *one = sb_text_of(machine, sb_mark_names[mark]);
        if (*one && strcmp(one, before) != 0)
            sb_text_printf(&text, "%s%s", text.length ? " + " : "", one);
        before = one;
    }
    return text.length ? sb_json_string(text.data) : json_null();
}

json_t *sb_baseline_machine(const json_t *result, struct sb_strings *left_out) {
    const json_t *manifest = json_object_get(result, "manifest");
    SB_AUTO_JSON json_t *cells = sb_cells_by_job(result);
    json_t *machine = json_object(), *jobs = json_object(), *job;
    size_t i;
    json_object_set_new(machine, "cpu", mark_json(manifest, SB_MARK_CPU));
    json_object_set_new(machine, "gpu", mark_json(manifest, SB_MARK_GPU));
    json_object_set_new(machine, "manifest", sb_manifest_flat(manifest));
    json_array_foreach(json_object_get(result, "jobs"), i, job) {
        const char *id = sb_job_title(job);
        if (has_answer(job))
            json_object_set_new(jobs, id, job_json(job, json_object_get(cells, id)));
        else if (left_out)
            sb_strings_add(left_out, id);
    }
    json_object_set_new(machine, "jobs", jobs);
    return machine;
}

json_t *sb_baseline_find(const json_t *baseline, const json_t *machine) {
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(baseline, "machines"), i, one) {
        if (json_equal(json_object_get(one, "cpu"), json_object_get(machine, "cpu")) &&
            json_equal(json_object_get(one, "gpu"), json_object_get(machine, "gpu")))
            return one;
    }
    return NULL;
}

/* ---- Its text ---------------------------------------------------------------------------------
 */

static void put_scalar(struct sb_text *text, const json_t *value) {
    if (json_is_string(value))
        sb_quote_yaml(text, json_string_value(value));
    else
        sb_text_puts(text, "null");
}

static void put_line(struct sb_text *text, int indent, const char *key, const json_t *value) {
    sb_text_printf(text, "%*s", indent, "");
    sb_quote_yaml(text, key);
    sb_text_puts(text, ": ");
    put_scalar(text, value);
    sb_text_putc(text, '\n');
}

static void put_list(struct sb_text *text, int indent, const char *key, const json_t *list) {
    size_t i;
    json_t *item;
    sb_text_printf(text, "%*s", indent, "");
    sb_quote_yaml(text, key);
    sb_text_puts(text, ": [");
    json_array_foreach(list, i, item) {
        sb_text_puts(text, i ? ", " : "");
        put_scalar(text, item);
    }
    sb_text_puts(text, "]\n");
}

/* Members of an object of texts, or of lists, sorted. */
static void put_map(struct sb_text *text, int indent, const char *key, const json_t *map) {
    SB_AUTO_STRINGS struct sb_strings names = {0};
    sb_text_printf(text, "%*s%s:%s\n", indent, "", key, json_object_size(map) ? "" : " {}");
    text->failed |= sb_sorted_keys(map, &names) < 0;
    for (size_t i = 0; i < names.n; i++) {
        const json_t *value = json_object_get(map, names.items[i]);
        (json_is_array(value) ? put_list : put_line)(text, indent + 2, names.items[i], value);
    }
}

static void put_job(struct sb_text *text, const char *id, const json_t *job) {
    sb_text_puts(text, "    ");
    sb_quote_yaml(text, id);
    sb_text_puts(text, ":\n");
    put_line(text, 6, "verdict", json_object_get(job, "verdict"));
    if (json_object_get(job, "unstable_when"))
        put_line(text, 6, "unstable_when", json_object_get(job, "unstable_when"));
    put_line(text, 6, "asked", json_object_get(job, "asked"));
    put_map(text, 6, "axes", json_object_get(job, "axes"));
    put_list(text, 6, "by", json_object_get(job, "by"));
    put_map(text, 6, "bits", json_object_get(job, "bits"));
}

char *sb_baseline_text(const json_t *baseline) {
    struct sb_text text = {0};
    size_t i;
    json_t *machine;
    sb_text_puts(&text,
                 "# The bits that runs had, machine by machine: samebits baseline.\n"
                 "# `samebits baseline save --update` shows what changes, and writes it here.\n"
                 "version: 1\nmachines:\n");
    json_array_foreach(json_object_get(baseline, "machines"), i, machine) {
        SB_AUTO_STRINGS struct sb_strings ids = {0};
        const json_t *jobs = json_object_get(machine, "jobs");
        sb_text_puts(&text, "- cpu: ");
        put_scalar(&text, json_object_get(machine, "cpu"));
        sb_text_putc(&text, '\n');
        put_line(&text, 2, "gpu", json_object_get(machine, "gpu"));
        put_map(&text, 2, "manifest", json_object_get(machine, "manifest"));
        sb_text_printf(&text, "  jobs:%s\n", json_object_size(jobs) ? "" : " {}");
        text.failed |= sb_sorted_keys(jobs, &ids) < 0;
        for (size_t k = 0; k < ids.n; k++)
            put_job(&text, ids.items[k], json_object_get(jobs, ids.items[k]));
    }
    return sb_text_take(&text);
}
