/* Stage 3: the results folder: numbered or named, locked by one samebits at a time. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define DEFAULT_FOLDER "samebits-results"

/* What samebits makes in a results folder, and so what --force may remove: nothing else is touched.
 * A folder loses the entries that match `entries`, and goes itself when nothing else is in it. */
static const struct {
    const char *name;
    const char *const *entries; /* NULL: a file */
} contents[] = {
    {"journal", NULL},
    {"plan.json", NULL},
    {"result.json", NULL},
    {"logs", (const char *const[]){"r[0-9]*.log", "r[0-9]*.trace", "r[0-9]*.call",
                                   "r[0-9]*.safetensors", NULL}},
    {"weights", (const char *const[]){"xxh3-*", "sha256-*", ".new-*", NULL}},
    {"work", (const char *const[]){NULL}},
    {"slurm", (const char *const[]){"batch-*", NULL}},
    {"explain", (const char *const[]){"experiment-*", NULL}},
};

/* Reads the first bytes of DIR/name; "" when there are none. */
static void read_head(const char *path, const char *name, char *head, size_t n) {
    SB_AUTO_FREE char *file = sb_path_join(path, name);
    SB_AUTO_FD int fd = file ? open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
    ssize_t got = fd < 0 ? -1 : read(fd, head, n - 1);
    head[got > 0 ? got : 0] = '\0';
}

static bool holds_result_json(const char *path) {
    char head[4096];
    read_head(path, "result.json", head, sizeof head);
    return strstr(head, "\"samebits.result/") != NULL;
}

static bool holds_result(const char *path) {
    return holds_result_json(path) || sb_journal_holds_runs(path);
}

/* 1: no entry but `lock`; 0: others; or a negative errno. */
static int is_empty(const char *path) {
    SB_AUTO_DIR DIR *folder = opendir(path);
    if (!folder)
        return -errno;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, "lock") != 0)
            return 0;
    }
    return 1;
}

/* The process that a lock file names; 0: none. */
static long locking_process(const char *path) {
    static const char prefix[] = "samebits ";
    char head[64];
    read_head(path, "lock", head, sizeof head);
    return strncmp(head, prefix, sizeof prefix - 1) == 0
               ? strtol(head + sizeof prefix - 1, NULL, 10)
               : 0;
}

static bool is_ours(const char *path) {
    return locking_process(path) > 0 || holds_result(path);
}

/* ---- The lock -------------------------------------------------------------------------------- */

/* A lock of the open file (OFD), since one of the process would go when any other descriptor of
 * that file is closed. It lives as long as any process has the descriptor: what was forked off a
 * killed samebits still kills its runs and tidies up, and that is waited for. */
static int take_lock(int fd, const char *path, struct sb_error *err) {
    enum { ATTEMPTS = 100, PAUSE_MS = 50 };
    for (int attempt = 0;; attempt++) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
            return 0;
        if (errno != EAGAIN && errno != EACCES)
            return sb_error_errno(err, -errno,
                                  "%s/lock: cannot be locked, and two samebits in one folder would "
                                  "spoil it (--out names another folder)",
                                  path);
        long pid = locking_process(path);
        bool gone = pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
        if (!gone || attempt == ATTEMPTS)
            return sb_error_set(err, -EBUSY, "%s: another samebits is at work in it (process %ld)",
                                path, pid);
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
    }
}

static int lock_folder(struct sb_folder *folder, struct sb_error *err) {
    SB_AUTO_FREE char *file = sb_path_join(folder->path, "lock");
    if (!file)
        return sb_error_errno(err, -ENOMEM, "%s", folder->path);
    SB_AUTO_FD int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0666);
    if (fd < 0)
        return sb_error_errno(err, -errno, "%s", file);
    int rc = take_lock(fd, folder->path, err);
    if (rc < 0)
        return rc;
    char text[64];
    int n = snprintf(text, sizeof text, "samebits %ld\n", (long)getpid());
    if (ftruncate(fd, 0) < 0 || (rc = sb_write_all(fd, text, (size_t)n)) < 0)
        return sb_error_errno(err, rc < 0 ? rc : -errno, "%s", file);
    folder->lock = sb_steal_fd(&fd);
    return 0;
}

/* ---- Emptying -------------------------------------------------------------------------------- */

static int remove_matching(DIR *folder, const char *path, const char *const *patterns,
                           struct sb_error *err) {
    for (struct dirent *entry; (entry = readdir(folder));) {
        bool matches = false;
        for (size_t i = 0; patterns[i] && !matches; i++)
            matches = sb_glob_match(patterns[i], entry->d_name);
        if (!matches)
            continue;
        SB_AUTO_FREE char *file = sb_path_join(path, entry->d_name);
        int rc = file ? sb_remove_tree(file, err) : sb_error_errno(err, -ENOMEM, "%s", path);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* A folder that is a link now is somebody else's, and is left alone. */
static int remove_entries(const char *path, const char *const *patterns, struct sb_error *err) {
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 0;
    SB_AUTO_DIR DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder)
        return sb_error_errno(err, -errno, "%s", path);
    (void)sb_steal_fd(&fd);
    int rc = remove_matching(folder, path, patterns, err);
    if (rc == 0 && rmdir(path) < 0 && errno != ENOTEMPTY && errno != EEXIST)
        rc = sb_error_errno(err, -errno, "cannot remove %s", path);
    return rc;
}

static int empty_folder(const char *path, struct sb_error *err) {
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        SB_AUTO_FREE char *file = sb_path_join(path, contents[i].name);
        if (!file)
            return sb_error_errno(err, -ENOMEM, "%s", path);
        if (contents[i].entries) {
            int rc = remove_entries(file, contents[i].entries, err);
            if (rc < 0)
                return rc;
        } else if (unlink(file) < 0 && errno != ENOENT) {
            return sb_error_errno(err, -errno, "cannot remove %s", file);
        }
    }
    return 0;
}

/* ---- Making ---------------------------------------------------------------------------------- */

static struct sb_folder *folder_new(void) {
    struct sb_folder *folder = calloc(1, sizeof *folder);
    if (folder)
        folder->lock = folder->journal = -1;
    return folder;
}

static void cleanup_folder(struct sb_folder **folder) {
    sb_folder_close(*folder);
}

static int set_path(struct sb_folder *folder, const char *path, struct sb_error *err) {
    folder->path = realpath(path, NULL);
    return folder->path ? 0 : sb_error_errno(err, -errno, "%s", path);
}

/* Everything after the folder exists and nobody else uses it. */
static int fill_folder(struct sb_folder *folder, struct sb_error *err) {
    /* What a samebits that was killed was about to keep. */
    static const char *const unfinished[] = {".new-*", NULL};
    SB_AUTO_FREE char *weights = sb_path_join(folder->path, "weights");
    SB_AUTO_FREE char *logs = sb_path_join(folder->path, "logs");
    if (!weights || !logs)
        return sb_error_errno(err, -ENOMEM, "%s", folder->path);
    int rc = remove_entries(weights, unfinished, err);
    if (rc < 0 || (rc = sb_make_folders(weights, 0777, err)) < 0 ||
        (rc = sb_make_folders(logs, 0777, err)) < 0)
        return rc;
    return sb_journal_attach(folder, "journal", err);
}

static int create_named(const char *out, bool force, struct sb_folder *folder,
                        struct sb_error *err) {
    int rc = sb_make_folders(out, 0777, err);
    if (rc < 0 || (rc = set_path(folder, out, err)) < 0)
        return rc;
    int empty = is_empty(folder->path);
    if (empty < 0)
        return sb_error_errno(err, empty, "%s", out);
    if (!empty && !is_ours(folder->path))
        return sb_error_set(err, -ENOTEMPTY,
                            "%s: holds files that are not samebits's: --out needs a new or an "
                            "empty folder",
                            out);
    rc = lock_folder(folder, err);
    if (rc < 0)
        return rc;
    if (!force && holds_result(folder->path))
        return sb_error_set(err, -EEXIST,
                            "%s: holds a result: give --resume to go on or --force to replace it",
                            out);
    /* Without force too: what a samebits left that was killed before its first run ended. */
    rc = empty_folder(folder->path, err);
    return rc < 0 ? rc : fill_folder(folder, err);
}

/* The largest number among the names in an open folder. */
static unsigned long highest_number(int fd) {
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    SB_AUTO_DIR DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    unsigned long highest = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        const char *name = entry->d_name;
        if (strlen(name) < 4 || strlen(name) > 9 || strspn(name, "0123456789") != strlen(name))
            continue;
        unsigned long number = strtoul(name, NULL, 10);
        highest = number > highest ? number : highest;
    }
    return highest;
}

/* `latest` is replaced by a rename, so that it always leads somewhere. */
static int point_latest(int parent, const char *number, struct sb_error *err) {
    char temporary[64];
    snprintf(temporary, sizeof temporary, ".latest.%ld", (long)getpid());
    unlinkat(parent, temporary, 0);
    int rc = symlinkat(number, parent, temporary) < 0 ? -errno : 0;
    if (rc == 0 && renameat(parent, temporary, parent, "latest") < 0) {
        rc = -errno;
        unlinkat(parent, temporary, 0);
    }
    /* A file system without links (vfat, some shares) only lacks the convenience. */
    if (rc == -EPERM || rc == -ENOTSUP)
        return 0;
    return rc < 0 ? sb_error_errno(err, rc, DEFAULT_FOLDER "/latest") : 0;
}

/* Results are no part of the project that is tested: its own `git status` stays clean. */
static void write_ignore_file(int parent) {
    SB_AUTO_FD int fd = openat(parent, ".gitignore", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0)
        (void)sb_write_all(fd, "*\n", 2);
}

static int create_numbered(struct sb_folder *folder, struct sb_error *err) {
    int rc = sb_make_folders(DEFAULT_FOLDER, 0777, err);
    if (rc < 0)
        return rc;
    SB_AUTO_FD int parent = open(DEFAULT_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return sb_error_errno(err, -errno, DEFAULT_FOLDER);
    /* Held until `latest` is set, so that it names the highest number. Where a file system has no
     * such lock, mkdir still gives every samebits a number of its own. */
    (void)flock(parent, LOCK_EX);
    write_ignore_file(parent);
    char number[32], path[64];
    for (unsigned long n = highest_number(parent) + 1;; n++) {
        snprintf(number, sizeof number, "%04lu", n);
        if (mkdirat(parent, number, 0777) == 0)
            break;
        if (errno != EEXIST)
            return sb_error_errno(err, -errno, DEFAULT_FOLDER "/%s", number);
    }
    snprintf(path, sizeof path, DEFAULT_FOLDER "/%s", number);
    if ((rc = set_path(folder, path, err)) < 0 || (rc = lock_folder(folder, err)) < 0 ||
        (rc = fill_folder(folder, err)) < 0)
        return rc;
    return point_latest(parent, number, err);
}

int sb_folder_create(const char *out, bool force, struct sb_folder **folder, struct sb_error *err) {
    SB_CLEANUP(cleanup_folder) struct sb_folder *made = folder_new();
    if (!made)
        return sb_error_errno(err, -ENOMEM, "results folder");
    int rc = out ? create_named(out, force, made, err) : create_numbered(made, err);
    if (rc < 0)
        return rc;
    *folder = sb_steal_pointer(&made);
    return 0;
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* The folder that people mean by `path`: itself, the folder of a result.json, or a bare number or
 * `latest` in the default folder. malloc'd absolute path, or NULL with errno. */
static char *resolve(const char *path) {
    char *real = realpath(path, NULL);
    if (!real && errno == ENOENT && *path && !strchr(path, '/')) {
        SB_AUTO_FREE char *within = sb_path_join(DEFAULT_FOLDER, path);
        real = within ? realpath(within, NULL) : NULL;
    }
    struct stat st;
    char *slash = real ? strrchr(real, '/') : NULL;
    if (slash && stat(real, &st) == 0 && !S_ISDIR(st.st_mode))
        slash[slash == real] = '\0';
    return real;
}

int sb_folder_open(const char *path, bool lock, struct sb_folder **folder, struct sb_error *err) {
    SB_CLEANUP(cleanup_folder) struct sb_folder *opened = folder_new();
    if (!opened)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    opened->path = resolve(path);
    if (!opened->path)
        return sb_error_errno(err, -errno, "%s", path);
    SB_AUTO_FREE char *plan = sb_path_join(opened->path, "plan.json");
    SB_AUTO_FREE char *journal = sb_path_join(opened->path, "journal");
    if (!plan || !journal)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    bool begun = access(journal, F_OK) == 0 || access(plan, F_OK) == 0;
    if (!begun && !holds_result_json(opened->path))
        return sb_error_set(err, -ENOENT, "%s: holds no samebits result", path);
    if (lock && !begun)
        return sb_error_set(
            err, -ENOENT, "%s: has a result.json and no journal: it cannot be gone on with", path);
    int rc = lock ? lock_folder(opened, err) : 0;
    if (rc == 0 && lock)
        rc = fill_folder(opened, err);
    if (rc < 0)
        return rc;
    *folder = sb_steal_pointer(&opened);
    return 0;
}

const char *sb_folder_path(const struct sb_folder *folder) {
    return folder->path;
}

char *sb_folder_file(const struct sb_folder *folder, const char *name) {
    return sb_path_join(folder->path, name);
}

void sb_folder_sync(struct sb_folder *folder) {
    if (folder->journal >= 0 && folder->unsynced)
        (void)fdatasync(folder->journal);
    folder->unsynced = false;
}

void sb_folder_close(struct sb_folder *folder) {
    if (!folder)
        return;
    sb_folder_sync(folder);
    if (folder->journal >= 0)
        close(folder->journal);
    if (folder->lock >= 0)
        close(folder->lock);
    free(folder->path);
    free(folder);
}
