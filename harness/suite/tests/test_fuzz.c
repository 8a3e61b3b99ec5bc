/* Stage 1, suite: mutations of a valid suite. Each is read or refused with its place; none crashes,
 * and under the sanitizers none leaks. */
#include "suite/tests/suites.h"

#include <stdint.h>

static const char seed_suite[] =
    "version: 1\n"
    "defaults: &d\n"
    "  repeats: {min: 3, max: 50, stop: diverged}\n"
    "  timeout: 10m\n"
    "  axes: {threads: &l [1, 2], \"env:A\": [\"\", b]}\n"
    "  require: {repeats: bitwise, threads: rounding}\n"
    "jobs:\n"
    "  - &j\n"
    "    name: a\n"
    "    command: [python3, 'x.py', \"{weights}\\n\"]\n"
    "    weights: w.h5\n"
    "    exclude: [\"o/**\"]\n"
    "    inputs: [d/*.csv]\n"
    "    axes: {hash_seed: *l, threads: []}\n"
    "  - <<: *j\n"
    "    name: b\n"
    "    rtol: 1e-3\n"
    "  - name: k\n"
    "    kernel: gemm\n"
    "    backend: [ref, openblas]\n"
    "    dtype: [f32, !!binary Zg==]\n"
    "    shapes: [[1, 2], [3]]\n"
    "    args: {seed: 1}\n"
    "    ulp: 2\n"
    "    expect: nondeterministic\n";

/* splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators). */
static uint64_t next(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static const char *const fragments[] = {
    "\n",
    "  ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "'",
    "#",
    "&j ",
    "*j",
    "*l ",
    "*d",
    "<<: ",
    "!!str ",
    "---\n",
    "...\n",
    "\t",
    "\xff",
    "\xc3",
    "\\x",
    "%",
    "|\n",
    "> ",
    "? ",
    "~",
    "null",
    "-1",
    "1e999",
    "..",
    "/",
    "99999999999999999999",
    "name: a\n",
    "command: []\n",
    "{weights}",
    "\xef\xbb\xbf",
    "\xe2\x80\xa8",
};

static void mutate(char *text, size_t *n, size_t room, uint64_t *state) {
    size_t at = next(state) % (*n + 1), length = 1 + next(state) % 12;
    const char *fragment = fragments[next(state) % (sizeof fragments / sizeof *fragments)];
    size_t from = next(state) % (*n + 1);
    char piece[16];
    switch (next(state) % 4) {
    case 0: /* another byte */
        if (at < *n)
            text[at] = (char)next(state);
        return;
    case 1: /* fewer */
        length = length < *n - at ? length : *n - at;
        memmove(text + at, text + at + length, *n - at - length);
        *n -= length;
        return;
    case 2: /* a mark of YAML's */
        length = strlen(fragment);
        break;
    default: /* a piece of itself */
        length = length < *n - from ? length : *n - from;
        memcpy(piece, text + from, length);
        fragment = piece;
        break;
    }
    if (*n + length > room)
        return;
    memmove(text + at + length, text + at, *n - at);
    memcpy(text + at, fragment, length);
    *n += length;
}

START_TEST(mutated_suites_are_read_or_refused_with_their_place)
{
    enum { ROUNDS = 6000, ROOM = 4096 };
    uint64_t state = 1;
    unsigned read = 0, refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
        char *text = malloc(ROOM);
        size_t n = strlen(seed_suite);
        memcpy(text, seed_suite, n);
        for (uint64_t i = 0, times = 1 + next(&state) % 6; i < times; i++)
            mutate(text, &n, ROOM, &state);
        char *exact = malloc(n + 1); /* so that reading past the end is seen */
        memcpy(exact, text, n);
        exact = realloc(exact, n ? n : 1);
        struct sb_suite *suite = NULL;
        struct sb_error err = {0};
        int rc = sb_suite_parse(exact, n, "a.yaml", NULL, &suite, &err);
        if (rc == 0) {
            read++;
            ck_assert_ptr_nonnull(suite);
            sb_suite_free(suite);
        } else {
            unsigned line, column;
            refused++;
            ck_assert_int_eq(sscanf(err.text, "a.yaml:%u:%u: ", &line, &column), 2);
            ck_assert_uint_ge(line, 1);
            ck_assert_uint_ge(column, 1);
            for (const char *p = err.text; *p; p++)
                ck_assert_msg((unsigned char)*p >= 0x20 && *p != 0x7f, "%s", err.text);
        }
        free(exact);
        free(text);
    }
    /* The mutations are of use only if some leave a suite and most do not. */
    ck_assert_uint_gt(read, ROUNDS / 50);
    ck_assert_uint_gt(refused, ROUNDS / 2);
}
END_TEST

SB_TEST_MAIN("suite-fuzz", mutated_suites_are_read_or_refused_with_their_place)
