/* The trace: one call, kept as it is made (base/saved_call.h), for whoever wants to make it again.
 */
#include "base/saved_call.h"
#include "probe/trace.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATH = 4096 };

static char wanted[SB_SAVED_NAME + 40]; /* "KERNEL:DIGEST"; "": none */
static char path[PATH];
static int saved;

void sb_trace_save_begin(const char *folder, const char *call) {
    if (strlen(call) < sizeof wanted &&
        snprintf(path, sizeof path, "%s/%s", folder, SB_SAVED_CALL_FILE) < (int)sizeof path)
        strcpy(wanted, call);
}

/* false: more than is kept. */
static bool describe(const struct sb_traced *call, struct sb_saved_call *kept) {
    uint64_t all = 0;
    Dl_info object;
    memcpy(kept->magic, SB_SAVED_CALL_MAGIC, sizeof kept->magic);
    snprintf(kept->kernel, sizeof kept->kernel, "%s", call->kernel);
    if (dladdr(call->function, &object))
        snprintf(kept->library, sizeof kept->library, "%s", object.dli_fname);
    memcpy(kept->sizes, call->sizes, sizeof call->sizes);
    memcpy(kept->options, call->options, sizeof call->options);
    kept->dtype = call->dtype;
    kept->n_sizes = (uint8_t)call->n_sizes;
    kept->n_options = (uint8_t)call->n_options;
    if (call->memory.copy) /* who made it is all that is kept of a call on a device */
        return true;
    kept->n_operands = (uint8_t)call->n_operands;
    for (unsigned i = 0; i < call->n_operands; i++) {
        const struct sb_operand *operand = &call->operands[i];
        struct sb_saved_operand *to = &kept->operands[i];
        uint64_t elements =
            operand->columns ? (operand->columns - 1) * operand->stride + operand->rows : 0;
        *to = (struct sb_saved_operand){.rows = operand->rows,
                                        .columns = operand->columns,
                                        .stride = operand->stride,
                                        .element = call->element,
                                        .bytes = elements * call->element,
                                        .address = (uintptr_t)operand->at % SB_SAVED_PAGE,
                                        .read = operand->read,
                                        .written = operand->written,
                                        .part = (uint8_t)operand->part};
        all += to->bytes;
    }
    return all <= SB_SAVED_MOST_BYTES;
}

static bool put(int fd, const void *bytes, size_t n) {
    while (n) {
        long written = syscall(SYS_write, fd, bytes, n);
        if (written <= 0)
            return false;
        bytes = (const char *)bytes + written;
        n -= (size_t)written;
    }
    return true;
}

/* A file that is not whole is none: what reads it looks at its length. */
static void keep(const struct sb_traced *call, const struct sb_saved_call *kept) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path,
                          O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    bool whole = put(fd, kept, sizeof *kept);
    for (unsigned i = 0; whole && i < kept->n_operands; i++) {
        if (kept->operands[i].read)
            whole = put(fd, call->operands[i].at, kept->operands[i].bytes);
    }
    syscall(SYS_close, fd);
}

void sb_trace_save(const struct sb_traced *call) {
    if (!*wanted || !sb_saved_call_is_meant(wanted, call->kernel, call->in) ||
        __atomic_exchange_n(&saved, 1, __ATOMIC_ACQ_REL))
        return;
    struct sb_saved_call *kept = calloc(1, sizeof *kept);
    if (kept && describe(call, kept)) {
        sb_trace_frames(kept->frames, sizeof kept->frames);
        keep(call, kept);
    }
    free(kept);
}
