/* Stage 3: finding and ending everything that a run started. Whatever a run's processes do, their
 * orphans become children of the guard, the nearest child subreaper, so that the guard's
 * descendants are the run's processes, all of them and no others. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A fork bomb is stopped in so many passes at most before everything found is killed anyway. */
enum { MOST_PASSES = 64, QUIET_PASSES = 10, NAMES = 4 };

struct pids {
    pid_t *items;
    size_t n, capacity;
};

static int add_pid(struct pids *pids, pid_t pid) {
    if (pids->n == pids->capacity) {
        size_t capacity = pids->capacity ? 2 * pids->capacity : 32;
        pid_t *items = reallocarray(pids->items, capacity, sizeof *items);
        if (!items)
            return -ENOMEM;
        pids->items = items;
        pids->capacity = capacity;
    }
    pids->items[pids->n++] = pid;
    return 0;
}

/* A whole small file of /proc; its length, or a negative errno. */
static ssize_t read_small(const char *path, char *buffer, size_t size) {
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t used = 0;
    for (ssize_t n; used < size - 1; used += (size_t)n) {
        n = read(fd, buffer + used, size - 1 - used);
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
    }
    buffer[used] = '\0';
    return (ssize_t)used;
}

static int add_children_of_thread(pid_t pid, const char *thread, struct pids *pids) {
    char path[96];
    SB_AUTO_FREE char *text = NULL;
    snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, thread);
    char small[4096];
    ssize_t n = read_small(path, small, sizeof small);
    if (n < 0)
        return (int)n;
    const char *at = small;
    if ((size_t)n == sizeof small - 1) {
        if (sb_file_read(path, 64 << 20, &text, NULL, NULL) < 0)
            return 0;
        at = text;
    }
    for (char *next; *at; at = next) {
        long child = strtol(at, &next, 10);
        if (next == at)
            break;
        int rc = add_pid(pids, (pid_t)child);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool is_gone(int rc) {
    return rc == -ENOENT || rc == -ESRCH;
}

/* Each thread has its own list of children. -ENOENT or -ESRCH: the process is gone, or the kernel
 * has no such lists. */
static int add_children(pid_t pid, struct pids *pids) {
    enum { LINKS_OF_ONE_THREAD = 3 }; /* a folder of proc(5) has two and one for each below it */
    char path[64], main_thread[32];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    if (stat(path, &st) < 0)
        return -errno;
    if (st.st_nlink == LINKS_OF_ONE_THREAD) {
        snprintf(main_thread, sizeof main_thread, "%d", (int)pid);
        return add_children_of_thread(pid, main_thread, pids);
    }
    SB_AUTO_DIR DIR *threads = opendir(path);
    if (!threads)
        return -errno;
    for (struct dirent *thread; (thread = readdir(threads));) {
        if (!isdigit((unsigned char)thread->d_name[0]))
            continue;
        int rc = add_children_of_thread(pid, thread->d_name, pids);
        if (rc < 0 && !is_gone(rc))
            return rc;
    }
    return 0;
}

struct family {
    pid_t pid, parent;
};

pid_t sb_reap_parent(pid_t pid, char *name, size_t size) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_small(path, text, sizeof text) < 0)
        return -1;
    const char *start = strchr(text, '('), *end = strrchr(text, ')'); /* between them anything */
    int parent;
    if (!start || !end || sscanf(end + 1, " %*c %d", &parent) != 1)
        return -1;
    if (name)
        snprintf(name, size, "%.*s", (int)(end - start - 1), start + 1);
    return parent;
}

static bool contains(const struct pids *pids, pid_t pid) {
    for (size_t i = 0; i < pids->n; i++)
        if (pids->items[i] == pid)
            return true;
    return false;
}

/* Kernels without CONFIG_PROC_CHILDREN: from every process's parent. */
static int add_by_parents(pid_t root, struct pids *pids) {
    SB_AUTO_DIR DIR *proc = opendir("/proc");
    SB_AUTO_FREE struct family *all = NULL;
    size_t n = 0, capacity = 0;
    if (!proc)
        return -errno;
    for (struct dirent *found; (found = readdir(proc));) {
        if (!isdigit((unsigned char)found->d_name[0]))
            continue;
        if (n == capacity) {
            capacity = capacity ? 2 * capacity : 256;
            struct family *more = reallocarray(all, capacity, sizeof *all);
            if (!more)
                return -ENOMEM;
            all = more;
        }
        pid_t pid = (pid_t)atol(found->d_name);
        all[n++] = (struct family){pid, sb_reap_parent(pid, NULL, 0)};
    }
    for (bool grown = true; grown;) {
        grown = false;
        for (size_t i = 0; i < n; i++) {
            if ((all[i].parent != root && !contains(pids, all[i].parent)) ||
                contains(pids, all[i].pid))
                continue;
            int rc = add_pid(pids, all[i].pid);
            if (rc < 0)
                return rc;
            grown = true;
        }
    }
    return 0;
}

int sb_reap_descendants(pid_t root, pid_t **pids, size_t *n) {
    struct pids found = {0};
    int rc = add_children(root, &found);
    if (is_gone(rc)) {
        rc = add_by_parents(root, &found);
    } else {
        for (size_t i = 0; rc == 0 && i < found.n; i++) {
            rc = add_children(found.items[i], &found);
            if (is_gone(rc))
                rc = 0;
        }
    }
    if (rc < 0) {
        free(found.items);
        return rc;
    }
    *pids = found.items;
    *n = found.n;
    return 0;
}

/* State letter of a process, or 0. */
static char state_of(pid_t pid, char *name, size_t size) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_small(path, text, sizeof text) < 0)
        return 0;
    char *open = strchr(text, '('), *close = strrchr(text, ')');
    if (!open || !close || close[1] != ' ')
        return 0;
    if (name)
        snprintf(name, size, "%.*s", (int)(close - open - 1), open + 1);
    return close[2];
}

static bool was_told(const struct sb_told *told, pid_t pid) {
    for (size_t i = 0; i < told->n; i++)
        if (told->pids[i] == pid)
            return true;
    return false;
}

void sb_reap_terminate(struct sb_told *told, struct sb_text *names) {
    SB_AUTO_FREE pid_t *pids = NULL;
    size_t n = 0;
    if (sb_reap_descendants(getpid(), &pids, &n) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        char name[32] = "";
        char state = state_of(pids[i], name, sizeof name);
        if (!state || state == 'Z' || state == 'X' || was_told(told, pids[i]))
            continue;
        pid_t *more = reallocarray(told->pids, told->n + 1, sizeof *more);
        if (!more)
            return;
        told->pids = more;
        if (told->n < NAMES)
            sb_text_printf(names, "%s%s", told->n ? ", " : "", name);
        else if (told->n == NAMES)
            sb_text_puts(names, ", …");
        more[told->n++] = pids[i];
        kill(pids[i], SIGTERM);
        kill(pids[i], SIGCONT); /* one that is stopped would not see it */
    }
}

void sb_reap_kill(void) {
    size_t last = 0;
    /* What is stopped forks no more; who was not seen yet appears in the next pass. */
    for (int pass = 0; pass < MOST_PASSES; pass++) {
        SB_AUTO_FREE pid_t *pids = NULL;
        size_t n = 0, running = 0;
        if (sb_reap_descendants(getpid(), &pids, &n) < 0)
            break;
        for (size_t i = 0; i < n; i++) {
            char state = state_of(pids[i], NULL, 0);
            if (!state || strchr("TtZX", state))
                continue;
            running++;
            kill(pids[i], SIGSTOP);
        }
        if (running == 0)
            break;
        /* Uninterruptible ones stay running: no pass would change that. */
        if (pass > 8 && running >= last)
            break;
        last = running;
    }
    SB_AUTO_FREE pid_t *pids = NULL;
    size_t n = 0;
    if (sb_reap_descendants(getpid(), &pids, &n) == 0)
        for (size_t i = 0; i < n; i++)
            kill(pids[i], SIGKILL);
}

bool sb_reap_carries(pid_t pid, const char *cookie) {
    char path[64];
    SB_AUTO_FREE char *data = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    SB_AUTO_FREE char *wanted = sb_format("SAMEBITS_COOKIE=%s", cookie);
    if (!wanted || sb_file_read(path, 8 << 20, &data, &n, NULL) < 0)
        return false;
    for (size_t at = 0; at < n; at += strlen(data + at) + 1)
        if (strcmp(data + at, wanted) == 0)
            return true;
    return false;
}

/* One pass over the children of the calling process; how many were killed. */
static size_t kill_strays(const char *cookie, const pid_t *spare, size_t n_spare) {
    struct pids children = {0};
    size_t killed = 0;
    if (add_children(getpid(), &children) < 0)
        children.n = 0;
    for (size_t i = 0; i < children.n; i++) {
        pid_t pid = children.items[i];
        bool spared = getsid(pid) == getsid(0);
        for (size_t j = 0; j < n_spare; j++)
            spared |= spare[j] == pid;
        if (spared || !sb_reap_carries(pid, cookie) || kill(pid, SIGKILL) < 0)
            continue;
        killed++;
        waitpid(pid, NULL, 0);
    }
    free(children.items);
    return killed;
}

void sb_reap_strays(const char *cookie, const pid_t *spare, size_t n_spare) {
    const struct timespec moment = {.tv_nsec = 2000000};
    /* Who is just dying hands its children on a moment later. */
    for (int pass = 0, quiet = 0; pass < MOST_PASSES && quiet < QUIET_PASSES; pass++) {
        if (kill_strays(cookie, spare, n_spare))
            quiet = 0;
        else if (++quiet < QUIET_PASSES)
            nanosleep(&moment, NULL);
    }
}
