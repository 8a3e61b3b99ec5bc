/* base: errors. See samebits/error.h. */
#include <samebits/error.h>

#include <stdio.h>
#include <string.h>

int sb_error_set(struct sb_error *err, int code, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return code;
}

int sb_error_errno(struct sb_error *err, int code, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(-code));
    }
    return code;
}

int sb_error_prefix(struct sb_error *err, int code, const char *format, ...) {
    if (err) {
        struct sb_error inner = *err;
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used, ": %s", inner.text);
    }
    return code;
}
