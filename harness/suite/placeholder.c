/* Stage 1, suite: placeholders in a command's arguments. */
#include <samebits/suite.h>

#include <string.h>

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Length of the placeholder's name at `text`, or 0 where there is none before a `}`. */
static size_t name_length(const char *text) {
    bool variable = strncmp(text, "env:", 4) == 0;
    size_t n = variable ? 4 : 0;
    if (!is_letter(text[n]))
        return 0;
    while (is_letter(text[n]) || is_digit(text[n]) || (text[n] == '-' && !variable))
        n++;
    return text[n] == '}' ? n : 0;
}

enum sb_piece sb_placeholder_next(struct sb_placeholders *walk, const char **piece, size_t *n) {
    const char *at = walk->at;
    if (!*at)
        return SB_PIECE_END;
    bool opens = at[0] == '{' && at[1] == '{';
    /* A `}}` that closes nothing is no escape: nested JSON ends with one. */
    bool closes = at[0] == '}' && at[1] == '}' && walk->open > 0;
    size_t name = at[0] == '{' && !opens ? name_length(at + 1) : 0;
    if (name) {
        *piece = at + 1;
        *n = name;
        walk->at = at + name + 2;
        return SB_PIECE_NAME;
    }
    *piece = at;
    if (opens || closes) {
        walk->open += opens;
        walk->open -= closes;
        *n = 1;
        walk->at = at + 2;
    } else {
        *n = 1 + strcspn(at + 1, "{}");
        walk->at = at + *n;
    }
    return SB_PIECE_TEXT;
}
