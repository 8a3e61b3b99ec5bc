/* Stage 7: experiment.json, what an experiment was, by the keys that training scripts write down.
 */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "report/reading.h"

#include <errno.h>
#include <string.h>

/* The checklist of a reproducible experiment; and what stands for a key where a job does not say it
 * itself: an argument of a built-in training, a version or a member of the manifest. */
static const struct key {
    const char *name, *argument, *version;
} keys[] = {
    {"seed", "seed", NULL},
    {"deterministic_ops", NULL, NULL},
    {"framework", NULL, NULL},
    {"cuda", NULL, "CUDA"},
    {"cudnn", NULL, "cuDNN"},
    {"python", NULL, "python"},
    {"git_commit", NULL, NULL},
    {"git_dirty", NULL, NULL},
    {"dataset_id", NULL, NULL},
    {"dataset_sha256", NULL, NULL},
    {"shuffle_buffer", "shuffle", NULL},
    {"batch_size", "batch_size", NULL},
    {"tokenizer_mode", NULL, NULL},
    {"max_len", NULL, NULL},
};
enum { N_KEYS = sizeof keys / sizeof *keys, MOST_VALUES = 32 };

/* Different values of one key, in order of appearance; the first ones of many. */
static void add_distinct(json_t *values, json_t *value) {
    size_t i;
    json_t *other;
    if (!value || json_is_null(value) || json_array_size(values) == MOST_VALUES)
        return;
    json_array_foreach(values, i, other) {
        if (json_equal(other, value))
            return;
    }
    json_array_append(values, value);
}

/* null, the value, or the list of them. New reference; takes `values`. */
static json_t *settled(json_t *values) {
    SB_AUTO_JSON json_t *list = values;
    size_t n = json_array_size(list);
    return n == 0 ? json_null() : n == 1 ? json_incref(json_array_get(list, 0)) : json_incref(list);
}

/* What a run's cell and worker say of the deterministic flag; borrowed, or NULL. */
static json_t *flag_of(const json_t *run) {
    const json_t *level = json_object_get(json_object_get(run, "cell"), "deterministic");
    if (json_is_string(level))
        return json_boolean(strcmp(json_string_value(level), "on") == 0);
    const json_t *observed = json_object_get(run, "observed");
    return json_object_get(json_object_get(observed, "worker"), "deterministic");
}

/* Of one run: its own word first, but for the flag, which the axis decides. */
static json_t *value_of(const json_t *run, const struct key *key) {
    const json_t *observed = json_object_get(run, "observed");
    const json_t *worker = json_object_get(observed, "worker");
    json_t *said = json_object_get(json_object_get(observed, "experiment"), key->name);
    if (strcmp(key->name, "deterministic_ops") == 0) {
        json_t *flag = flag_of(run);
        return json_is_boolean(flag) ? flag : said;
    }
    if (said || !key->argument)
        return said;
    const json_t *arguments = json_object_get(worker, "arguments");
    bool unset =
        strcmp(key->name, "seed") == 0 && json_is_false(json_object_get(arguments, "seeded"));
    return unset ? NULL : json_object_get(arguments, key->argument);
}

/* What no run says: from the manifest. New reference. */
static json_t *known_otherwise(const json_t *manifest, const struct key *key) {
    const json_t *git = json_object_get(manifest, "git");
    json_t *inputs = json_object_get(manifest, "inputs"), *found = NULL;
    if (key->version)
        found = json_object_get(json_object_get(manifest, "versions"), key->version);
    else if (strcmp(key->name, "git_commit") == 0)
        found = json_object_get(git, "commit");
    else if (strcmp(key->name, "git_dirty") == 0)
        found = json_object_get(git, "dirty");
    else if (strcmp(key->name, "seed") == 0)
        found = json_object_get(manifest, "injected_seed");
    else if (strcmp(key->name, "dataset_id") == 0 && json_object_size(inputs)) {
        const char *path;
        json_t *digest, *paths = json_array();
        json_object_foreach(inputs, path, digest) json_array_append_new(paths, json_string(path));
        return settled(paths);
    }
    return found ? json_incref(found) : json_null();
}

/* The frameworks that runs had loaded; a built-in training is one of our own. */
static json_t *frameworks(const json_t *result) {
    static const char *const known[] = {"tensorflow", "torch"};
    const json_t *versions = json_object_get(json_object_get(result, "manifest"), "versions");
    json_t *found = json_array();
    size_t i;
    json_t *job;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        const char *version = json_string_value(json_object_get(versions, known[k]));
        if (version)
            json_array_append_new(found, json_sprintf("%s %s", known[k], version));
    }
    json_array_foreach(json_object_get(result, "jobs"), i, job) {
        if (sb_text_is(job, "kind", "command"))
            continue;
        const json_t *tool = json_object_get(result, "tool");
        SB_AUTO_JSON json_t *own = json_sprintf("samebits %s", sb_text_of(tool, "version"));
        add_distinct(found, own);
    }
    return settled(found);
}

/* The values of every key over these runs. New reference. */
static json_t *gathered(const json_t *runs) {
    json_t *values = json_object();
    for (size_t k = 0; k < N_KEYS; k++) {
        json_t *distinct = json_array(), *run;
        size_t i;
        json_array_foreach(runs, i, run) add_distinct(distinct, value_of(run, &keys[k]));
        json_object_set_new(values, keys[k].name, settled(distinct));
    }
    return values;
}

/* The facts that a job's script wrote beyond the checklist, and a built-in training's arguments. */
static void add_own_facts(const json_t *runs, json_t *values) {
    SB_AUTO_JSON json_t *own = json_object();
    json_t *run, *fact;
    const char *name;
    size_t i;
    json_array_foreach(runs, i, run) {
        const json_t *observed = json_object_get(run, "observed");
        json_object_foreach(json_object_get(observed, "experiment"), name, fact) {
            if (strcmp(name, "seconds") == 0) /* measured; see result_cost.c */
                continue;
            if (!json_object_get(own, name))
                json_object_set_new(own, name, json_array());
            add_distinct(json_object_get(own, name), fact);
        }
        fact = json_object_get(json_object_get(observed, "worker"), "arguments");
        if (fact)
            json_object_set(values, "arguments", fact);
    }
    json_object_foreach(own, name, fact) {
        if (!json_object_get(values, name))
            json_object_set_new(values, name, settled(json_incref(fact)));
    }
}

static json_t *runs_by_job(const json_t *result) {
    json_t *by_job = json_object(), *run;
    size_t i;
    json_array_foreach(json_object_get(result, "runs"), i, run) {
        const char *job = sb_text_of(run, json_object_get(run, "job_id") ? "job_id" : "job");
        if (!json_object_get(by_job, job))
            json_object_set_new(by_job, job, json_array());
        json_array_append(json_object_get(by_job, job), run);
    }
    return by_job;
}

static json_t *jobs_of(const json_t *result) {
    SB_AUTO_JSON json_t *by_job = runs_by_job(result);
    json_t *jobs = json_array(), *job;
    size_t i;
    json_array_foreach(json_object_get(result, "jobs"), i, job) {
        const json_t *runs = json_object_get(by_job, sb_job_title(job));
        json_t *entry = json_object();
        json_object_set_new(entry, "name", json_string(sb_job_title(job)));
        SB_AUTO_JSON json_t *values = gathered(runs);
        json_object_update(entry, values);
        add_own_facts(runs, entry);
        json_array_append_new(jobs, entry);
    }
    return jobs;
}

static int write_experiment(const json_t *result, const struct sb_report_options *options,
                            FILE *out, struct sb_error *err) {
    (void)options;
    static const char *const facts[] = {"versions", "cpu",         "gpu",
                                        "kernel",   "environment", "inputs"};
    const json_t *manifest = json_object_get(result, "manifest");
    SB_AUTO_JSON json_t *experiment = json_pack("{s:s}", "schema", "samebits.experiment/1");
    SB_AUTO_JSON json_t *values = gathered(json_object_get(result, "runs"));
    for (size_t k = 0; k < N_KEYS; k++) {
        json_t *value = json_object_get(values, keys[k].name);
        if (!json_is_null(value))
            json_object_set(experiment, keys[k].name, value);
        else if (strcmp(keys[k].name, "framework") == 0)
            json_object_set_new(experiment, keys[k].name, frameworks(result));
        else
            json_object_set_new(experiment, keys[k].name, known_otherwise(manifest, &keys[k]));
    }
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        json_object_set(experiment, facts[i], json_object_get(manifest, facts[i]));
    json_object_set_new(experiment, "jobs", jobs_of(result));
    SB_AUTO_FREE char *text = sb_json_text(experiment);
    if (!text)
        return sb_error_errno(err, -ENOMEM, "experiment report");
    fputs(text, out);
    return 0;
}

const struct sb_report sb_report_experiment = {
    .name = "experiment",
    .summary = "seeds, versions, commit and data, as experiments write them down",
    .file_name = "experiment.json",
    .write = write_experiment,
};
