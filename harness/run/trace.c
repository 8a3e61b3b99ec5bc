/* Stage 3: traces of a run's processes, gathered into one file beside its log. A run may have left
 * anything in the folder: nothing but regular files is read there, and of those no more than there
 * is. */
#include "base/trace.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/saved_call.h"
#include "probe/asked.h"
#include "probe/trace_format.h"
#include "run/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Written by samebits's own worker, which traces its dispatch layer: a trace without a head. */
static const char worker_file[] = "worker";

enum { PIECE = 1 << 20, MOST_FILES = 100000 };

struct piece {
    char *name;
    struct sb_trace_head head; /* all zero: without one */
    uint64_t at, length;       /* of its records */
};

struct pieces {
    struct piece *items;
    size_t n;
};

int sb_trace_environment(const char *tmp, struct sb_strings *environment) {
    SB_AUTO_FREE char *path = sb_format("%s/%s/%s", tmp, SB_TRACE_FOLDER, worker_file);
    return path ? sb_environment_set(environment, "SAMEBITS_TRACE", path) : -ENOMEM;
}

int sb_trace_folder_make(const char *tmp, struct sb_error *err) {
    SB_AUTO_FREE char *path = sb_format("%s/%s", tmp, SB_TRACE_FOLDER);
    if (!path)
        return sb_error_errno(err, -ENOMEM, "a trace");
    int rc = sb_remove_tree(path, err);
    if (rc < 0)
        return rc;
    if (mkdir(path, 0700) < 0)
        return sb_error_errno(err, -errno, "%s", path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? sb_error_errno(err, -errno, "%s", path) : fd;
}

/* ---- What there is ----------------------------------------------------------------------------
 */

static void pieces_clear(struct pieces *pieces) {
    for (size_t i = 0; i < pieces->n; i++)
        free(pieces->items[i].name);
    free(pieces->items);
    *pieces = (struct pieces){0};
}

static int open_piece(int folder, const char *name, struct stat *st) {
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)))
        sb_cleanup_fd(&fd);
    return fd;
}

/* 0: is none. */
static int look(int folder, const char *name, struct piece *piece) {
    struct stat st;
    SB_AUTO_FD int fd = open_piece(folder, name, &st);
    if (fd < 0)
        return 0;
    *piece = (struct piece){.length = (uint64_t)st.st_size};
    if (strcmp(name, worker_file) != 0) {
        const uint64_t size = (uint64_t)st.st_size;
        if (pread(fd, &piece->head, sizeof piece->head, 0) != (ssize_t)sizeof piece->head ||
            memcmp(piece->head.magic, SB_TRACE_HEAD_MAGIC, sizeof piece->head.magic) != 0 ||
            size < SB_TRACE_RECORDS)
            return 0;
        piece->at = SB_TRACE_RECORDS;
        piece->length = size - SB_TRACE_RECORDS;
        if (piece->head.length < piece->length)
            piece->length = piece->head.length;
    }
    piece->name = strdup(name);
    return piece->name ? 1 : -ENOMEM;
}

/* As the processes began. The worker's, whose end may be torn, is the last. */
static int in_order(const void *left, const void *right) {
    const struct piece *a = left, *b = right;
    bool a_last = a->at == 0, b_last = b->at == 0;
    if (a_last != b_last)
        return a_last - b_last;
    if (a->head.started_ns != b->head.started_ns)
        return a->head.started_ns < b->head.started_ns ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int add_piece(struct pieces *pieces, const struct piece *piece) {
    struct piece *items = reallocarray(pieces->items, pieces->n + 1, sizeof *items);
    if (!items) {
        free(piece->name);
        return -ENOMEM;
    }
    items[pieces->n] = *piece;
    *pieces = (struct pieces){items, pieces->n + 1};
    return 0;
}

static int list_pieces(int folder, struct pieces *pieces) {
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing) {
        int rc = -errno;
        sb_cleanup_fd(&fd);
        return rc;
    }
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(listing)) && pieces->n < MOST_FILES;) {
        struct piece piece;
        rc = look(folder, entry->d_name, &piece);
        if (rc == 1)
            rc = add_piece(pieces, &piece);
    }
    closedir(listing);
    if (pieces->n)
        qsort(pieces->items, pieces->n, sizeof *pieces->items, in_order);
    return rc;
}

/* ---- Gathering --------------------------------------------------------------------------------
 */

static int copy_piece(int folder, const struct piece *piece, int to) {
    struct stat st;
    SB_AUTO_FD int fd = open_piece(folder, piece->name, &st);
    SB_AUTO_FREE char *bytes = malloc(PIECE);
    int rc = fd < 0 || !bytes ? -ENOMEM : 0;
    uint64_t at = piece->at, left = piece->length;
    while (rc == 0 && left) {
        ssize_t n = pread(fd, bytes, left < PIECE ? left : PIECE, (off_t)at);
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        rc = sb_write_all(to, bytes, (size_t)n);
        at += (uint64_t)n;
        left -= (uint64_t)n;
    }
    return rc;
}

/* Of the worker's file, which has no head to say it. */
static uint64_t count_calls(int folder) {
    SB_AUTO_FREE char *path = sb_format("/proc/self/fd/%d/%s", folder, worker_file);
    struct sb_trace_reader *reader;
    struct sb_trace_record record;
    uint64_t n = 0;
    if (!path || sb_trace_reader_open(path, &reader, NULL) < 0)
        return 0;
    while (sb_trace_read(reader, &record, NULL) == 1)
        n++;
    sb_trace_reader_close(reader);
    return n;
}

static json_t *summary(const struct pieces *pieces, double cpu_s, uint64_t worker_calls) {
    uint64_t calls = worker_calls, lost = 0;
    double inside_s = 0, tracing_s = 0;
    for (size_t i = 0; i < pieces->n; i++) {
        const struct sb_trace_head *head = &pieces->items[i].head;
        calls += head->calls;
        lost += head->lost;
        inside_s += (double)head->inside_ns / 1e9;
        tracing_s += (double)head->tracing_ns / 1e9;
    }
    double others_s = cpu_s - tracing_s;
    double share = others_s > 0 && inside_s < others_s ? inside_s / others_s : inside_s > 0;
    return json_pack("{s:I, s:I, s:i, s:o}", "calls", (json_int_t)(calls & INT64_MAX), "lost",
                     (json_int_t)(lost & INT64_MAX), "processes", (int)pieces->n, "cpu_share",
                     worker_calls ? json_null() : json_real(share));
}

/* What lies beside the trace, if anything does: a call that was kept is r00001.call of
 * r00001.trace, weights that Python's helper kept on the way r00001.safetensors, an operation that
 * it kept r00001.operation, with a head in JSON; where a source was asked for r00001.asked. */
static const struct {
    const char *name, *ending;
    uint64_t most; /* bytes */
} beside[] = {
    {SB_SAVED_CALL_FILE, "call", sizeof(struct sb_saved_call) + SB_SAVED_MOST_BYTES},
    {SB_TRACE_STEPS, "safetensors", UINT64_C(512) << 20},
    {SB_KEPT_OPERATION, SB_KEPT_OPERATION, UINT64_C(2) << 30},
    {SB_KEPT_HEAD, SB_KEPT_HEAD, UINT64_C(1) << 20},
    {SB_ASKED_FILE, SB_ASKED_FILE, SB_ASKED_BYTES},
};

static int copy_beside(int folder, int to_folder, const char *name, size_t which) {
    struct stat st;
    SB_AUTO_FD int fd = open_piece(folder, beside[which].name, &st);
    if (fd < 0)
        return 0;
    const uint64_t size = (uint64_t)st.st_size, most = beside[which].most;
    SB_AUTO_FREE char *file = strdup(beside[which].name);
    const struct piece piece = {.name = file, .length = size < most ? size : most};
    SB_AUTO_FREE char *to_name =
        sb_format("%.*s.%s", (int)strcspn(name, "."), name, beside[which].ending);
    if (!file || !to_name)
        return -ENOMEM;
    SB_AUTO_FD int to =
        openat(to_folder, to_name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    return to < 0 ? -errno : copy_piece(folder, &piece, to);
}

int sb_trace_gather(int folder, int to_folder, const char *name, double cpu_s, json_t **trace) {
    SB_CLEANUP(pieces_clear) struct pieces pieces = {0};
    int rc = list_pieces(folder, &pieces);
    SB_AUTO_FD int to = -1;
    if (rc == 0 && (to = openat(to_folder, name,
                                O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666)) < 0)
        rc = -errno;
    uint64_t worker_calls = 0, written = 0;
    for (size_t i = 0; rc == 0 && i < pieces.n; i++) {
        rc = copy_piece(folder, &pieces.items[i], to);
        written += pieces.items[i].length;
        if (rc == 0 && pieces.items[i].at == 0)
            worker_calls = count_calls(folder);
    }
    if (rc == 0 && !written) /* a run without calls has a trace as well */
        rc = sb_write_all(to, SB_TRACE_MAGIC, strlen(SB_TRACE_MAGIC));
    for (size_t i = 0; rc == 0 && i < sizeof beside / sizeof *beside; i++)
        rc = copy_beside(folder, to_folder, name, i);
    if (rc < 0)
        return rc;
    *trace = summary(&pieces, cpu_s, worker_calls);
    return *trace ? 0 : -ENOMEM;
}
