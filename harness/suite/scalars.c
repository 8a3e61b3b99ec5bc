/* Stage 1, suite: numbers, repeats and durations as suites and command lines write them. */
#include "suite/scalars.h"

#include "suite/build.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool sb_parse_number(const char *text, double *number) {
    /* strtod would also take hexadecimal, "nan" and "inf". */
    if (!*text || text[strspn(text, "0123456789.eE+-")] != '\0')
        return false;
    char *end;
    double value = strtod(text, &end);
    if (*end || !isfinite(value))
        return false;
    *number = value;
    return true;
}

bool sb_parse_size(const char *text, size_t *size) {
    size_t value = 0;
    if (!*text)
        return false;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(value, (size_t)10, &value) ||
            __builtin_add_overflow(value, (size_t)(*p - '0'), &value))
            return false;
    }
    *size = value;
    return true;
}

static bool parse_count(const char *text, unsigned *count) {
    size_t size;
    if (!sb_parse_size(text, &size) || size < 1 || size > SB_REPEATS_LIMIT)
        return false;
    *count = (unsigned)size;
    return true;
}

int sb_repeats_parse(const char *text, struct sb_repeats *repeats, struct sb_error *err) {
    struct sb_repeats read = {0};
    const char *dots = strstr(text, "..");
    char low[32];
    size_t n = dots ? (size_t)(dots - text) : strlen(text);
    bool fits = n < sizeof low;
    if (fits) {
        memcpy(low, text, n);
        low[n] = '\0';
    }
    if (!fits || !parse_count(low, &read.min) || (dots && !parse_count(dots + 2, &read.max)))
        return sb_error_set(err, -EINVAL,
                            "repeats '%s': neither a number from 1 to %d, such as 3, nor a range, "
                            "such as 3..50",
                            sb_show(text).text, SB_REPEATS_LIMIT);
    if (dots && read.max < read.min)
        return sb_error_set(err, -EINVAL, "repeats '%s': the maximum is below the minimum",
                            sb_show(text).text);
    *repeats = read;
    return 0;
}

int sb_duration_parse(const char *text, double *seconds, struct sb_error *err) {
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"", 1}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    size_t n = strspn(text, "0123456789.");
    char digits[32];
    double number;
    if (strcmp(text, "none") == 0) {
        *seconds = 0;
        return 0;
    }
    if (n < sizeof digits) {
        memcpy(digits, text, n);
        digits[n] = '\0';
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            if (strcmp(text + n, units[i].name) == 0 && sb_parse_number(digits, &number) &&
                number * units[i].seconds <= 1e9) {
                *seconds = number * units[i].seconds;
                return 0;
            }
        }
    }
    return sb_error_set(err, -EINVAL,
                        "duration '%s': not a number with ms, s, m, h or d after it, such as 10m",
                        sb_show(text).text);
}
