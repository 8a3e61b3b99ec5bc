/* Stage 4, weights: counters in names. See weights/counters.h. */
#include "weights/counters.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A word, and its counter where it has one. */
struct part {
    const char *word, *counter;
    size_t n_word, n_counter;
};

static bool is_counter(const char *text, size_t n) {
    return n && strspn(text, "0123456789") >= n && (text[0] != '0' || n == 1);
}

/* Takes the next part off *rest, which becomes NULL behind the last one. */
static struct part take_part(const char **rest) {
    const char *word = *rest, *counter = NULL;
    size_t n_word = strcspn(word, "_"), n_counter = 0;
    const char *end = word + n_word;
    if (n_word && *end) {
        n_counter = strcspn(end + 1, "_");
        if (is_counter(end + 1, n_counter)) {
            counter = end + 1;
            end = counter + n_counter;
        } else {
            n_counter = 0;
        }
    }
    *rest = *end ? end + 1 : NULL;
    return (struct part){word, counter, n_word, n_counter};
}

static int by_bytes(const char *a, size_t n_a, const char *b, size_t n_b) {
    int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return order ? order : (n_a > n_b) - (n_a < n_b);
}

static int by_counter(const struct part *a, const struct part *b) {
    if (a->n_counter != b->n_counter)
        return a->n_counter > b->n_counter ? 1 : -1;
    return a->n_counter ? memcmp(a->counter, b->counter, a->n_counter) : 0;
}

/* By their words alone. */
static int by_words(const char *a, const char *b) {
    while (a && b) {
        struct part x = take_part(&a), y = take_part(&b);
        int order = by_bytes(x.word, x.n_word, y.word, y.n_word);
        if (order)
            return order;
    }
    return !b - !a;
}

/* Of names of the same words: *part is the first that has another counter in each. */
static int by_counters(const char *a, const char *b, size_t *part) {
    for (*part = 0; a && b; ++*part) {
        struct part x = take_part(&a), y = take_part(&b);
        int order = by_counter(&x, &y);
        if (order)
            return order;
    }
    return 0;
}

static int by_parts(const void *a, const void *b, void *n_kept) {
    const char *x = **(char *const *const *)a + *(size_t *)n_kept;
    const char *y = **(char *const *const *)b + *(size_t *)n_kept;
    size_t part;
    int order = by_words(x, y);
    return order ? order : by_counters(x, y, &part);
}

/* The ranks of the parts of the name that was counted last. */
struct ranks {
    size_t *items;
    size_t n, room;
};

static int rank_add(struct ranks *ranks, size_t rank) {
    if (ranks->n == ranks->room) {
        size_t room = ranks->room ? 2 * ranks->room : 16;
        void *grown = reallocarray(ranks->items, room, sizeof *ranks->items);
        if (!grown)
            return -ENOMEM;
        ranks->items = grown;
        ranks->room = room;
    }
    ranks->items[ranks->n++] = rank;
    return 0;
}

/* Counts on from the name before it (NULL: none) among those that are sorted. */
static int count(struct ranks *ranks, const char *before, const char *name) {
    size_t part = 0;
    bool same_words = before && by_words(before, name) == 0;
    if (same_words && by_counters(before, name, &part) == 0)
        return 0; /* a damaged file has a name twice: so it stays */
    size_t next = same_words ? ranks->items[part] + 1 : 0;
    ranks->n = part;
    int r = rank_add(ranks, next);
    const char *rest = name;
    for (size_t i = 0; rest && r == 0; i++) {
        take_part(&rest);
        if (i >= ranks->n)
            r = rank_add(ranks, 0);
    }
    return r;
}

static char *counted_name(const struct ranks *ranks, const char *whole, size_t n_kept) {
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_printf(&text, "%.*s", (int)n_kept, whole);
    const char *rest = whole + n_kept;
    for (size_t i = 0; rest; i++) {
        struct part part = take_part(&rest);
        sb_text_printf(&text, "%s%.*s", i ? "_" : "", (int)part.n_word, part.word);
        if (ranks->items[i])
            sb_text_printf(&text, "_%zu", ranks->items[i]);
    }
    return sb_text_take(&text);
}

int sb_names_recount(char **names, size_t n, size_t n_kept) {
    char ***sorted = calloc(n + 1, sizeof *sorted);
    char **counted = calloc(n + 1, sizeof *counted);
    struct ranks ranks = {0};
    int r = sorted && counted ? 0 : -ENOMEM;
    for (size_t i = 0; i < n && r == 0; i++)
        sorted[i] = &names[i];
    if (r == 0)
        qsort_r(sorted, n, sizeof *sorted, by_parts, &n_kept);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = count(&ranks, i ? *sorted[i - 1] + n_kept : NULL, *sorted[i] + n_kept);
        counted[i] = r == 0 ? counted_name(&ranks, *sorted[i], n_kept) : NULL;
        r = counted[i] ? 0 : -ENOMEM;
    }
    for (size_t i = 0; i < n && counted; i++) {
        if (r < 0) {
            free(counted[i]);
            continue;
        }
        free(*sorted[i]);
        *sorted[i] = counted[i];
    }
    free(sorted);
    free(counted);
    free(ranks.items);
    return r;
}
