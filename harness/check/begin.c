/* check: a run in a new program: what it is to call is handed over in a file, as a place in the
 * program or in a library that it loads, since addresses change. */
#include "check/run.h"

#include "base/cleanup.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* The object's name, "" for the program itself, and a copy of the data follow. */
struct request {
    char magic[8];
    uint64_t offset; /* of the function, in the object */
    uint64_t n_object, n_data;
};
static const char request_magic[8] = "sb-run-1";

/* The one thing that a program says about itself. */
static bool begun;

bool sb_check_begun(void) {
    return begun;
}

static int write_bytes(int file, const void *bytes, size_t n) {
    for (const char *next = bytes; n > 0;) {
        ssize_t written = write(file, next, n);
        if (written < 0 && errno != EINTR)
            return -errno;
        if (written > 0) {
            next += written;
            n -= (size_t)written;
        }
    }
    return 0;
}

int sb_run_request_write(const struct sb_run_request *request, struct sb_error *err) {
    uintptr_t address = (uintptr_t)request->compute;
    Dl_info place;
    struct link_map *object = NULL;
    if (!dladdr1((void *)address, &place, (void **)&object, RTLD_DL_LINKMAP) || !object)
        return sb_error_set(err, -ENOTSUP, "the function lies in no file that a new program loads");
    struct request header = {.offset = address - object->l_addr,
                             .n_object = strlen(object->l_name),
                             .n_data = request->data ? request->data_size : 0};
    memcpy(header.magic, request_magic, sizeof header.magic);
    SB_AUTO_FD int file = memfd_create("samebits-request", MFD_CLOEXEC);
    if (file < 0)
        return sb_error_errno(err, -errno, "memory for a run's request");
    int rc = write_bytes(file, &header, sizeof header);
    if (rc == 0)
        rc = write_bytes(file, object->l_name, header.n_object);
    if (rc == 0)
        rc = write_bytes(file, request->data, header.n_data);
    return rc < 0 ? sb_error_errno(err, rc, "memory for a run's request") : sb_steal_fd(&file);
}

/* ---- In the new program ------------------------------------------------------------------------
 */

struct wanted {
    const char *object;
    uint64_t offset;
    uintptr_t address; /* 0: not found */
};

static int find(struct dl_phdr_info *loaded, size_t size, void *context) {
    (void)size;
    struct wanted *wanted = context;
    if (strcmp(loaded->dlpi_name, wanted->object) != 0)
        return 0;
    for (unsigned i = 0; i < loaded->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &loaded->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && part->p_flags & PF_X && wanted->offset >= part->p_vaddr &&
            wanted->offset - part->p_vaddr < part->p_memsz)
            wanted->address = loaded->dlpi_addr + wanted->offset;
    }
    return 1;
}

/* Both descriptors, of files in memory; false where the variable is something else. */
static bool descriptors(const char *text, int *request, int *outputs) {
    int end = 0;
    struct stat found;
    return sscanf(text, "%3d,%3d%n", request, outputs, &end) == 2 && text[end] == '\0' &&
           fcntl(*request, F_GET_SEALS) >= 0 && fcntl(*outputs, F_GET_SEALS) >= 0 &&
           fstat(*request, &found) == 0 && found.st_size >= (off_t)sizeof(struct request);
}

static const struct request *read_request(int file) {
    struct stat found;
    if (fstat(file, &found) < 0)
        return NULL;
    size_t n = (size_t)found.st_size;
    const struct request *request = mmap(NULL, n, PROT_READ, MAP_PRIVATE, file, 0);
    if (request == MAP_FAILED || memcmp(request->magic, request_magic, sizeof request_magic) != 0 ||
        request->n_object >= PATH_MAX || request->n_data > n ||
        sizeof *request + request->n_object + request->n_data != n)
        return NULL;
    return request;
}

_Noreturn static void carry_out(int request_file, int outputs) {
    const struct request *request = read_request(request_file);
    if (!request)
        sb_run_refuse(outputs, "the request for it cannot be read");
    const char *bytes = (const char *)(request + 1);
    char object[PATH_MAX];
    memcpy(object, bytes, request->n_object);
    object[request->n_object] = '\0';
    struct wanted wanted = {.object = object, .offset = request->offset};
    dl_iterate_phdr(find, &wanted);
    if (!wanted.address)
        sb_run_refuse(outputs, "the new program has no function at the same place of '%s'",
                      object[0] ? object : "itself");
    /* Aligned for any type, and to be written to, as the original may be. */
    void *data = request->n_data ? malloc(request->n_data) : NULL;
    if (request->n_data && !data)
        sb_run_refuse(outputs, "no memory for %llu bytes of data",
                      (unsigned long long)request->n_data);
    if (data)
        memcpy(data, bytes + request->n_object, request->n_data);
    close(request_file);
    sb_run_here((sb_check_function *)wanted.address, data, outputs, NULL);
}

void sb_check_begin(void) {
    begun = true;
    const char *text = getenv(SB_CHECK_VARIABLE);
    if (!text)
        return;
    int request, outputs;
    if (!descriptors(text, &request, &outputs)) {
        fprintf(stderr, "samebits: %s is set, and names no run\n", SB_CHECK_VARIABLE);
        _exit(2);
    }
    /* Programs that the function starts are none of these runs. */
    unsetenv(SB_CHECK_VARIABLE);
    fcntl(request, F_SETFD, FD_CLOEXEC);
    fcntl(outputs, F_SETFD, FD_CLOEXEC);
    carry_out(request, outputs);
}
