/* check: combinations of threads and environments, threads as the axis of samebits sets them. */
#include "check/cells.h"

#include "base/cleanup.h"
#include "base/cpus.h"

#include <samebits/matrix.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct sb_axis sb_axis_threads;

static size_t count_threads(const struct sb_check_options *options) {
    size_t n = 0;
    while (n < SB_CHECK_MAX_LEVELS && options->threads[n])
        n++;
    return n;
}

static size_t count_environments(const struct sb_check_options *options) {
    size_t n = 0;
    while (n < SB_CHECK_MAX_LEVELS && options->environments[n])
        n++;
    return n;
}

static int set_threads(struct sb_check_cell *cell, struct sb_error *err) {
    SB_AUTO_FREE char *level = sb_format("%u", cell->threads);
    if (!level)
        return sb_error_errno(err, -ENOMEM, "threads");
    int rc = sb_axis_check(&sb_axis_threads, NULL, level, err);
    if (rc < 0)
        return sb_error_prefix(err, rc, ".threads");
    struct sb_setup setup = {.environment = cell->environment.items};
    rc = sb_axis_threads.apply(NULL, "threads", level, &setup);
    cell->environment = (struct sb_strings){.items = setup.environment};
    while (cell->environment.items && cell->environment.items[cell->environment.n])
        cell->environment.n++;
    return rc < 0 ? sb_error_errno(err, rc, "threads") : 0;
}

/* One "NAME=value" of `level`, which ends at a blank. */
static int set_variable(struct sb_check_cell *cell, const char *word, size_t length,
                        const char *level, struct sb_error *err) {
    SB_AUTO_FREE char *name = strndup(word, length);
    if (!name)
        return sb_error_errno(err, -ENOMEM, "environments");
    char *equals = strchr(name, '=');
    if (!equals || equals == name)
        return sb_error_set(err, -EINVAL, ".environments: '%s' in '%s' is not NAME=value", name,
                            level);
    *equals = '\0';
    int rc = sb_environment_set(&cell->environment, name, equals + 1);
    return rc < 0 ? sb_error_errno(err, rc, "environments") : 0;
}

static int set_variables(struct sb_check_cell *cell, const char *level, struct sb_error *err) {
    size_t n = 0;
    int rc = 0;
    for (const char *word = level + strspn(level, " "); *word && rc == 0;
         word += strspn(word, " ")) {
        size_t length = strcspn(word, " ");
        rc = set_variable(cell, word, length, level, err);
        word += length;
        n++;
    }
    if (rc == 0 && n == 0)
        return sb_error_set(err, -EINVAL,
                            ".environments: '' is not NAME=value (the environment "
                            "as it is comes first without being named)");
    return rc;
}

/* `environment` 0 is the one as it is. */
static int fill(struct sb_check_cell *cell, const struct sb_check_options *options, size_t threads,
                size_t environment, struct sb_error *err) {
    cell->threads = options->threads[threads];
    const char *level = environment ? options->environments[environment - 1] : NULL;
    SB_AUTO_TEXT struct sb_text name = {0};
    if (cell->threads)
        sb_text_printf(&name, "threads=%u", cell->threads);
    if (count_environments(options))
        sb_text_printf(&name, "%s%s", name.length ? ", " : "",
                       level ? level : "environment as it is");
    cell->name = sb_text_take(&name);
    int rc = cell->name ? 0 : -ENOMEM;
    for (char **item = environ; rc == 0 && item && *item; item++)
        rc = sb_strings_add(&cell->environment, *item);
    if (rc < 0)
        return sb_error_errno(err, rc, "environment");
    if (cell->threads && (rc = set_threads(cell, err)) < 0)
        return rc;
    return level ? set_variables(cell, level, err) : 0;
}

int sb_check_cells_make(const struct sb_check_options *options, struct sb_check_cells *cells,
                        struct sb_error *err) {
    size_t n_threads = count_threads(options), n_environments = count_environments(options) + 1;
    struct sb_check_cells made = {0};
    made.items = calloc((n_threads ? n_threads : 1) * n_environments, sizeof *made.items);
    if (!made.items)
        return sb_error_errno(err, -ENOMEM, "combinations");
    for (size_t e = 0; e < n_environments; e++)
        for (size_t t = 0; t < (n_threads ? n_threads : 1); t++) {
            int rc = fill(&made.items[made.n++], options, t, e, err);
            if (rc < 0) {
                sb_check_cells_clear(&made);
                return rc;
            }
        }
    *cells = made;
    return 0;
}

void sb_check_cells_clear(struct sb_check_cells *cells) {
    for (size_t i = 0; i < cells->n; i++) {
        sb_strings_clear(&cells->items[i].environment);
        free(cells->items[i].name);
    }
    free(cells->items);
    *cells = (struct sb_check_cells){0};
}
