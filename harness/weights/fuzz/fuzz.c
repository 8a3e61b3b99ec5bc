/* Stage 4, weights: libFuzzer's entry to one format's reader, here in the process and without the
 * jail; ci/fuzz runs it. Whatever the bytes are, the reader must end, with an error that can be
 * shown or with tensors as struct sb_tensor_sink promises them. */
#include "base/cleanup.h"
#include "weights/jail.h"
#include "weights/stream.h"
#include "weights/tensors.h"

#include <errno.h>
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);

extern const struct sb_format SB_FUZZED;

/* Beyond this a reading is given up: a compressed file holds a thousand times its size. */
enum { MOST_BYTES = 16 << 20 };

static int input = -1; /* a memory file with the bytes that are tried */

struct checker {
    struct sb_tensor_sink next; /* a fingerprint's */
    char *name;                 /* of the latest tensor */
    uint64_t left;              /* elements that it still lacks */
    uint64_t n_bytes;           /* handed out in all */
    size_t element_bytes;
    bool open; /* between begin and end */
};

#define PROMISE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "fuzz: a promise is broken: %s\n", #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static bool printable(const char *text) {
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20)
            return false;
    }
    return true;
}

static int check_begin(void *context, const struct sb_tensor_info *info, bool *wanted,
                       struct sb_error *err) {
    struct checker *checker = context;
    struct sb_tensor_info counted = *info;
    PROMISE(!checker->open);
    PROMISE(printable(info->name));
    PROMISE(!checker->name || strcmp(checker->name, info->name) < 0);
    PROMISE(info->dtype < SB_N_DTYPES);
    PROMISE(sb_tensor_info_count(&counted, NULL) == 0 && counted.n_elements == info->n_elements);
    free(checker->name);
    checker->name = strdup(info->name);
    checker->left = info->n_elements;
    checker->element_bytes = sb_dtype_size(info->dtype);
    *wanted = strlen(info->name) % 8 != 7; /* some are left out, as by --exclude */
    checker->open = *wanted;
    return *wanted ? checker->next.begin(checker->next.context, info, wanted, err) : 0;
}

static int check_data(void *context, const void *elements, uint64_t n, struct sb_error *err) {
    struct checker *checker = context;
    PROMISE(checker->open);
    PROMISE(n <= checker->left);
    /* The library that digests them is not instrumented. */
    PROMISE(!__asan_region_is_poisoned((void *)elements, n * checker->element_bytes));
    checker->left -= n;
    checker->n_bytes += n * checker->element_bytes;
    if (checker->n_bytes > MOST_BYTES)
        return sb_error_set(err, -ECANCELED, "enough");
    return checker->next.data(checker->next.context, elements, n, err);
}

/* A sink may read the elements itself, so they must be there; this one has them handed out, for the
 * sake of what hands out. */
static int check_range(void *context, const struct sb_bytes *bytes, bool big_endian,
                       uint64_t offset, struct sb_error *err) {
    const struct checker *checker = context;
    (void)big_endian;
    (void)err;
    PROMISE(checker->open);
    PROMISE(offset <= bytes->n && checker->left <= (bytes->n - offset) / checker->element_bytes);
    return 0;
}

static int check_end(void *context, struct sb_error *err) {
    struct checker *checker = context;
    PROMISE(checker->open && checker->left == 0);
    checker->open = false;
    return checker->next.end(checker->next.context, err);
}

static int check_ignored(void *context, const char *name, const char *why) {
    struct checker *checker = context;
    PROMISE(printable(name) && printable(why));
    return checker->next.ignored(checker->next.context, name, why);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    struct sb_error err = {0};
    sb_jail_clean_environment();
    input = memfd_create("samebits-fuzz", MFD_CLOEXEC);
    if (input < 0 || (SB_FUZZED.prepare && SB_FUZZED.prepare(&err) < 0)) {
        fprintf(stderr, "fuzz: %s\n", input < 0 ? "no memory file" : err.text);
        exit(2);
    }
    return 0;
}

static void free_collector(struct sb_collector **collector) {
    sb_collector_free(*collector);
}

static void read_input(const char *path, uint64_t size) {
    struct checker checker = {0};
    struct sb_error err = {0};
    SB_CLEANUP(sb_fingerprint_clear) struct sb_fingerprint fingerprint = {0};
    SB_CLEANUP(free_collector)
    struct sb_collector *collector = sb_collector_new(SB_DIGEST_XXH3, 1);
    PROMISE(collector);
    sb_collector_sink(collector, &checker.next);
    struct sb_tensor_sink sink = {.context = &checker,
                                  .begin = check_begin,
                                  .range = check_range,
                                  .data = check_data,
                                  .end = check_end,
                                  .ignored = check_ignored};
    /* Whatever it asks for is the input again. */
    struct sb_beside beside[] = {{(char *)"fuzzed.data-00000-of-00001", input, size},
                                 {(char *)"part", input, size}};
    const struct sb_source source = {path, input, beside, 2, .recount = size % 2};
    int r = SB_FUZZED.read(&source, &sink, &err);
    free(checker.name);
    PROMISE(r == 0 || r == -EBADMSG || r == -ENOMEM || r == -ECANCELED || r == -EFBIG);
    PROMISE(r == 0 || *err.text);
    PROMISE(r < 0 || !checker.open);
    if (r == 0) {
        r = sb_collector_finish(collector, &fingerprint, &err);
        PROMISE(r == 0 || r == -ENODATA || r == -EBADMSG);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n) {
    static const char path[] = "/dev/null/fuzzed";
    if (!SB_FUZZED.recognise(data, n, path))
        return 0;
    PROMISE(ftruncate(input, 0) == 0 && pwrite(input, data, n, 0) == (ssize_t)n);
    read_input(path, n);
    return 0;
}
