/* The trace: where the program asks for one source of what the probe watches. See probe/asked.h. */
#include "probe/asked.h"
#include "probe/probe.h"
#include "probe/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    enum sb_probe_source source;
} sources[] = {{"entropy", SB_PROBE_ENTROPY}, {"clock", SB_PROBE_CLOCK},
               {"pid", SB_PROBE_PID},         {"hostname", SB_PROBE_HOSTNAME},
               {"readdir", SB_PROBE_READDIR}, {"locale", SB_PROBE_LOCALE}};

static char path[4096];
static unsigned looks;
static uint64_t places[SB_ASKED_PLACES]; /* hashes of what was written; 0: free */

/* What is asked for on the way to the frames is not the program's. */
static _Thread_local bool busy __attribute__((tls_model("initial-exec")));

static uint64_t hash_of(const char *text) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash ? hash : 1;
}

static bool is_new(uint64_t hash) {
    for (size_t i = 0; i < SB_ASKED_PLACES; i++) {
        uint64_t there = 0, *place = &places[(hash + i) % SB_ASKED_PLACES];
        if (__atomic_compare_exchange_n(place, &there, hash, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return true;
        if (there == hash)
            return false;
    }
    return false;
}

/* In one piece, since other processes write there too. */
static void append(const char *text, size_t n) {
    struct stat found;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path,
                          O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (fstat(fd, &found) == 0 && found.st_size + (off_t)n <= SB_ASKED_BYTES)
        syscall(SYS_write, fd, text, n);
    syscall(SYS_close, fd);
}

static void asked(const char *call) {
    if (busy || __atomic_fetch_add(&looks, 1, __ATOMIC_RELAXED) >= SB_ASKED_LOOKS)
        return;
    int saved = errno;
    busy = true;
    char text[SB_ASKED_RECORD];
    int n = snprintf(text, sizeof text / 2, "%s\n", call);
    sb_trace_frames(text + n, sizeof text - (size_t)n - 2);
    if (text[n] && is_new(hash_of(text))) {
        strcat(text, "\n\n");
        append(text, strlen(text));
    }
    busy = false;
    errno = saved;
}

void sb_trace_asked_begin(const char *folder, const char *source) {
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        if (strcmp(sources[i].name, source) == 0 && sb_probe_watch &&
            snprintf(path, sizeof path, "%s/%s", folder, SB_ASKED_FILE) < (int)sizeof path)
            sb_probe_watch(sources[i].source, asked);
    }
}
