/* cli: options as tables. See cli/options.h. */
#include "cli/options.h"

#include "base/cleanup.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const sb_option_needs[] = {"bitwise", "rounding", NULL};

int sb_check_tolerance(const char *command, const struct sb_tolerance *tolerance,
                       struct sb_error *err) {
    if (tolerance->ulp >= 0 && (tolerance->rtol >= 0 || tolerance->atol >= 0))
        return sb_error_set(
            err, -EINVAL, "%s: --ulp takes the place of --rtol and --atol: give one kind", command);
    return 0;
}

int sb_take_flag(void *into, const char *value, struct sb_error *err) {
    (void)value, (void)err;
    *(bool *)into = true;
    return 0;
}

int sb_take_text(void *into, const char *value, struct sb_error *err) {
    (void)err;
    *(const char **)into = value;
    return 0;
}

int sb_take_list(void *into, const char *value, struct sb_error *err) {
    return sb_strings_add(into, value) < 0 ? sb_error_errno(err, -ENOMEM, "%s", value) : 0;
}

int sb_take_u64(void *into, const char *value, struct sb_error *err) {
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (errno || *end || end == value || *value < '0' || *value > '9')
        return sb_error_set(err, -EINVAL, "'%s' is not a whole number from 0 to %llu", value,
                            (unsigned long long)UINT64_MAX);
    *(uint64_t *)into = number;
    return 0;
}

int sb_take_unsigned(void *into, const char *value, struct sb_error *err) {
    uint64_t number;
    if (sb_take_u64(&number, value, NULL) < 0 || number < 1 || number > 1000000)
        return sb_error_set(err, -EINVAL, "'%s' is not a whole number from 1 to 1000000", value);
    *(unsigned *)into = (unsigned)number;
    return 0;
}

int sb_take_number(void *into, const char *value, struct sb_error *err) {
    char *end;
    double number = strtod(value, &end);
    if (*end || end == value || !isfinite(number) || number < 0)
        return sb_error_set(err, -EINVAL, "'%s' is not a number ≥ 0", value);
    *(double *)into = number;
    return 0;
}

int sb_take_choice(const char *const *names, const char *value, struct sb_error *err) {
    SB_AUTO_TEXT struct sb_text choices = {0};
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], value) == 0)
            return i;
        sb_text_printf(&choices, "%s%s", i ? ", " : "", names[i]);
    }
    return sb_error_set(err, -EINVAL, "'%s' is none of: %s", value,
                        choices.data ? choices.data : "");
}

int sb_take_match(void *into, const char *value, struct sb_error *err) {
    static const char *const names[] = {"name", "order", NULL};
    int choice = sb_take_choice(names, value, err);
    if (choice < 0)
        return choice;
    *(bool *)into = choice == 1;
    return 0;
}

static const struct sb_option *find_option(const struct sb_option *options, size_t n,
                                           const char *name, size_t length) {
    for (size_t i = 0; i < n; i++) {
        if (strlen(options[i].name) == length && strncmp(options[i].name, name, length) == 0)
            return &options[i];
    }
    return NULL;
}

static int unknown_option(const char *command, const struct sb_option *options, size_t n,
                          const char *written, struct sb_error *err) {
    const char *names[64] = {NULL};
    size_t n_names = 0;
    for (size_t i = 0; i < n && n_names < sizeof names / sizeof *names; i++) {
        if (options[i].take)
            names[n_names++] = options[i].name;
    }
    SB_AUTO_FREE char *name =
        strndup(written + strspn(written, "-"), strcspn(written + strspn(written, "-"), "="));
    const char *nearest = name ? sb_nearest(name, names, n_names) : NULL;
    if (nearest)
        return sb_error_set(err, -EINVAL,
                            "%s: unknown option '%s'; did you mean '--%s'? (%s --help lists them)",
                            command, written, nearest, command);
    SB_AUTO_TEXT struct sb_text all = {0};
    for (size_t i = 0; i < n_names; i++)
        sb_text_printf(&all, "%s--%s", i ? " " : "", names[i]);
    return sb_error_set(err, -EINVAL, "%s: unknown option '%s' (options: %s)", command, written,
                        all.data ? all.data : "none");
}

/* The option that is written, and the value that stands in the same word, or NULL. */
static const struct sb_option *match_option(const struct sb_option *options, size_t n,
                                            const char *written, const char **value) {
    *value = NULL;
    if (written[0] != '-' || !written[1])
        return NULL;
    if (written[1] == '-') {
        size_t length = strcspn(written + 2, "=");
        if (written[2 + length] == '=')
            *value = written + 2 + length + 1;
        return find_option(options, n, written + 2, length);
    }
    for (size_t k = 0; k < n; k++) {
        if (!options[k].letter || options[k].letter != written[1])
            continue;
        *value = written[2] ? written + 2 : NULL;
        return *value && !options[k].value ? NULL : &options[k]; /* -qv: flags are not joined */
    }
    return NULL;
}

size_t sb_options_span(const struct sb_option *options, size_t n_options, int argc, char **argv,
                       int i, const struct sb_option **option) {
    const char *value;
    *option = match_option(options, n_options, argv[i], &value);
    return !*option ? 0 : (*option)->value && !value && i + 1 < argc ? 2 : 1;
}

/* One option at argv[*i], which starts with a dash; moves *i over a separate value. */
static int parse_one(const char *command, const struct sb_option *options, size_t n, int argc,
                     char **argv, int *i, struct sb_error *err) {
    const char *written = argv[*i], *value = NULL;
    const struct sb_option *option = match_option(options, n, written, &value);
    if (!option)
        return unknown_option(command, options, n, written, err);
    if (!option->take)
        return sb_error_set(err, -EINVAL, "%s: --%s: not in this build", command, option->name);
    if (!option->value && value)
        return sb_error_set(err, -EINVAL, "%s: --%s takes no value", command, option->name);
    if (option->value && !value) {
        if (*i + 1 >= argc)
            return sb_error_set(err, -EINVAL, "%s: --%s needs a value: %s", command, option->name,
                                option->value);
        value = argv[++*i];
    }
    int rc = option->take(option->into, value, err);
    return rc < 0 ? sb_error_prefix(err, rc, "%s: --%s", command, option->name) : 0;
}

int sb_options_parse(const char *command, const struct sb_option *options, size_t n_options,
                     int argc, char **argv, struct sb_arguments *arguments, struct sb_error *err) {
    *arguments = (struct sb_arguments){0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            arguments->rest = argv + i + 1;
            arguments->n_rest = (size_t)(argc - i - 1);
            break;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            arguments->help = true;
            return 0;
        }
        int rc = 0;
        if (argv[i][0] == '-' && argv[i][1])
            rc = parse_one(command, options, n_options, argc, argv, &i, err);
        else if (sb_strings_add(&arguments->positional, argv[i]) < 0)
            rc = sb_error_errno(err, -ENOMEM, "%s", command);
        if (rc < 0) {
            sb_arguments_clear(arguments);
            return rc;
        }
    }
    return 0;
}

void sb_arguments_clear(struct sb_arguments *arguments) {
    sb_strings_clear(&arguments->positional);
    *arguments = (struct sb_arguments){0};
}

bool sb_unicode_wanted(void) {
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    bool utf8 = locale && strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
    if (locale)
        freelocale(locale);
    return utf8;
}

bool sb_colour_wanted(void) {
    const char *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && terminal &&
           strcmp(terminal, "dumb") != 0;
}

void sb_options_print(const struct sb_option *options, size_t n_options) {
    SB_AUTO_TEXT struct sb_text left = {0};
    for (size_t i = 0; i < n_options; i++) {
        const struct sb_option *option = &options[i];
        if (!option->take)
            continue;
        if (left.length)
            sb_text_puts(&left, ", ");
        else if (!option->letter)
            sb_text_puts(&left, "    ");
        if (option->letter)
            sb_text_printf(&left, "-%c, ", option->letter);
        sb_text_printf(&left, "--%s%s%s", option->name, option->value ? " " : "",
                       option->value ? option->value : "");
        if (!option->help)
            continue;
        printf("  %-34s %s\n", left.data ? left.data : option->name, option->help);
        sb_text_clear(&left);
    }
}
