/* cli: the environment in which Python finds the helper. See cli/inject.h. */
#include "cli/inject.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "samebits-config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char seed_variable[] = "SAMEBITS_SEED", search_variable[] = SB_INJECT_SEARCH;

/* In a build folder they lie below the program's, installed where modules do. */
int sb_inject_file(const char *name, char **path, struct sb_error *err) {
    static const char *const folders[] = {"python/inject", SB_MODULES_FROM_PROGRAM "/python/inject",
                                          NULL};
    *path = sb_find_beside_program(folders, name);
    return *path ? 0 : sb_error_set(err, -ENOENT, "python/inject is not beside the program");
}

static int find_folder(char **folder, struct sb_error *err) {
    SB_AUTO_FREE char *found = NULL;
    int rc = sb_inject_file("sitecustomize.py", &found, err);
    if (rc < 0)
        return rc;
    *strrchr(found, '/') = '\0';
    if (strchr(found, ':')) /* which separates what PYTHONPATH lists */
        return sb_error_set(err, -EINVAL, "python/inject: its path has a colon in it: %s", found);
    *folder = sb_steal_pointer(&found);
    return 0;
}

/* As Python reads them: a whole number. */
static int check_seed(const char *seed, struct sb_error *err) {
    const char *digits = seed + (*seed == '-');
    size_t n = strspn(digits, "0123456789");
    return n && !digits[n]
               ? 0
               : sb_error_set(err, -EINVAL, "%s: '%s' is not a whole number", seed_variable, seed);
}

int sb_inject_search(char *const *environment, char **search, struct sb_error *err) {
    SB_AUTO_FREE char *folder = NULL;
    const char *others = "";
    size_t n = strlen(search_variable);
    int rc = find_folder(&folder, err);
    for (char *const *item = environment; rc == 0 && *item; item++) {
        if (strncmp(*item, search_variable, n) == 0 && (*item)[n] == '=')
            others = *item + n + 1;
    }
    char *made = rc == 0 ? sb_format("%s%s%s", folder, *others ? ":" : "", others) : NULL;
    if (rc == 0 && !made)
        rc = sb_error_errno(err, -ENOMEM, "%s", search_variable);
    if (rc == 0)
        *search = made;
    return rc;
}

int sb_inject_seeds(const char *seed, struct sb_strings *environment, struct sb_error *err) {
    SB_AUTO_FREE char *search = NULL;
    SB_AUTO_STRINGS struct sb_strings made = {0};
    int rc = sb_inject_search(environ, &search, err);
    if (rc < 0)
        return rc;
    for (char **item = environ; rc == 0 && *item; item++)
        rc = sb_strings_add(&made, *item);
    if (rc < 0)
        return sb_error_errno(err, rc, "--inject-seeds");
    const char *given = sb_environment_get(&made, seed_variable);
    if (!seed)
        seed = given && *given ? given : "0";
    rc = check_seed(seed, err);
    if (rc < 0)
        return rc;
    SB_AUTO_FREE char *value = strdup(seed); /* it may be what is replaced */
    if (!value || sb_environment_set(&made, search_variable, search) < 0 ||
        sb_environment_set(&made, seed_variable, value) < 0)
        return sb_error_errno(err, -ENOMEM, "--inject-seeds");
    *environment = made;
    made = (struct sb_strings){0};
    return 0;
}

const char *sb_injected_seed(const struct sb_strings *environment) {
    return environment->n ? sb_environment_get(environment, seed_variable) : NULL;
}
