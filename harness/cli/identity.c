/* cli: what jobs are made of. See cli/identity.h. */
#include "cli/identity.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli/inputs.h"
#include "cli/program.h"
#include "report/git_changes.h"
#include "report/reading.h"

#include <samebits/report.h>
#include <samebits/run.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

void sb_identity_clear(struct sb_identity *identity) {
    json_decref(identity->program);
    json_decref(identity->inputs);
    *identity = (struct sb_identity){0};
}

int sb_identity_take(const struct sb_plan *plan, struct sb_identity *identity,
                     struct sb_error *err) {
    SB_AUTO_JSON json_t *program = NULL;
    SB_AUTO_JSON json_t *inputs = NULL;
    int rc = sb_inputs_digest_all(plan->suite, &inputs, err);
    if (rc == 0)
        rc = sb_program_digest_all(plan, &program, err);
    if (rc == 0)
        *identity = (struct sb_identity){sb_steal_pointer(&program), sb_steal_pointer(&inputs)};
    return rc;
}

/* All jobs in one object: they are in one folder, and mean one file by one path. */
static json_t *merged(const json_t *jobs) {
    json_t *all = json_object();
    size_t i;
    json_t *digests;
    json_array_foreach((json_t *)jobs, i, digests) json_object_update(all, digests);
    return all;
}

json_t *sb_identity_json(const struct sb_identity *identity, json_t *git) {
    json_t *json = json_pack("{s:o, s:o}", "program", merged(identity->program), "inputs",
                             merged(identity->inputs));
    if (json && git)
        json_object_set(json, "git", git);
    return json;
}

/* ---- Differences ----------------------------------------------------------------------------- */

static void add(struct sb_text *list, const char *what, const char *note) {
    sb_text_printf(list, "%s%s%s", list->length ? ", " : "", what, note);
}

/* Of inputs every difference counts. Of files that a command names, what is no
 * source may be what a killed run left behind, or somebody removed for that: there it is no
 * difference that there is none on one side. */
static void compare_files(const json_t *before, const json_t *after, bool program,
                          struct sb_text *list) {
    const char *path;
    json_t *digest;
    json_object_foreach((json_t *)before, path, digest) {
        const json_t *now = json_object_get(after, path);
        if (!json_equal(digest, now) && (now || !program || sb_program_is_source(path)))
            add(list, path, now ? "" : " (gone)");
    }
    json_object_foreach((json_t *)after, path, digest) {
        if (!json_object_get(before, path) && (!program || sb_program_is_source(path)))
            add(list, path, " (new)");
    }
}

static void compare_trees(const json_t *then, const json_t *now, struct sb_text *list) {
    const char *commit = sb_text_of(then, "commit"), *other = sb_text_of(now, "commit");
    const char *changes = sb_git_changes_of(then), *others = sb_git_changes_of(now);
    if (*commit && *other && strcmp(commit, other) != 0) {
        SB_AUTO_FREE char *from_to = sb_format(" (%.12s → %.12s)", commit, other);
        add(list, "the commit", from_to ? from_to : "");
    } else if (!list->length && changes && others && strcmp(changes, others) != 0) {
        add(list, "what is not committed", ""); /* of which a file that is named is part */
    }
}

char *sb_identity_difference(const json_t *then, const json_t *now) {
    static const char *const files[] = {"program", "inputs"};
    struct sb_text list = {0};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const json_t *one = json_object_get(then, files[i]),
                     *other = json_object_get(now, files[i]);
        if (json_is_object(one) && json_is_object(other))
            compare_files(one, other, i == 0, &list);
    }
    compare_trees(json_object_get(then, "git"), json_object_get(now, "git"), &list);
    if (list.length)
        return sb_text_take(&list);
    sb_text_clear(&list);
    return NULL;
}

/* ---- Before and after ------------------------------------------------------------------------ */

static void say_changed(struct sb_text *said, const char *what, const struct sb_text *list) {
    if (list->length)
        sb_text_printf(said, "%s%schanged while the runs were under way: %s",
                       said->length ? "; " : "", what, list->data);
}

/* A job's digests without those of what its runs may have written where they work in place: what is
 * put back there is not all (run/sandbox_inplace.c). New reference. */
static json_t *sources_of(const json_t *digests, const struct sb_job *job) {
    json_t *sources = json_object();
    const char *path;
    json_t *digest;
    json_object_foreach((json_t *)digests, path, digest) {
        if (sb_program_is_source(path) || strcmp(path, job->command[0]) == 0)
            json_object_set_nocheck(sources, path, digest);
    }
    return sources;
}

char *sb_identity_spoiled(const struct sb_identity *before, const json_t *program,
                          const struct sb_job *job, size_t index, bool in_place) {
    SB_AUTO_TEXT struct sb_text inputs = {0}, named = {0};
    SB_AUTO_JSON json_t *after = NULL;
    struct sb_error why = {0};
    struct sb_text said = {0};
    if (sb_inputs_digest(job, &after, &why) == 0)
        compare_files(json_array_get(before->inputs, index), after, false, &inputs);
    else
        sb_text_puts(&inputs, why.text);
    const json_t *then = json_array_get(before->program, index),
                 *now = json_array_get(program, index);
    SB_AUTO_JSON json_t *old = in_place ? sources_of(then, job) : json_incref((json_t *)then);
    SB_AUTO_JSON json_t *new = in_place ? sources_of(now, job) : json_incref((json_t *)now);
    compare_files(old, new, true, &named);
    say_changed(&said, "inputs ", &inputs);
    say_changed(&said, "", &named);
    if (said.length)
        return sb_text_take(&said);
    sb_text_clear(&said);
    return NULL;
}

/* ---- The tree ------------------------------------------------------------------------------- */

/* git hangs where the file system below it does, or a filter or a submodule of the repository. */
json_t *sb_identity_tree_of(struct sb_git *git) {
    enum { SLICE_MS = 100, MOST_SECONDS = 30, MOST_INTERRUPTED = 1, SILENT = 1 };
    double began = sb_monotonic(), waited = 0;
    bool told = false, ready;
    while (!(ready = !git || sb_git_ready(git, SLICE_MS)) &&
           waited < (sb_interrupted ? MOST_INTERRUPTED : MOST_SECONDS)) {
        waited = sb_monotonic() - began;
        if (!told && waited > SILENT && !sb_interrupted) {
            fprintf(stderr, "samebits: waiting for `git status`, %d s at most\n", MOST_SECONDS);
            told = true;
        }
    }
    if (!ready)
        fprintf(stderr, "samebits: `git status` has not answered: the commit is not known\n");
    return sb_git_finish(git);
}

json_t *sb_identity_tree(const struct sb_plan *plan) {
    return sb_identity_tree_of(sb_git_start(plan->n_jobs ? plan->jobs[0].job->directory : "."));
}

int sb_identity_now(const struct sb_plan *plan, bool with_tree, json_t **identity,
                    struct sb_error *err) {
    SB_CLEANUP(sb_identity_clear) struct sb_identity taken = {0};
    SB_AUTO_JSON json_t *git = with_tree ? sb_identity_tree(plan) : NULL;
    int rc = sb_identity_take(plan, &taken, err);
    if (rc < 0)
        return rc;
    *identity = sb_identity_json(&taken, git);
    return *identity ? 0 : sb_error_errno(err, -ENOMEM, "what was run");
}
