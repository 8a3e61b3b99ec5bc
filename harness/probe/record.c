/* The probe: its settings, and the record of what was consulted. */
#include "probe/inside.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

enum { NOT_BEGUN, BEGINNING, BEGUN, CACHE = 32, MOST_PATH = 4096 };

/* The preloaded library is there once a process: these are its state. */
static atomic_int begun;
static struct sb_probe_settings settings;
static struct sb_probe_record *record;
static char program[sizeof((struct sb_probe_slot *)NULL)->program];
static uint64_t process_key;
static enum sb_probe_source watched;
static sb_probe_watcher *tell;

/* Initial-exec: the general model may allocate at a thread's first use. */
static _Thread_local struct sb_probe_thread thread __attribute__((tls_model("initial-exec")));
static _Thread_local struct {
    const void *caller;
    const char *call;
    struct sb_probe_slot *slot;
} cache[CACHE] __attribute__((tls_model("initial-exec")));

void *sb_probe_real(void **function, const char *name) {
    void *real = __atomic_load_n(function, __ATOMIC_ACQUIRE);
    if (!real) {
        /* Of two versions dlsym may give the older; condition variables are all here that has two.
         */
        if (strncmp(name, "pthread_cond_", strlen("pthread_cond_")) == 0)
            real = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
        if (!real)
            real = dlsym(RTLD_NEXT, name);
        __atomic_store_n(function, real, __ATOMIC_RELEASE);
    }
    return real;
}

/* ---- Beginning --------------------------------------------------------------------------------
 */

static unsigned digit_after(const char *text, const char *name) {
    const char *found = strstr(text, name);
    char digit = found ? found[strlen(name)] : '0';
    return digit >= '0' && digit <= '9' ? (unsigned)(digit - '0') : 0;
}

/* Decimal, of ten digits; SB_PROBE_SCHEDULE_RANDOM: another one in every process. */
static uint64_t number_after(const char *text, const char *name) {
    const char *found = strstr(text, name);
    uint64_t number = 0;
    for (found = found ? found + strlen(name) : ""; *found >= '0' && *found <= '9'; found++)
        number = number * 10 + (uint64_t)(*found - '0');
    if (number == SB_PROBE_SCHEDULE_RANDOM)
        syscall(SYS_getrandom, &number, sizeof number, 0, 0, 0, SB_PROBE_OWN_CALL);
    return number;
}

static void open_record(const char *text) {
    char path[MOST_PATH];
    size_t n = strcspn(text, ";");
    if (n == 0 || n >= sizeof path)
        return;
    memcpy(path, text, n);
    path[n] = '\0';
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (map == MAP_FAILED)
        return;
    record = map;
    if (memcmp(record->magic, SB_PROBE_MAGIC, sizeof record->magic) != 0)
        record = NULL;
}

/* Two programs of a run have different streams, one started alike has the same in every run. */
static void find_program(void) {
    char text[MOST_PATH];
    ssize_t n = syscall(SYS_readlink, "/proc/self/exe", text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    const char *slash = strrchr(text, '/');
    const char *name = slash ? slash + 1 : text;
    for (size_t i = 0; name[i] && i + 1 < sizeof program; i++)
        program[i] = name[i];
    process_key = 0x73616d6562697473U;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? 0 : syscall(SYS_read, fd, text, sizeof text);
    for (ssize_t i = 0; i < n; i++)
        process_key = sb_probe_mix(process_key, (unsigned char)text[i]);
    if (fd >= 0)
        syscall(SYS_close, fd);
}

static void begin(void) {
    int expected = NOT_BEGUN, saved = errno;
    if (!atomic_compare_exchange_strong(&begun, &expected, BEGINNING))
        return;
    static const char prefix[] = SB_PROBE_VARIABLE "=";
    const char *text = NULL;
    for (char **item = environ; item && *item && !text; item++) {
        if (strncmp(*item, prefix, sizeof prefix - 1) == 0)
            text = *item + sizeof prefix - 1;
    }
    if (text) {
        find_program();
        open_record(text);
        settings.entropy = digit_after(text, ";entropy=");
        settings.clock = (enum sb_probe_clock)digit_after(text, ";clock=");
        settings.schedule = number_after(text, ";schedule=");
        settings.readdir = digit_after(text, ";readdir=");
    }
    atomic_store(&begun, BEGUN);
    if (text)
        sb_probe_note(SB_PROBE_START, "start", NULL, false);
    errno = saved;
}

__attribute__((constructor)) static void load(void) {
    if (atomic_load(&begun) == NOT_BEGUN)
        begin();
}

const struct sb_probe_settings *sb_probe_settings(void) {
    load();
    return &settings;
}

struct sb_probe_thread *sb_probe_thread(void) {
    load();
    if (!thread.key)
        thread.key = sb_probe_mix(process_key, 0);
    return &thread;
}

void sb_probe_fill(void *bytes, size_t n) {
    struct sb_probe_thread *own = sb_probe_thread();
    sb_probe_stream(own->key, &own->counter, bytes, n);
}

/* ---- Noting -----------------------------------------------------------------------------------
 */

static void copy_text(char *to, size_t size, const char *from) {
    size_t i = 0;
    for (; from[i] && i + 1 < size; i++)
        to[i] = from[i];
    to[i] = '\0';
}

/* File name of the object that an address lies in. */
static void name_caller(const void *address, char *name, size_t size) {
    const char *path = NULL;
#ifdef DLFO_STRUCT_HAS_EH_DBASE
    /* Takes no lock, where dladdr could wait for one that a forked child's parent held. */
    struct dl_find_object found;
    if (address && _dl_find_object((void *)address, &found) == 0)
        path = found.dlfo_link_map->l_name;
#else
    Dl_info found;
    if (address && dladdr(address, &found))
        path = found.dli_fname;
#endif
    const char *slash = path ? strrchr(path, '/') : NULL;
    copy_text(name, size, slash ? slash + 1 : path && *path ? path : program);
}

static bool same_slot(const struct sb_probe_slot *slot, const struct sb_probe_slot *wanted) {
    return slot->source == wanted->source && slot->frozen == wanted->frozen &&
           strcmp(slot->call, wanted->call) == 0 && strcmp(slot->caller, wanted->caller) == 0 &&
           strcmp(slot->program, wanted->program) == 0;
}

static struct sb_probe_slot *find_slot(const struct sb_probe_slot *wanted) {
    for (size_t i = 0; i < SB_PROBE_SLOTS; i++) {
        struct sb_probe_slot *slot = &record->slots[i];
        uint32_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
        if (state == SB_PROBE_FULL && same_slot(slot, wanted))
            return slot;
        uint32_t empty = SB_PROBE_EMPTY;
        if (state == SB_PROBE_EMPTY &&
            __atomic_compare_exchange_n(&slot->state, &empty, SB_PROBE_FILLING, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            slot->source = wanted->source;
            slot->frozen = wanted->frozen;
            memcpy(slot->call, wanted->call, sizeof slot->call);
            memcpy(slot->caller, wanted->caller, sizeof slot->caller);
            memcpy(slot->program, wanted->program, sizeof slot->program);
            __atomic_store_n(&slot->state, SB_PROBE_FULL, __ATOMIC_RELEASE);
            return slot;
        }
    }
    return NULL;
}

SB_INTERPOSED void sb_probe_watch(enum sb_probe_source source, sb_probe_watcher *watcher) {
    watched = source;
    __atomic_store_n(&tell, watcher, __ATOMIC_RELEASE);
}

void sb_probe_note(enum sb_probe_source source, const char *call, const void *caller, bool frozen) {
    load();
    sb_probe_watcher *watcher = __atomic_load_n(&tell, __ATOMIC_ACQUIRE);
    if (watcher && source == watched)
        watcher(call);
    if (!record)
        return;
    size_t place = ((uintptr_t)caller >> 2 ^ (uintptr_t)call) % CACHE;
    struct sb_probe_slot *slot = cache[place].slot;
    if (cache[place].caller != caller || cache[place].call != call || !slot ||
        slot->source != source || slot->frozen != frozen) {
        struct sb_probe_slot wanted = {.source = (uint16_t)source, .frozen = frozen};
        copy_text(wanted.call, sizeof wanted.call, call);
        name_caller(caller, wanted.caller, sizeof wanted.caller);
        copy_text(wanted.program, sizeof wanted.program, program);
        slot = find_slot(&wanted);
        if (!slot) {
            __atomic_fetch_add(&record->lost, 1, __ATOMIC_RELAXED);
            return;
        }
        cache[place].slot = NULL; /* a signal handler may come in between */
        cache[place].caller = caller;
        cache[place].call = call;
        cache[place].slot = slot;
    }
    __atomic_fetch_add(&slot->calls, 1, __ATOMIC_RELAXED);
}
