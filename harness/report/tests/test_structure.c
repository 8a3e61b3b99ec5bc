/* What machines demand of the reports: TAP's grammar, unique names and plain numbers in JUnit, the
 * limit of a CI step's summary; and documents of many runs. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "report/sentences.h"
#include "tests/testing.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static json_t *load(const char *document) {
    const char *source = getenv("SAMEBITS_SOURCE");
    SB_AUTO_FREE char *path =
        sb_format("%s/harness/report/tests/data/%s.json", source ? source : ".", document);
    json_t *result = NULL;
    struct sb_error err = {0};
    ck_assert_msg(sb_result_load(path, &result, &err) == 0, "%s", err.text);
    return result;
}

static char *written(const char *report, const json_t *result) {
    char *text = NULL;
    size_t n = 0;
    const struct sb_report_options options = {.unicode = true, .directory = "latest"};
    FILE *out = open_memstream(&text, &n);
    ck_assert_int_eq(sb_report_find(report)->write(result, &options, out, NULL), 0);
    fclose(out);
    return text;
}

static bool matches(const char *line, const char *pattern) {
    regex_t regex;
    ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool found = regexec(&regex, line, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

static const char *const documents[] = {"axes",    "controls", "failed",      "hostile", "many",
                                        "nothing", "skipped",  "interrupted", "unstable"};

enum { N_DOCUMENTS = sizeof documents / sizeof *documents };

/* ---- TAP --------------------------------------------------------------------------------------
 */

/* Reads a YAML block with libyaml; it must be one mapping with a verdict. */
static void check_yaml(const char *block) {
    yaml_parser_t parser;
    yaml_document_t document;
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_string(&parser, (const unsigned char *)block, strlen(block));
    ck_assert_msg(yaml_parser_load(&parser, &document), "%s:\n%s", parser.problem, block);
    yaml_node_t *root = yaml_document_get_root_node(&document);
    ck_assert(root && root->type == YAML_MAPPING_NODE);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    ck_assert(strstr(block, "verdict: \""));
}

static void check_tap(const json_t *result) {
    static const char point[] =
        "^(not )?ok [0-9]+ - ([^#\\\\]|\\\\#|\\\\\\\\)*( # (SKIP|TODO)( "
        "([^#\\\\]|\\\\#|\\\\\\\\)*)?)?$";
    SB_AUTO_FREE char *tap = written("tap", result);
    SB_AUTO_TEXT struct sb_text block = {0};
    size_t points = 0, plan = 0, number = 0;
    bool in_block = false;
    char *rest = tap;
    ck_assert_str_eq(strsep(&rest, "\n"), "TAP version 14");
    for (char *line; (line = strsep(&rest, "\n")) && (*line || rest);) {
        if (in_block && strcmp(line, "  ...") == 0) {
            check_yaml(block.data);
            sb_text_clear(&block);
            in_block = false;
        } else if (in_block) {
            ck_assert_msg(strncmp(line, "  ", 2) == 0, "not indented: %s", line);
            sb_text_printf(&block, "%s\n", line + 2);
        } else if (strcmp(line, "  ---") == 0) {
            in_block = true;
        } else if (sscanf(line, "1..%zu", &plan) != 1 && strcmp(line, "Bail out! interrupted")) {
            ck_assert_msg(matches(line, point), "%s", line);
            ck_assert_int_eq(sscanf(line, "%*[notk ]%zu", &number), 1);
            ck_assert_uint_eq(number, ++points);
        }
    }
    ck_assert(!in_block);
    ck_assert_uint_eq(points, plan);
    ck_assert_uint_eq(points, json_array_size(json_object_get(result, "jobs")));
}

START_TEST(tap_is_tap_whatever_names_hold)
{
    for (size_t i = 0; i < N_DOCUMENTS; i++) {
        SB_AUTO_JSON json_t *result = load(documents[i]);
        check_tap(result);
    }
}
END_TEST

START_TEST(a_name_cannot_make_itself_a_directive)
{
    SB_AUTO_JSON json_t *result = load("hostile");
    SB_AUTO_FREE char *tap = written("tap", result);
    ck_assert_ptr_nonnull(strstr(tap, "ok 5 - \\# SKIP this \\# TODO\n"));
}
END_TEST

/* ---- JUnit ------------------------------------------------------------------------------------
 */

START_TEST(junit_names_are_unique_and_numbers_plain)
{
    for (size_t i = 0; i < N_DOCUMENTS; i++) {
        SB_AUTO_JSON json_t *result = load(documents[i]);
        SB_AUTO_FREE char *xml = written("junit", result);
        SB_AUTO_STRINGS struct sb_strings names = {0};
        char *rest = xml;
        for (char *line; (line = strsep(&rest, "\n"));) {
            if (strstr(line, " time="))
                ck_assert_msg(matches(line, " time=\"[0-9]+\\.[0-9]{6}\""), "%s", line);
            if (strncmp(line, "  <testcase ", 12) != 0)
                continue;
            ck_assert_msg(!sb_strings_contain(&names, line), "twice: %s", line);
            sb_strings_add(&names, line);
        }
        ck_assert_uint_eq(names.n, json_array_size(json_object_get(result, "jobs")));
    }
}
END_TEST

/* ---- Markdown ---------------------------------------------------------------------------------
 */

/* Copies of a document's jobs, n of them. */
static void multiply_jobs(json_t *result, size_t n) {
    json_t *jobs = json_object_get(result, "jobs");
    size_t had = json_array_size(jobs);
    for (size_t i = had; i < n; i++)
        json_array_append(jobs, json_array_get(jobs, i % had));
}

static void fits_a_summary(const char *document, size_t n) {
    SB_AUTO_JSON json_t *result = load(document);
    multiply_jobs(result, n);
    SB_AUTO_FREE char *markdown = written("markdown", result);
    ck_assert_uint_le(strlen(markdown), 1 << 20);
    ck_assert_uint_ge(strlen(markdown), 900000);
    ck_assert_ptr_nonnull(strstr(markdown, "more jobs: result.json has them"));
}

START_TEST(markdown_fits_a_step_summary_however_many_jobs_there_are)
{
    fits_a_summary("many", 20000);
    fits_a_summary("hostile", 20000);
}
END_TEST

START_TEST(rows_of_the_markdown_table_have_one_number_of_cells)
{
    for (size_t i = 0; i < N_DOCUMENTS; i++) {
        SB_AUTO_JSON json_t *result = load(documents[i]);
        SB_AUTO_FREE char *markdown = written("markdown", result);
        size_t expected = 0;
        char *rest = markdown;
        for (char *line; (line = strsep(&rest, "\n"));) {
            size_t bars = 0;
            for (const char *c = line; *line == '|' && *c; c++)
                bars += *c == '|';
            expected = expected ? expected : bars;
            ck_assert_msg(!bars || bars == expected, "%s", line);
        }
    }
}
END_TEST

START_TEST(names_are_no_markup_in_markdown)
{
    SB_AUTO_JSON json_t *result = load("hostile");
    SB_AUTO_FREE char *markdown = written("markdown", result);
    char *rest = markdown;
    for (char *line; (line = strsep(&rest, "\n"));)
        ck_assert_msg(!matches(line, "[`\\\\]|\\]\\(|<[^ds/]"), "%s", line);
}
END_TEST

/* ---- What was left out ------------------------------------------------------------------------
 */

START_TEST(every_report_says_what_was_left_out)
{
    static const char *const of[] = {"unstable", "threads", "many"};
    for (size_t d = 0; d < sizeof of / sizeof *of; d++) {
        SB_AUTO_JSON json_t *result = load(of[d]);
        size_t n = 0;
        json_t *job;
        json_array_foreach(json_object_get(result, "jobs"), n, job) {
            json_object_set_new(job, "limits", json_pack("[s]", "LEFT-OUT"));
            json_object_set_new(job, "compared", json_integer(0));
            json_object_set_new(job, "distinct", json_integer(9));
        }
        for (size_t i = 0; sb_reports[i]; i++) {
            /* Facts and numbers alone; and annotations, beside which GitHub shows markdown. */
            static const char *const silent[] = {"experiment", "prometheus", "github"};
            bool says = !sb_reports[i]->planned;
            for (size_t k = 0; k < sizeof silent / sizeof *silent; k++)
                says &= strcmp(sb_reports[i]->name, silent[k]) != 0;
            if (!says)
                continue;
            SB_AUTO_FREE char *text = written(sb_reports[i]->name, result);
            ck_assert_msg(strstr(text, "LEFT-OUT"), "%s of %s", sb_reports[i]->name, of[d]);
            bool table = strcmp(sb_reports[i]->name, "terminal") == 0 ||
                         strcmp(sb_reports[i]->name, "markdown") == 0;
            ck_assert_msg(!table || strstr(text, "\u2265 "), "%s of %s", sb_reports[i]->name,
                          of[d]);
        }
    }
}
END_TEST

/* ---- Many runs --------------------------------------------------------------------------------
 */

START_TEST(a_hundred_thousand_runs_of_a_thousand_jobs_are_rendered)
{
    SB_AUTO_JSON json_t *result = load("threads");
    json_t *job = json_array_get(json_object_get(result, "jobs"), 0);
    json_t *run = json_array_get(json_object_get(result, "runs"), 0);
    json_t *jobs = json_array(), *runs = json_array();
    for (int i = 0; i < 1000; i++) {
        json_t *copy = json_copy(job);
        SB_AUTO_FREE char *id = sb_format("job %d", i);
        json_object_set_new(copy, "id", json_string(id));
        json_array_append_new(jobs, copy);
        for (int k = 0; k < 100; k++) {
            json_t *one = json_copy(run);
            SB_AUTO_FREE char *run_id = sb_format("r%06d", i * 100 + k);
            json_object_set_new(one, "id", json_string(run_id));
            json_object_set_new(one, "job_id", json_string(id));
            json_array_append_new(runs, one);
        }
    }
    json_object_set_new(result, "jobs", jobs);
    json_object_set_new(result, "runs", runs);
    for (size_t i = 0; sb_reports[i]; i++) {
        if (sb_reports[i]->planned)
            continue;
        SB_AUTO_FREE char *text = written(sb_reports[i]->name, result);
        ck_assert_ptr_nonnull(strstr(text, "job"));
    }
    SB_AUTO_FREE char *junit = written("junit", result);
    ck_assert_ptr_nonnull(strstr(junit, "name=\"job 999\" time=\"125.000000\""));
}
END_TEST

/* Costs of a flag of which nothing shows that it reached are those of chance. */
START_TEST(a_cost_is_said_of_a_flag_that_reached)
{
    static const struct {
        const char *effect, *unstable;
        double cost, sd; /* sd 0: none */
        const char *said;
    } cases[] = {
        {"bits", NULL, 1.02, 0.3, "1.02 ± 0.30 ×"},
        {"none", NULL, 1.37, 0, "1.37 ×"},
        {"unknown", NULL, 0.86, 0.09, ""},
        {"unknown", NULL, 1.16, 0.09, ""},
        {"unknown", NULL, 1.19, 0.09, "1.19 ± 0.09 ×"},
        {"unknown", NULL, 0.33, 0.14, "0.33 ± 0.14 ×"},
        {"unknown", NULL, 0.08, 0.13, ""}, /* the first runs read from the disk */
        {"unknown", NULL, 1.9, 0, ""},
        {"unknown", "deterministic", 1.02, 0.3, "1.02 ± 0.30 ×"},
        {"unknown", "threads", 1.02, 0.3, ""},
        {"inert", NULL, 2, 0.1, ""},
        {"fixed", NULL, 2, 0.1, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SB_AUTO_TEXT struct sb_text text = {0};
        SB_AUTO_JSON json_t *job = json_pack(
            "{s:[{s:s, s:s}], s:{s:f}, s:{}, s:{}}", "axes", "name", "deterministic", "effect",
            cases[i].effect, "cost", "deterministic", cases[i].cost, "cost_sd", "unstable_when");
        if (cases[i].sd > 0)
            json_object_set_new(json_object_get(job, "cost_sd"), "deterministic",
                                json_real(cases[i].sd));
        if (cases[i].unstable)
            json_object_set_new(json_object_get(job, "unstable_when"), cases[i].unstable,
                                json_pack("[s]", "off"));
        sb_say_cost(&text, job);
        ck_assert_msg(strcmp(text.length ? text.data : "", cases[i].said) == 0, "%zu: %s", i,
                      text.length ? text.data : "");
    }
}
END_TEST

SB_TEST_MAIN("report-structure", tap_is_tap_whatever_names_hold,
             a_name_cannot_make_itself_a_directive, junit_names_are_unique_and_numbers_plain,
             markdown_fits_a_step_summary_however_many_jobs_there_are,
             rows_of_the_markdown_table_have_one_number_of_cells, names_are_no_markup_in_markdown,
             every_report_says_what_was_left_out,
             a_hundred_thousand_runs_of_a_thousand_jobs_are_rendered,
             a_cost_is_said_of_a_flag_that_reached)
