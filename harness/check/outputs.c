/* check: outputs of a run as bytes, written there and read here. See check/outputs.h. */
#include "check/outputs.h"

#include "base/cleanup.h"
#include "weights/tensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Records and their elements begin at multiples of it. */
enum { ALIGNMENT = 64, FIRST_RECORD = 4096 };
_Static_assert(sizeof(struct sb_run_page) <= FIRST_RECORD, "the page fits before the outputs");

struct record {
    uint64_t magic;
    uint64_t n_name; /* with its NUL */
    uint64_t n_bytes;
    uint32_t dtype, rank;
    uint64_t dims[SB_MAX_RANK];
};
static const uint64_t record_magic = UINT64_C(0x7475706e69626173);

static uint64_t aligned(uint64_t n) {
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- In the run --------------------------------------------------------------------------------
 */

static int write_all(int file, const void *bytes, uint64_t n, uint64_t at) {
    const char *next = bytes;
    while (n > 0) {
        ssize_t written = pwrite(file, next, n < (1 << 30) ? n : (1 << 30), (off_t)at);
        if (written < 0 && errno != EINTR)
            return -errno;
        if (written == 0)
            return -ENOSPC;
        if (written > 0) {
            next += written;
            n -= (uint64_t)written;
            at += (uint64_t)written;
        }
    }
    return 0;
}

int sb_run_page_write(int file, const struct sb_run_page *page) {
    return write_all(file, page, sizeof *page, 0);
}

int sb_run_file_make(struct sb_error *err) {
    SB_AUTO_FD int file = memfd_create("samebits-outputs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0)
        return sb_error_errno(err, -errno, "memory for a run's outputs");
    struct sb_run_page page = {.state = SB_RUN_LAUNCHED, .end = FIRST_RECORD};
    int rc = sb_run_page_write(file, &page);
    if (rc == 0 && ftruncate(file, FIRST_RECORD) < 0)
        rc = -errno;
    return rc < 0 ? sb_error_errno(err, rc, "memory for a run's outputs") : sb_steal_fd(&file);
}

static int describe(const struct sb_tensor *tensor, struct record *record, struct sb_error *err) {
    const char *name = tensor->name ? tensor->name : "";
    size_t n_name = strlen(name);
    if (n_name == 0 || n_name > SB_CHECK_MAX_NAME)
        return sb_error_set(err, -EINVAL, "the name of an output has 1 to %d bytes, not %zu",
                            SB_CHECK_MAX_NAME, n_name);
    if ((unsigned)tensor->dtype >= SB_N_DTYPES)
        return sb_error_set(err, -EINVAL, "output '%s': there is no dtype %u", name,
                            (unsigned)tensor->dtype);
    if (tensor->rank > SB_MAX_RANK || (tensor->rank && !tensor->dims))
        return sb_error_set(err, -EINVAL, "output '%s': rank %u (0 to %d, with its dimensions)",
                            name, tensor->rank, SB_MAX_RANK);
    struct sb_tensor_info info = {
        .name = (char *)name, .dtype = tensor->dtype, .rank = tensor->rank};
    if (tensor->rank)
        memcpy(info.dims, tensor->dims, tensor->rank * sizeof *info.dims);
    if (sb_tensor_info_count(&info, NULL) < 0)
        return sb_error_set(err, -EINVAL, "output '%s': more elements than memory can hold", name);
    if (info.n_elements && !tensor->data)
        return sb_error_set(err, -EINVAL, "output '%s': its elements are NULL", name);
    *record = (struct record){.magic = record_magic,
                              .n_name = n_name + 1,
                              .n_bytes = info.n_elements * sb_dtype_size(info.dtype),
                              .dtype = (uint32_t)info.dtype,
                              .rank = info.rank};
    memcpy(record->dims, info.dims, sizeof record->dims);
    return 0;
}

int sb_output_append(int file, struct sb_run_page *page, const struct sb_tensor *tensor,
                     struct sb_error *err) {
    struct record record;
    int rc = describe(tensor, &record, err);
    if (rc < 0)
        return rc;
    uint64_t at = page->end;
    uint64_t elements = aligned(at + sizeof record + record.n_name);
    rc = write_all(file, &record, sizeof record, at);
    if (rc == 0)
        rc = write_all(file, tensor->name, record.n_name, at + sizeof record);
    if (rc == 0)
        rc = write_all(file, tensor->data, record.n_bytes, elements);
    uint64_t end = aligned(elements + record.n_bytes);
    if (rc == 0 && ftruncate(file, (off_t)end) < 0)
        rc = -errno;
    if (rc < 0)
        return sb_error_errno(err, rc, "output '%s', %llu bytes", tensor->name,
                              (unsigned long long)record.n_bytes);
    page->end = end;
    return 0;
}

/* ---- In the test's process ---------------------------------------------------------------------
 */

int sb_run_page_read(int file, struct sb_run_page *page) {
    ssize_t n = pread(file, page, sizeof *page, 0);
    if (n != (ssize_t)sizeof *page)
        return n < 0 ? -errno : -EBADMSG;
    page->text[sizeof page->text - 1] = '\0';
    return 0;
}

/* One record from *at on, which moves behind it. */
static bool parse_record(const char *bytes, uint64_t end, uint64_t *at, struct sb_output *output) {
    struct record record;
    if (end - *at < sizeof record)
        return false;
    memcpy(&record, bytes + *at, sizeof record);
    if (record.magic != record_magic || record.dtype >= SB_N_DTYPES || record.rank > SB_MAX_RANK ||
        record.n_name < 2 || record.n_name > SB_CHECK_MAX_NAME + 1 ||
        end - *at - sizeof record < record.n_name)
        return false;
    const char *name = bytes + *at + sizeof record;
    uint64_t elements = aligned(*at + sizeof record + record.n_name);
    if (memchr(name, '\0', record.n_name) != name + record.n_name - 1 || elements > end)
        return false;
    struct sb_tensor_info info = {
        .name = (char *)name, .dtype = (enum sb_dtype)record.dtype, .rank = record.rank};
    memcpy(info.dims, record.dims, sizeof info.dims);
    if (sb_tensor_info_count(&info, NULL) < 0)
        return false;
    uint64_t n_bytes = info.n_elements * sb_dtype_size(info.dtype);
    if (n_bytes != record.n_bytes || n_bytes > end - elements || aligned(elements + n_bytes) > end)
        return false;
    *output =
        (struct sb_output){.info = info, .n_bytes = (size_t)n_bytes, .elements = bytes + elements};
    *at = aligned(elements + n_bytes);
    return true;
}

static int by_name(const void *a, const void *b) {
    const struct sb_output *const *x = a, *const *y = b;
    return strcmp((*x)->info.name, (*y)->info.name);
}

static int sort_by_name(struct sb_outputs *outputs, struct sb_error *err) {
    outputs->by_name = calloc(outputs->n + 1, sizeof *outputs->by_name);
    if (!outputs->by_name)
        return sb_error_errno(err, -ENOMEM, "%zu outputs", outputs->n);
    for (size_t i = 0; i < outputs->n; i++)
        outputs->by_name[i] = &outputs->items[i];
    qsort(outputs->by_name, outputs->n, sizeof *outputs->by_name, by_name);
    for (size_t i = 1; i < outputs->n; i++)
        if (by_name(&outputs->by_name[i - 1], &outputs->by_name[i]) == 0)
            return sb_error_set(err, -EINVAL, "two outputs are called '%s'",
                                outputs->by_name[i]->info.name);
    return 0;
}

static int parse(const void *bytes, size_t n_bytes, struct sb_outputs *outputs,
                 struct sb_error *err) {
    struct sb_run_page page;
    if (n_bytes < FIRST_RECORD)
        return sb_error_set(err, -EBADMSG, "what it left is cut off");
    memcpy(&page, bytes, sizeof page);
    if (page.end > n_bytes || page.end < FIRST_RECORD)
        return sb_error_set(err, -EBADMSG, "what it left is cut off");
    size_t capacity = 0;
    for (uint64_t at = FIRST_RECORD; at < page.end; outputs->n++) {
        if (outputs->n == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            struct sb_output *grown = reallocarray(outputs->items, capacity, sizeof *grown);
            if (!grown)
                return sb_error_errno(err, -ENOMEM, "%zu outputs", capacity);
            outputs->items = grown;
        }
        if (!parse_record(bytes, page.end, &at, &outputs->items[outputs->n]))
            return sb_error_set(err, -EBADMSG, "what it left was written over: output %zu is none",
                                outputs->n + 1);
    }
    return sort_by_name(outputs, err);
}

int sb_outputs_parse(const void *bytes, size_t n_bytes, struct sb_outputs *outputs,
                     struct sb_error *err) {
    struct sb_outputs parsed = {0};
    int rc = parse(bytes, n_bytes, &parsed, err);
    if (rc < 0)
        sb_outputs_clear(&parsed);
    else
        *outputs = parsed;
    return rc;
}

int sb_outputs_read(int file, struct sb_outputs *outputs, struct sb_error *err) {
    struct stat found;
    if (fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0 ||
        fstat(file, &found) < 0)
        return sb_error_errno(err, -errno, "sealing what it left");
    size_t n = (size_t)found.st_size;
    /* Private: a write seal refuses shared mappings, even to read, before Linux 6.7. */
    void *mapped = mmap(NULL, n, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapped == MAP_FAILED)
        return sb_error_errno(err, -errno, "mapping %zu bytes of outputs", n);
    int rc = sb_outputs_parse(mapped, n, outputs, err);
    if (rc < 0) {
        munmap(mapped, n);
        return rc;
    }
    outputs->mapped = mapped;
    outputs->n_mapped = n;
    return 0;
}

void sb_outputs_clear(struct sb_outputs *outputs) {
    free(outputs->items);
    free(outputs->by_name);
    if (outputs->mapped)
        munmap(outputs->mapped, outputs->n_mapped);
    *outputs = (struct sb_outputs){0};
}

static int against_name(const void *name, const void *item) {
    return strcmp(name, (*(const struct sb_output *const *)item)->info.name);
}

const struct sb_output *sb_outputs_find(const struct sb_outputs *outputs, const char *name) {
    if (!outputs->n)
        return NULL;
    struct sb_output **found =
        bsearch(name, outputs->by_name, outputs->n, sizeof *outputs->by_name, against_name);
    return found ? *found : NULL;
}
