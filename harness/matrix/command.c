/* Stage 2, matrix: a job's command and environment for one cell. */
#include "base/cleanup.h"
#include "matrix/axis.h"
#include "matrix/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_word(const char *piece, size_t n, const char *word) {
    return strlen(word) == n && strncmp(piece, word, n) == 0;
}

/* A walk over the names of a command's placeholders. */
struct names {
    const struct sb_job *job;
    size_t argument; /* where the last one stood */
    struct sb_placeholders walk;
};

static struct names names_of(const struct sb_job *job) {
    return (struct names){.job = job, .walk = {.at = job->n_command ? job->command[0] : ""}};
}

/* The next name, not NUL-terminated; false after the last. */
static bool next_name(struct names *names, const char **name, size_t *n) {
    while (names->argument < names->job->n_command) {
        enum sb_piece kind = sb_placeholder_next(&names->walk, name, n);
        if (kind == SB_PIECE_NAME)
            return true;
        if (kind == SB_PIECE_END && ++names->argument < names->job->n_command)
            names->walk = (struct sb_placeholders){.at = names->job->command[names->argument]};
    }
    return false;
}

bool sb_command_has(const struct sb_job *job, const char *name) {
    struct names names = names_of(job);
    const char *piece;
    size_t n;
    while (next_name(&names, &piece, &n)) {
        if (is_word(piece, n, name))
            return true;
    }
    return false;
}

int sb_command_names(const struct sb_job *job, struct sb_strings *found) {
    struct names names = names_of(job);
    const char *piece;
    size_t n;
    while (next_name(&names, &piece, &n)) {
        int status = is_word(piece, n, "weights") ? 0 : sb_strings_take(found, strndup(piece, n));
        if (status < 0)
            return status;
    }
    return 0;
}

static int unknown_name(const struct sb_job *job, size_t argument, const char *name,
                        struct sb_error *err) {
    SB_AUTO_TEXT struct sb_text list = {0};
    SB_AUTO_STRINGS struct sb_strings known = {0};
    sb_text_puts(&list, "{weights}");
    int status = sb_strings_add(&known, "weights");
    for (size_t a = 0; a < job->n_axes && status == 0; a++) {
        sb_text_printf(&list, ", {%s}", job->axes[a].name);
        status = sb_strings_add(&known, job->axes[a].name);
    }
    if (status < 0 || list.failed)
        return sb_error_errno(err, -ENOMEM, "placeholder '{%s}'", name);
    const char *near = sb_nearest(name, (const char *const *)known.items, known.n);
    return sb_where_error(
        err, -EINVAL, &job->command_where[argument],
        "unknown placeholder '{%s}' (known: %s, any varied axis; {{ is a brace)%s%s%s", name,
        list.data, near ? "; did you mean '{" : "", near ? near : "", near ? "}'?" : "");
}

/* {weights} was checked with the suite. */
static bool is_known(const struct sb_job *job, const char *name) {
    bool known = strcmp(name, "weights") == 0;
    for (size_t a = 0; a < job->n_axes && !known; a++)
        known = strcmp(job->axes[a].name, name) == 0;
    return known;
}

int sb_command_check(const struct sb_job *job, struct sb_error *err) {
    struct names names = names_of(job);
    const char *piece;
    size_t n;
    while (next_name(&names, &piece, &n)) {
        SB_AUTO_FREE char *name = strndup(piece, n);
        if (!name)
            return sb_error_errno(err, -ENOMEM, "command");
        if (!is_known(job, name))
            return unknown_name(job, names.argument, name, err);
    }
    return 0;
}

/* The level of an axis in a cell. Of one that is not varied here, the reference level as written:
 * the command needs some word in its place. */
static const char *level_of(const struct sb_job_axis *axis, unsigned level) {
    if (level < axis->n_levels)
        return axis->levels[level];
    return axis->n_written ? axis->written[0] : "";
}

char *sb_command_argument(const struct sb_job_plan *job, const struct sb_cell *cell,
                          const char *argument) {
    SB_AUTO_TEXT struct sb_text text = {0};
    struct sb_placeholders walk = {.at = argument};
    const char *piece;
    size_t n;
    enum sb_piece kind;
    while ((kind = sb_placeholder_next(&walk, &piece, &n)) != SB_PIECE_END) {
        if (kind == SB_PIECE_TEXT) {
            sb_text_add(&text, piece, n);
            continue;
        }
        if (is_word(piece, n, "weights")) {
            sb_text_puts(&text, job->job->weights ? job->job->weights : "");
            continue;
        }
        for (size_t a = 0; a < job->n_axes; a++) {
            if (is_word(piece, n, job->axes[a].name))
                sb_text_puts(&text, level_of(&job->axes[a], cell->level[a]));
        }
    }
    return sb_text_take(&text);
}

/* As getenv sees it: the first of several entries of one name. */
static int copy_environment(char *const *base, struct sb_setup *setup) {
    struct sb_strings copy = {0};
    int status = 0;
    for (; base && *base && status == 0; base++) {
        const char *equals = strchr(*base, '=');
        if (!equals || equals == *base)
            continue;
        SB_AUTO_FREE char *name = strndup(*base, (size_t)(equals - *base));
        if (!name)
            status = -ENOMEM;
        else if (!sb_environment_get(&copy, name))
            status = sb_strings_add(&copy, *base);
    }
    setup->environment = copy.items;
    return status;
}

/* env:NAME comes last: who names one variable means it, whatever the other axes set. */
static int apply_axes(const struct sb_machine *machine, const struct sb_job_plan *job,
                      const struct sb_cell *cell, struct sb_setup *setup) {
    for (int family = 0; family < 2; family++) {
        for (size_t a = 0; a < job->n_axes; a++) {
            const struct sb_job_axis *axis = &job->axes[a];
            if (!axis->axis || !axis->axis->apply || cell->level[a] >= axis->n_levels ||
                (strcmp(axis->axis->name, "env:") == 0) != family)
                continue;
            int status =
                axis->axis->apply(machine, axis->name, axis->levels[cell->level[a]], setup);
            if (status < 0)
                return status;
        }
    }
    return 0;
}

int sb_setup_make(const struct sb_plan *plan, const struct sb_job_plan *job,
                  const struct sb_cell *cell, char *const *base, struct sb_setup *setup,
                  struct sb_error *err) {
    struct sb_setup made = {0};
    struct sb_strings command = {0};
    int status = copy_environment(base, &made);
    if (status == 0)
        status = apply_axes(plan->machine, job, cell, &made);
    for (size_t i = 0; i < job->job->n_command && status == 0; i++)
        status = sb_strings_take(&command, sb_command_argument(job, cell, job->job->command[i]));
    made.command = command.items;
    if (status == 0 && !made.environment) { /* an empty environment is one all the same */
        made.environment = calloc(2, sizeof *made.environment);
        status = made.environment ? 0 : -ENOMEM;
    }
    if (status < 0) {
        sb_setup_clear(&made);
        return sb_error_errno(err, status, "job '%s'", job->job->id);
    }
    *setup = made;
    return 0;
}
