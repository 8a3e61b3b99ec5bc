/* Reports of hand-written documents, compared with files that were read by a person. With
 * SAMEBITS_UPDATE_GOLDEN=1 the files are written instead. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "report/display.h"
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

static const char *const documents[] = {
    "axes",   "bitwise", "controls",     "differences", "explained",   "fail",
    "failed", "hostile", "inconclusive", "inert",       "interrupted", "kernels",
    "many",   "nothing", "race",         "skipped",     "threads",     "unstable",
};

enum { N_DOCUMENTS = sizeof documents / sizeof *documents };

/* One way to write a document; the golden file is tests/golden/<document>.<suffix>. */
struct variant {
    const char *report, *suffix;
    struct sb_report_options options;
};

static char *source_file(const char *folder, const char *name, const char *suffix) {
    const char *source = getenv("SAMEBITS_SOURCE");
    return sb_format("%s/harness/report/tests/%s/%s.%s", source ? source : ".", folder, name,
                     suffix);
}

static json_t *load(const char *document) {
    SB_AUTO_FREE char *path = source_file("data", document, "json");
    json_t *result = NULL;
    struct sb_error err = {0};
    ck_assert_msg(sb_result_load(path, &result, &err) == 0, "%s", err.text);
    return result;
}

static char *written(const struct variant *variant, const json_t *result) {
    char *text = NULL;
    size_t n = 0;
    struct sb_error err = {0};
    const struct sb_report *report = sb_report_find(variant->report);
    FILE *out = open_memstream(&text, &n);
    ck_assert_msg(report->write(result, &variant->options, out, &err) == 0, "%s", err.text);
    fclose(out);
    ck_assert_uint_eq(strlen(text), n);
    return text;
}

static void check_golden(const struct variant *variant, const char *document) {
    SB_AUTO_JSON json_t *result = load(document);
    SB_AUTO_FREE char *text = written(variant, result);
    SB_AUTO_FREE char *path = source_file("golden", document, variant->suffix);
    SB_AUTO_FREE char *golden = NULL;
    if (getenv("SAMEBITS_UPDATE_GOLDEN")) {
        ck_assert_int_eq(sb_file_write(path, text, strlen(text), NULL), 0);
        return;
    }
    struct sb_error err = {0};
    ck_assert_msg(sb_file_read(path, 1 << 24, &golden, NULL, &err) == 0, "%s", err.text);
    ck_assert_msg(strcmp(text, golden) == 0, "%s differs; it would be now:\n%.3000s", path, text);
}

static void check_all(const struct variant *variant) {
    for (size_t i = 0; i < N_DOCUMENTS; i++)
        check_golden(variant, documents[i]);
}

static const struct variant terminal = {
    "terminal", "txt", {.unicode = true, .width = 132, .directory = "samebits-results/latest"}};
static const struct variant narrow = {
    "terminal", "80.txt", {.width = 80, .directory = "samebits-results/with a 'quote'"}};
static const struct variant colour = {
    "terminal", "colour.txt", {.colour = true, .unicode = true, .directory = "latest"}};
static const struct variant verbose = {
    "terminal", "verbose.txt", {.unicode = true, .verbose = true}};

START_TEST(the_terminal_report_reads_as_it_did)
{ check_all(&terminal); }
END_TEST

START_TEST(an_ascii_terminal_of_80_columns_reads_as_it_did)
{ check_all(&narrow); }
END_TEST

START_TEST(colours_and_details_of_every_job_read_as_they_did)
{
    check_golden(&colour, "controls");
    check_golden(&colour, "fail");
    check_golden(&colour, "hostile");
    check_golden(&verbose, "skipped");
    check_golden(&verbose, "many");
}
END_TEST

START_TEST(the_other_formats_read_as_they_did)
{
    static const struct variant variants[] = {{"junit", "xml"},
                                              {"tap", "tap"},
                                              {"markdown", "md"},
                                              {"github", "github.txt"},
                                              {"prometheus", "prom"}};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        check_all(&variants[i]);
    check_golden(&(struct variant){"json", "json"}, "threads");
    check_golden(&(struct variant){"experiment", "experiment.json"}, "experiment");
}
END_TEST

/* ---- What holds for every document, whatever the golden files say -----------------------------
 */

/* Calls `check` for each line of a terminal report. */
static void each_line(const struct variant *variant,
                      void (*check)(const struct variant *, const char *line)) {
    for (size_t i = 0; i < N_DOCUMENTS; i++) {
        SB_AUTO_JSON json_t *result = load(documents[i]);
        SB_AUTO_FREE char *text = written(variant, result);
        char *rest = text;
        for (char *line; (line = strsep(&rest, "\n"));)
            check(variant, line);
    }
}

/* Commands and paths stay whole, to be copied. */
static bool is_whole(const char *line) {
    static const char *const begins[] = {"  again  ", "  why  ", "  goes on  ", "  log  "};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        if (strncmp(line, begins[i], strlen(begins[i])) == 0)
            return true;
    }
    return false;
}

static void fits(const struct variant *variant, const char *line) {
    ck_assert_msg(is_whole(line) || sb_text_columns(line) <= variant->options.width,
                  "%zu columns: %s", sb_text_columns(line), line);
    size_t n = strlen(line);
    ck_assert_msg(!n || line[n - 1] != ' ', "ends in a blank: '%s'", line);
}

START_TEST(no_line_is_wider_than_the_terminal_or_ends_in_blanks)
{
    static const unsigned widths[] = {72, 80, 100, 120, 200, 300};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        for (int unicode = 0; unicode < 2; unicode++) {
            struct variant variant = {
                "terminal", "", {.unicode = unicode, .width = widths[i], .directory = "latest"}};
            each_line(&variant, fits);
        }
    }
}
END_TEST

static void is_printable(const struct variant *variant, const char *line) {
    SB_AUTO_FREE char *shown = sb_text_shown(line, variant->options.unicode);
    ck_assert_str_eq(line, shown);
}

START_TEST(no_control_character_of_a_name_reaches_the_terminal)
{
    struct variant variant = {
        "terminal", "", {.unicode = true, .verbose = true, .directory = "\033[2J"}};
    each_line(&variant, is_printable);
    variant.options.unicode = false;
    each_line(&variant, is_printable);
}
END_TEST

SB_TEST_MAIN("report-golden", the_terminal_report_reads_as_it_did,
             an_ascii_terminal_of_80_columns_reads_as_it_did,
             colours_and_details_of_every_job_read_as_they_did, the_other_formats_read_as_they_did,
             no_line_is_wider_than_the_terminal_or_ends_in_blanks,
             no_control_character_of_a_name_reaches_the_terminal)
