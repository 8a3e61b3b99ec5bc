/* Stage 4, weights: limits and the seccomp filter of parsers. See weights/jail.h. */
#include "weights/jail.h"

#include "base/cleanup.h"
#include "base/sanitizer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct sb_jail_filter {
    unsigned short n;
    struct sock_filter instructions[];
};

#if defined(SB_ADDRESS_SANITIZER) || defined(SB_THREAD_SANITIZER)
enum { SANITIZED = 1 }; /* shadow memory takes terabytes of addresses, and reports go to stderr */
#else
enum { SANITIZED = 0 };
#endif

/* Reading what is open, memory that is not executable, threads, and leaving. */
static const int allowed[] = {
    SCMP_SYS(read),          SCMP_SYS(pread64),         SCMP_SYS(readv),
    SCMP_SYS(preadv),        SCMP_SYS(lseek),           SCMP_SYS(_llseek),
    SCMP_SYS(fstat),         SCMP_SYS(fstat64),         SCMP_SYS(close),
    SCMP_SYS(munmap),        SCMP_SYS(mremap),          SCMP_SYS(brk),
    SCMP_SYS(madvise),       SCMP_SYS(futex),           SCMP_SYS(futex_time64),
    SCMP_SYS(exit),          SCMP_SYS(exit_group),      SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigreturn),     SCMP_SYS(rt_sigprocmask),  SCMP_SYS(restart_syscall),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_gettime64), SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom),     SCMP_SYS(getpid),          SCMP_SYS(gettid),
    SCMP_SYS(sched_yield),   SCMP_SYS(getrusage),       SCMP_SYS(fadvise64),
    SCMP_SYS(rseq),          SCMP_SYS(set_robust_list),
};

/* A name that this architecture lacks is skipped. */
static int allow(scmp_filter_ctx filter, int call, unsigned n, struct scmp_arg_cmp argument) {
    int r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, n, &argument);
    return r == -EDOM || r == -EFAULT ? 0 : r;
}

static int add_rules(scmp_filter_ctx filter) {
    static const int mapping[] = {SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect)};
    const struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    const struct scmp_arg_cmp output = SCMP_A0(SCMP_CMP_EQ, SB_JAIL_OUTPUT);
    const struct scmp_arg_cmp standard_error = SCMP_A0(SCMP_CMP_EQ, STDERR_FILENO);
    /* fstat(3) of newer C libraries: an empty path. A filter cannot look behind the pointer, but
     * this call opens nothing either way. */
    const struct scmp_arg_cmp empty_path = SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH);
    /* Threads, under the same filter, as glibc starts them; musl sets CLONE_DETACHED too, which
     * means nothing any more. clone3's flags lie behind a pointer, so that libc is to think there
     * is none. */
    const struct scmp_arg_cmp thread =
        SCMP_A0(SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)CLONE_DETACHED,
                CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                    CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID);
    int r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (r == -EDOM || r == -EFAULT)
        r = 0;
    if (r == 0)
        r = allow(filter, SCMP_SYS(clone), 1, thread);
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed && r == 0; i++)
        r = allow(filter, allowed[i], 0, output);
    for (size_t i = 0; i < sizeof mapping / sizeof *mapping && r == 0; i++)
        r = allow(filter, mapping[i], 1, not_executable);
    if (r == 0)
        r = allow(filter, SCMP_SYS(newfstatat), 1, empty_path);
    if (r == 0)
        r = allow(filter, SCMP_SYS(write), 1, output);
    if (r == 0 && SANITIZED)
        r = allow(filter, SCMP_SYS(write), 1, standard_error);
    if (r == 0 && SANITIZED)
        r = allow(filter, SCMP_SYS(sigaltstack), 0, output);
    return r;
}

static struct sb_jail_filter *load_program(int fd) {
    struct stat status;
    if (fstat(fd, &status) < 0 || status.st_size <= 0)
        return NULL;
    size_t n_bytes = (size_t)status.st_size, n = n_bytes / sizeof(struct sock_filter);
    if (n == 0 || n > BPF_MAXINSNS || n_bytes % sizeof(struct sock_filter))
        return NULL;
    struct sb_jail_filter *program = malloc(sizeof *program + n_bytes);
    if (!program)
        return NULL;
    program->n = (unsigned short)n;
    if (pread(fd, program->instructions, n_bytes, 0) != (ssize_t)n_bytes)
        free(sb_steal_pointer(&program));
    return program;
}

struct sb_jail_filter *sb_jail_filter_new(void) {
    struct sb_jail_filter *program = NULL;
    SB_AUTO_FD int fd = memfd_create("samebits-seccomp", MFD_CLOEXEC);
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter && fd >= 0 && add_rules(filter) == 0 && seccomp_export_bpf(filter, fd) == 0)
        program = load_program(fd);
    if (filter)
        seccomp_release(filter);
    return program;
}

/* Never above what the process had: an ordinary user could not, and nobody asked for it. */
static void limit(int resource, uint64_t soft, uint64_t hard) {
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
        return;
    struct rlimit wanted = {
        .rlim_cur = soft < now.rlim_max ? soft : now.rlim_max,
        .rlim_max = hard < now.rlim_max ? hard : now.rlim_max,
    };
    setrlimit((__rlimit_resource_t)resource, &wanted);
}

static uint64_t address_space(void) {
    char text[64];
    SB_AUTO_FD int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return UINT64_C(1) << 30;
    text[n] = '\0';
    return strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE); /* the first is the size */
}

int sb_jail_close(const struct sb_jail_filter *filter, uint64_t n_bytes) {
    uint64_t cpu_seconds = sb_jail_cpu_seconds(n_bytes);
    limit(RLIMIT_CORE, 0, 0);
    limit(RLIMIT_FSIZE, 0, 0);
    limit(RLIMIT_CPU, cpu_seconds, cpu_seconds + 5);
    if (!SANITIZED) {
        uint64_t bytes = address_space() + SB_JAIL_MEMORY + n_bytes;
        limit(RLIMIT_AS, bytes, bytes);
    }
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* a core_pattern that pipes ignores RLIMIT_CORE */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    if (!filter)
        return -ENOSYS;
    struct sock_fprog program = {.len = filter->n,
                                 .filter = (struct sock_filter *)filter->instructions};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 &&
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
        return -errno;
    return 0;
}

unsigned sb_jail_threads(unsigned wanted) {
    return SANITIZED ? 1 : wanted;
}

uint64_t sb_jail_cpu_seconds(uint64_t n_bytes) {
    return 60 + n_bytes / (4 << 20); /* SHA-256 takes 1 s for more than 1000 MiB */
}

void sb_jail_clean_environment(void) {
    static const char *const prefixes[] = {"HDF5_", "H5_"};
    for (char **entry = environ; entry && *entry;) {
        char name[128];
        size_t n = strcspn(*entry, "=");
        bool unwanted = false;
        for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
            unwanted |= strncmp(*entry, prefixes[i], strlen(prefixes[i])) == 0;
        if (!unwanted || n >= sizeof name) {
            entry++;
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)n, *entry);
        unsetenv(name); /* the later entries move down to this place */
    }
}
