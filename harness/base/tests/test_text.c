/* base: texts, lists and globs. */
#include "base/text.h"
#include "tests/testing.h"

#include <stdlib.h>

START_TEST(a_star_stays_within_one_part)
{
    ck_assert(sb_glob_match("*.h5", "w.h5"));
    ck_assert(!sb_glob_match("*.h5", "out/w.h5"));
    ck_assert(sb_glob_match("out/*", "out/w.h5"));
    ck_assert(!sb_glob_match("out/*", "out/a/w.h5"));
    ck_assert(sb_glob_match("w?.h[35]", "w1.h5"));
    ck_assert(!sb_glob_match("w?.h[!5]", "w1.h5"));
}
END_TEST

START_TEST(two_stars_cross_parts)
{
    ck_assert(sb_glob_match("optimizer/**", "optimizer/vars/0"));
    ck_assert(!sb_glob_match("optimizer/**", "layers/optimizer/vars/0"));
    ck_assert(sb_glob_match("**/vars/0", "vars/0"));
    ck_assert(sb_glob_match("**/vars/0", "layers/dense/vars/0"));
    ck_assert(!sb_glob_match("**/vars/0", "layers/othervars/0"));
    ck_assert(sb_glob_match("**", "a/b"));
    ck_assert(sb_glob_match("a**z", "a/b/z"));
}
END_TEST

START_TEST(a_backslash_quotes)
{
    ck_assert(sb_glob_match("a\\*b", "a*b"));
    ck_assert(!sb_glob_match("a\\*b", "axb"));
}
END_TEST

START_TEST(environment_edits_keep_the_rest)
{
    SB_AUTO_STRINGS struct sb_strings environment = {0};
    ck_assert_int_eq(sb_environment_set(&environment, "A", "1"), 0);
    ck_assert_int_eq(sb_environment_set(&environment, "AB", "2"), 0);
    ck_assert_int_eq(sb_environment_set(&environment, "A", "3"), 0);
    ck_assert_uint_eq(environment.n, 2);
    ck_assert_str_eq(sb_environment_get(&environment, "A"), "3");
    sb_environment_unset(&environment, "A");
    ck_assert_ptr_null(sb_environment_get(&environment, "A"));
    ck_assert_str_eq(sb_environment_get(&environment, "AB"), "2");
    ck_assert_ptr_null(environment.items[environment.n]);
}
END_TEST

START_TEST(lists_grow_and_end_with_null)
{
    SB_AUTO_STRINGS struct sb_strings list = {0};
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(sb_strings_take(&list, sb_format("%03d", 99 - i)), 0);
        ck_assert_ptr_null(list.items[list.n]);
    }
    sb_strings_sort(&list);
    ck_assert_str_eq(list.items[0], "000");
    ck_assert_str_eq(list.items[99], "099");
}
END_TEST

START_TEST(words_are_quoted_as_a_shell_takes_them_back)
{
    static const char *const words[][2] = {{"build/samebits", "build/samebits"},
                                           {"", "''"},
                                           {"a b", "'a b'"},
                                           {"it's", "'it'\\''s'"},
                                           {"$(x)", "'$(x)'"},
                                           {"--x=1,2", "--x=1,2"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        SB_AUTO_TEXT struct sb_text text = {0};
        sb_text_quote(&text, words[i][0]);
        ck_assert_str_eq(text.data, words[i][1]);
    }
}
END_TEST

START_TEST(the_nearest_word_is_found_and_a_far_one_is_not)
{
    const char *const words[] = {"threads", "hash_seed", "locale"};
    ck_assert_str_eq(sb_nearest("thread", words, 3), "threads");
    ck_assert_str_eq(sb_nearest("hashseed", words, 3), "hash_seed");
    ck_assert_ptr_null(sb_nearest("zzzzzz", words, 3));
}
END_TEST

SB_TEST_MAIN("base-text", a_star_stays_within_one_part, two_stars_cross_parts, a_backslash_quotes,
             words_are_quoted_as_a_shell_takes_them_back, environment_edits_keep_the_rest,
             lists_grow_and_end_with_null, the_nearest_word_is_found_and_a_far_one_is_not)
