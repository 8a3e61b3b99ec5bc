/* cli: options as tables. */
#ifndef SB_CLI_OPTIONS_H
#define SB_CLI_OPTIONS_H

#include <samebits/error.h>
#include <samebits/suite.h>

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

struct sb_option {
    const char *name;  /* without the dashes */
    char letter;       /* 0: none */
    const char *value; /* what its value is called in the help; NULL: a flag */
    const char *help;  /* NULL: that of the next option, on whose line this one stands too */
    /* `value` is NULL for a flag. NULL: known by name, so that the message says that it is not in
     * this build, and not listed. */
    int (*take)(void *into, const char *value, struct sb_error *err);
    void *into;
};

/* Takers of values. */
int sb_take_flag(void *into, const char *value, struct sb_error *err); /* bool */
int sb_take_text(void *into, const char *value, struct sb_error *err); /* const char * */
int sb_take_list(void *into, const char *value,
                 struct sb_error *err); /* struct sb_strings: added */
int sb_take_unsigned(void *into, const char *value, struct sb_error *err); /* unsigned, from 1 */
int sb_take_u64(void *into, const char *value, struct sb_error *err);      /* uint64_t */
int sb_take_number(void *into, const char *value,
                   struct sb_error *err); /* double, finite and not negative */

int sb_take_match(void *into, const char *value,
                  struct sb_error *err); /* bool: order; name is the other */

/* Of sb_need_names, in their order: a command of which nothing is required answers nothing. */
extern const char *const sb_option_needs[];
/* -EINVAL where both kinds were given; `command`: whose options they are. */
int sb_check_tolerance(const char *command, const struct sb_tolerance *tolerance,
                       struct sb_error *err);

/* Index of `value` in a list of names that ends with NULL; -EINVAL naming the choices. */
int sb_take_choice(const char *const *names, const char *value, struct sb_error *err);

struct sb_arguments {
    struct sb_strings positional; /* before `--` */
    char **rest;                  /* after `--`, borrowed from argv; NULL: there was no `--` */
    size_t n_rest;
    bool help; /* --help or -h was given: the rest was not looked at */
};

/* Parses argv[1..]; `command` is for messages ("samebits run"). */
int sb_options_parse(const char *command, const struct sb_option *options, size_t n_options,
                     int argc, char **argv, struct sb_arguments *arguments, struct sb_error *err);
void sb_arguments_clear(struct sb_arguments *arguments);

/* How many arguments from argv[i] on belong to the option there (1 or 2), by its name in *option; 0
 * where no option of the table stands there. */
size_t sb_options_span(const struct sb_option *options, size_t n_options, int argc, char **argv,
                       int i, const struct sb_option **option);

/* Standard output is a terminal that has colours, and NO_COLOR is not set. */
bool sb_colour_wanted(void);
bool sb_unicode_wanted(void); /* by the locale */

/* The lines on options for a help text. */
void sb_options_print(const struct sb_option *options, size_t n_options);

#endif
