/* Stage 2, matrix: axis hash_seed: the seed of hash tables, Python's and the built-in jobs'. */
#include "base/cleanup.h"
#include "base/text.h"
#include "matrix/axis.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const variables[] = {"PYTHONHASHSEED", "SAMEBITS_HASH_SEED", NULL};

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    (void)machine;
    uint64_t seed;
    if (strcmp(level, "random") == 0 || sb_level_number(level, false, UINT32_MAX, &seed))
        return 0;
    return sb_error_set(err, -EINVAL,
                        "unknown level '%s' (a number from 0 to 4294967295, or random)", level);
}

static char *resolve(const struct sb_machine *machine, const char *level) {
    (void)machine;
    uint64_t seed;
    return sb_level_number(level, false, UINT32_MAX, &seed) ? sb_format("%" PRIu64, seed)
                                                            : strdup(level);
}

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)machine, (void)name;
    for (const char *const *variable = variables; *variable; variable++) {
        int status = sb_setup_set(setup, *variable, level);
        if (status < 0)
            return status;
    }
    return 0;
}

/* python, python3, python3.11, python3.13t, python3-dbg, pypy, pypy3.10 */
static bool is_python(const char *exe) {
    const char *name = sb_base_name(exe);
    size_t n = strncmp(name, "python", 6) == 0 ? 6 : strncmp(name, "pypy", 4) == 0 ? 4 : 0;
    if (!n)
        return false;
    for (name += n; *name && *name != ' '; name++) {
        if (!isdigit((unsigned char)*name) && *name != '.' && *name != 't' && *name != 'd')
            return strcmp(name, "-dbg") == 0 || strcmp(name, "-debug") == 0;
    }
    return true;
}

/* Does the command line make Python ignore PYTHONHASHSEED? -E and -I ignore all PYTHON* variables;
 * -R turns randomisation on whatever the variable says. Options end at the script, `-`, `--`, -c or
 * -m; -W, -X and --check-hash-based-pycs take an argument (python3(1), Python/getopt.c). */
static bool ignores_variable(char *const *arguments) {
    if (!arguments || !arguments[0])
        return false;
    for (char *const *argument = arguments + 1; *argument; argument++) {
        const char *word = *argument;
        if (word[0] != '-' || !word[1] || strcmp(word, "--") == 0)
            return false;
        if (word[1] == '-') {
            if (strcmp(word, "--check-hash-based-pycs") == 0 && argument[1])
                argument++;
            continue;
        }
        for (const char *option = word + 1; *option; option++) {
            if (*option == 'E' || *option == 'I' || *option == 'R')
                return true;
            if (*option == 'c' || *option == 'm')
                return false;
            if (*option == 'W' || *option == 'X') {
                if (!option[1] && argument[1])
                    argument++;
                break;
            }
        }
    }
    return false;
}

/* The seed of one interpreter: malloc'd, or NULL where it cannot be known. An empty variable counts
 * as none (Python/initconfig.c). */
static char *seed_of(const struct sb_seen_process *process) {
    if (ignores_variable(process->arguments))
        return strdup("random");
    if (!process->environment || !process->arguments)
        return NULL;
    const char *value = sb_seen_variable(process, "PYTHONHASHSEED");
    if (!value || !*value)
        return strdup("random");
    return resolve(NULL, value);
}

static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    (void)name, (void)level;
    if (seen->worker)
        return sb_worker_word(seen, "hash_seed");
    SB_AUTO_STRINGS struct sb_strings seeds = {0};
    for (size_t i = 0; i < seen->n_processes; i++) {
        if (!seen->processes[i].exe || !is_python(seen->processes[i].exe))
            continue;
        SB_AUTO_FREE char *seed = seed_of(&seen->processes[i]);
        if (!seed)
            return NULL;
        if (!sb_strings_contain(&seeds, seed) && sb_strings_add(&seeds, seed) < 0)
            return NULL;
    }
    if (!seeds.n)
        return NULL;
    sb_strings_sort(&seeds);
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t i = 0; i < seeds.n; i++)
        sb_text_printf(&text, "%s%s", i ? " and " : "", seeds.items[i]);
    return sb_text_take(&text);
}

static char *arrived(const char *name, const struct sb_observation *seen) {
    (void)name;
    return seen->worker ? NULL : sb_seen_variables(seen, variables);
}

const struct sb_axis sb_axis_hash_seed = {
    .name = "hash_seed",
    .summary = "seed of hash tables: Python's (PYTHONHASHSEED) and the built-in jobs'",
    .levels = "a number from 0 to 4294967295, or random",
    .check = check,
    .resolve = resolve,
    .apply = apply,
    .observe = observe,
    .arrived = arrived,
};
