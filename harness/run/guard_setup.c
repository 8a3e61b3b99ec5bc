/* Stage 3: becoming a guard. */
#include "base/cleanup.h"
#include "run/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Every other descriptor of samebits is closed, above all its ends of other guards' sockets: they
 * would hide its death from them. The locks stay, so that nobody takes our folders for left over.
 */
static void keep_descriptors(const struct sb_sandbox *sandbox, int socket) {
    int kept[] = {socket, sandbox->layers_lock, sandbox->base_lock};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, 0);
        dup2(null, 1);
    }
    int from = 3;
    for (;;) {
        int next = -1;
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
            if (kept[i] >= from && (next < 0 || kept[i] < next))
                next = kept[i];
        unsigned last = next < 0 ? ~0U : (unsigned)next - 1;
        if ((unsigned)from <= last && close_range((unsigned)from, last, 0) < 0)
            for (int fd = from; fd <= (int)(last > 65535 ? 65535 : last); fd++)
                close(fd);
        if (next < 0)
            return;
        from = next + 1;
    }
}

static void set_up_signals(struct sb_guard_life *guard) {
    /* An ignored SIGCHLD would reap behind our back. Not by sigaction(3): it refuses the two
     * signals that glibc keeps for its threads, and make(1), which starts us by posix_spawn(3),
     * hands them down ignored. All zeroes is SIG_DFL in the kernel's struct on every architecture.
     */
    static const unsigned long default_action[8];
    enum { KERNEL_SIGSET_BYTES = 8 };
    sigset_t all;
    for (int signal = 1; signal < NSIG; signal++)
        syscall(SYS_rt_sigaction, signal, default_action, NULL, KERNEL_SIGSET_BYTES);
    sigfillset(&all);
    for (size_t i = 0; i < 5; i++)
        sigdelset(&all, (const int[]){SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}[i]);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigemptyset(&all);
    sigaddset(&all, SIGCHLD);
    sigaddset(&all, SIGUSR1);
    guard->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NAME, "samebits-guard");
}

/* A guard works little and should be there at once: on a busy machine a short run may be over
 * before it was seen. From Linux 6.12 on a shorter slice gives an earlier turn and no more time;
 * older kernels take no notice. Runs do not inherit it; since they would not inherit a better nice
 * value either, it is left out where there is one. */
static void be_prompt(void) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes = {.size = sizeof attributes, .flags = 1 /* SCHED_FLAG_RESET_ON_FORK */};
    enum { SLICE_NS = 100000 }; /* the least that the kernel takes */
    errno = 0;
    attributes.nice = getpriority(PRIO_PROCESS, 0);
    attributes.runtime = SLICE_NS;
    if (errno == 0 && attributes.nice >= 0 && sched_getscheduler(0) == SCHED_OTHER)
        syscall(SYS_sched_setattr, 0, &attributes, 0);
}

/* samebits writes the maps: from inside only one uid could be mapped. */
static int enter_user_namespace(struct sb_guard_life *guard, struct sb_error *err) {
    SB_AUTO_TEXT struct sb_text out = {0};
    enum sb_message kind;
    size_t length;
    if (unshare(CLONE_NEWUSER) < 0)
        return sb_error_errno(err, -errno, "unshare a user namespace");
    sb_message_pack(SB_MESSAGE_MAP, 0, &out);
    int rc = sb_message_send(guard->socket, &out, -1);
    while (rc == 0 && sb_message_next(&guard->in, &kind, &length) == -EAGAIN)
        if (sb_message_receive(guard->socket, &guard->in, NULL, true) <= 0)
            rc = -EPIPE;
    if (rc < 0)
        return sb_error_errno(err, rc, "samebits is gone");
    bool mapped = sb_message_serial(guard->in.data, length) == 1;
    sb_message_drop(&guard->in, length);
    return mapped ? 0 : sb_error_set(err, -EPERM, "a user namespace cannot be given this uid");
}

static int try_view(struct sb_sandbox *sandbox, struct sb_error *err) {
    if (sandbox->kind != &sb_view_overlay)
        return sb_mounts_try(sandbox, err);
    int rc = -ENOTSUP;
    for (unsigned i = 0; i < sb_overlay_variants(); i++) {
        sandbox->overlay_variant = i;
        rc = sb_mounts_try(sandbox, err);
        if (rc == 0)
            return 0;
    }
    return rc;
}

static int open_sandbox(struct sb_guard_life *guard, unsigned index, struct sb_error *err) {
    struct sb_sandbox *sandbox = guard->sandbox;
    int rc = 0;
    sandbox->guard_folder = sb_format("%s/%u", sandbox->layers, index);
    if (!sandbox->guard_folder)
        return sb_error_errno(err, -ENOMEM, "a guard");
    rc = sb_launch_area_open(&guard->area, err);
    if (rc == 0 && sandbox->user_namespace)
        rc = enter_user_namespace(guard, err);
    if (rc == 0 && sandbox->kind->mount_namespace)
        rc = sb_mounts_guard(sandbox, err);
    if (rc == 0 && mkdir(sandbox->guard_folder, 0700) < 0)
        rc = sb_error_errno(err, -errno, "%s", sandbox->guard_folder);
    if (rc == 0 && sandbox->kind->open)
        rc = sandbox->kind->open(sandbox, err);
    if (rc == 0 && index == 0 && sandbox->kind->mount_namespace)
        rc = try_view(sandbox, err);
    return rc;
}

/* While a long copy is under way: did samebits go, or ask to stop? */
static bool is_cancelled(void *context) {
    struct sb_guard_life *guard = context;
    ssize_t n = sb_message_receive(guard->socket, &guard->in, NULL, false);
    if (n <= 0 && n != -EAGAIN)
        guard->orphaned = guard->bereft = true;
    struct sb_text in = guard->in;
    enum sb_message kind;
    size_t length;
    while (!guard->orphaned && sb_message_next(&in, &kind, &length) == 0) {
        if (kind == SB_MESSAGE_INTERRUPT)
            return true;
        in.data += length;
        in.length -= length;
    }
    return guard->orphaned;
}

int sb_guard_set_up(struct sb_guard_life *guard, unsigned index, struct sb_error *err) {
    struct sb_sandbox *sandbox = guard->sandbox;
    sb_strings_clear(&sandbox->shared); /* what is added now is new */
    keep_descriptors(sandbox, guard->socket);
    set_up_signals(guard);
    be_prompt();
    sandbox->cancelled = is_cancelled;
    sandbox->cancelled_context = guard;
    int rc = open_sandbox(guard, index, err);
    if (chdir("/") < 0 && rc == 0) /* pin no folder of the user's */
        rc = sb_error_errno(err, -errno, "chdir /");
    return rc;
}
