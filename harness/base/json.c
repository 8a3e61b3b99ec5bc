/* base: JSON from bytes that may be anything. See base/json.h. */
#include "base/json.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

json_t *sb_json_string(const char *bytes) {
    if (!bytes)
        return json_null();
    SB_AUTO_TEXT struct sb_text text = {0};
    for (const unsigned char *s = (const unsigned char *)bytes; *s;) {
        size_t length = sb_utf8_length((const char *)s);
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

char *sb_json_brief(const json_t *value, size_t most) {
    SB_AUTO_FREE char *text =
        value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17))
              : strdup("nothing");
    return text ? sb_text_brief(text, most) : NULL;
}

json_t *sb_json_counts(const uint64_t *counts, size_t n) {
    json_t *array = json_array();
    for (size_t i = 0; array && i < n; i++) {
        if (json_array_append_new(array, json_integer((json_int_t)counts[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

json_t *sb_json_histogram(const uint64_t *counts, size_t n) {
    while (n && !counts[n - 1])
        n--;
    return sb_json_counts(counts, n);
}

void sb_json_print_list(FILE *out, const json_t *object, const char *name, size_t n,
                        json_t *(*item)(const void *context, size_t i), const void *context) {
    const char *key;
    json_t *value;
    fputs("{", out);
    json_object_foreach((json_t *)object, key, value) {
        fprintf(out, "\n \"%s\": ", key);
        json_dumpf(value, out, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
        fputc(',', out);
    }
    fprintf(out, "\n \"%s\": [", name);
    for (size_t i = 0; i < n; i++) {
        json_t *one = item(context, i);
        fputs(i ? ",\n  " : "\n  ", out);
        json_dumpf(one, out, JSON_REAL_PRECISION(17));
        json_decref(one);
    }
    fputs(n ? "\n ]\n}" : "]\n}", out);
}
