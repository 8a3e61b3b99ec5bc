/* Stage 7: text of unknown origin on a terminal. See report/display.h. */
#include "report/display.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <stdint.h>
#include <string.h>

struct range {
    uint32_t first, last;
};

/* Unicode 15, general categories Mn and Me and the zero-width signs, in whole blocks where a block
 * holds little else. */
static const struct range combining[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489},   {0x0591, 0x05bd},   {0x0610, 0x061a}, {0x064b, 0x065f},
    {0x06d6, 0x06dc}, {0x0900, 0x0902},   {0x093c, 0x093c},   {0x0941, 0x0948}, {0x094d, 0x094d},
    {0x0e31, 0x0e31}, {0x0e34, 0x0e3a},   {0x0e47, 0x0e4e},   {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},
    {0x200c, 0x200d}, {0x20d0, 0x20ff},   {0x302a, 0x302d},   {0x3099, 0x309a}, {0xfe00, 0xfe0f},
    {0xfe20, 0xfe2f}, {0x1f3fb, 0x1f3ff}, {0xe0100, 0xe01ef},
};

/* Unicode 15, East_Asian_Width W and F, likewise. */
static const struct range wide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},
    {0x25fd, 0x25fe},   {0x2614, 0x2615},   {0x2648, 0x2653},   {0x26aa, 0x26ab},
    {0x2705, 0x2705},   {0x270a, 0x270b},   {0x274c, 0x274c},   {0x2753, 0x2755},
    {0x2795, 0x2797},   {0x2b1b, 0x2b1c},   {0x2e80, 0x303e},   {0x3041, 0x33ff},
    {0x3400, 0x4dbf},   {0x4e00, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},
    {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff01, 0xff60},   {0xffe0, 0xffe6},
    {0x16fe0, 0x18aff}, {0x1b000, 0x1b2ff}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
    {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
};

/* Format characters that are not seen and change what is: marks and overrides of the direction of
 * writing, line and paragraph separators, blanks without width, tags; and the C1 controls, among
 * which U+009B begins an escape sequence. */
static const struct range hidden[] = {
    {0x80, 0x9f},     {0xad, 0xad},     {0x061c, 0x061c}, {0x180e, 0x180e},
    {0x200b, 0x200b}, {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
    {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe007f},
};

static const struct {
    const char *sign, *ascii;
} transliterated[] = {
    {"≠", "!="}, {"≥", ">="}, {"·", "-"}, {"✗", "x"},  {"…", "..."}, {"×", "x"},  {"–", "-"},
    {"—", "-"},  {"’", "'"},  {"µ", "u"}, {"≤", "<="}, {"≥", ">="},  {"→", "->"}, {"−", "-"},
};

static bool is_in(const struct range *ranges, size_t n, uint32_t c) {
    for (size_t i = 0; i < n && ranges[i].first <= c; i++) {
        if (c <= ranges[i].last)
            return true;
    }
    return false;
}

#define IS_IN(ranges, c) is_in(ranges, sizeof(ranges) / sizeof *(ranges), c)

/* The code point of a valid sequence of `length` bytes. */
static uint32_t code_point(const char *text, size_t length) {
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = (unsigned char)text[0] & first_bits[length];
    for (size_t i = 1; i < length; i++)
        c = c << 6 | ((unsigned char)text[i] & 0x3f);
    return c;
}

static bool add_transliterated(struct sb_text *shown, const char *text, size_t length) {
    for (size_t i = 0; i < sizeof transliterated / sizeof *transliterated; i++) {
        const char *sign = transliterated[i].sign;
        if (strlen(sign) == length && memcmp(sign, text, length) == 0) {
            sb_text_puts(shown, transliterated[i].ascii);
            return true;
        }
    }
    return false;
}

char *sb_text_shown(const char *text, bool unicode) {
    SB_AUTO_TEXT struct sb_text shown = {0};
    for (size_t length; *text; text += length ? length : 1) {
        length = sb_utf8_length(text);
        uint32_t c = length ? code_point(text, length) : (unsigned char)*text;
        if (!length || c < 0x20 || c == 0x7f)
            sb_text_printf(&shown, "\\x%02x", c);
        else if (c >= 0x80 &&
                 (IS_IN(hidden, c) || (!unicode && !add_transliterated(&shown, text, length))))
            sb_text_printf(&shown, "\\u%04x", c);
        else if (c < 0x80 || unicode)
            sb_text_add(&shown, text, length);
    }
    return sb_text_take(&shown);
}

char *sb_text_printable(const char *text) {
    return sb_text_shown(text, true);
}

/* Columns of the character at text; *length receives its bytes. */
static size_t character_columns(const char *text, size_t *length) {
    *length = sb_utf8_length(text);
    if (!*length) {
        *length = 1;
        return 1;
    }
    uint32_t c = code_point(text, *length);
    if (c < 0x300)
        return 1;
    return IS_IN(combining, c) ? 0 : IS_IN(wide, c) ? 2 : 1;
}

size_t sb_text_columns(const char *text) {
    size_t columns = 0;
    for (size_t length; *text; text += length)
        columns += character_columns(text, &length);
    return columns;
}

/* Bytes at the beginning of the text that take at most `columns`. */
static size_t fitting_bytes(const char *text, size_t columns) {
    size_t taken = 0, n = 0;
    for (size_t length; text[n]; n += length) {
        taken += character_columns(text + n, &length);
        if (taken > columns)
            break;
    }
    return n;
}

char *sb_text_shortened(const char *text, size_t columns, bool unicode) {
    size_t all = sb_text_columns(text);
    if (all <= columns)
        return strdup(text);
    const char *dots = unicode ? "…" : "...";
    size_t kept = columns - sb_text_columns(dots), head = kept - kept / 2;
    const char *tail = text;
    for (size_t length, left = all; left > kept / 2; tail += length)
        left -= character_columns(tail, &length);
    for (size_t length; *tail && character_columns(tail, &length) == 0;)
        tail += length; /* marks whose letter is gone */
    return sb_format("%.*s%s%s", (int)fitting_bytes(text, head), text, dots, tail);
}

size_t sb_text_line(const char *text, size_t columns) {
    size_t n = fitting_bytes(text, columns);
    if (!text[n] || text[n] == ' ')
        return n;
    for (size_t blank = n; blank > 0; blank--) {
        if (text[blank - 1] == ' ')
            return blank;
    }
    if (n)
        return n;
    character_columns(text, &n); /* wider than a line: it has to go somewhere */
    return n;
}
