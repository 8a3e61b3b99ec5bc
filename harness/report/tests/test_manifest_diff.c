/* What differs between the manifests of two results, and its order. */
#include "base/cleanup.h"
#include "base/text.h"
#include "report/manifest_diff.h"
#include "tests/testing.h"

#include <string.h>

static json_t *read_json(const char *text) {
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_msg(json, "%s", text);
    return json;
}

static void differs(const char *was, const char *is, const char *expected) {
    SB_AUTO_JSON json_t *a = read_json(was), *b = read_json(is);
    SB_AUTO_JSON json_t *differences = sb_manifest_diff(a, b);
    ck_assert_ptr_nonnull(differences);
    SB_AUTO_FREE char *text = json_dumps(differences, JSON_COMPACT);
    ck_assert_str_eq(text, expected);
}

START_TEST(equal_manifests_have_no_difference)
{
    differs("{}", "{}", "[]");
    differs("{\"cpu\": {\"model\": \"A\"}, \"git\": null}", "{\"cpu\": {\"model\": \"A\"}}", "[]");
    differs("{\"sources\": [1], \"machines\": [1]}", "{\"sources\": [2]}", "[]");
}
END_TEST

START_TEST(what_only_one_can_say_of_the_program_is_no_difference)
{
    differs("{\"program\": {\"a.py\": \"xxh3:1\"}}", "{}", "[]");
    differs("{}", "{\"program.a.py\": \"xxh3:1\"}", "[]"); /* as a baseline has it */
    differs("{\"program\": {\"a.py\": \"xxh3:1\"}}", "{\"program\": {}}",
            "[{\"what\":\"program.a.py\",\"was\":\"xxh3:1\",\"is\":null}]");
    differs("{\"program.a.py\": \"xxh3:1\"}", "{\"program.a.py\": \"xxh3:2\"}",
            "[{\"what\":\"program.a.py\",\"was\":\"xxh3:1\",\"is\":\"xxh3:2\"}]");
}
END_TEST

#define ONE "xxh3:0123456789abcdef0123456789abcdef"
#define TWO "xxh3:0123456789abcdef0123456789abcdee"

static void changes_differ(const char *was, const char *is, bool expected) {
    for (int flat = 0; flat < 2; flat++) {
        const char *form = flat ? "{\"git.changes\": %s}" : "{\"git\": {\"changes\": %s}}";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        SB_AUTO_FREE char *a = sb_format(form, was), *b = sb_format(form, is);
#pragma GCC diagnostic pop
        SB_AUTO_JSON json_t *one = read_json(a), *other = read_json(b);
        SB_AUTO_JSON json_t *differences = sb_manifest_diff(one, other);
        ck_assert_uint_eq(json_array_size(differences), expected);
    }
}

START_TEST(changes_differ_where_both_were_hashed)
{
    changes_differ("\"" ONE "\"", "\"" TWO "\"", true);
    changes_differ("\"" ONE "\"", "\"" ONE "\"", false);
    changes_differ("\"" ONE "\"", "\"not hashed: a.py is too large\"", false);
    changes_differ("\"not hashed: a\"", "\"not hashed: b\"", false);
    changes_differ("null", "\"" ONE "\"", false); /* the dirty flag says it */
}
END_TEST

START_TEST(likely_causes_come_first)
{
    differs(
        "{\"host\": \"a\", \"environment\": {\"X\": \"1\"}, \"versions\": {\"libc\": \"2.36\"},"
        " \"git\": {\"commit\": \"c1\", \"dirty\": false}}",
        "{\"host\": \"b\", \"environment\": {\"X\": \"2\"}, \"versions\": {\"libc\": \"2.37\"},"
        " \"git\": {\"commit\": \"c2\", \"dirty\": false}}",
        "[{\"what\":\"git.commit\",\"was\":\"c1\",\"is\":\"c2\"},"
        "{\"what\":\"versions.libc\",\"was\":\"2.36\",\"is\":\"2.37\"},"
        "{\"what\":\"environment.X\",\"was\":\"1\",\"is\":\"2\"},"
        "{\"what\":\"host\",\"was\":\"a\",\"is\":\"b\"}]");
}
END_TEST

START_TEST(what_one_manifest_has_alone_is_a_difference)
{
    differs("{\"versions\": {\"a\": \"1\"}}", "{\"versions\": {\"b\": \"2\"}, \"extra\": 3}",
            "[{\"what\":\"versions.a\",\"was\":\"1\",\"is\":null},"
            "{\"what\":\"versions.b\",\"was\":null,\"is\":\"2\"},"
            "{\"what\":\"extra\",\"was\":null,\"is\":3}]");
    differs("{\"gpu\": null}", "{\"gpu\": [\"X\"]}",
            "[{\"what\":\"gpu\",\"was\":null,\"is\":[\"X\"]}]");
    differs("{\"cpu\": \"text\"}", "{\"cpu\": {\"model\": \"A\"}}",
            "[{\"what\":\"cpu\",\"was\":\"text\",\"is\":{\"model\":\"A\"}}]");
}
END_TEST

START_TEST(a_difference_in_words_is_short)
{
    static const struct {
        const char *difference, *text;
    } cases[] = {
        {"{\"what\": \"versions.libc\", \"was\": \"2.36\", \"is\": null}", "libc 2.36 → none"},
        {"{\"what\": \"git.commit\", \"was\": \"0123456789abcdef0123\", \"is\": \"abc\"}",
         "commit 0123456789ab → abc"},
        {"{\"what\": \"cpu.count\", \"was\": 2, \"is\": 8}", "cpu.count 2 → 8"},
        {"{\"what\": \"x\"}", "x none → none"},
        {"{\"what\": \"program.a.py\", \"was\": \"" ONE "\", \"is\": \"" TWO "\"}", "a.py changed"},
        {"{\"what\": \"program.a.py\", \"was\": null, \"is\": \"" ONE "\"}", "a.py none → " ONE},
        {"{\"what\": \"program.big\", \"was\": \"not hashed: 300 bytes\", \"is\": \"" ONE "\"}",
         "big not hashed: 300 bytes → " ONE},
        {"{\"what\": \"git.changes\", \"was\": \"" ONE "\", \"is\": \"" TWO "\"}",
         "uncommitted changes differ"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SB_AUTO_JSON json_t *difference = read_json(cases[i].difference);
        SB_AUTO_FREE char *text = sb_manifest_diff_text(difference);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

SB_TEST_MAIN("report-manifest-diff", equal_manifests_have_no_difference,
             what_only_one_can_say_of_the_program_is_no_difference,
             changes_differ_where_both_were_hashed, likely_causes_come_first,
             what_one_manifest_has_alone_is_a_difference, a_difference_in_words_is_short)
