/* Stage 3: what a run really had, read from /proc while it runs, by its guard. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "run/process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_PROCESSES = 64, MOST_CPUS = 8192, MOST_WAITS = 20, MOST_BARE = 8 };

/* Samples are dense at first, since a short job has no other time, and then cost at most a
 * hundredth of the time between them. */
static const double first_s = 0.001, growth = 2, longest_s = 0.05, dense_s = 0.1;
static const double dense_share = 0.1, share = 0.01, settling_s = 0.0001;

/* One process, and what of it was read last. */
struct sb_watched {
    pid_t pid;
    unsigned long long started; /* ticks: tells pids that were used again */
    unsigned long size;         /* of its address space when its maps were read */
    char *exe;
    uint64_t arguments;  /* hash */
    uint64_t image;      /* the program as it was exec'd, of what stands here; 0: not known */
    uint64_t image_seen; /* by the last look at it */
    unsigned waited;     /* samples that found it in the middle of an exec */
    unsigned bare;       /* … with arguments, but without an environment */
    bool seen;           /* in this sample */
};

/* CPU time of the calling thread: what a sample costs. Time for which the guard waits for a CPU
 * costs the run nothing, and would only make the next sample late. */
static double cpu_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static char *read_proc(pid_t pid, const char *name, size_t *n) {
    char path[64];
    char *data = NULL;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return sb_file_read(path, 64 << 20, &data, n, NULL) < 0 ? NULL : data;
}

static char *read_link(pid_t pid, const char *name) {
    char path[64], target[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0)
        return NULL;
    target[n] = '\0';
    return strdup(target);
}

static uint64_t hash_bytes(const char *data, size_t n) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)data[i]) * 1099511628211u;
    return hash;
}

/* Of proc(5)'s fields from the 3rd on: where code, stack, data, arguments and environment lie,
 * which stays so until the next exec. */
static uint64_t hash_image(const char *fields) {
    uint64_t hash = 0;
    const char *at = fields;
    for (unsigned field = 3; *at && field <= 51; field++) {
        at += strspn(at, " ");
        size_t n = strcspn(at, " \n");
        bool wanted = (field >= 26 && field <= 28) || field >= 45;
        if (field == 28 && n == 1 && *at == '0')
            return 0;
        if (wanted)
            hash = hash * 31 + hash_bytes(at, n);
        at += n;
    }
    return hash;
}

bool sb_proc_stat(pid_t pid, struct sb_proc_stat *line) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    const char *at = strrchr(text, ')');
    line->image = at ? hash_image(at + 1) : 0;
    /* Fields of proc(5): state is the 3rd, ppid the 4th, num_threads the 20th, starttime the 22nd,
     * vsize next. */
    return at &&
           sscanf(at + 1,
                  " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %u "
                  "%*d %llu %lu",
                  &line->state, &line->parent, &line->threads, &line->started, &line->size) == 5;
}

/* A list of texts that each end with a NUL, as a malloc'd array that ends with NULL. */
static char **split(const char *data, size_t n) {
    SB_AUTO_STRINGS struct sb_strings list = {0};
    for (size_t at = 0; at < n; at += strlen(data + at) + 1)
        if (sb_strings_add(&list, data + at) < 0)
            return NULL;
    if (!list.items)
        return calloc(1, sizeof(char *));
    list.n = 0;
    return sb_steal_pointer(&list.items);
}

/* glibc up to 2.38 ends each tunable that it knows with a NUL, in the environment itself: the rest
 * of GLIBC_TUNABLES looks like variables of their own. */
static void join_tunables(char *data, size_t n) {
    static const char variable[] = "GLIBC_TUNABLES=", name[] = "glibc.", later[] = ":glibc.";
    bool inside = false;
    for (size_t at = 0; at < n; at += strlen(data + at) + 1) {
        const char *item = data + at;
        bool rest = strncmp(item, name, strlen(name)) == 0 || strstr(item, later);
        if (inside && rest)
            data[at - 1] = ':';
        inside = strncmp(item, variable, strlen(variable)) == 0 || (inside && rest);
    }
}

/* ---- Libraries --------------------------------------------------------------------------------
 */

static void add_library(struct sb_observation *seen, const char *path) {
    size_t low = 0, high = seen->n_libraries;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(path, seen->libraries[middle]);
        if (order == 0)
            return;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    char **libraries = reallocarray(seen->libraries, seen->n_libraries + 2, sizeof *libraries);
    if (!libraries)
        return;
    seen->libraries = libraries;
    char *copy = strdup(path);
    if (!copy)
        return;
    memmove(libraries + low + 1, libraries + low, (seen->n_libraries - low) * sizeof *libraries);
    libraries[low] = copy;
    libraries[++seen->n_libraries] = NULL;
}

/* "address perms offset device inode   path": files mapped executable, except the program. */
static void read_maps(struct sb_watch *watch, pid_t pid, const char *exe) {
    static const char deleted[] = " (deleted)";
    SB_AUTO_FREE char *maps = read_proc(pid, "maps", NULL);
    char *rest = NULL;
    const char *last = "";
    for (char *line = maps ? strtok_r(maps, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest)) {
        char *perms = strchr(line, ' ');
        char *path = perms ? strchr(perms, '/') : NULL;
        if (!path || strlen(perms) < 5 || perms[3] != 'x' || strcmp(path, last) == 0)
            continue;
        last = path;
        size_t n = strlen(path);
        if (n > strlen(deleted) && strcmp(path + n - strlen(deleted), deleted) == 0)
            continue;
        if (strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/memfd:", 7) == 0 ||
            strncmp(path, "/SYSV", 5) == 0)
            continue;
        sb_mounts_unescape(path);
        if (!exe || strcmp(path, exe) != 0)
            add_library(&watch->seen, path);
    }
}

/* ---- Processes --------------------------------------------------------------------------------
 */

static bool is_listed(const struct sb_observation *seen, const char *exe, char *const *arguments) {
    for (size_t i = 0; i < seen->n_processes; i++) {
        const struct sb_seen_process *process = &seen->processes[i];
        size_t j = 0;
        while (process->arguments[j] && arguments[j] &&
               strcmp(process->arguments[j], arguments[j]) == 0)
            j++;
        if (!process->arguments[j] && !arguments[j] && strcmp(process->exe, exe) == 0)
            return true;
    }
    return false;
}

/* false: not yet, its environment cannot be read; `anyway` lists it all the same. */
static bool list_process(struct sb_watch *watch, pid_t pid, const char *exe, const char *cmdline,
                         size_t n_cmdline, bool anyway) {
    struct sb_observation *seen = &watch->seen;
    if (seen->n_processes == MOST_PROCESSES)
        return true;
    size_t n_environment = 0;
    SB_AUTO_FREE char *environment = read_proc(pid, "environ", &n_environment);
    if (!n_environment && !anyway)
        return false;
    if (environment)
        join_tunables(environment, n_environment);
    struct sb_seen_process process = {.arguments = split(cmdline, n_cmdline)};
    if (!process.arguments)
        return true;
    if (!is_listed(seen, exe, process.arguments)) {
        struct sb_seen_process *all =
            reallocarray(seen->processes, seen->n_processes + 1, sizeof *all);
        process.exe = strdup(exe);
        process.environment = environment ? split(environment, n_environment) : NULL;
        if (all)
            seen->processes = all;
        if (all && process.exe) {
            seen->processes[seen->n_processes++] = process;
            return true;
        }
        for (char **item = process.environment; item && *item; item++)
            free(*item);
        free(process.environment);
        free(process.exe);
    }
    for (char **item = process.arguments; *item; item++)
        free(*item);
    free(process.arguments);
    return true;
}

static struct sb_watched *find_watched(struct sb_watch *watch, pid_t pid,
                                       unsigned long long started) {
    for (size_t i = 0; i < watch->n_known; i++)
        if (watch->known[i].pid == pid && watch->known[i].started == started)
            return &watch->known[i];
    struct sb_watched *known = reallocarray(watch->known, watch->n_known + 1, sizeof *watch->known);
    if (!known)
        return NULL;
    watch->known = known;
    known[watch->n_known] = (struct sb_watched){.pid = pid, .started = started};
    return &known[watch->n_known++];
}

/* A process in the middle of an exec is looked at again soon, and less soon each time: on a busy
 * machine it may wait for its turn in there. */
static void settle(struct sb_watch *watch, unsigned waited) {
    double wait = settling_s;
    for (unsigned i = 0; i < waited; i++)
        wait *= growth;
    if (!watch->settling || wait < watch->settling)
        watch->settling = wait;
}

/* What was exec'd since the last sample. false: it cannot be read. */
static bool sample_program(struct sb_watch *watch, pid_t pid, struct sb_watched *known) {
    SB_AUTO_FREE char *exe = read_link(pid, "exe");
    if (!exe)
        return false;
    size_t n = 0;
    SB_AUTO_FREE char *cmdline = read_proc(pid, "cmdline", &n);
    uint64_t hash = cmdline ? hash_bytes(cmdline, n) : 0;
    bool changed = !known->exe || known->arguments != hash || strcmp(known->exe, exe) != 0;
    /* The environment is there right after the arguments, or it is empty. */
    known->bare += changed && n > 0;
    if (changed && (!n || !list_process(watch, pid, exe, cmdline, n, known->bare > MOST_BARE))) {
        if (known->waited < MOST_WAITS)
            settle(watch, known->waited++);
    } else if (changed) {
        free(known->exe);
        known->exe = sb_steal_pointer(&exe);
        known->arguments = hash;
        known->waited = known->bare = 0;
        known->size = 0;
    }
    return true;
}

/* false: nothing could be read. */
static bool sample_process(struct sb_watch *watch, pid_t pid) {
    struct sb_proc_stat line;
    if (!sb_proc_stat(pid, &line) || line.state == 'Z' || line.state == 'X')
        return false;
    struct sb_watched *known = find_watched(watch, pid, line.started);
    if (!known)
        return false;
    if (!known->exe || !line.image || line.image != known->image) {
        if (!sample_program(watch, pid, known))
            return false;
        /* It may have been in the middle of an exec, between the two looks at it. */
        known->image = known->waited == 0 && known->image_seen == line.image ? line.image : 0;
        known->image_seen = line.image;
    }
    known->seen = true;
    if (line.threads > watch->seen.max_threads)
        watch->seen.max_threads = line.threads;
    if (known->exe && known->size != line.size) {
        known->size = line.size;
        read_maps(watch, pid, known->exe);
    }
    return true;
}

static void sample_main(struct sb_watch *watch) {
    struct sb_observation *seen = &watch->seen;
    cpu_set_t *cpus = CPU_ALLOC(MOST_CPUS);
    size_t size = CPU_ALLOC_SIZE(MOST_CPUS);
    if (cpus && sched_getaffinity(watch->main, size, cpus) == 0) {
        /* Libraries narrow it later for their own threads (OMP_PROC_BIND): the widest is what it
         * was given. */
        unsigned n = (unsigned)CPU_COUNT_S(size, cpus);
        if (n > seen->n_cpus)
            seen->n_cpus = n;
    }
    if (cpus)
        CPU_FREE(cpus);
    if (!seen->personality_known) {
        SB_AUTO_FREE char *text = read_proc(watch->main, "personality", NULL);
        if (text && isxdigit((unsigned char)*text)) {
            seen->personality = strtoul(text, NULL, 16);
            seen->personality_known = true;
        }
    }
    if (!seen->cwd)
        seen->cwd = read_link(watch->main, "cwd");
}

/* Processes that ended make room: a run may start thousands. */
static void forget_gone(struct sb_watch *watch) {
    size_t kept = 0;
    for (size_t i = 0; i < watch->n_known; i++) {
        if (watch->known[i].seen) {
            watch->known[i].seen = false;
            watch->known[kept++] = watch->known[i];
        } else {
            free(watch->known[i].exe);
        }
    }
    watch->n_known = kept;
}

void sb_watch_start(struct sb_watch *watch, pid_t main, double now) {
    /* The first sample is due at once: the program has just been exec'd, and a short one may not be
     * there a millisecond later. */
    *watch = (struct sb_watch){.main = main, .interval = first_s, .next = now, .started = now};
}

void sb_watch_sample(struct sb_watch *watch) {
    SB_AUTO_FREE pid_t *pids = NULL;
    size_t n = 0;
    bool read = false;
    double before = cpu_time();
    if (sb_reap_descendants(getpid(), &pids, &n) == 0) {
        for (size_t i = 0; i < n; i++) {
            bool sampled = sample_process(watch, pids[i]);
            read |= sampled;
            if (sampled && pids[i] == watch->main)
                sample_main(watch);
        }
        forget_gone(watch);
    }
    watch->seen.n_samples += read;
    double end = sb_monotonic();
    double least = (cpu_time() - before) / (end - watch->started < dense_s ? dense_share : share);
    if (watch->seen.n_samples > 1)
        watch->interval *= growth;
    if (watch->interval > longest_s)
        watch->interval = longest_s;
    watch->next = end + (least > watch->interval ? least : watch->interval);
    /* In the middle of an exec, arguments and environment are there a moment later. */
    if (watch->settling && end + watch->settling < watch->next)
        watch->next = end + watch->settling;
    watch->settling = 0;
}

void sb_watch_clear(struct sb_watch *watch) {
    for (size_t i = 0; i < watch->n_known; i++)
        free(watch->known[i].exe);
    free(watch->known);
    sb_observation_clear(&watch->seen);
    *watch = (struct sb_watch){0};
}
