/* base: growing text, lists of strings, globs. See base/text.h. */
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool text_reserve(struct sb_text *text, size_t more) {
    if (text->failed)
        return false;
    size_t need = text->length + more + 1;
    if (need <= text->capacity)
        return true;
    size_t capacity = text->capacity ? text->capacity : 64;
    while (capacity < need)
        capacity *= 2;
    char *data = realloc(text->data, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void sb_text_add(struct sb_text *text, const char *bytes, size_t n) {
    if (!text_reserve(text, n))
        return;
    if (n)
        memcpy(text->data + text->length, bytes, n);
    text->length += n;
    text->data[text->length] = '\0';
}

void sb_text_puts(struct sb_text *text, const char *string) {
    sb_text_add(text, string, strlen(string));
}

void sb_text_putc(struct sb_text *text, char c) {
    sb_text_add(text, &c, 1);
}

void sb_text_printf(struct sb_text *text, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n >= 0 && text_reserve(text, (size_t)n)) {
        vsnprintf(text->data + text->length, (size_t)n + 1, format, again);
        text->length += (size_t)n;
    }
    va_end(again);
}

void sb_text_quote(struct sb_text *text, const char *word) {
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:+@%=";
    if (*word && !word[strspn(word, plain)]) {
        sb_text_puts(text, word);
        return;
    }
    sb_text_putc(text, '\'');
    for (; *word; word++) {
        if (*word == '\'')
            sb_text_puts(text, "'\\''");
        else
            sb_text_putc(text, *word);
    }
    sb_text_putc(text, '\'');
}

void sb_text_clear(struct sb_text *text) {
    free(text->data);
    *text = (struct sb_text){0};
}

char *sb_text_next_line(const char **at) {
    if (!*at || !**at)
        return NULL;
    size_t n = strcspn(*at, "\n");
    char *line = strndup(*at, n);
    *at += n + ((*at)[n] != '\0');
    return line;
}

char *sb_text_take(struct sb_text *text) {
    if (!text->data && !text->failed)
        text_reserve(text, 0);
    if (text->failed) {
        sb_text_clear(text);
        return NULL;
    }
    text->data[text->length] = '\0';
    char *data = text->data;
    *text = (struct sb_text){0};
    return data;
}

int sb_strings_take(struct sb_strings *list, char *string) {
    if (!string)
        return -ENOMEM;
    /* Room grows at powers of two: n + 1 slots are in use, the last for the NULL. */
    size_t used = list->items ? list->n + 1 : 0;
    if ((used & (used - 1)) == 0) {
        char **items = realloc(list->items, (used ? 2 * used : 2) * sizeof *items);
        if (!items) {
            free(string);
            return -ENOMEM;
        }
        list->items = items;
    }
    list->items[list->n++] = string;
    list->items[list->n] = NULL;
    return 0;
}

int sb_strings_add(struct sb_strings *list, const char *string) {
    return sb_strings_take(list, strdup(string));
}

int sb_strings_copy(struct sb_strings *to, const struct sb_strings *from) {
    struct sb_strings copy = {0};
    for (size_t i = 0; i < from->n; i++) {
        if (sb_strings_add(&copy, from->items[i]) < 0) {
            sb_strings_clear(&copy);
            return -ENOMEM;
        }
    }
    *to = copy;
    return 0;
}

bool sb_strings_contain(const struct sb_strings *list, const char *string) {
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->items[i], string) == 0)
            return true;
    }
    return false;
}

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void sb_strings_sort(struct sb_strings *list) {
    if (list->n)
        qsort(list->items, list->n, sizeof *list->items, compare_strings);
}

void sb_strings_clear(struct sb_strings *list) {
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct sb_strings){0};
}

static size_t environment_index(const struct sb_strings *environment, const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < environment->n; i++) {
        const char *item = environment->items[i];
        if (strncmp(item, name, length) == 0 && item[length] == '=')
            return i;
    }
    return environment->n;
}

const char *sb_environment_get(const struct sb_strings *environment, const char *name) {
    size_t i = environment_index(environment, name);
    return i < environment->n ? environment->items[i] + strlen(name) + 1 : NULL;
}

int sb_environment_set(struct sb_strings *environment, const char *name, const char *value) {
    char *item = sb_format("%s=%s", name, value);
    size_t i = environment_index(environment, name);
    if (!item || i == environment->n)
        return sb_strings_take(environment, item);
    free(environment->items[i]);
    environment->items[i] = item;
    return 0;
}

void sb_environment_unset(struct sb_strings *environment, const char *name) {
    size_t i = environment_index(environment, name);
    if (i == environment->n)
        return;
    free(environment->items[i]);
    /* The NULL at the end moves down with the rest. */
    memmove(environment->items + i, environment->items + i + 1,
            (environment->n - i) * sizeof *environment->items);
    environment->n--;
}

void sb_hex(const void *bytes, size_t n, char *text) {
    *text = '\0';
    for (size_t i = 0; i < n; i++)
        snprintf(text + 2 * i, 3, "%02x", ((const unsigned char *)bytes)[i]);
}

char *sb_format(const char *format, ...) {
    char *string = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&string, format, args) < 0)
        string = NULL;
    va_end(args);
    return string;
}

/* Matches the class at *pattern ("[a-c]") against c and moves *pattern past it. */
static bool match_class(const char **pattern, char c) {
    const char *p = *pattern + 1;
    bool negate = *p == '!' || *p == '^', found = false;
    if (negate)
        p++;
    for (bool first = true; *p && (first || *p != ']'); first = false, p++) {
        unsigned char low = (unsigned char)*p, high = low;
        if (p[1] == '-' && p[2] && p[2] != ']') {
            high = (unsigned char)p[2];
            p += 2;
        }
        found |= low <= (unsigned char)c && (unsigned char)c <= high;
    }
    *pattern = *p ? p + 1 : p;
    return c && c != '/' && found != negate;
}

/* Iterative matching with two backtrack points (the last `*` and the last `**`), so that a hostile
 * pattern costs polynomial time. */
bool sb_glob_match(const char *pattern, const char *string) {
    const char *p = pattern, *s = string;
    const char *star = NULL, *star_at = NULL, *deep = NULL, *deep_at = NULL;
    bool deep_by_part = false; /* `**` before a `/` starts again at parts only */
    for (;;) {
        if (p[0] == '*' && p[1] == '*') {
            p += 2;
            deep_by_part = *p == '/'; /* and then matches no part at all, too */
            p += deep_by_part;
            if (!*p)
                return true;
            deep = p;
            deep_at = s;
            star = NULL;
            continue;
        }
        if (*p == '*') {
            star = ++p;
            star_at = s;
            continue;
        }
        if (!*p && !*s)
            return true;
        bool matched = false;
        const char *next = p;
        if (*s && *p == '?') {
            matched = *s != '/';
            next = p + 1;
        } else if (*s && *p == '[') {
            matched = match_class(&next, *s);
        } else if (*s && *p) {
            const char *literal = *p == '\\' && p[1] ? p + 1 : p;
            matched = *literal == *s;
            next = literal + 1;
        }
        if (matched) {
            p = next;
            s++;
        } else if (star && *star_at && *star_at != '/') {
            p = star;
            s = ++star_at;
        } else if (deep && *deep_at) {
            p = deep;
            const char *slash = deep_by_part ? strchr(deep_at, '/') : deep_at;
            if (!slash)
                return false;
            s = deep_at = slash + 1;
            star = NULL;
        } else {
            return false;
        }
    }
}

/* Levenshtein distance of words below 64 bytes; a large number for longer ones. */
static unsigned edit_distance(const char *a, const char *b) {
    enum { LONGEST = 64 };
    size_t n = strlen(b);
    unsigned row[LONGEST + 1];
    if (n > LONGEST || strlen(a) > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= n; j++) {
            unsigned cost = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            unsigned shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            row[j] = cost < shorter + 1 ? cost : shorter + 1;
        }
    }
    return row[n];
}

const char *sb_nearest(const char *word, const char *const *candidates, size_t n) {
    const char *best = NULL;
    unsigned best_distance = (unsigned)strlen(word) / 3 + 2;
    for (size_t i = 0; i < n; i++) {
        unsigned distance = edit_distance(word, candidates[i]);
        if (distance < best_distance) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}

char *sb_text_brief(const char *text, size_t most) {
    size_t n = most;
    if (strlen(text) <= most)
        return strdup(text);
    while (n && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return sb_format("%.*s…", (int)n, text);
}
