/* Stage 2, matrix: axis hostname: the name of the machine that the run sees. */
#include "base/cleanup.h"
#include "matrix/axis.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 64 }; /* HOST_NAME_MAX; uname(2) */

static bool is_host_name(const char *name) {
    size_t n = strlen(name);
    if (!n || n > MAX_NAME)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool edge = i == 0 || i + 1 == n || name[i - 1] == '.' || name[i + 1] == '.';
        if (!isalnum((unsigned char)name[i]) && (edge || (name[i] != '-' && name[i] != '.')))
            return false;
    }
    return true;
}

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    (void)machine;
    if (is_host_name(level))
        return 0;
    return sb_error_set(err, -EINVAL,
                        "'%s' is no host name (letters, digits, - and . inside, at most %d)", level,
                        MAX_NAME);
}

static char *unavailable(const struct sb_machine *machine, const char *level) {
    (void)level;
    return machine->no_uts_namespace ? strdup(machine->no_uts_namespace) : NULL;
}

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)machine, (void)name;
    char *hostname = strdup(level);
    if (!hostname)
        return -ENOMEM;
    free(setup->hostname);
    setup->hostname = hostname;
    return 0;
}

static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    (void)name, (void)level;
    return seen->hostname ? strdup(seen->hostname) : NULL;
}

const struct sb_axis sb_axis_hostname = {
    .name = "hostname",
    .summary = "name of the machine that the run sees",
    .levels = "any host name",
    .check = check,
    .unavailable = unavailable,
    .apply = apply,
    .observe = observe,
};
