/* base: see saved_call.h. */
#include "base/saved_call.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_ELEMENT = 16 };

_Static_assert(sizeof(struct sb_saved_operand) == 56, "no padding in a file");
_Static_assert(sizeof(struct sb_saved_call) % 8 == 0, "no padding in a file");

/* ---- Writing --------------------------------------------------------------------------------- */

int sb_saved_call_write(const char *path, const struct sb_saved_call *call, void *const *at,
                        struct sb_error *err) {
    SB_AUTO_FD int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    int rc = fd < 0 ? -errno : sb_write_all(fd, call, sizeof *call);
    for (size_t i = 0; rc == 0 && i < call->n_operands; i++) {
        if (call->operands[i].read)
            rc = sb_write_all(fd, at[i], call->operands[i].bytes);
    }
    return rc < 0 ? sb_error_errno(err, rc, "%s", path) : 0;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool is_text(const char *text, size_t room) {
    return memchr(text, '\0', room) != NULL;
}

static bool operand_is_sound(const struct sb_saved_operand *operand) {
    uint64_t most = SB_SAVED_MOST_BYTES, rows = operand->rows, columns = operand->columns;
    if (operand->element < 1 || operand->element > MOST_ELEMENT ||
        operand->address >= SB_SAVED_PAGE || rows > most || columns > most ||
        operand->stride > most || (rows == 0) != (columns == 0))
        return false;
    if (!rows)
        return operand->bytes == 0;
    if (columns > 1 && operand->stride > most / (columns - 1))
        return false;
    uint64_t elements = (columns - 1) * operand->stride + rows;
    return elements <= most / operand->element && operand->bytes == elements * operand->element;
}

static bool is_sound(const struct sb_saved_call *call, uint64_t size) {
    if (memcmp(call->magic, SB_SAVED_CALL_MAGIC, sizeof call->magic) != 0 ||
        call->n_sizes > SB_SAVED_SIZES || call->n_operands > SB_SAVED_OPERANDS ||
        call->n_options > SB_SAVED_OPTIONS || !is_text(call->kernel, sizeof call->kernel) ||
        !is_text(call->backend, sizeof call->backend) ||
        !is_text(call->library, sizeof call->library) ||
        !is_text(call->frames, sizeof call->frames))
        return false;
    uint64_t all = 0, stored = 0;
    for (size_t i = 0; i < call->n_operands; i++) {
        if (!operand_is_sound(&call->operands[i]))
            return false;
        all += call->operands[i].bytes;
        stored += call->operands[i].read ? call->operands[i].bytes : 0;
    }
    return all <= SB_SAVED_MOST_BYTES && size == sizeof *call + stored;
}

static int read_all(int fd, void *bytes, size_t n) {
    while (n) {
        ssize_t got = read(fd, bytes, n);
        if (got == 0 || (got < 0 && errno != EINTR))
            return got < 0 ? -errno : -EBADMSG;
        if (got > 0) {
            bytes = (char *)bytes + got;
            n -= (size_t)got;
        }
    }
    return 0;
}

/* The descriptor, behind the head. */
static int open_head(const char *path, struct sb_saved_call *call, struct sb_error *err) {
    struct stat st;
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    int rc = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
    if (rc < 0)
        return sb_error_errno(err, rc, "%s", path);
    rc = S_ISREG(st.st_mode) ? read_all(fd, call, sizeof *call) : -EBADMSG;
    if (rc == -EBADMSG || (rc == 0 && !is_sound(call, (uint64_t)st.st_size)))
        return sb_error_set(err, -EBADMSG, "%s: not a saved call, or damaged", path);
    if (rc < 0)
        return sb_error_errno(err, rc, "%s", path);
    return sb_steal_fd(&fd);
}

int sb_saved_call_read_head(const char *path, struct sb_saved_call *call, struct sb_error *err) {
    SB_AUTO_FD int fd = open_head(path, call, err);
    return fd < 0 ? fd : 0;
}

int sb_saved_call_read(const char *path, struct sb_loaded_call *loaded, struct sb_error *err) {
    *loaded = (struct sb_loaded_call){.blocks = {NULL}};
    SB_AUTO_FD int fd = open_head(path, &loaded->call, err);
    int rc = fd < 0 ? fd : 0;
    for (size_t i = 0; rc == 0 && i < loaded->call.n_operands; i++) {
        const struct sb_saved_operand *operand = &loaded->call.operands[i];
        size_t room = (operand->bytes + 2 * SB_SAVED_PAGE) / SB_SAVED_PAGE * SB_SAVED_PAGE;
        loaded->blocks[i] = aligned_alloc(SB_SAVED_PAGE, room);
        if (!loaded->blocks[i]) {
            rc = sb_error_errno(err, -ENOMEM, "%s", path);
            break;
        }
        memset(loaded->blocks[i], 0, room);
        loaded->at[i] = (char *)loaded->blocks[i] + operand->address;
        int got = operand->read ? read_all(fd, loaded->at[i], operand->bytes) : 0;
        if (got < 0)
            rc = sb_error_errno(err, got, "%s", path);
    }
    if (rc < 0)
        sb_saved_call_clear(loaded);
    return rc;
}

void sb_saved_call_clear(struct sb_loaded_call *loaded) {
    for (size_t i = 0; i < SB_SAVED_OPERANDS; i++)
        free(loaded->blocks[i]);
    *loaded = (struct sb_loaded_call){.blocks = {NULL}};
}
