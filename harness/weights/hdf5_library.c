/* Stage 4, weights: finds and loads libhdf5. See weights/hdf5_library.h. */
#include "weights/hdf5_library.h"

#include "weights/samebits-hdf5.h"
#include <samebits/weights.h>

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The library that the build found, then the names that distributions give it. */
static const char *const sonames[] = {
    SB_HDF5_SONAME,          "libhdf5_serial.so.103", "libhdf5.so.103",
    "libhdf5_serial.so.200", "libhdf5.so.200",        "libhdf5_serial.so.310",
    "libhdf5.so.310",        "libhdf5_serial.so",     "libhdf5.so",
};

/* What the process has loaded: filled in once, constant after. */
static struct {
    struct sb_hdf5_library library;
    struct sb_error err;
    bool loaded;
} the;

static int find_symbols(void *handle, struct sb_hdf5_library *h5, struct sb_error *err) {
    static const struct {
        const char *name;
        size_t offset;
    } symbols[] = {
#define SB_H5_SYMBOL(name) {#name, offsetof(struct sb_hdf5_library, name)},
        SB_H5_FUNCTIONS(SB_H5_SYMBOL) SB_H5_IDENTIFIERS(SB_H5_SYMBOL)
#undef SB_H5_SYMBOL
    };
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *symbol = dlsym(handle, symbols[i].name);
        if (!symbol)
            return sb_error_set(err, -ENOSYS, "it has no %s", symbols[i].name);
        memcpy((char *)h5 + symbols[i].offset, &symbol, sizeof symbol);
    }
    void *locking = dlsym(handle, "H5Pset_file_locking");
    memcpy(&h5->H5Pset_file_locking, &locking, sizeof locking);
    void *chunk_info = dlsym(handle, "H5Dget_chunk_info_by_coord");
    memcpy(&h5->get_chunk_info, &chunk_info, sizeof chunk_info);
    return 0;
}

/* Plugins are code from disk, found through the environment: never for weights that are not
 * trusted. */
static int open_library(struct sb_hdf5_library *h5, struct sb_error *err) {
    unsigned major = 0, minor = 0, release = 0;
    if (h5->H5get_libversion(&major, &minor, &release) < 0)
        return sb_error_set(err, -ENOSYS, "it does not tell its version");
    if (major != H5_VERS_MAJOR || minor != H5_VERS_MINOR)
        return sb_error_set(err, -ENOSYS, "it is version %u.%u, this build needs %d.%d", major,
                            minor, H5_VERS_MAJOR, H5_VERS_MINOR);
    if (h5->H5open() < 0 || h5->H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0 ||
        h5->H5PLset_loading_state(0) < 0)
        return sb_error_set(err, -EIO, "it cannot be initialised");
    snprintf(h5->version, sizeof h5->version, "%u.%u.%u", major, minor, release);
    return 0;
}

static int load(const char *soname, struct sb_hdf5_library *h5, struct sb_error *err) {
    void *handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return sb_error_set(err, -ENOENT, "%s", dlerror());
    int r = find_symbols(handle, h5, err);
    if (r == 0)
        r = open_library(h5, err);
    if (r < 0) {
        dlclose(handle);
        return sb_error_prefix(err, r, "%s", soname);
    }
    return 0;
}

static void load_once(void) {
    struct sb_error best = {0};
    int best_code = -ENOENT;
    for (size_t i = 0; i < sizeof sonames / sizeof *sonames && !the.loaded; i++) {
        struct sb_error err = {0};
        struct sb_hdf5_library h5 = {0};
        int r = load(sonames[i], &h5, &err);
        if (r == 0) {
            the.library = h5;
            the.loaded = true;
        } else if (i == 0 || (best_code == -ENOENT && r != -ENOENT)) {
            /* A library that is there and does not fit says more than one that is missing. */
            best = err;
            best_code = r;
        }
    }
    if (!the.loaded)
        sb_error_set(&the.err, best_code, "libhdf5 cannot be loaded (%s)", best.text);
}

const struct sb_hdf5_library *sb_hdf5_library(struct sb_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_once);
    if (the.loaded)
        return &the.library;
    sb_error_set(err, -ENOSYS, "%s", the.err.text);
    return NULL;
}

const char *sb_hdf5_version(struct sb_error *err) {
    const struct sb_hdf5_library *h5 = sb_hdf5_library(err);
    return h5 ? h5->version : NULL;
}

/* The stack is walked from the outermost call inwards: the last description is the cause. */
static herr_t keep_reason(unsigned n, const H5E_error2_t *error, void *context) {
    (void)n;
    char *reason = context;
    if (error->desc && *error->desc)
        snprintf(reason, 256, "%s", error->desc);
    return 0;
}

int sb_hdf5_error(const struct sb_hdf5_library *h5, struct sb_error *err, int code,
                  const char *format, ...) {
    char what[1024], reason[256] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    h5->H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_reason, reason);
    h5->H5Eclear2(H5E_DEFAULT);
    return sb_error_set(err, code, *reason ? "%s (%s)" : "%s", what, reason);
}
