/* Stage 3: a run's stdout and stderr: the first and the last bytes of it, however much there is. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/process.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 65536, READS = 16, PIPE_BYTES = 1 << 20 };

int sb_log_open(struct sb_log *log, int folder, const char *name, uint64_t limit, int *output,
                struct sb_error *err) {
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) < 0) {
        sb_cleanup_fd(&folder);
        return sb_error_errno(err, -errno, "pipe");
    }
    /* Ours alone: the run's end blocks, as a program expects of its output. */
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    *log = (struct sb_log){.from = pipes[0],
                           .to = -1,
                           .folder = folder,
                           .name = name,
                           .head_left = limit - limit / 2,
                           .tail_size = limit / 2};
    *output = pipes[1];
    return 0;
}

static void write_out(struct sb_log *log, const char *data, size_t n) {
    if (log->error || log->folder < 0 || !n)
        return;
    if (log->to < 0)
        log->to = openat(log->folder, log->name,
                         O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0666);
    if (log->to < 0) {
        log->error = -errno;
        return;
    }
    log->printed = true;
    log->error = sb_write_all(log->to, data, n);
}

static void keep(struct sb_log *log, const char *data, size_t n) {
    if (n > log->tail_size) {
        log->skipped += n - log->tail_size;
        data += n - log->tail_size;
        n = log->tail_size;
    }
    size_t room = log->tail_size - log->tail_used;
    if (n > room)
        log->skipped += n - room;
    log->tail_used = n > room ? log->tail_size : log->tail_used + n;
    while (n) {
        size_t piece = log->tail_size - log->tail_at < n ? log->tail_size - log->tail_at : n;
        memcpy(log->tail + log->tail_at, data, piece);
        log->tail_at = (log->tail_at + piece) % log->tail_size;
        data += piece;
        n -= piece;
    }
}

static void take(struct sb_log *log, const char *data, size_t n) {
    size_t head = n < log->head_left ? n : (size_t)log->head_left;
    write_out(log, data, head);
    log->head_left -= head;
    if (n == head)
        return;
    if (!log->tail && log->tail_size) {
        log->tail = malloc(log->tail_size);
        /* One that writes this much writes more. */
        fcntl(log->from, F_SETPIPE_SZ, PIPE_BYTES);
    }
    if (log->tail)
        keep(log, data + head, n - head);
    else
        log->skipped += n - head;
}

bool sb_log_drain(struct sb_log *log) {
    char buffer[READ_BYTES];
    for (int i = 0; log->from >= 0 && i < READS; i++) {
        ssize_t n = read(log->from, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0)
            return false;
        take(log, buffer, (size_t)n);
        if ((size_t)n < sizeof buffer / 2) /* a slow writer: ask again when there is more */
            return true;
    }
    return log->from >= 0;
}

void sb_log_close(struct sb_log *log) {
    if (log->skipped) {
        SB_AUTO_FREE char *line =
            sb_format("\n[samebits: %llu bytes left out]\n", (unsigned long long)log->skipped);
        if (line)
            write_out(log, line, strlen(line));
    }
    if (log->tail && log->tail_used) {
        size_t start = log->tail_used < log->tail_size ? 0 : log->tail_at;
        write_out(log, log->tail + start, log->tail_used - start);
        write_out(log, log->tail, start);
    }
    free(log->tail);
    sb_cleanup_fd(&log->from);
    sb_cleanup_fd(&log->to);
    sb_cleanup_fd(&log->folder);
    *log = (struct sb_log){
        .from = -1, .to = -1, .folder = -1, .printed = log->printed, .error = log->error};
}

/* ---- In samebits ------------------------------------------------------------------------------
 */

int sb_log_begin(const char *path, int *folder, struct sb_error *err) {
    SB_AUTO_FREE char *copy = strdup(path);
    if (!copy)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return sb_error_errno(err, -errno, "%s", path);
    *folder = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *folder < 0 ? sb_error_errno(err, -errno, "%s", path) : 0;
}

void sb_log_leave_empty(const char *path, char **empty) {
    if (*empty && link(*empty, path) == 0)
        return;
    /* The first one, or one name more than the file system lets a file have. */
    SB_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
    char *copy = fd < 0 ? NULL : strdup(path);
    if (!copy)
        return;
    free(*empty);
    *empty = copy;
}
