/* Reading result.json files that are missing, cut off, hostile or of another time; and rendering
 * what can be read of them. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "tests/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char folder[64], file[96];

static void begin(void) {
    strcpy(folder, "/tmp/samebits-report-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/result.json", folder);
}

static void end(void) {
    ck_assert_int_eq(sb_remove_tree(folder, NULL), 0);
}

/* Loads `text` through the folder; the error must hold `says`. NULL: no error. */
static json_t *load(const char *text, size_t n, const char *says) {
    json_t *result = NULL;
    struct sb_error err = {0};
    ck_assert_int_eq(sb_file_write(file, text, n, NULL), 0);
    int rc = sb_result_load(folder, &result, &err);
    if (!says) {
        ck_assert_msg(rc == 0, "%s", err.text);
        return result;
    }
    ck_assert_msg(rc == -EINVAL, "%d for %.60s", rc, text);
    ck_assert_ptr_null(result);
    ck_assert_msg(strstr(err.text, says), "'%s' is not in: %s", says, err.text);
    return NULL;
}

static const char smallest[] = "{\"schema\": \"samebits.result/1\", \"jobs\": [], \"runs\": []}";

START_TEST(a_folder_and_the_file_itself_can_be_named)
{
    begin();
    SB_AUTO_JSON json_t *by_folder = load(smallest, strlen(smallest), NULL);
    json_t *by_file = NULL;
    ck_assert_int_eq(sb_result_load(file, &by_file, NULL), 0);
    ck_assert(json_equal(by_folder, by_file));
    json_decref(by_file);
    end();
}
END_TEST

START_TEST(a_folder_without_a_result_says_so)
{
    struct sb_error err = {0};
    json_t *result = NULL;
    begin();
    ck_assert_int_eq(sb_result_load(folder, &result, &err), -ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, "holds no result.json"));
    ck_assert_int_eq(sb_result_load("/nonexistent/x", &result, &err), -ENOENT);
    end();
}
END_TEST

START_TEST(other_schemas_are_refused_by_name)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{}", "has no schema"},
        {"[]", "has no schema"},
        {"{\"schema\": 1}", "has no schema"},
        {"{\"schema\": \"samebits.result/2\"}", "newer samebits"},
        {"{\"schema\": \"samebits.explain/1\"}", "samebits.explain/1"},
        {"{\"schema\": \"samebits.result/1x\"}", "unknown schema"},
        {"{\"schema\": \"samebits.result/-1\"}", "unknown schema"},
        {"{\"schema\": \"samebits.result/0\"}", "unknown schema"},
        {"{\"schema\": \"samebits.result/1\"}", "'jobs' is no list"},
        {"{\"schema\": \"samebits.result/1\", \"jobs\": [1], \"runs\": []}", "jobs[0]"},
        {"{\"schema\": \"samebits.result/1\", \"jobs\": [], \"runs\": {}}", "'runs' is no list"},
        {"{\"schema\": \"samebits.result/1\", \"schema\": \"a\"}", "duplicate"},
        {"", ": is empty"},
        {"{\"schema\": \"a\\u0000b\"}", "\\u0000"},
    };
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        load(cases[i].text, strlen(cases[i].text), cases[i].says);
    end();
}
END_TEST

START_TEST(nesting_without_end_is_refused)
{
    enum { DEPTH = 100000 };
    begin();
    char *text = malloc(DEPTH);
    memset(text, '[', DEPTH);
    load(text, DEPTH, "depth");
    free(text);
    end();
}
END_TEST

static char *golden_document(size_t *n) {
    const char *source = getenv("SAMEBITS_SOURCE");
    SB_AUTO_FREE char *path =
        sb_format("%s/harness/report/tests/data/fail.json", source ? source : ".");
    char *text = NULL;
    ck_assert_int_eq(sb_file_read(path, 1 << 24, &text, n, NULL), 0);
    return text;
}

START_TEST(a_file_cut_off_anywhere_is_refused)
{
    size_t n;
    SB_AUTO_FREE char *text = golden_document(&n);
    begin();
    for (size_t cut = 0; cut + 2 < n; cut += 7)
        load(text, cut, ":");
    end();
}
END_TEST

static void render_all(const json_t *result) {
    for (size_t i = 0; sb_reports[i]; i++) {
        if (sb_reports[i]->planned)
            continue;
        char *text = NULL;
        size_t n;
        FILE *out = open_memstream(&text, &n);
        const struct sb_report_options options = {.verbose = true, .width = 80, .directory = "x"};
        struct sb_error err = {0};
        ck_assert_int_eq(sb_reports[i]->write(result, &options, out, &err), 0);
        fclose(out);
        free(text);
    }
}

/* Puts a value of a wrong type, or nothing, in the place of each value of a document, one at a
 * time, and renders what comes of it. */
static void spoil(const json_t *root, json_t *at) {
    json_t *const wrong[] = {json_null(),
                             json_integer(-7),
                             json_string("\033x"),
                             json_pack("[{}, [], \"a\", n]"),
                             json_pack("{s: n}", "a"),
                             json_real(1e300)};
    const char *key;
    json_t *value;
    void *next;
    size_t i;
    json_object_foreach_safe(at, next, key, value) {
        json_incref(value);
        for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
            json_object_set(at, key, wrong[k]);
            render_all(root);
        }
        json_object_set_new(at, key, value);
        spoil(root, value);
    }
    json_array_foreach(at, i, value) {
        json_incref(value);
        for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
            json_array_set(at, i, wrong[k]);
            render_all(root);
        }
        json_array_set_new(at, i, value);
        spoil(root, json_array_get(at, i));
    }
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
        json_decref(wrong[k]);
}

START_TEST(values_of_wrong_types_break_no_report)
{
    static const char *const names[] = {"fail", "race"};
    const char *source = getenv("SAMEBITS_SOURCE");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        SB_AUTO_FREE char *path =
            sb_format("%s/harness/report/tests/data/%s.json", source ? source : ".", names[i]);
        SB_AUTO_JSON json_t *result = NULL;
        ck_assert_int_eq(sb_result_load(path, &result, NULL), 0);
        SB_AUTO_JSON json_t *before = json_deep_copy(result);
        spoil(result, result);
        ck_assert(json_equal(result, before));
    }
}
END_TEST

/* `text` read without its runs, or the error. */
static void head_is(const char *text, const char *expected) {
    begin();
    json_t *head = NULL;
    struct sb_error err = {0};
    ck_assert_int_eq(sb_file_write(file, text, strlen(text), NULL), 0);
    int rc = sb_result_load_head(folder, &head, &err);
    SB_AUTO_FREE char *got = rc == 0 ? json_dumps(head, JSON_COMPACT) : strdup("refused");
    ck_assert_msg(strcmp(got, expected) == 0, "%s, not %s (%s)", got, expected, err.text);
    json_decref(head);
    end();
}

#define RESULT "\"schema\":\"samebits.result/1\",\"jobs\":[{\"runs\":3}]"

START_TEST(the_head_of_a_result_has_no_runs)
{
    head_is("{" RESULT ",\"runs\":[]}", "{" RESULT ",\"runs\":[]}");
    head_is("{" RESULT
            ", \"runs\": [{\"log\": \"]}\\\"\"}, [1]], \"lists\" : {\"a\": [{}]} , \"x\": 1}\n",
            "{" RESULT ",\"runs\":[],\"lists\":{},\"x\":1}");
    head_is("{\"lists\": {\"k\": {}}, \"runs\": [{}], " RESULT "}",
            "{\"lists\":{},\"runs\":[]," RESULT "}");
    head_is("{" RESULT "}", "refused"); /* no runs */
    head_is("{" RESULT ",\"runs\":{}}", "refused");
    head_is("{" RESULT ",\"runs\":[{\"a\": \"", "refused");
    head_is("{" RESULT ",\"runs\":[[]", "refused");
    head_is("{" RESULT ",\"runs\":[1],", "refused");
    head_is("{" RESULT ",\"runs\":[1]} 2", "refused");
    head_is("[]", "refused");
    head_is("", "refused");
}
END_TEST

SB_TEST_MAIN("report-load", a_folder_and_the_file_itself_can_be_named,
             a_folder_without_a_result_says_so, other_schemas_are_refused_by_name,
             nesting_without_end_is_refused, a_file_cut_off_anywhere_is_refused,
             values_of_wrong_types_break_no_report, the_head_of_a_result_has_no_runs)
