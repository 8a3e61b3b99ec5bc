/* cli: samebits list. */
#include "cli/command.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "cli/request.h"

#include <samebits/matrix.h>
#include <samebits/report.h>
#include <samebits/weights.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "kernels/dispatch.h"
#include "report/table.h"

#include <stdio.h>
#include <string.h>

/* What is listed: rows of texts under headings; the first column is the name. */
struct listing {
    const char *const *headings;
    size_t n_columns;
    struct sb_strings cells, own_headings; /* own: where they are not known beforehand */
};

static void add_heading(struct listing *listing, const char *text) {
    sb_strings_add(&listing->own_headings, text);
    listing->headings = (const char *const *)listing->own_headings.items;
    listing->n_columns = listing->own_headings.n;
}

static void add_row(struct listing *listing, const char *const *texts) {
    for (size_t i = 0; i < listing->n_columns; i++)
        sb_strings_add(&listing->cells, texts[i] ? texts[i] : "");
}

static void list_axes(struct listing *listing) {
    static const char *const headings[] = {"axis", "levels", "what it varies"};
    listing->headings = headings;
    listing->n_columns = 3;
    for (size_t i = 0; sb_axes[i]; i++) {
        const struct sb_axis *axis = sb_axes[i];
        SB_AUTO_FREE char *name =
            sb_format("%s%s", axis->name, strcmp(axis->name, "env:") == 0 ? "NAME" : "");
        const char *const row[] = {name, axis->planned ? axis->planned : axis->levels,
                                   axis->summary};
        add_row(listing, row);
    }
    const char *const placeholder[] = {"NAME", "any text", "{NAME} in the command's arguments"};
    add_row(listing, placeholder);
}

static void list_formats(struct listing *listing) {
    static const char *const headings[] = {"format", "files", "what it is"};
    listing->headings = headings;
    listing->n_columns = 3;
    for (size_t i = 0; sb_formats[i]; i++) {
        const struct sb_format *format = sb_formats[i];
        const char *const row[] = {format->name, format->extensions, format->summary};
        add_row(listing, row);
    }
}

static void list_reports(struct listing *listing) {
    static const char *const headings[] = {"report", "goes to", "what it is"};
    listing->headings = headings;
    listing->n_columns = 3;
    for (size_t i = 0; sb_reports[i]; i++) {
        const struct sb_report *report = sb_reports[i];
        const char *where = report->planned     ? report->planned
                            : report->file_name ? report->file_name
                                                : "stdout";
        const char *const row[] = {report->name, where, report->summary};
        add_row(listing, row);
    }
}

static void list_launchers(struct listing *listing) {
    static const char *const headings[] = {"launcher", "state", "what it is"};
    listing->headings = headings;
    listing->n_columns = 3;
    for (size_t i = 0; sb_launchers[i]; i++) {
        const struct sb_launcher *launcher = sb_launchers[i];
        SB_AUTO_FREE char *missing = launcher->missing ? launcher->missing() : NULL;
        const char *const row[] = {launcher->name, missing ? missing : "here", launcher->summary};
        add_row(listing, row);
    }
}

static void list_backends(struct listing *listing) {
    static const char *const headings[] = {"backend", "here", "what it is"};
    listing->headings = headings;
    listing->n_columns = 3;
    size_t n;
    struct sb_listed_backend *backends = sb_list_backends(true, &n);
    for (size_t i = 0; backends && i < n; i++) {
        const char *state = backends[i].missing ? backends[i].missing
                            : backends[i].found ? backends[i].found
                                                : "here";
        const char *const row[] = {backends[i].name, state, backends[i].summary};
        add_row(listing, row);
    }
    sb_listed_backends_free(backends, n);
}

/* "f32 f64"; "-": it has no such kernel. */
static void add_dtypes(struct listing *listing, const json_t *dtypes) {
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t i = 0; i < json_array_size(dtypes); i++)
        sb_text_printf(&text, "%s%s", i ? " " : "", json_string_value(json_array_get(dtypes, i)));
    sb_strings_add(&listing->cells, text.length ? text.data : "-");
}

/* Kernels by backends: the dtypes that each has; the reasons for gaps stand below the table. */
static void list_kernels(struct listing *listing) {
    enum { MOST = 64 };
    const struct sb_listed_backend *shown[MOST];
    size_t n, n_shown = 0;
    struct sb_listed_backend *backends = sb_list_backends(false, &n);
    add_heading(listing, "kernel");
    for (size_t b = 0; b < n && n_shown < MOST; b++) {
        if (backends[b].kernels) {
            shown[n_shown++] = &backends[b];
            add_heading(listing, backends[b].name);
        }
    }
    add_heading(listing, "what it is");
    for (size_t o = 0; sb_operations[o]; o++) {
        const struct sb_operation *operation = sb_operations[o];
        sb_strings_add(&listing->cells, operation->name);
        for (size_t b = 0; b < n_shown; b++)
            add_dtypes(listing, json_object_get(shown[b]->kernels, operation->name));
        sb_strings_add(&listing->cells,
                       operation->planned ? operation->planned : operation->summary);
    }
    sb_listed_backends_free(backends, n);
}

static bool lacks(const struct sb_backend *backend, const char *operation) {
    for (const struct sb_kernel *k = backend->kernels; k && k->operation; k++) {
        if (strcmp(k->operation, operation) == 0)
            return false;
    }
    return true;
}

/* Reasons of some gaps alone, each after the names that it is for. */
static void print_missing(const struct sb_backend *backend) {
    for (const struct sb_missing *m = backend->missing; m && m->operations; m++) {
        SB_AUTO_FREE char *names = strdup(m->operations);
        char *rest = names;
        bool any = false;
        for (char *name; names && (name = strsep(&rest, " "));) {
            if (!lacks(backend, name))
                continue;
            printf("%s%s", any ? ", " : "    ", name);
            any = true;
        }
        if (any)
            printf(": %s\n", m->why);
    }
    if (backend->dtypes_missing)
        printf("    other types: %s\n", backend->dtypes_missing);
}

static void print_gaps(void) {
    for (size_t b = 0; sb_backends[b]; b++) {
        const struct sb_backend *backend = sb_backends[b];
        if (backend->planned)
            printf("  %s: not built: %s\n", backend->name, backend->planned);
        else if (backend->gaps)
            printf("  %s: - means: %s\n", backend->name, backend->gaps);
        if (!backend->planned)
            print_missing(backend);
    }
}

static const struct {
    const char *name;
    void (*list)(struct listing *listing);
} subjects[] = {
    {"kernels", list_kernels}, {"backends", list_backends}, {"axes", list_axes},
    {"formats", list_formats}, {"reports", list_reports},   {"launchers", list_launchers},
};
enum { N_SUBJECTS = sizeof subjects / sizeof *subjects };
static const char subject_choices[] = "kernels, backends, axes, formats, reports, launchers";

static void print_listing(const struct listing *listing) {
    struct sb_table table = {
        .n_columns = listing->n_columns, .indent = "  ", .colour = sb_colour_wanted()};
    for (size_t i = 0; i < listing->n_columns; i++)
        sb_table_add(&table, strdup(listing->headings[i]), 0, SB_TONE_BOLD);
    for (size_t i = 0; i < listing->cells.n; i++)
        sb_table_add(&table, strdup(listing->cells.items[i]), 0, SB_TONE_PLAIN);
    sb_table_print(&table, stdout);
    sb_table_clear(&table);
}

static void print_listing_json(const char *subject, const struct listing *listing) {
    json_t *rows = json_array();
    for (size_t i = 0; i + listing->n_columns <= listing->cells.n; i += listing->n_columns) {
        json_t *row = json_object();
        for (size_t k = 0; k < listing->n_columns; k++)
            json_object_set_new(row, k ? listing->headings[k] : "name",
                                sb_json_string(listing->cells.items[i + k]));
        json_array_append_new(rows, row);
    }
    SB_AUTO_JSON json_t *document =
        json_pack("{s:s, s:o}", "schema", "samebits.list/1", subject, rows);
    SB_AUTO_FREE char *text = sb_json_text(document);
    fputs(text ? text : "", stdout);
}

static int list_subject(const char *name, bool json) {
    for (size_t i = 0; i < N_SUBJECTS; i++) {
        if (strcmp(subjects[i].name, name) != 0)
            continue;
        struct listing listing = {0};
        subjects[i].list(&listing);
        if (json)
            print_listing_json(name, &listing);
        else
            print_listing(&listing);
        if (!json && strcmp(name, "kernels") == 0)
            print_gaps();
        sb_strings_clear(&listing.cells);
        sb_strings_clear(&listing.own_headings);
        return SB_EXIT_OK;
    }
    struct sb_error err;
    sb_error_set(&err, 0, "samebits list: '%s' is none of: %s", name, subject_choices);
    return sb_complain(&err);
}

int sb_cmd_list(int argc, char **argv) {
    bool json = false;
    const struct sb_option table[] = {{"json", 0, NULL, "JSON on stdout", sb_take_flag, &json}};
    struct sb_error err = {0};
    SB_CLEANUP(sb_arguments_clear) struct sb_arguments arguments;
    if (sb_options_parse("samebits list", table, 1, argc, argv, &arguments, &err) < 0)
        return sb_complain(&err);
    if (arguments.help) {
        puts(
            "samebits list [OPTION]… kernels|backends|axes|formats|reports|launchers\n"
            "What there is, and what is not in this build.\n");
        sb_options_print(table, 1);
        return SB_EXIT_OK;
    }
    if (arguments.positional.n == 1)
        return list_subject(arguments.positional.items[0], json);
    sb_error_set(&err, 0, "samebits list: %s: %s",
                 arguments.positional.n ? "one subject at a time" : "say what to list",
                 subject_choices);
    return sb_complain(&err);
}
