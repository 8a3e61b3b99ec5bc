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
#include "kernels/dispatch.h"
#include "report/table.h"

#include <stdio.h>
#include <string.h>

/* What is listed: rows of texts under headings; the first column is the name. */
struct listing {
    const char *const *headings;
    size_t n_columns;
    struct sb_strings cells;
};

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
        SB_AUTO_FREE char *name = sb_format("%s%s", axis->name, strcmp(axis->name, "env:") == 0 ? "NAME" : "");
        const char *const row[] = {name, axis->planned ? axis->planned : axis->levels, axis->summary};
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
        const char *const row[] = {format->name, format->planned ? format->planned : format->extensions,
                                   format->summary};
        add_row(listing, row);
    }
}

static void list_reports(struct listing *listing) {
    static const char *const headings[] = {"report", "goes to", "what it is"};
    listing->headings = headings;
    listing->n_columns = 3;
    for (size_t i = 0; sb_reports[i]; i++) {
        const struct sb_report *report = sb_reports[i];
        const char *where = report->planned ? report->planned : report->file_name ? report->file_name : "stdout";
        const char *const row[] = {report->name, where, report->summary};
        add_row(listing, row);
    }
}

static void list_launchers(struct listing *listing) {
    static const char *const headings[] = {"launcher", "state", "what it is"};
    listing->headings = headings;
    listing->n_columns = 3;
    const char *const local[] = {"local", "here", "processes on this machine"};
    const char *const slurm[] = {"slurm", "not in this build", "job arrays of a Slurm cluster"};
    add_row(listing, local);
    add_row(listing, slurm);
}

static void list_backends(struct listing *listing) {
    static const char *const headings[] = {"backend", "here", "what it is"};
    listing->headings = headings;
    listing->n_columns = 3;
    size_t n;
    SB_AUTO_FREE struct sb_listed_backend *backends = sb_list_backends(&n);
    for (size_t i = 0; backends && i < n; i++) {
        const char *state = backends[i].missing ? backends[i].missing : backends[i].found ? backends[i].found : "here";
        const char *const row[] = {backends[i].name, state, backends[i].summary};
        add_row(listing, row);
        free(backends[i].missing);
        free(backends[i].found);
    }
}

