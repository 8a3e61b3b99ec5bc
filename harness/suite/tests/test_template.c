/* Stage 1, suite: the suite that `samebits init` writes. */
#include "suite/tests/suites.h"

#include "suite/quote.h"

#include <errno.h>

/* The template of a command, checked to read back; the caller frees the suite. */
static struct sb_suite *round_trip(char *const *command, const char *weights) {
    char *text = NULL;
    size_t size, n = 0;
    struct sb_error err = {0};
    while (command[n])
        n++;
    FILE *out = open_memstream(&text, &size);
    int rc = sb_suite_write_template(command, n, weights, out, &err);
    fclose(out);
    ck_assert_msg(rc == 0, "%s", err.text);
    struct sb_suite *suite = parse(text);
    ck_assert_uint_eq(suite->n_jobs, 1);
    ck_assert_uint_eq(suite->jobs[0].n_command, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_str_eq(suite->jobs[0].command[i], command[i]);
    free(text);
    return suite;
}

START_TEST(nasty_arguments_read_back_as_they_were)
{
    char longest[5001];
    memset(longest, 'x', sizeof longest - 1);
    longest[5000] = '\0';
    static const char *const nasty[] = {
        "",
        " ",
        "  two  ",
        "-",
        "--",
        "---",
        "...",
        "-x",
        "- a",
        "?",
        "? a",
        ":",
        ": ",
        "a: b",
        "a:",
        ":a",
        "#",
        " #a",
        "a #b",
        "a#b",
        "&a",
        "*a",
        "!a",
        "!!str",
        "|",
        ">",
        "%",
        "@",
        "`",
        "'",
        "''",
        "\"",
        "\\",
        "\\n",
        "\n",
        "a\nb",
        "a\n\n b",
        "\n\n",
        "\t",
        "a\tb",
        "\r\n",
        "\x01",
        "\x1b[0m",
        "\x7f",
        "{}",
        "{",
        "}",
        "{{",
        "}}",
        "{{x}}",
        "[",
        "]",
        "[]",
        "[a, b]",
        ",",
        "a,b",
        "{\"a\": {\"b\": [1, 2]}}",
        "null",
        "~",
        "true",
        "Yes",
        "off",
        "1",
        "1.5",
        "0x1f",
        "1_000",
        "1e3",
        "12:30:45",
        "2001-01-01",
        ".5",
        "+1",
        ".inf",
        "<<",
        "=",
        "é",
        "日本",
        "\xf0\x9f\x98\x80",
        "\xc2\x85",
        "\xc2\xa0",
        "\xe2\x80\xa8",
        "\xef\xbb\xbf",
        "\xef\xbf\xbe",
        "\xef\xbf\xbf",
        "\xff",
        "gr\xfc\xdf",
        "\xc3",
        "\xed\xa0\x80",
        "\xc0\xaf",
        "\xff\xfe\xfd",
        "\xf4\x90\x80\x80",
        "a b c",
        "${HOME",
        "$x",
        "a=b",
        "--lr=0.1",
        "a;b|c>d<e&f",
        "*.h5",
    };
    enum { N = sizeof nasty / sizeof *nasty };
    char *command[N + 3];
    command[0] = (char *)"python3";
    for (size_t i = 0; i < N; i++) {
        command[1] = (char *)nasty[i];
        command[2] = NULL;
        sb_suite_free(round_trip(command, NULL));
        char *first[] = {(char *)nasty[i], NULL};
        if (*nasty[i])
            sb_suite_free(round_trip(first, NULL));
    }
    for (size_t i = 0; i < N; i++)
        command[i + 1] = (char *)nasty[i];
    command[N + 1] = longest;
    command[N + 2] = NULL;
    sb_suite_free(round_trip(command, NULL));
}
END_TEST

START_TEST(every_byte_and_pair_of_bytes_reads_back)
{
    for (unsigned a = 1; a < 256; a++) {
        char bytes[256][4], *command[258] = {(char *)"x"};
        for (unsigned b = 0; b < 256; b++) {
            snprintf(bytes[b], sizeof bytes[b], "%c%c", (char)a, (char)b);
            command[b + 1] = bytes[b];
        }
        sb_suite_free(round_trip(command, NULL));
    }
}
END_TEST

START_TEST(plain_commands_stay_readable)
{
    static const struct {
        const char *bytes, *expected;
    } quotes[] = {
        {"python3", "python3"},
        {"./train.py", "./train.py"},
        {"--lr=0.1", "\"--lr=0.1\""},
        {"3", "\"3\""},
        {"off", "\"off\""},
        {"a b", "\"a b\""},
        {"a\n\"b\"", "\"a\\n\\\"b\\\"\""},
        {"é", "\"é\""},
        {"\xff", "!!binary \"/w==\""},
    };
    for (size_t i = 0; i < sizeof quotes / sizeof *quotes; i++) {
        SB_AUTO_TEXT struct sb_text text = {0};
        sb_quote_yaml(&text, quotes[i].bytes);
        ck_assert_str_eq(text.data, quotes[i].expected);
    }
}
END_TEST

START_TEST(an_argument_that_looks_like_weights_is_offered)
{
    static const struct {
        const char *command[6], *given, *weights;
    } cases[] = {
        {{"python3", "train.py"}, NULL, NULL},
        {{"python3", "train.py", "model.h5"}, NULL, "model.h5"},
        {{"python3", "train.py", "--out=out/m.safetensors"}, NULL, "out/m.safetensors"},
        {{"python3", "t.py", "-o", "a.npz", "b.npz"}, NULL, "a.npz"},
        {{"python3", "t.py", "--init", "a.pt", "b.pt"}, NULL, "b.pt"},
        {{"python3", "t.py", "--save", "/tmp/a.pt"}, NULL, NULL},
        {{"python3", "t.py", "../a.pt"}, NULL, NULL},
        {{"python3", "t.py", "data.csv"}, NULL, NULL},
        {{"python3", "t.py", "model.h5"}, "w/*.h5", "w/*.h5"},
        {{"python3", "t.py", "{weights}"}, NULL, "weights.h5"},
        {{"./model.pt"}, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sb_suite *suite = round_trip((char *const *)cases[i].command, cases[i].given);
        const char *weights = suite->jobs[0].weights;
        ck_assert_msg(!weights == !cases[i].weights, "case %zu: %s", i, weights);
        if (weights)
            ck_assert_str_eq(weights, cases[i].weights);
        sb_suite_free(suite);
    }
}
END_TEST

START_TEST(the_template_varies_what_a_run_without_options_varies)
{
    char *command[] = {(char *)"python3", (char *)"train.py", NULL};
    struct sb_suite *suite = round_trip(command, NULL), *adhoc = NULL;
    struct sb_error err = {0};
    ck_assert_int_eq(sb_suite_adhoc(command, 2, NULL, NULL, &adhoc, &err), 0);
    char *axes = axes_text(&adhoc->jobs[0]);
    assert_axes(&suite->jobs[0], axes);
    ck_assert_str_eq(suite->jobs[0].name, adhoc->jobs[0].name);
    ck_assert_int_eq(suite->jobs[0].design, adhoc->jobs[0].design);
    ck_assert_uint_eq(suite->jobs[0].repeats.min, adhoc->jobs[0].repeats.min);
    free(axes);
    sb_suite_free(suite);
    sb_suite_free(adhoc);
}
END_TEST

/* Lines such as "# isa: [sse2, avx2]" are there to be switched on. */
START_TEST(every_commented_key_works_when_uncommented)
{
    char *command[] = {(char *)"a", NULL}, *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ck_assert_int_eq(sb_suite_write_template(command, 1, NULL, out, NULL), 0);
    fclose(out);
    unsigned found = 0;
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        size_t indent = strspn(line, " ");
        const char *key = line + indent + 2;
        size_t word = strspn(key, "abcdefghijklmnopqrstuvwxyz_");
        bool offers = strncmp(key, "\"env:", 5) == 0 ||
                      (word && key[word] == ':' && strchr("[{1m", key[word + 2]));
        if (line[indent] != '#' || !offers)
            continue;
        line[indent] = ' ';
        memmove(line + indent, line + indent + 2, strlen(line + indent + 2) + 1);
        found++;
    }
    struct sb_suite *suite = parse(text);
    ck_assert_uint_eq(found, 10);
    ck_assert_uint_eq(suite->jobs[0].n_axes, 7);
    ck_assert_uint_eq(suite->jobs[0].n_require, 4);
    ck_assert_str_eq(suite->jobs[0].weights, "model.weights.h5");
    sb_suite_free(suite);
    free(text);
}
END_TEST

START_TEST(what_no_suite_can_hold_is_refused)
{
    char *command[] = {(char *)"a", NULL}, *nothing[] = {NULL}, *empty[] = {(char *)"", NULL};
    struct sb_error err = {0};
    ck_assert_int_eq(sb_suite_write_template(command, 1, "../w.h5", stdout, &err), -EINVAL);
    ck_assert_str_eq(err.text, "--weights: '../w.h5' leaves the run's directory by '..'");
    ck_assert_int_eq(sb_suite_write_template(nothing, 0, NULL, stdout, &err), -EINVAL);
    ck_assert_int_eq(sb_suite_write_template(empty, 1, NULL, stdout, &err), -EINVAL);
    FILE *full = fopen("/dev/full", "w");
    ck_assert_int_eq(sb_suite_write_template(command, 1, NULL, full, &err), -ENOSPC);
    fclose(full);
}
END_TEST

SB_TEST_MAIN("suite-template", nasty_arguments_read_back_as_they_were,
             every_byte_and_pair_of_bytes_reads_back, plain_commands_stay_readable,
             an_argument_that_looks_like_weights_is_offered,
             the_template_varies_what_a_run_without_options_varies,
             every_commented_key_works_when_uncommented, what_no_suite_can_hold_is_refused)
