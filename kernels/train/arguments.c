/* kernels, train: arguments of training jobs, and their registry. See train.h. */
#include "kernels/train/train.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool parse_integer(const struct sb_argument_spec *spec, const char *text,
                          uint64_t *integer) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno)
        return false;
    *integer = value;
    return (double)value >= spec->min && (double)value <= spec->max;
}

static bool parse_real(const struct sb_argument_spec *spec, const char *text, double *real) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value))
        return false;
    *real = value;
    return value >= spec->min && value <= spec->max;
}

/* YAML 1.1's words for true and false. */
static bool parse_boolean(const char *text, bool *boolean) {
    static const char *const words[] = {"false", "true", "off", "on", "no", "yes", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *boolean = i % 2;
            return true;
        }
    }
    return false;
}

static int set(const struct sb_argument_spec *spec, struct sb_argument_value *value,
               const char *text, struct sb_error *err) {
    struct sb_argument_value parsed = {.given = true};
    switch (spec->type) {
    case SB_ARGUMENT_INTEGER:
        if (!parse_integer(spec, text, &parsed.integer))
            return sb_error_set(err, -EINVAL, "argument '%s': '%s' is no integer from %.0f to %.0f",
                                spec->name, text, spec->min, spec->max);
        break;
    case SB_ARGUMENT_REAL:
        if (!parse_real(spec, text, &parsed.real))
            return sb_error_set(err, -EINVAL, "argument '%s': '%s' is no number from %g to %g",
                                spec->name, text, spec->min, spec->max);
        break;
    case SB_ARGUMENT_BOOLEAN:
        if (!parse_boolean(text, &parsed.boolean))
            return sb_error_set(err, -EINVAL, "argument '%s': '%s' is neither true nor false",
                                spec->name, text);
        break;
    }
    *value = parsed;
    return 0;
}

void sb_arguments_default(const struct sb_argument_spec *specs, struct sb_argument_value *values) {
    for (size_t i = 0; specs[i].name; i++) {
        values[i] = (struct sb_argument_value){0};
        if (specs[i].value)
            set(&specs[i], &values[i], specs[i].value, NULL);
    }
}

int sb_argument_set(const struct sb_argument_spec *specs, struct sb_argument_value *values,
                    const char *name, const char *value, struct sb_error *err) {
    char choices[1024] = "";
    for (size_t i = 0, used = 0; specs[i].name; i++) {
        if (strcmp(specs[i].name, name) == 0)
            return set(&specs[i], &values[i], value, err);
        int n =
            snprintf(choices + used, sizeof choices - used, "%s%s", i ? " " : "", specs[i].name);
        used += n > 0 && used + (size_t)n < sizeof choices ? (size_t)n : 0;
    }
    return sb_error_set(err, -EINVAL, "unknown argument '%s' (choices: %s)", name, choices);
}

const struct sb_training *sb_training_find(const char *name) {
    for (size_t i = 0; sb_trainings[i]; i++) {
        if (strcmp(sb_trainings[i]->name, name) == 0)
            return sb_trainings[i];
    }
    return NULL;
}

char *sb_training_names(void) {
    char *text = strdup("");
    for (size_t i = 0; text && sb_trainings[i]; i++) {
        char *longer = NULL;
        if (sb_trainings[i]->planned)
            continue;
        if (asprintf(&longer, "%s%s%s", text, *text ? " " : "", sb_trainings[i]->name) < 0)
            longer = NULL;
        free(text);
        text = longer;
    }
    return text;
}

void sb_train_result_clear(struct sb_train_result *result) {
    for (size_t i = 0; i < result->n; i++) {
        free((void *)result->tensors[i].name);
        free((void *)result->tensors[i].dims);
        free((void *)result->tensors[i].data);
    }
    free(result->tensors);
    free(result->losses);
    *result = (struct sb_train_result){0};
}
