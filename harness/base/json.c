/* base: JSON from bytes that may be anything. See base/json.h. */
#include "base/json.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Length of the valid UTF-8 sequence at s (Unicode 15, table 3-7), 0 if there is none. */
static size_t sequence_length(const unsigned char *s) {
    if (s[0] < 0x80)
        return 1;
    static const struct {
        unsigned char first_low, first_high, second_low, second_high;
        size_t length;
    } forms[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (s[0] < forms[i].first_low || s[0] > forms[i].first_high)
            continue;
        if (s[1] < forms[i].second_low || s[1] > forms[i].second_high)
            return 0;
        for (size_t k = 2; k < forms[i].length; k++) {
            if (s[k] < 0x80 || s[k] > 0xbf)
                return 0;
        }
        return forms[i].length;
    }
    return 0;
}

json_t *sb_json_string(const char *bytes) {
    if (!bytes)
        return json_null();
    SB_AUTO_TEXT struct sb_text text = {0};
    for (const unsigned char *s = (const unsigned char *)bytes; *s;) {
        size_t length = sequence_length(s);
        if (length)
            sb_text_add(&text, (const char *)s, length);
        else
            sb_text_printf(&text, "\\x%02x", *s);
        s += length ? length : 1;
    }
    SB_AUTO_FREE char *valid = sb_text_take(&text);
    return valid ? json_string_nocheck(valid) : NULL;
}

json_t *sb_json_strings(const char *const *strings) {
    json_t *array = json_array();
    for (size_t i = 0; array && strings && strings[i]; i++) {
        if (json_array_append_new(array, sb_json_string(strings[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

json_t *sb_json_real(double value) {
    if (isnan(value))
        return json_null();
    if (isinf(value))
        return json_string(value > 0 ? "inf" : "-inf");
    return json_real(value);
}

char *sb_json_text(const json_t *json) {
    char *body = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    if (!body)
        return NULL;
    char *text = sb_format("%s\n", body);
    free(body);
    return text;
}
