/* Stage 3: a guard answers raw system calls of its run: random bytes out of streams that are the
 * same in every run, and a calendar that is. See run/raw.h. */
#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "probe/stream.h"
#include "run/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The frozen device is a file with so many bytes, as in the preloaded library. */
enum { DEVICE_BYTES = 1 << 20, AT_ONCE = 64, PAGE = 4096, CHUNK = 1 << 16 };

/* glibc's malloc asks once, at a program's first allocation, for so many bytes that it does not
 * wait for; they tell a block that was freed twice, and reach no result. */
enum { MALLOC_KEY_BYTES = 8 };

/* Newer kernels may have more to say than these structs hold. */
union notice {
    struct seccomp_notif notif;
    char room[512];
};

static const char *const raw_names[] = {
    [SB_RAW_RANDOM] = "raw getrandom",
    [SB_RAW_TIME] = "raw time",
    [SB_RAW_TIME_OF_DAY] = "raw gettimeofday",
    [SB_RAW_CLOCK_GET] = "raw clock_gettime",
};

/* ---- Its memory -------------------------------------------------------------------------------
 */

static int copy(pid_t id, uint64_t at, void *bytes, size_t n, bool to_it) {
    struct iovec here = {bytes, n}, there = {(void *)(uintptr_t)at, n};
    ssize_t done = to_it ? process_vm_writev(id, &here, 1, &there, 1, 0)
                         : process_vm_readv(id, &here, 1, &there, 1, 0);
    return done == (ssize_t)n ? 0 : done < 0 ? -errno : -EFAULT;
}

/* A text that may end right before memory that is not there. */
static int copy_text(pid_t id, uint64_t at, char *text, size_t size) {
    size_t here = PAGE - at % PAGE, first = here < size - 1 ? here : size - 1;
    memset(text, 0, size);
    int rc = copy(id, at, text, first, false);
    if (rc == 0 && first < size - 1 && !memchr(text, '\0', first))
        rc = copy(id, at + first, text + first, size - 1 - first, false);
    return rc;
}

/* ---- Answers ----------------------------------------------------------------------------------
 */

/* -ENOENT: it is gone, or a signal called it off; it may ask again, and has got nothing. */
static int send_answer(const struct sb_raw *raw, const struct seccomp_notif *asked, int64_t value) {
    struct seccomp_notif_resp answer = {.id = asked->id};
    if (value < 0)
        answer.error = (int)value;
    else
        answer.val = value;
    return ioctl(raw->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 ? -errno : 0;
}

static void let_it(const struct sb_raw *raw, const struct seccomp_notif *asked) {
    struct seccomp_notif_resp answer = {.id = asked->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    ioctl(raw->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static bool still_asks(const struct sb_raw *raw, const struct seccomp_notif *asked) {
    uint64_t id = asked->id;
    return ioctl(raw->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

/* ---- Noting -----------------------------------------------------------------------------------
 */

static void note(struct sb_raw *raw, enum sb_probe_source source, const char *call,
                 const char *program, bool frozen) {
    struct sb_probe_slot wanted = {
        .state = SB_PROBE_FULL, .source = (uint16_t)source, .frozen = frozen, .calls = 1};
    snprintf(wanted.call, sizeof wanted.call, "%s", call);
    snprintf(wanted.caller, sizeof wanted.caller, "%s", program);
    snprintf(wanted.program, sizeof wanted.program, "%s", program);
    for (size_t i = 0; i < raw->n_slots; i++) {
        struct sb_probe_slot *slot = &raw->slots[i];
        if (slot->source == wanted.source && slot->frozen == wanted.frozen &&
            strcmp(slot->call, wanted.call) == 0 && strcmp(slot->program, wanted.program) == 0) {
            slot->calls++;
            return;
        }
    }
    struct sb_probe_slot *slot =
        raw->n_slots < SB_PROBE_SLOTS ? sb_array_add(&raw->slots, &raw->n_slots) : NULL;
    if (slot)
        *slot = wanted;
}

/* It goes on live. -EFAULT and the like are for the kernel to find, too. */
static void give_up(struct sb_raw *raw, const struct seccomp_notif *asked, const char *program,
                    int rc) {
    if ((rc == -EPERM || rc == -EACCES) && program && *program &&
        !sb_strings_contain(&raw->unreachable, program))
        sb_strings_add(&raw->unreachable, program);
    let_it(raw, asked);
}

/* ---- Random bytes -----------------------------------------------------------------------------
 */

static bool is_hash_seed(const struct sb_raw_program *program, uint64_t n, uint64_t flags) {
    return n == SB_PROBE_PYTHON_SECRET && flags == GRND_NONBLOCK &&
           strncmp(program->name, "python", strlen("python")) == 0;
}

static int fill(pid_t id, uint64_t at, uint64_t n, struct sb_raw_stream *stream) {
    char bytes[CHUNK];
    int rc = 0;
    for (uint64_t done = 0; rc == 0 && done < n;) {
        size_t part = n - done < sizeof bytes ? (size_t)(n - done) : sizeof bytes;
        sb_probe_stream(stream->key, &stream->counter, bytes, part);
        rc = copy(id, at + done, bytes, part, true);
        done += part;
    }
    return rc;
}

static void answer_random(struct sb_raw *raw, const struct seccomp_notif *asked) {
    static const uint64_t most = 33554431; /* as getrandom(2) */
    struct sb_raw_program *program;
    struct sb_raw_task *task = sb_raw_places_find(&raw->places, (pid_t)asked->pid, &program);
    uint64_t n = asked->data.args[1] < most ? asked->data.args[1] : most;
    unsigned flags = (unsigned)asked->data.args[2];
    if (!task || flags & ~(unsigned)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) {
        let_it(raw, asked);
        return;
    }
    if (is_hash_seed(program, n, flags)) {
        note(raw, SB_PROBE_HASH_SEED, raw_names[SB_RAW_RANDOM], program->name, false);
        let_it(raw, asked);
        return;
    }
    struct sb_raw_stream stream = task->stream;
    bool reachable = still_asks(raw, asked);
    int rc = reachable ? fill((pid_t)asked->pid, asked->data.args[0], n, &stream) : -ENOENT;
    bool malloc_key = n == MALLOC_KEY_BYTES && flags == GRND_NONBLOCK && !program->calls;
    if (rc < 0) {
        if (rc == -EPERM || rc == -EACCES)
            note(raw, SB_PROBE_ENTROPY, raw_names[SB_RAW_RANDOM], program->name, false);
        give_up(raw, asked, program->name, rc);
        return;
    }
    if (send_answer(raw, asked, (int64_t)n) < 0)
        return;
    task->stream = stream;
    program->calls++;
    if (!malloc_key)
        note(raw, SB_PROBE_ENTROPY, raw_names[SB_RAW_RANDOM], program->name, true);
}

static int make_device(struct sb_raw_stream *stream) {
    SB_AUTO_FD int fd = memfd_create("urandom", MFD_CLOEXEC);
    char bytes[CHUNK];
    if (fd < 0)
        return -errno;
    for (size_t done = 0; done < DEVICE_BYTES; done += sizeof bytes) {
        sb_probe_stream(stream->key, &stream->counter, bytes, sizeof bytes);
        if (pwrite(fd, bytes, sizeof bytes, (off_t)done) != (ssize_t)sizeof bytes)
            return errno ? -errno : -EIO;
    }
    return sb_steal_fd(&fd);
}

/* The descriptor becomes the answer; in one step from Linux 5.14 on. */
static int give_descriptor(const struct sb_raw *raw, const struct seccomp_notif *asked, int fd,
                           uint64_t flags) {
    struct seccomp_notif_addfd given = {.id = asked->id,
                                        .flags = SECCOMP_ADDFD_FLAG_SEND,
                                        .srcfd = (uint32_t)fd,
                                        .newfd_flags = flags & O_CLOEXEC};
    if (ioctl(raw->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &given) >= 0)
        return 0;
    given.flags = 0;
    int at = errno == EINVAL ? ioctl(raw->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &given) : -1;
    return at < 0 ? -errno : send_answer(raw, asked, at);
}

/* The program's name, where it is known only by asking; "" where it is gone. */
static const char *name_of(struct sb_raw *raw, const struct seccomp_notif *asked) {
    struct sb_raw_program *program;
    return sb_raw_places_find(&raw->places, (pid_t)asked->pid, &program) ? program->name : "";
}

static void answer_open(struct sb_raw *raw, const struct seccomp_notif *asked, uint64_t path,
                        uint64_t flags) {
    char text[sizeof "/dev/urandom" + 1];
    struct sb_raw_program *program;
    int rc = copy_text((pid_t)asked->pid, path, text, sizeof text);
    if (rc < 0) {
        give_up(raw, asked, rc == -EFAULT ? NULL : name_of(raw, asked), rc);
        return;
    }
    if (strcmp(text, "/dev/urandom") != 0 && strcmp(text, "/dev/random") != 0) {
        let_it(raw, asked);
        return;
    }
    struct sb_raw_task *task = sb_raw_places_find(&raw->places, (pid_t)asked->pid, &program);
    if (!task) {
        let_it(raw, asked);
        return;
    }
    struct sb_raw_stream stream = task->stream;
    SB_AUTO_FD int fd = make_device(&stream);
    bool frozen = fd >= 0;
    if (frozen) {
        rc = give_descriptor(raw, asked, fd, flags);
        if (rc == -ENOENT)
            return;
        if (rc < 0) /* as open(2) fails where no descriptor is left */
            send_answer(raw, asked, rc);
        task->stream = stream;
    } else {
        let_it(raw, asked);
    }
    note(raw, SB_PROBE_ENTROPY, text[5] == 'u' ? "raw /dev/urandom" : "raw /dev/random",
         program->name, frozen);
}

static void answer_open_how(struct sb_raw *raw, const struct seccomp_notif *asked) {
    uint64_t flags = 0;
    if (copy((pid_t)asked->pid, asked->data.args[2], &flags, sizeof flags, false) < 0)
        let_it(raw, asked); /* the kernel says what is wrong with it */
    else
        answer_open(raw, asked, asked->data.args[1], flags);
}

/* ---- Births -----------------------------------------------------------------------------------
 */

static void answer_birth(struct sb_raw *raw, const struct seccomp_notif *asked,
                         enum sb_raw_kind kind) {
    uint64_t flags = kind == SB_RAW_FORK ? 0 : asked->data.args[0];
    if (kind == SB_RAW_CLONE_HOW &&
        copy((pid_t)asked->pid, asked->data.args[0], &flags, sizeof flags, false) < 0)
        flags = 0;
    sb_raw_places_birth(&raw->places, (pid_t)asked->pid, flags & CLONE_THREAD);
    let_it(raw, asked);
}

/* ---- The calendar -----------------------------------------------------------------------------
 */

/* As the preloaded library has it (probe/clock.c), but for what a thread sleeps. */
static struct timespec frozen_now(const struct sb_raw_program *program,
                                  struct sb_raw_stream *stream) {
    enum { SECOND = 1000000000 };
    uint64_t live = (uint64_t)((sb_monotonic() - program->begun) * 1e9);
    uint64_t caught_up = live / SB_PROBE_CATCH_UP_NS * SB_PROBE_CATCH_UP_NS;
    if (stream->clock_ns < caught_up)
        stream->clock_ns = caught_up;
    struct timespec now = {.tv_sec = SB_PROBE_CALENDAR_S + (time_t)(stream->clock_ns / SECOND),
                           .tv_nsec = (long)(stream->clock_ns % SECOND)};
    stream->clock_ns += SB_PROBE_CALL_NS;
    return now;
}

static void answer_clock(struct sb_raw *raw, const struct seccomp_notif *asked,
                         enum sb_raw_kind kind) {
    struct sb_raw_program *program;
    struct sb_raw_task *task = sb_raw_places_find(&raw->places, (pid_t)asked->pid, &program);
    if (!task || !still_asks(raw, asked)) {
        let_it(raw, asked);
        return;
    }
    const __u64 *arguments = asked->data.args;
    struct sb_raw_stream stream = task->stream;
    struct timespec now = frozen_now(program, &stream);
    struct timeval of_day = {now.tv_sec, now.tv_nsec / 1000};
    time_t seconds = now.tv_sec;
    const struct result {
        uint64_t at;
        void *bytes;
        size_t n;
    } results[] = {
        [SB_RAW_TIME] = {arguments[0], &seconds, sizeof seconds},
        [SB_RAW_TIME_OF_DAY] = {arguments[0], &of_day, sizeof of_day},
        [SB_RAW_CLOCK_GET] = {arguments[1], &now, sizeof now},
    };
    const struct result *to = &results[kind];
    int rc = to->at ? copy((pid_t)asked->pid, to->at, to->bytes, to->n, true) : 0;
    note(raw, SB_PROBE_CLOCK, raw_names[kind], program->name, rc == 0);
    if (rc < 0)
        give_up(raw, asked, program->name, rc);
    else if (send_answer(raw, asked, kind == SB_RAW_TIME ? (int64_t)seconds : 0) == 0)
        task->stream = stream;
}

/* ---- One by one -------------------------------------------------------------------------------
 */

static void serve_one(struct sb_raw *raw) {
    union notice notice;
    memset(&notice, 0, sizeof notice);
    if (ioctl(raw->listener, SECCOMP_IOCTL_NOTIF_RECV, &notice.notif) < 0)
        return; /* who asked was killed */
    const struct seccomp_notif *asked = &notice.notif;
    const __u64 *arguments = asked->data.args;
    enum sb_raw_kind kind = sb_raw_filter_kind(&raw->filter, &asked->data);
    switch (kind) {
    case SB_RAW_RANDOM:
        answer_random(raw, asked);
        break;
    case SB_RAW_OPEN:
        answer_open(raw, asked, arguments[0], arguments[1]);
        break;
    case SB_RAW_OPEN_AT:
        answer_open(raw, asked, arguments[1], arguments[2]);
        break;
    case SB_RAW_OPEN_HOW:
        answer_open_how(raw, asked);
        break;
    case SB_RAW_FORK:
    case SB_RAW_CLONE:
    case SB_RAW_CLONE_HOW:
        answer_birth(raw, asked, kind);
        break;
    case SB_RAW_EXIT:
        sb_raw_places_end(&raw->places, (pid_t)asked->pid);
        let_it(raw, asked);
        break;
    case SB_RAW_TIME:
    case SB_RAW_TIME_OF_DAY:
    case SB_RAW_CLOCK_GET:
        answer_clock(raw, asked, kind);
        break;
    default:
        let_it(raw, asked);
    }
}

void sb_raw_serve(struct sb_raw *raw) {
    struct pollfd ready = {.fd = raw->listener, .events = POLLIN};
    for (unsigned i = 0; i < AT_ONCE && poll(&ready, 1, 0) > 0; i++) {
        if (!(ready.revents & POLLIN)) { /* nobody is left who could ask */
            close(sb_steal_fd(&raw->listener));
            return;
        }
        serve_one(raw);
    }
}

void sb_raw_end(struct sb_raw *raw) {
    if (!raw)
        return;
    sb_cleanup_fd(&raw->listener);
    sb_raw_places_clear(&raw->places);
    sb_strings_clear(&raw->unreachable);
    free(raw->refused);
    free(raw->slots);
    free(raw);
}
