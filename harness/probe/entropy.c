/* The probe: random bytes of the system. Frozen, every thread has a stream of its own, which
 * follows from the program's arguments and from the order in which its parent made it: what one
 * thread takes does not change what another gets. */
#include "probe/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A frozen /dev/urandom is a file with so many bytes of the stream, and then ends. */
enum { DEVICE_BYTES = 1 << 20, GETENTROPY_MOST = 256 };

static bool is_hash_seed(size_t n, unsigned flags) {
    if (n != SB_PROBE_PYTHON_SECRET || flags != GRND_NONBLOCK)
        return false;
    static int python; /* 1: yes, 2: no */
    if (!python) {
        char path[PATH_MAX];
        ssize_t length = syscall(SYS_readlink, "/proc/self/exe", path, sizeof path - 1);
        path[length > 0 ? length : 0] = '\0';
        const char *slash = strrchr(path, '/');
        python = strncmp(slash ? slash + 1 : path, "python", 6) == 0 ? 1 : 2;
    }
    return python == 1;
}

SB_INTERPOSED ssize_t getrandom(void *buffer, size_t n, unsigned flags) {
    if (is_hash_seed(n, flags)) {
        sb_probe_note(SB_PROBE_HASH_SEED, "getrandom", SB_CALLER, false);
        return syscall(SYS_getrandom, buffer, n, flags, 0, 0, SB_PROBE_OWN_CALL);
    }
    bool frozen = sb_probe_settings()->entropy;
    sb_probe_note(SB_PROBE_ENTROPY, "getrandom", SB_CALLER, frozen);
    if (!frozen)
        return syscall(SYS_getrandom, buffer, n, flags);
    sb_probe_fill(buffer, n);
    return (ssize_t)n;
}

static int fill(void *buffer, size_t n) {
    if (sb_probe_settings()->entropy) {
        sb_probe_fill(buffer, n);
        return 0;
    }
    for (size_t done = 0; done < n;) {
        long got = syscall(SYS_getrandom, (char *)buffer + done, n - done, 0);
        if (got < 0 && errno != EINTR)
            return -1;
        done += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

SB_INTERPOSED int getentropy(void *buffer, size_t n) {
    sb_probe_note(SB_PROBE_ENTROPY, "getentropy", SB_CALLER, sb_probe_settings()->entropy);
    if (n > GETENTROPY_MOST) {
        errno = EIO;
        return -1;
    }
    return fill(buffer, n);
}

/* glibc has them from 2.36 on. */
SB_INTERPOSED uint32_t arc4random(void);
SB_INTERPOSED void arc4random_buf(void *buffer, size_t n);
SB_INTERPOSED uint32_t arc4random_uniform(uint32_t bound);

SB_INTERPOSED uint32_t arc4random(void) {
    uint32_t word = 0;
    sb_probe_note(SB_PROBE_ENTROPY, "arc4random", SB_CALLER, sb_probe_settings()->entropy);
    if (fill(&word, sizeof word) < 0)
        abort(); /* as glibc's: it has no other way to fail */
    return word;
}

SB_INTERPOSED void arc4random_buf(void *buffer, size_t n) {
    sb_probe_note(SB_PROBE_ENTROPY, "arc4random_buf", SB_CALLER, sb_probe_settings()->entropy);
    if (fill(buffer, n) < 0)
        abort();
}

SB_INTERPOSED uint32_t arc4random_uniform(uint32_t bound) {
    sb_probe_note(SB_PROBE_ENTROPY, "arc4random_uniform", SB_CALLER, sb_probe_settings()->entropy);
    uint32_t word, least = bound ? -bound % bound : 0; /* below it some results would be likelier */
    do {
        if (fill(&word, sizeof word) < 0)
            abort();
    } while (word < least);
    return bound ? word % bound : 0;
}

/* unsigned std::random_device::_M_getval() of libstdc++, which would ask the CPU. */
SB_INTERPOSED unsigned _ZNSt13random_device9_M_getvalEv(void *device);
SB_INTERPOSED unsigned _ZNSt13random_device9_M_getvalEv(void *device) {
    static void *real;
    unsigned (*getval)(void *);
    bool frozen = sb_probe_settings()->entropy;
    sb_probe_note(SB_PROBE_ENTROPY, "std::random_device", SB_CALLER, frozen);
    void *found = sb_probe_real(&real, "_ZNSt13random_device9_M_getvalEv");
    unsigned word = 0;
    memcpy(&getval, &found, sizeof getval);
    if (!frozen && getval)
        return getval(device);
    if (fill(&word, sizeof word) < 0)
        abort();
    return word;
}

/* ---- Devices ----------------------------------------------------------------------------------
 */

static bool is_device(const char *path) {
    return path && (strcmp(path, "/dev/urandom") == 0 || strcmp(path, "/dev/random") == 0);
}

static int frozen_device(int flags) {
    int fd = memfd_create("urandom", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    void *map = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, DEVICE_BYTES) == 0)
        map = mmap(NULL, DEVICE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    sb_probe_fill(map, DEVICE_BYTES);
    munmap(map, DEVICE_BYTES);
    return fd;
}

/* A descriptor, -1 with errno, or -2: it is not to be replaced. */
static int instead(const char *path, int flags, const void *caller) {
    if (!is_device(path))
        return -2;
    bool frozen = sb_probe_settings()->entropy;
    sb_probe_note(SB_PROBE_ENTROPY, path[5] == 'u' ? "/dev/urandom" : "/dev/random", caller,
                  frozen);
    return frozen ? frozen_device(flags) : -2;
}

/* Where random bytes are frozen a guard would look at every open, and cannot know that this one was
 * looked at here: so it is told. */
#define OPEN_HERE(folder, path, flags, mode, real)                                                 \
    (sb_probe_settings()->entropy                                                                  \
         ? (int)syscall(SYS_openat, folder, path, flags, mode, 0, SB_PROBE_OWN_CALL)               \
         : (real))

static mode_t mode_of(int flags, va_list arguments) {
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                                                                 \
    SB_INTERPOSED int name(const char *path, int flags, ...) {                                     \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = mode_of(flags, arguments);                                                   \
        va_end(arguments);                                                                         \
        int fd = instead(path, flags, SB_CALLER);                                                  \
        return fd != -2                                                                            \
                   ? fd                                                                            \
                   : OPEN_HERE(AT_FDCWD, path, flags, mode, SB_REAL(name)(path, flags, mode));     \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                               \
    SB_INTERPOSED int name(int folder, const char *path, int flags, ...) {                         \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = mode_of(flags, arguments);                                                   \
        va_end(arguments);                                                                         \
        int fd = instead(path, flags, SB_CALLER);                                                  \
        return fd != -2 ? fd                                                                       \
                        : OPEN_HERE(folder, path, flags, mode,                                     \
                                    SB_REAL(name)(folder, path, flags, mode));                     \
    }
OPENAT(openat)
OPENAT(openat64)

/* What -D_FORTIFY_SOURCE makes of them. */
#define OPEN_2(name)                                                                               \
    SB_INTERPOSED int name(const char *path, int flags);                                           \
    SB_INTERPOSED int name(const char *path, int flags) {                                          \
        int fd = instead(path, flags, SB_CALLER);                                                  \
        return fd != -2 ? fd : OPEN_HERE(AT_FDCWD, path, flags, 0, SB_REAL(name)(path, flags));    \
    }
OPEN_2(__open_2)
OPEN_2(__open64_2)

#define FOPEN(name)                                                                                \
    SB_INTERPOSED FILE *name(const char *restrict path, const char *restrict mode) {               \
        int fd = instead(path, 0, SB_CALLER);                                                      \
        return fd != -2 ? (fd < 0 ? NULL : fdopen(fd, mode)) : SB_REAL(name)(path, mode);          \
    }
FOPEN(fopen)
FOPEN(fopen64)

/* ---- Seeds: noted, and the program's own to set ------------------------------------------------
 */

SB_INTERPOSED void srand(unsigned seed) {
    sb_probe_note(SB_PROBE_SEED, "srand", SB_CALLER, false);
    SB_REAL(srand)(seed);
}

SB_INTERPOSED void srandom(unsigned seed) {
    sb_probe_note(SB_PROBE_SEED, "srandom", SB_CALLER, false);
    SB_REAL(srandom)(seed);
}

SB_INTERPOSED void srand48(long seed) {
    sb_probe_note(SB_PROBE_SEED, "srand48", SB_CALLER, false);
    SB_REAL(srand48)(seed);
}
