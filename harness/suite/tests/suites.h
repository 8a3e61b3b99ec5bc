/* Suites in tests: parsed from text, and looked at as text. */
#ifndef SB_SUITE_TESTS_SUITES_H
#define SB_SUITE_TESTS_SUITES_H

#include "base/text.h"
#include "tests/testing.h"

#include <samebits/suite.h>

#include <stdlib.h>
#include <string.h>

/* Nothing said. */
#define NO_OVERRIDES                                                                               \
    { .timeout_s = -1 }

static inline struct sb_suite *parse_with(const char *text, const struct sb_overrides *overrides) {
    struct sb_suite *suite = NULL;
    struct sb_error err = {0};
    int rc = sb_suite_parse(text, strlen(text), "a.yaml", overrides, &suite, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    return suite;
}

static inline struct sb_suite *parse(const char *text) {
    return parse_with(text, NULL);
}

/* One job, with these lines (indented by four) after `- name: j`. */
static inline struct sb_suite *parse_job(const char *lines) {
    char *text = sb_format("version: 1\njobs:\n  - name: j\n%s", lines);
    struct sb_suite *suite = parse(text);
    free(text);
    return suite;
}

/* "threads=1,2 hash_seed=0", each list in its order. */
static inline char *axes_text(const struct sb_job *job) {
    struct sb_text text = {0};
    for (size_t i = 0; i < job->n_axes; i++) {
        sb_text_printf(&text, "%s%s=", i ? " " : "", job->axes[i].name);
        for (size_t j = 0; j < job->axes[i].n_levels; j++)
            sb_text_printf(&text, "%s%s", j ? "," : "", job->axes[i].levels[j]);
    }
    return sb_text_take(&text);
}

static inline void assert_axes(const struct sb_job *job, const char *expected) {
    char *text = axes_text(job);
    ck_assert_str_eq(text, expected);
    free(text);
}

static inline void assert_list(char *const *list, size_t n, const char *expected) {
    struct sb_text text = {0};
    for (size_t i = 0; i < n; i++)
        sb_text_printf(&text, "%s%s", i ? "|" : "", list[i]);
    char *joined = sb_text_take(&text);
    ck_assert_str_eq(joined, expected);
    ck_assert(!list || !list[n]);
    free(joined);
}

static inline void assert_ids(const struct sb_suite *suite, const char *expected) {
    char *ids[100];
    ck_assert_uint_lt(suite->n_jobs, 100);
    for (size_t i = 0; i < suite->n_jobs; i++)
        ids[i] = suite->jobs[i].id;
    ids[suite->n_jobs] = NULL;
    assert_list(ids, suite->n_jobs, expected);
}

#endif
