/* kernels: see module.h. */
#include "kernels/module.h"
#include "samebits-config.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char path_variable[] = "SAMEBITS_BACKEND_PATH", file_prefix[] = "samebits-backend-",
                  file_suffix[] = ".so";

/* A name becomes part of a path and of a symbol. */
static bool is_name(const char *name) {
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && n <= 64 && name[n] == '\0';
}

/* The file in one folder of n characters, where it is there. */
static int try_folder(const char *folder, size_t n, const char *file, char **path) {
    char *made;
    if (asprintf(&made, "%.*s/%s", (int)n, folder, file) < 0)
        return -ENOMEM;
    if (access(made, R_OK) == 0) {
        *path = made;
        return 0;
    }
    free(made);
    return -ENOENT;
}

/* Folder number i of the variable, as a piece of it; false: there are no more. */
static bool folder_at(size_t i, const char **folder, size_t *n) {
    const char *at = getenv(path_variable);
    for (; at && *at; at += *at == ':') {
        size_t length = strcspn(at, ":");
        if (length && i-- == 0) {
            *folder = at;
            *n = length;
            return true;
        }
        at += length;
    }
    return false;
}

/* Next to the program: in a build folder there, installed below the same prefix. */
static int try_program(const char *file, char **path) {
    char program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0)
        return -ENOENT;
    program[n] = '\0';
    size_t length = (size_t)(strrchr(program, '/') - program);
    int rc = try_folder(program, length, file, path);
    if (rc != -ENOENT)
        return rc;
    char folder[sizeof program + sizeof SB_MODULES_FROM_PROGRAM + 1];
    int m =
        snprintf(folder, sizeof folder, "%.*s/%s", (int)length, program, SB_MODULES_FROM_PROGRAM);
    return try_folder(folder, (size_t)m, file, path);
}

int sb_module_file(const char *file, char **path, struct sb_error *err) {
    const char *folder;
    size_t n;
    int rc = -ENOENT;
    for (size_t i = 0; rc == -ENOENT && folder_at(i, &folder, &n); i++) {
        if (*folder != '/')
            return sb_error_set(err, -EINVAL, "%s: '%.*s' is not absolute", path_variable, (int)n,
                                folder);
        rc = try_folder(folder, n, file, path);
    }
    if (rc == -ENOENT)
        rc = try_program(file, path);
    if (rc == -ENOENT)
        return sb_error_set(err, rc, "%s not found (beside the program, and in %s)", file,
                            path_variable);
    return rc < 0 ? sb_error_errno(err, rc, "%s", file) : 0;
}

int sb_module_find(const char *name, char **path, struct sb_error *err) {
    char file[128];
    if (!is_name(name))
        return sb_error_set(err, -ENOENT, "'%s' is no name of a backend", name);
    snprintf(file, sizeof file, "%s%s%s", file_prefix, name, file_suffix);
    return sb_module_file(file, path, err);
}

/* ---- Names ----------------------------------------------------------------------------------- */

struct names {
    char **items;
    size_t n;
};

static int add_name(struct names *names, const char *name, size_t length) {
    char **items = realloc(names->items, (names->n + 2) * sizeof *items);
    if (!items)
        return -ENOMEM;
    names->items = items;
    items[names->n] = strndup(name, length);
    if (!items[names->n])
        return -ENOMEM;
    items[++names->n] = NULL;
    return 0;
}

static int add_folder(struct names *names, const char *folder) {
    DIR *directory = opendir(folder);
    int rc = 0;
    for (struct dirent *entry; rc == 0 && directory && (entry = readdir(directory));) {
        size_t n = strlen(entry->d_name), before = strlen(file_prefix), after = strlen(file_suffix);
        if (n > before + after && strncmp(entry->d_name, file_prefix, before) == 0 &&
            strcmp(entry->d_name + n - after, file_suffix) == 0)
            rc = add_name(names, entry->d_name + before, n - before - after);
    }
    if (directory)
        closedir(directory);
    return rc;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Several folders may have a module of one name; the first is loaded. */
static void drop_doubles(struct names *names) {
    size_t kept = 0;
    qsort(names->items, names->n, sizeof *names->items, compare_names);
    for (size_t i = 0; i < names->n; i++) {
        char *name = names->items[i];
        if (is_name(name) && (kept == 0 || strcmp(names->items[kept - 1], name) != 0))
            names->items[kept++] = name;
        else
            free(name);
    }
    names->items[names->n = kept] = NULL;
}

char **sb_module_names(void) {
    struct names names = {calloc(1, sizeof *names.items), 0};
    const char *folder;
    size_t n;
    int rc = names.items ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && folder_at(i, &folder, &n); i++) {
        char *path = strndup(folder, n);
        rc = path ? add_folder(&names, path) : -ENOMEM;
        free(path);
    }
    if (rc == 0) {
        drop_doubles(&names);
        return names.items;
    }
    for (size_t i = 0; i < names.n; i++)
        free(names.items[i]);
    free(names.items);
    return NULL;
}

/* ---- Loading --------------------------------------------------------------------------------- */

int sb_module_load(const char *name, const struct sb_backend **backend, struct sb_error *err) {
    char *path = NULL, symbol[128];
    int rc = sb_module_find(name, &path, err);
    if (rc < 0)
        return rc;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        free(path);
        return sb_error_set(err, -ENOENT, "%s", dlerror());
    }
    snprintf(symbol, sizeof symbol, "sb_backend_%s", name);
    const struct sb_backend *found = dlsym(library, symbol);
    if (!found)
        rc = sb_error_set(err, -ENOENT, "%s exports no %s", path, symbol);
    else if (found->api != SB_BACKEND_API)
        rc = sb_error_set(err, -ENOTSUP, "%s is made for version %u of the interface, not %d", path,
                          found->api, SB_BACKEND_API);
    else if (!found->name || strcmp(found->name, name) != 0)
        rc = sb_error_set(err, -ENOTSUP, "%s calls itself '%s'", path,
                          found->name ? found->name : "");
    else
        *backend = found;
    free(path);
    return rc; /* not dlclose: libraries that it has brought may have threads */
}

int sb_backend_load(const char *name, const struct sb_backend **backend, struct sb_error *err) {
    const struct sb_backend *known = sb_backend_find(name);
    if (known && !known->planned) {
        *backend = known;
        return 0;
    }
    char *path = NULL;
    struct sb_error inner = {0};
    int rc = sb_module_find(name, &path, &inner);
    free(path);
    if (rc == 0)
        return sb_module_load(name, backend, err);
    if (rc != -ENOENT)
        return sb_error_set(err, rc, "%s", inner.text);
    if (!known)
        return sb_error_set(err, -EINVAL, "unknown backend '%s'", name);
    *backend = known; /* whose gap says why */
    return 0;
}
