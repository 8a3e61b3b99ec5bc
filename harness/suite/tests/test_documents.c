/* Stage 1, suite: the suites in the documentation and in suites/ are what they say they are. */
#include "suite/tests/suites.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <glob.h>

/* A file below the source folder; the test fails where it cannot be read. */
static char *source_path(const char *name) {
    const char *source = getenv("SAMEBITS_SOURCE");
    ck_assert_msg(source != NULL, "SAMEBITS_SOURCE is not set");
    return sb_path_join(source, name);
}

static char *source_text(const char *name) {
    SB_AUTO_FREE char *path = source_path(name);
    char *text = NULL;
    struct sb_error err = {0};
    ck_assert_msg(sb_file_read(path, 1 << 24, &text, NULL, &err) == 0, "%s", err.text);
    return text;
}

/* Parses every fenced block of YAML that is a whole suite; returns how many. */
static unsigned parse_blocks(const char *name, const char *text) {
    static const char opens[] = "```yaml\n", closes[] = "\n```";
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, opens));) {
        const char *block = at + strlen(opens), *end = strstr(block, closes);
        struct sb_suite *suite = NULL;
        struct sb_error err = {0};
        ck_assert_msg(end != NULL, "%s: a block is not closed", name);
        at = end;
        if (strncmp(block, "version: 1", 10) != 0)
            continue;
        int rc = sb_suite_parse(block, (size_t)(end - block) + 1, name, NULL, &suite, &err);
        ck_assert_msg(rc == 0, "%s\n%.*s", err.text, (int)(end - block), block);
        sb_suite_free(suite);
        n++;
    }
    return n;
}

START_TEST(every_suite_in_the_documentation_is_read)
{
    SB_AUTO_FREE char *text = source_text("docs/suite.md");
    ck_assert_uint_ge(parse_blocks("suite.md", text), 10);

    static const char *const others[] = {"README.md", "docs/*.md"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        SB_AUTO_FREE char *pattern = source_path(others[i]);
        glob_t found;
        if (glob(pattern, 0, NULL, &found) != 0)
            continue;
        for (size_t j = 0; j < found.gl_pathc; j++) {
            SB_AUTO_FREE char *other = source_text(found.gl_pathv[j]);
            parse_blocks(strrchr(found.gl_pathv[j], '/') + 1, other);
        }
        globfree(&found);
    }
}
END_TEST

START_TEST(every_key_of_a_job_is_documented)
{
    static const char wrong[] = "version: 1\njobs: [{name: j, command: [a], wrong: 1}]\n";
    static const char before[] = "a job may have: ";
    SB_AUTO_FREE char *text = source_text("docs/suite.md");
    struct sb_suite *suite = NULL;
    struct sb_error err = {0};
    unsigned n = 0;
    ck_assert_int_lt(sb_suite_parse(wrong, strlen(wrong), "a.yaml", NULL, &suite, &err), 0);
    char *keys = strstr(err.text, before);
    ck_assert_ptr_nonnull(keys);
    keys += strlen(before);
    *strchr(keys, ')') = '\0';
    for (char *rest, *key = strtok_r(keys, ", ", &rest); key; key = strtok_r(NULL, ", ", &rest)) {
        SB_AUTO_FREE char *heading = sb_format("\n### `%s`\n", key);
        ck_assert_msg(strstr(text, heading) != NULL, "docs/suite.md says nothing of '%s'", key);
        n++;
    }
    ck_assert_uint_gt(n, 20);
}
END_TEST

START_TEST(every_suite_that_comes_with_samebits_is_read)
{
    SB_AUTO_FREE char *pattern = source_path("suites/*.yaml");
    glob_t found;
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct sb_suite *suite = NULL;
        struct sb_error err = {0};
        int rc = sb_suite_load(found.gl_pathv[i], NULL, &suite, &err);
        ck_assert_msg(rc == 0, "%s", err.text);
        sb_suite_free(suite);
    }
    globfree(&found);
}
END_TEST

/* The documentation says what a command without a suite file stands for. */
START_TEST(the_documented_form_of_an_ad_hoc_run_is_that)
{
    static const char mark[] = "As a file it would be:\n\n```yaml\n";
    static const char *const command[] = {"python3", "train.py", NULL};
    SB_AUTO_FREE char *text = source_text("docs/suite.md");
    char *block = strstr(text, mark);
    ck_assert_ptr_nonnull(block);
    block += strlen(mark);
    *strstr(block, "```") = '\0';
    struct sb_suite *written = parse(block), *adhoc = NULL;
    ck_assert_int_eq(sb_suite_adhoc((char *const *)command, 2, NULL, NULL, &adhoc, NULL), 0);
    const struct sb_job *a = &written->jobs[0], *b = &adhoc->jobs[0];
    SB_AUTO_FREE char *axes = axes_text(b);
    assert_axes(a, axes);
    ck_assert_str_eq(a->id, b->id);
    ck_assert_int_eq(a->design, b->design);
    ck_assert_uint_eq(a->repeats.min, b->repeats.min);
    ck_assert_double_eq(a->timeout_s, b->timeout_s);
    ck_assert_str_eq(a->directory, b->directory);
    sb_suite_free(written);
    sb_suite_free(adhoc);
}
END_TEST

SB_TEST_MAIN("suite-documents", every_suite_in_the_documentation_is_read,
             every_key_of_a_job_is_documented, every_suite_that_comes_with_samebits_is_read,
             the_documented_form_of_an_ad_hoc_run_is_that)
