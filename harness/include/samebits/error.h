/* Errors that gather context on their way up: "suites/a.yaml:12:9: axis 'isa': unknown level
 * 'avx3'". */
#ifndef SAMEBITS_ERROR_H
#define SAMEBITS_ERROR_H

#include <stdarg.h>

/* Text of one error. Zero-initialise it ({0}); it owns no memory. */
struct sb_error {
    char text[2048];
};

/* Every function below returns its code (a negative errno), so that a failing function can end with
 * `return sb_error_set(err, -EINVAL, "…")`. err may be NULL: then only the code survives. */
int sb_error_set(struct sb_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As sb_error_set, with ": <strerror(-code)>" appended. */
int sb_error_errno(struct sb_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<format>: " before what err already says. */
int sb_error_prefix(struct sb_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
