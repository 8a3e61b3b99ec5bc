/* Stage 7: versions of the libraries and programs that runs had. */
#include "report/manifest.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "samebits-config.h"

#include <ctype.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Wheels carry a part of a digest in a file's name ("libgomp-a34b3233.so.1", "libopenblas-r0-
 * f650aae0.3.3.so"): its place, or NULL. */
static const char *find_digest(const char *name) {
    for (const char *dash = strchr(name, '-'); dash; dash = strchr(dash + 1, '-')) {
        if (strspn(dash + 1, "0123456789abcdef") == 8 && dash[9] == '.')
            return dash;
    }
    return NULL;
}

/* "libopenblasp-r0.3.21.so" → 0.3.21, "libhdf5_serial.so.103.3.0" → 103.3.0, "libpython3.11.so.1.0"
 * → 3.11. Links need no resolving: maps show the real file. */
char *sb_library_version(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *written = slash ? slash + 1 : path, *digest = find_digest(written);
    SB_AUTO_FREE char *name =
        digest ? sb_format("%.*s%s", (int)(digest - written), written, digest + 9)
               : strdup(written);
    char *end = name ? strstr(name, ".so") : NULL;
    if (!end)
        return NULL;
    const char *start = end;
    while (start > name && (isdigit((unsigned char)start[-1]) || start[-1] == '.'))
        start--;
    start += strspn(start, ".");
    /* The number in the name itself is the program's; the one behind .so is of the interface, and
     * stands in for it. "libfoo2.so" is a name. */
    if (start < end && memchr(start, '.', (size_t)(end - start)))
        return strndup(start, (size_t)(end - start));
    return end[3] == '.' && isdigit((unsigned char)end[4]) ? strdup(end + 4) : NULL;
}

/* Libraries whose version is worth a line of its own, by how their file names begin; and what
 * stands in the file before the version, where a name does not tell it. */
static const struct {
    const char *begins, *name, *marker;
} known_libraries[] = {
    {"libopenblas", "OpenBLAS", "OpenBLAS "},
    {"libscipy_openblas", "OpenBLAS", "OpenBLAS "},
    {"libblis", "BLIS", NULL},
    {"libmkl_core", "MKL", NULL},
    {"libdnnl", "oneDNN", NULL},
    {"libhdf5", "HDF5", "HDF5 library version: "},
    {"libcudart", "CUDA", NULL},
    {"libcudnn", "cuDNN", NULL},
    {"libcublas", "cuBLAS", NULL},
    {"libnccl", "NCCL", NULL},
    {"libgomp", "libgomp", NULL},
    {"libomp", "libomp", NULL},
    {"libtorch", "torch", NULL},
    {"libtensorflow", "tensorflow", NULL},
    {"libpython", "python", NULL},
    {"libstdc++", "libstdc++", NULL},
};

/* The version that a file says of itself: the first "<marker>1.10.8" in it, malloc'd, or NULL. */
static char *embedded_version(const char *path, const char *marker) {
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size <= 0)
        return NULL;
    size_t n = (size_t)status.st_size, length = strlen(marker);
    char *bytes = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return NULL;
    char *version = NULL;
    for (char *at = bytes;
         !version && (at = memmem(at, n - (size_t)(at - bytes), marker, length));) {
        at += length;
        size_t left = n - (size_t)(at - bytes), digits = 0;
        while (digits < left && digits < 32 &&
               (isdigit((unsigned char)at[digits]) || at[digits] == '.'))
            digits++;
        if (digits && isdigit((unsigned char)*at) && memchr(at, '.', digits))
            version = strndup(at, digits);
    }
    munmap(bytes, n);
    return version;
}

static char *version_of(const char *path, const char *marker) {
    char *version = marker ? embedded_version(path, marker) : NULL;
    return version ? version : sb_library_version(path);
}

/* `known`: paths that were looked at, so that thousands of runs cost no more than one. */
static void add_libraries(json_t *versions, json_t *known, const struct sb_run *run) {
    for (size_t i = 0; i < run->seen.n_libraries; i++) {
        const char *path = run->seen.libraries[i], *slash = strrchr(path, '/');
        const char *file = slash ? slash + 1 : path;
        if (json_object_get(known, path))
            continue;
        json_object_set_new_nocheck(known, path, json_true());
        for (size_t k = 0; k < sizeof known_libraries / sizeof *known_libraries; k++) {
            const char *begins = known_libraries[k].begins, *name = known_libraries[k].name;
            if (strncmp(file, begins, strlen(begins)) != 0 || json_object_get(versions, name))
                continue;
            SB_AUTO_FREE char *version = version_of(path, known_libraries[k].marker);
            if (version)
                json_object_set_new(versions, name, sb_json_string(version));
        }
    }
}

/* "python3.11": the version is in the program's own name. */
static void add_python(json_t *versions, const struct sb_run *run) {
    for (size_t i = 0; i < run->seen.n_processes; i++) {
        const char *exe = run->seen.processes[i].exe;
        const char *slash = exe ? strrchr(exe, '/') : NULL;
        if (slash && strncmp(slash, "/python", 7) == 0 && isdigit((unsigned char)slash[7]) &&
            strchr(slash, '.') && !json_object_get(versions, "python"))
            json_object_set_new(versions, "python", sb_json_string(slash + 7));
    }
}

/* The worker's own word of its backend: {"backend": "openblas", "version": "0.3.21"}. */
static void add_backend(json_t *versions, const struct sb_run *run) {
    const char *backend = json_string_value(json_object_get(run->seen.worker, "backend"));
    const char *version = json_string_value(json_object_get(run->seen.worker, "version"));
    if (backend && version && strcmp(backend, "ref") != 0)
        json_object_set_new(versions, strcmp(backend, "openblas") == 0 ? "OpenBLAS" : backend,
                            sb_json_string(version));
}

json_t *sb_versions_json(const struct sb_run *runs, size_t n_runs) {
    json_t *versions = json_pack("{s:s, s:s, s:s}", "samebits", SB_VERSION, "libc",
                                 gnu_get_libc_version(), "compiler", SB_COMPILER);
    SB_AUTO_JSON json_t *known = json_object();
    for (size_t i = 0; i < n_runs; i++) {
        add_libraries(versions, known, &runs[i]);
        add_python(versions, &runs[i]);
        add_backend(versions, &runs[i]);
    }
    return versions;
}
