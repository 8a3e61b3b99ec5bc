/* The trace: a process's file, mapped piece by piece. Nothing is held back in the process, so that
 * no end of it loses what was written; no descriptor stays open, which a program might close. */
#include "base/trace.h"
#include "probe/trace.h"
#include "probe/trace_format.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    WINDOW = 1 << 20,
    LONGEST = 512, /* of one record, definitions before it included */
    NAMES = 256,
    SHAPES = 1024,
    MOST_NAME = 127,
    PATH = 4096,
    TRIES = 1000
};
#define MOST_BYTES (UINT64_C(4) << 30) /* of one process */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are little-endian");

struct name {
    bool known;
    char text[MOST_NAME + 1];
};

struct shape {
    uint8_t dtype, n;
    bool known;
    uint64_t sizes[SB_TRACED_SIZES];
};

/* One a process: a forked child begins with another. */
static struct {
    const char *folder;
    enum { NOT_OPEN, OPEN, FAILED } state;
    int lock;
    char path[PATH];
    struct sb_trace_head *head;
    uint8_t *window;
    uint64_t window_at, at; /* offsets in the file */
    uint32_t threads;
    size_t n_names, n_shapes;
    struct name names[NAMES];
    struct shape shapes[SHAPES];
} file;

/* Numbers of threads begin with 1, in the order of their first calls. */
static _Thread_local uint32_t thread_number __attribute__((tls_model("initial-exec")));

/* Not a mutex of pthreads: those the probe delays. */
static void take(void) {
    while (__atomic_exchange_n(&file.lock, 1, __ATOMIC_ACQUIRE))
        sched_yield();
}

static void give(void) {
    __atomic_store_n(&file.lock, 0, __ATOMIC_RELEASE);
}

static void forget_in_child(void) {
    const char *folder = file.folder;
    memset(&file, 0, sizeof file);
    file.folder = folder;
    thread_number = 0;
}

void sb_trace_file_begin(const char *folder) {
    file.folder = folder;
    pthread_atfork(take, give, forget_in_child);
}

/* ---- Room -------------------------------------------------------------------------------------
 */

static uint64_t now_ns(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* Space is taken before it is mapped: a full disk would be a SIGBUS in the program, and a limit
 * that it set itself a SIGXFSZ. */
static void *map(int fd, uint64_t at, size_t n) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < at + n)
        return NULL;
    if (fd < 0 || posix_fallocate(fd, (off_t)at, (off_t)n) != 0)
        return NULL;
    void *mapped = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);
    if (mapped == MAP_FAILED)
        return NULL;
    madvise(mapped, n, MADV_DONTFORK);
    return mapped;
}

static bool map_window(int fd) {
    uint64_t at = file.at / SB_TRACE_RECORDS * SB_TRACE_RECORDS;
    if (file.window)
        munmap(file.window, WINDOW);
    file.window = at < MOST_BYTES ? map(fd, at, WINDOW) : NULL;
    file.window_at = at;
    return file.window != NULL;
}

static bool next_window(void) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, file.path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    bool mapped = map_window(fd);
    if (fd >= 0)
        syscall(SYS_close, fd);
    return mapped;
}

static void put(const void *bytes, size_t n) {
    memcpy(file.window + (file.at - file.window_at), bytes, n);
    file.at += n;
}

/* A process id comes again with every exec. */
static int create(void) {
    int fd = -1;
    for (int i = 0; i < TRIES && fd < 0; i++) {
        snprintf(file.path, sizeof file.path, "%s/%ld.%d", file.folder, syscall(SYS_getpid), i);
        fd = (int)syscall(SYS_openat, AT_FDCWD, file.path,
                          O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
    return fd;
}

static void put_process(void) {
    char text[PATH];
    ssize_t n = syscall(SYS_readlink, "/proc/self/exe", text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    const char *slash = strrchr(text, '/'), *name = slash ? slash + 1 : text;
    uint8_t length = (uint8_t)strnlen(name, MOST_NAME);
    uint32_t pid = (uint32_t)syscall(SYS_getpid);
    put(SB_TRACE_MAGIC "P", sizeof SB_TRACE_MAGIC);
    put(&pid, sizeof pid);
    put(&length, sizeof length);
    put(name, length);
}

static bool open_file(void) {
    int fd = create();
    file.at = SB_TRACE_RECORDS;
    file.head = map(fd, 0, SB_TRACE_RECORDS);
    if (file.head) { /* which counts what is lost, too */
        file.head->started_ns = now_ns();
        memcpy(file.head->magic, SB_TRACE_HEAD_MAGIC, sizeof file.head->magic);
    }
    bool open = file.head && map_window(fd);
    if (fd >= 0)
        syscall(SYS_close, fd);
    if (!open)
        return false;
    put_process();
    file.head->length = file.at - SB_TRACE_RECORDS;
    return true;
}

/* With the lock held. */
static bool has_room(void) {
    if (file.state == NOT_OPEN)
        file.state = open_file() ? OPEN : FAILED;
    if (file.state == OPEN && file.at + LONGEST > file.window_at + WINDOW && !next_window())
        file.state = FAILED;
    return file.state == OPEN;
}

/* ---- Records ----------------------------------------------------------------------------------
 */

/* FNV-1a. */
static uint32_t hash(const void *bytes, size_t n) {
    uint32_t value = 2166136261U;
    for (size_t i = 0; i < n; i++)
        value = (value ^ ((const uint8_t *)bytes)[i]) * 16777619U;
    return value;
}

/* When a table fills up all in it is forgotten, and defined anew where they come again. */
static void keep_names_few(void) {
    if (file.n_names <= NAMES * 3 / 4)
        return;
    memset(file.names, 0, sizeof file.names);
    file.n_names = 0;
}

static uint16_t name_id(const char *name) {
    size_t n = strnlen(name, MOST_NAME);
    uint16_t id = (uint16_t)(hash(name, n) % NAMES);
    for (; file.names[id].known; id = (uint16_t)((id + 1) % NAMES)) {
        if (strncmp(file.names[id].text, name, n) == 0 && !file.names[id].text[n])
            return id;
    }
    memcpy(file.names[id].text, name, n);
    file.names[id].text[n] = '\0';
    file.names[id].known = true;
    file.n_names++;
    uint8_t head[4] = {'N', (uint8_t)id, (uint8_t)(id >> 8), (uint8_t)n};
    put(head, sizeof head);
    put(name, n);
    return id;
}

static void keep_shapes_few(void) {
    if (file.n_shapes <= SHAPES * 3 / 4)
        return;
    memset(file.shapes, 0, sizeof file.shapes);
    file.n_shapes = 0;
}

static uint32_t shape_id(const struct sb_traced *call) {
    struct shape shape;
    memset(&shape, 0, sizeof shape);
    shape.dtype = call->dtype;
    shape.n = (uint8_t)call->n_sizes;
    shape.known = true;
    memcpy(shape.sizes, call->sizes, call->n_sizes * sizeof *call->sizes);
    uint32_t id = hash(call->sizes, call->n_sizes * sizeof *call->sizes);
    for (id = (id ^ id >> 15) % SHAPES; file.shapes[id].known; id = (id + 1) % SHAPES) {
        if (memcmp(&file.shapes[id], &shape, sizeof shape) == 0)
            return id;
    }
    file.shapes[id] = shape;
    file.n_shapes++;
    uint8_t head[7] = {'S', (uint8_t)id, (uint8_t)(id >> 8), 0, 0, shape.dtype, shape.n};
    put(head, sizeof head);
    put(shape.sizes, shape.n * sizeof *shape.sizes);
    return id;
}

void sb_trace_file_write(const struct sb_traced *call) {
    take();
    if (has_room()) {
        if (!thread_number)
            thread_number = ++file.threads;
        keep_names_few();
        keep_shapes_few();
        const uint16_t names[2] = {name_id(call->kernel), name_id(call->library)};
        const uint32_t numbers[3] = {shape_id(call), thread_number, call->step};
        const uint64_t number = file.head->calls + 1;
        put("C", 1);
        put(names, sizeof names);
        put(numbers, sizeof numbers);
        put(&number, sizeof number);
        put(call->in, sizeof call->in);
        put(call->out, sizeof call->out);
        /* A process that is killed here has written whole records up to this one. */
        __atomic_store_n(&file.head->length, file.at - SB_TRACE_RECORDS, __ATOMIC_RELEASE);
        file.head->calls++;
    } else if (file.head) {
        file.head->lost++;
    }
    give();
}

void sb_trace_file_lost(void) {
    take();
    if (has_room() || file.head)
        file.head->lost++;
    give();
}

void sb_trace_file_spent(uint64_t inside_ns, uint64_t tracing_ns) {
    if (!file.head)
        return;
    __atomic_fetch_add(&file.head->inside_ns, inside_ns, __ATOMIC_RELAXED);
    __atomic_fetch_add(&file.head->tracing_ns, tracing_ns, __ATOMIC_RELAXED);
}

uint64_t sb_trace_file_accounted(void) {
    return file.head ? __atomic_load_n(&file.head->inside_ns, __ATOMIC_RELAXED) +
                           __atomic_load_n(&file.head->tracing_ns, __ATOMIC_RELAXED)
                     : 0;
}
