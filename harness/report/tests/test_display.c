/* Text of unknown origin on a terminal: what is escaped, and how wide it is. */
#include "base/cleanup.h"
#include "report/table.h"
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

static void shows(const char *text, bool unicode, const char *expected) {
    SB_AUTO_FREE char *shown = sb_text_shown(text, unicode);
    ck_assert_str_eq(shown, expected);
}

START_TEST(control_characters_are_escaped)
{
    shows("a\nb\tc\033[31m\x7f", true, "a\\x0ab\\x09c\\x1b[31m\\x7f");
    shows(
        "\xc2\x9b"
        "31m",
        true, "\\u009b31m"); /* CSI as one character */
}
END_TEST

START_TEST(bytes_that_are_no_utf8_are_escaped)
{
    shows("\xff\xc0\xaf\xed\xa0\x80", true, "\\xff\\xc0\\xaf\\xed\\xa0\\x80");
    shows("\xe2\x82", true, "\\xe2\\x82"); /* cut off */
}
END_TEST

START_TEST(what_turns_or_hides_text_is_escaped)
{
    shows("a\u202eb\u2066c\u200bd\ufeffe\u2028f", true,
          "a\\u202eb\\u2066c\\u200bd\\ufeffe\\u2028f");
}
END_TEST

START_TEST(letters_of_every_script_stay)
{ shows("Übung 日本語 ≠ 👩", true, "Übung 日本語 ≠ 👩"); }
END_TEST

START_TEST(an_ascii_terminal_gets_ascii)
{ shows("≠ 1|2 … ✗ ü", false, "!= 1|2 ... x \\u00fc"); }
END_TEST

START_TEST(wide_characters_take_two_columns_and_combining_ones_none)
{
    ck_assert_uint_eq(sb_text_columns("abc"), 3);
    ck_assert_uint_eq(sb_text_columns("日本語"), 6);
    ck_assert_uint_eq(sb_text_columns("e\u0301"), 1);
    ck_assert_uint_eq(sb_text_columns("≠ … ü"), 5);
    ck_assert_uint_eq(sb_text_columns("👩"), 2);
    ck_assert_uint_eq(sb_text_columns(""), 0);
}
END_TEST

START_TEST(a_long_text_loses_its_middle)
{
    static const struct {
        const char *text;
        size_t columns;
        bool unicode;
        const char *expected;
    } cases[] = {
        {"abcdefghij", 10, true, "abcdefghij"}, {"abcdefghij", 9, true, "abcd…ghij"},
        {"abcdefghij", 6, true, "abc…ij"},      {"abcdefghij", 7, false, "ab...ij"},
        {"日本語日本語", 8, true, "日本…語"},   {"日本語日本語", 5, true, "日…語"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SB_AUTO_FREE char *fitting =
            sb_text_shortened(cases[i].text, cases[i].columns, cases[i].unicode);
        ck_assert_str_eq(fitting, cases[i].expected);
        ck_assert_uint_le(sb_text_columns(fitting), cases[i].columns);
    }
}
END_TEST

START_TEST(lines_break_at_blanks_and_long_words_where_they_must)
{
    ck_assert_uint_eq(sb_text_line("one two three", 7), 7);
    ck_assert_uint_eq(sb_text_line("one two three", 9), 8);
    ck_assert_uint_eq(sb_text_line("one two", 7), 7);
    ck_assert_uint_eq(sb_text_line("abcdefghij", 4), 4);
    ck_assert_uint_eq(sb_text_line("日本", 1), 3); /* no room at all: a character all the same */
}
END_TEST

static char *printed(const struct sb_table *table) {
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    sb_table_print(table, out);
    fclose(out);
    return text;
}

static void fill(struct sb_table *table, const char *const *cells, size_t n) {
    for (size_t i = 0; i < n; i++)
        sb_table_add(table, strdup(cells[i]), 0, SB_TONE_PLAIN);
}

START_TEST(columns_are_aligned_by_width_and_empty_ones_left_out)
{
    static const char *const cells[] = {"a", "gone", "b", "日本", "", "x", "c", "", "y"};
    SB_CLEANUP(sb_table_clear)
    struct sb_table table = {.n_columns = 3, .n_keys = 1, .indent = "  ", .unicode = true};
    fill(&table, cells, 9);
    SB_AUTO_FREE char *text = printed(&table);
    ck_assert_str_eq(text, "  a      b\n  日本   x\n  c      y\n");
    ck_assert_uint_eq(sb_table_columns(&table), 10);
}
END_TEST

START_TEST(a_table_too_wide_is_folded_and_repeats_its_keys)
{
    static const char *const cells[] = {"k", "one", "two", "six", "v", "1", "2", "6"};
    SB_CLEANUP(sb_table_clear)
    struct sb_table table = {
        .n_columns = 4, .n_keys = 1, .indent = "", .unicode = true, .width = 13};
    fill(&table, cells, 8);
    SB_AUTO_FREE char *text = printed(&table);
    ck_assert_str_eq(text, "k   one   two\nv   1     2\n\nk   six\nv   6\n");
}
END_TEST

SB_TEST_MAIN("report-display", control_characters_are_escaped, bytes_that_are_no_utf8_are_escaped,
             what_turns_or_hides_text_is_escaped, letters_of_every_script_stay,
             an_ascii_terminal_gets_ascii, wide_characters_take_two_columns_and_combining_ones_none,
             a_long_text_loses_its_middle, lines_break_at_blanks_and_long_words_where_they_must,
             columns_are_aligned_by_width_and_empty_ones_left_out,
             a_table_too_wide_is_folded_and_repeats_its_keys)
