/* base: JSON of hostile bytes. */
#include "base/json.h"
#include "base/text.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>

static const struct {
    const char *bytes, *expected;
} cases[] = {
    {"plain", "plain"},
    {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
    {"a\xff", "a\\xff"},
    {"\xc3", "\\xc3"},                   /* cut off */
    {"\xc0\xaf", "\\xc0\\xaf"},          /* overlong */
    {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* a surrogate */
    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond U+10FFFF */
};

START_TEST(bytes_that_are_no_utf8_are_escaped)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = sb_json_string(cases[i].bytes);
        ck_assert_str_eq(json_string_value(json), cases[i].expected);
        json_decref(json);
    }
}
END_TEST

START_TEST(numbers_that_json_lacks_become_null_or_text)
{
    json_t *nan_json = sb_json_real(NAN), *inf_json = sb_json_real(-INFINITY);
    ck_assert(json_is_null(nan_json));
    ck_assert_str_eq(json_string_value(inf_json), "-inf");
    json_decref(nan_json);
    json_decref(inf_json);
}
END_TEST

START_TEST(doubles_survive_the_text)
{
    json_t *json = json_pack("{s:f}", "x", 0.1 + 0.2);
    char *text = sb_json_text(json);
    json_t *again = json_loads(text, 0, NULL);
    ck_assert(json_real_value(json_object_get(again, "x")) == 0.1 + 0.2);
    json_decref(json);
    json_decref(again);
    free(text);
}
END_TEST

START_TEST(counts_are_an_array_in_their_order)
{
    const uint64_t counts[] = {3, 0, 4294967296};
    json_t *json = sb_json_counts(counts, 3), *none = sb_json_counts(NULL, 0);
    ck_assert_uint_eq(json_array_size(json), 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(json_integer_value(json_array_get(json, i)), (json_int_t)counts[i]);
    ck_assert_uint_eq(json_array_size(none), 0);
    ck_assert(json_is_array(none));
    json_decref(json);
    json_decref(none);
}
END_TEST

START_TEST(a_histogram_ends_with_its_last_count)
{
    const uint64_t counts[] = {0, 2, 0, 0};
    json_t *json = sb_json_histogram(counts, 4), *none = sb_json_histogram(counts + 2, 2);
    ck_assert_uint_eq(json_array_size(json), 2);
    ck_assert_int_eq(json_integer_value(json_array_get(json, 1)), 2);
    ck_assert_uint_eq(json_array_size(none), 0);
    json_decref(json);
    json_decref(none);
}
END_TEST

static void is_brief(char *text, const char *wanted) {
    ck_assert_str_eq(text, wanted);
    free(text);
}

START_TEST(a_brief_text_cuts_no_character_in_half)
{
    is_brief(sb_text_brief("four", 4), "four");
    is_brief(sb_text_brief("fives", 4), "five…");
    is_brief(sb_text_brief("abc\u00e9f", 4), "abc…");
    is_brief(sb_text_brief("\u20ac\u20ac", 2), "…");
    json_t *json = json_pack("{s:[i,i]}", "k", 1, 22);
    is_brief(sb_json_brief(json, 20), "{\"k\":[1,22]}");
    is_brief(sb_json_brief(json, 7), "{\"k\":[1…");
    is_brief(sb_json_brief(NULL, 20), "nothing");
    json_decref(json);
}
END_TEST

SB_TEST_MAIN("base-json", a_histogram_ends_with_its_last_count,
             a_brief_text_cuts_no_character_in_half, counts_are_an_array_in_their_order,
             bytes_that_are_no_utf8_are_escaped, numbers_that_json_lacks_become_null_or_text,
             doubles_survive_the_text)
