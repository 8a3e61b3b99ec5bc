/* Stage 3: the seccomp filter that hands raw system calls to the guard of a run. See run/raw.h. */
#include "base/cleanup.h"
#include "run/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Of newer headers: a signal that does not kill waits until the guard has answered (Linux 5.19). */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* Linux 6.11, for the state of the vDSO's getrandom. */
enum { MAPPING_TYPE = 0x0f, DROPPABLE = 0x08 };

static const struct {
    const char *name;
    enum sb_raw_kind kind;
    unsigned frozen;
    bool native; /* not of 32-bit programs, whose times look otherwise */
} known[] = {
    {"getrandom", SB_RAW_RANDOM, SB_RAW_ENTROPY, false},
    {"open", SB_RAW_OPEN, SB_RAW_ENTROPY, false},
    {"openat", SB_RAW_OPEN_AT, SB_RAW_ENTROPY, false},
    {"openat2", SB_RAW_OPEN_HOW, SB_RAW_ENTROPY, false},
    {"mmap", SB_RAW_MAP, SB_RAW_ENTROPY, true},
    {"fork", SB_RAW_FORK, SB_RAW_ENTROPY | SB_RAW_CLOCK, false},
    {"vfork", SB_RAW_FORK, SB_RAW_ENTROPY | SB_RAW_CLOCK, false},
    {"clone", SB_RAW_CLONE, SB_RAW_ENTROPY | SB_RAW_CLOCK, false},
    {"clone3", SB_RAW_CLONE_HOW, SB_RAW_ENTROPY | SB_RAW_CLOCK, false},
    {"exit", SB_RAW_EXIT, SB_RAW_ENTROPY | SB_RAW_CLOCK, false},
    {"exit_group", SB_RAW_EXIT, SB_RAW_ENTROPY | SB_RAW_CLOCK, false},
    {"time", SB_RAW_TIME, SB_RAW_CLOCK, true},
    {"gettimeofday", SB_RAW_TIME_OF_DAY, SB_RAW_CLOCK, true},
    {"clock_gettime", SB_RAW_CLOCK_GET, SB_RAW_CLOCK, true},
};

/* ---- The program of the filter ----------------------------------------------------------------
 */

static void emit(struct sb_raw_filter *filter, unsigned code, uint32_t k, unsigned if_true,
                 unsigned if_false) {
    filter->instructions[filter->n++] =
        (struct sock_filter){(uint16_t)code, (uint8_t)if_true, (uint8_t)if_false, k};
}

static void load(struct sb_raw_filter *filter, size_t offset) {
    emit(filter, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* Its low 32 bits. */
static void load_argument(struct sb_raw_filter *filter, unsigned argument) {
    size_t low = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;
    load(filter, offsetof(struct seccomp_data, args) + 8 * argument + low);
}

static void answer(struct sb_raw_filter *filter, uint32_t action) {
    emit(filter, BPF_RET | BPF_K, action, 0, 0);
}

/* Where the value that was loaded is `value`. */
static void answer_if(struct sb_raw_filter *filter, uint32_t value, uint32_t action) {
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    answer(filter, action);
}

static void let_own_calls_through(struct sb_raw_filter *filter) {
    load_argument(filter, 5);
    answer_if(filter, SB_PROBE_OWN_CALL, SECCOMP_RET_ALLOW);
}

/* What cannot be an open of a device for its bytes is spared the way to the guard. */
static void answer_open(struct sb_raw_filter *filter, unsigned flags) {
    let_own_calls_through(filter);
    load_argument(filter, flags);
    emit(filter, BPF_JMP | BPF_JSET | BPF_K, O_WRONLY | O_CREAT | O_DIRECTORY | O_PATH, 0, 1);
    answer(filter, SECCOMP_RET_ALLOW);
    answer(filter, SECCOMP_RET_USER_NOTIF);
}

static void answer_kind(struct sb_raw_filter *filter, enum sb_raw_kind kind) {
    static const uint32_t calendars[] = {CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI};
    switch (kind) {
    case SB_RAW_OPEN:
        answer_open(filter, 1);
        break;
    case SB_RAW_OPEN_AT:
        answer_open(filter, 2);
        break;
    case SB_RAW_MAP:
        load_argument(filter, 3);
        emit(filter, BPF_ALU | BPF_AND | BPF_K, MAPPING_TYPE, 0, 0);
        answer_if(filter, DROPPABLE, SECCOMP_RET_ERRNO | EINVAL);
        answer(filter, SECCOMP_RET_ALLOW);
        break;
    case SB_RAW_CLOCK_GET:
        let_own_calls_through(filter);
        load_argument(filter, 0);
        for (size_t i = 0; i < sizeof calendars / sizeof *calendars; i++)
            answer_if(filter, calendars[i], SECCOMP_RET_USER_NOTIF);
        answer(filter, SECCOMP_RET_ALLOW);
        break;
    case SB_RAW_RANDOM:
    case SB_RAW_EXIT:
        let_own_calls_through(filter);
        answer(filter, SECCOMP_RET_USER_NOTIF);
        break;
    default:
        answer(filter, SECCOMP_RET_USER_NOTIF);
    }
}

static void add_call(struct sb_raw_filter *filter, size_t i, uint32_t arch) {
    int number = seccomp_syscall_resolve_name_arch(arch, known[i].name);
    if (number < 0) /* this architecture has no such call */
        return;
    filter->calls[filter->n_calls++] = (struct sb_raw_call){arch, number, known[i].kind};
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 0);
    unsigned short at = filter->n;
    answer_kind(filter, known[i].kind);
    filter->instructions[at - 1].jf = (uint8_t)(filter->n - at);
}

static void add_architecture(struct sb_raw_filter *filter, uint32_t arch, unsigned frozen,
                             bool native) {
    load(filter, offsetof(struct seccomp_data, arch));
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, arch, 0, 0);
    unsigned short at = filter->n;
    load(filter, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].frozen & frozen && (native || !known[i].native))
            add_call(filter, i, arch);
    }
    answer(filter, SECCOMP_RET_ALLOW);
    filter->instructions[at - 1].jf = (uint8_t)(filter->n - at);
}

/* libseccomp's names of architectures are those of the kernel. */
void sb_raw_filter_make(unsigned frozen, struct sb_raw_filter *filter) {
    uint32_t native = seccomp_arch_native();
    filter->n = 0;
    filter->n_calls = 0;
    add_architecture(filter, native, frozen, true);
    if (native == SCMP_ARCH_X86_64)
        add_architecture(filter, SCMP_ARCH_X86, frozen, false);
    if (native == SCMP_ARCH_AARCH64)
        add_architecture(filter, SCMP_ARCH_ARM, frozen, false);
    answer(filter, SECCOMP_RET_ALLOW);
}

enum sb_raw_kind sb_raw_filter_kind(const struct sb_raw_filter *filter,
                                    const struct seccomp_data *data) {
    for (size_t i = 0; i < filter->n_calls; i++) {
        if (filter->calls[i].number == data->nr && filter->calls[i].arch == data->arch)
            return filter->calls[i].kind;
    }
    return SB_RAW_NOTHING;
}

/* ---- In a process -----------------------------------------------------------------------------
 */

/* A listener, or a negative errno. SPEC_ALLOW: kernels before 5.16 would else slow the whole
 * process down against Spectre. */
static int install(const struct sock_filter *instructions, unsigned short n) {
    const struct sock_fprog program = {n, (struct sock_filter *)instructions};
    const unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    unsigned long more = SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    for (bool asked = false;;) {
        long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | more, &program);
        if (fd >= 0)
            return (int)fd;
        if (errno == EINVAL && more)
            more = 0;
        else if (errno == EACCES && !asked && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
            asked = true;
        else
            return -errno;
    }
}

int sb_raw_filter_install(const struct sb_raw_filter *filter, int socket) {
    char byte = 0;
    const struct sb_text message = {.data = &byte, .length = 1};
    int listener = install(filter->instructions, filter->n);
    return listener < 0 ? listener : sb_message_send(socket, &message, listener);
}

/* Kernels before 5.9 know no ADDFD, and those before 5.5 cannot let a call go on. */
static int try_here(void) {
    const struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    struct seccomp_notif_addfd nothing = {.id = 0};
    int listener = install(&allow, 1);
    if (listener < 0)
        return -listener;
    ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &nothing);
    return errno == ENOENT ? 0 : ENOSYS;
}

int sb_raw_filter_try(void) {
    pid_t pid = fork();
    if (pid == 0)
        _exit(try_here());
    int status = 0;
    if (pid < 0)
        return -errno;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -ENOSYS;
}
