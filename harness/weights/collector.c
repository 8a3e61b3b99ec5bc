/* Stage 4, weights: the sink that makes a fingerprint. See weights/tensors.h. */
#include "weights/tensors.h"

#include "base/cleanup.h"
#include "weights/hashing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sb_collector {
    enum sb_digest_kind kind;
    unsigned threads;
    struct sb_hashing hashing;
    struct sb_hashers *hashers; /* NULL: everything passes through here */
    bool away;                  /* the tensor under way is a hasher's */
    struct sb_tensor_digest *tensors;
    size_t n, capacity;
    struct sb_strings ignored;
};

void sb_fingerprint_clear(struct sb_fingerprint *fingerprint) {
    for (size_t i = 0; i < fingerprint->n_tensors; i++)
        sb_tensor_label_clear(&fingerprint->tensors[i].info);
    free(fingerprint->tensors);
    for (size_t i = 0; i < fingerprint->n_ignored; i++)
        free(fingerprint->ignored[i]);
    free(fingerprint->ignored);
    for (size_t i = 0; i < fingerprint->n_parts; i++)
        free(fingerprint->parts[i].name);
    free(fingerprint->parts);
    *fingerprint = (struct sb_fingerprint){0};
}

static void take(void *context, size_t tensor, const struct sb_hashed *hashed) {
    struct sb_tensor_digest *taken = &((struct sb_collector *)context)->tensors[tensor];
    memcpy(taken->digest, hashed->digest, sizeof taken->digest);
    taken->sum = hashed->sum;
    taken->all_zero = hashed->all_zero;
    taken->all_nan = hashed->all_nan;
}

struct sb_collector *sb_collector_new(enum sb_digest_kind kind, unsigned threads) {
    struct sb_collector *collector = calloc(1, sizeof *collector);
    if (!collector)
        return NULL;
    collector->kind = kind;
    collector->threads = threads;
    int rc = sb_hashing_open(&collector->hashing, kind);
    if (rc == 0 && threads > 1)
        rc = sb_hashers_new(kind, threads, take, collector, &collector->hashers);
    if (rc < 0)
        sb_collector_free(sb_steal_pointer(&collector));
    return collector;
}

void sb_collector_free(struct sb_collector *collector) {
    if (!collector)
        return;
    sb_hashers_free(collector->hashers);
    sb_hashing_close(&collector->hashing);
    for (size_t i = 0; i < collector->n; i++)
        sb_tensor_label_clear(&collector->tensors[i].info);
    free(collector->tensors);
    sb_strings_clear(&collector->ignored);
    free(collector);
}

/* The array may move, which hashers must not meet. */
static int make_room(struct sb_collector *collector) {
    if (collector->n < collector->capacity)
        return 0;
    size_t capacity = collector->capacity ? 2 * collector->capacity : 16;
    if (collector->hashers)
        sb_hashers_lock(collector->hashers);
    void *grown = reallocarray(collector->tensors, capacity, sizeof *collector->tensors);
    if (grown) {
        collector->tensors = grown;
        collector->capacity = capacity;
    }
    if (collector->hashers)
        sb_hashers_unlock(collector->hashers);
    return grown ? 0 : -ENOMEM;
}

static int collect_begin(void *context, const struct sb_tensor_info *info, bool *wanted,
                         struct sb_error *err) {
    struct sb_collector *collector = context;
    *wanted = true;
    if (make_room(collector) < 0)
        return sb_error_errno(err, -ENOMEM, "'%s'", info->name);
    struct sb_tensor_digest *tensor = &collector->tensors[collector->n];
    *tensor = (struct sb_tensor_digest){0};
    if (sb_tensor_label_make(info, &tensor->info) < 0)
        return sb_error_errno(err, -ENOMEM, "'%s'", info->name);
    collector->n++;
    collector->away = false;
    sb_hashing_begin(&collector->hashing, info->dtype);
    return 0;
}

static int collect_data(void *context, const void *elements, uint64_t n, struct sb_error *err) {
    (void)err;
    struct sb_collector *collector = context;
    sb_hashing_add(&collector->hashing, elements, n);
    return 0;
}

static int collect_range(void *context, const struct sb_bytes *bytes, bool big_endian,
                         uint64_t offset, struct sb_error *err) {
    enum { WORTH_IT = 1 << 20 }; /* bytes: a thread that is woken costs less than a tenth of them */
    struct sb_collector *collector = context;
    const struct sb_tensor_digest *tensor = &collector->tensors[collector->n - 1];
    if (!collector->hashers || bytes->memory ||
        tensor->info.n_elements * sb_dtype_size(tensor->info.dtype) < WORTH_IT)
        return 0;
    const struct sb_range range = {.tensor = collector->n - 1,
                                   .info = sb_tensor_label_info(&tensor->info),
                                   .bytes = *bytes,
                                   .big_endian = big_endian,
                                   .offset = offset};
    collector->away = true;
    int r = sb_hashers_put(collector->hashers, &range, err);
    return r < 0 ? r : 1;
}

static int collect_end(void *context, struct sb_error *err) {
    struct sb_collector *collector = context;
    struct sb_hashed hashed;
    if (collector->away)
        return 0;
    int r = sb_hashing_end(&collector->hashing, &hashed);
    if (r < 0)
        return sb_error_set(err, r, "'%s': the digest failed",
                            collector->tensors[collector->n - 1].info.name);
    take(collector, collector->n - 1, &hashed);
    return 0;
}

static int collect_ignored(void *context, const char *name, const char *why) {
    struct sb_collector *collector = context;
    return sb_strings_take(&collector->ignored, sb_format("%s: %s", name, why));
}

void sb_collector_sink(struct sb_collector *collector, struct sb_tensor_sink *sink) {
    *sink = (struct sb_tensor_sink){
        .context = collector,
        .threads = collector->threads,
        .begin = collect_begin,
        .data = collect_data,
        .range = collect_range,
        .end = collect_end,
        .ignored = collect_ignored,
    };
}

static int by_name(const void *a, const void *b) {
    const struct sb_tensor_digest *x = a, *y = b;
    return strcmp(x->info.name, y->info.name);
}

/* The line of one tensor: name TAB dtype TAB dims TAB digest NEWLINE. */
static int add_line(struct sb_digest *digest, const struct sb_tensor_digest *tensor) {
    SB_AUTO_TEXT struct sb_text line = {0};
    sb_text_printf(&line, "%s\t%s\t", tensor->info.name, sb_dtype_names[tensor->info.dtype]);
    sb_dims_print(&line, tensor->info.dims, tensor->info.rank);
    sb_text_printf(&line, "\t%s\n", tensor->digest);
    if (line.failed)
        return -ENOMEM;
    sb_digest_add(digest, line.data, line.length);
    return 0;
}

int sb_collector_finish(struct sb_collector *collector, struct sb_fingerprint *fingerprint,
                        struct sb_error *err) {
    int r = collector->hashers ? sb_hashers_wait(collector->hashers, err) : 0;
    if (r < 0)
        return r;
    if (collector->n == 0)
        return sb_error_set(err, -ENODATA, "no tensor is left to compare");
    qsort(collector->tensors, collector->n, sizeof *collector->tensors, by_name);
    struct sb_fingerprint made = {.all_zero = true, .all_nan = true};
    for (size_t i = 0; i < collector->n; i++) {
        const struct sb_tensor_digest *tensor = &collector->tensors[i];
        if (i && by_name(tensor - 1, tensor) == 0)
            return sb_error_set(err, -EBADMSG, "'%s' occurs twice", tensor->info.name);
        if (add_line(collector->hashing.digest, tensor) < 0)
            return sb_error_errno(err, -ENOMEM, "'%s'", tensor->info.name);
        made.sum += tensor->sum;
        made.all_zero &= tensor->all_zero;
        made.all_nan &= tensor->all_nan;
    }
    char text[SB_DIGEST_TEXT];
    r = sb_digest_finish(collector->hashing.digest, text);
    if (r < 0)
        return sb_error_set(err, r, "the fingerprint's digest failed");
    static const char *const kinds[] = {[SB_DIGEST_XXH3] = "xxh3", [SB_DIGEST_SHA256] = "sha256"};
    size_t used = (size_t)(stpcpy(stpcpy(made.text, kinds[collector->kind]), ":") - made.text);
    memcpy(made.text + used, text, strlen(text) + 1);
    sb_strings_sort(&collector->ignored);
    made.n_tensors = collector->n;
    made.n_ignored = collector->ignored.n;
    made.ignored = sb_steal_pointer(&collector->ignored.items);
    made.tensors = sb_steal_pointer(&collector->tensors);
    collector->n = collector->capacity = collector->ignored.n = 0;
    *fingerprint = made;
    return 0;
}

static int collect_one(struct sb_tensor_sink *sink, const struct sb_tensor *tensor,
                       struct sb_error *err) {
    SB_AUTO_TEXT struct sb_text escaped = {0};
    sb_name_escape(&escaped, tensor->name, strlen(tensor->name));
    SB_AUTO_FREE char *name = sb_text_take(&escaped);
    if (!name)
        return sb_error_errno(err, -ENOMEM, "'%s'", tensor->name);
    struct sb_tensor_info info = {.name = name, .dtype = tensor->dtype, .rank = tensor->rank};
    for (unsigned i = 0; i < tensor->rank && i < SB_MAX_RANK; i++)
        info.dims[i] = tensor->dims[i];
    bool wanted;
    int r = sb_tensor_info_count(&info, err);
    if (r == 0)
        r = sink->begin(sink->context, &info, &wanted, err);
    if (r == 0)
        r = sink->data(sink->context, tensor->data, info.n_elements, err);
    return r < 0 ? r : sink->end(sink->context, err);
}

static void free_collector(struct sb_collector **collector) {
    sb_collector_free(*collector);
}

int sb_tensors_fingerprint(const struct sb_tensor *tensors, size_t n, enum sb_digest_kind digest,
                           struct sb_fingerprint *fingerprint, struct sb_error *err) {
    SB_CLEANUP(free_collector) struct sb_collector *collector = sb_collector_new(digest, 1);
    if (!collector)
        return sb_error_errno(err, -ENOMEM, "fingerprint");
    struct sb_tensor_sink sink;
    sb_collector_sink(collector, &sink);
    for (size_t i = 0; i < n; i++) {
        int r = collect_one(&sink, &tensors[i], err);
        if (r < 0)
            return r;
    }
    return sb_collector_finish(collector, fingerprint, err);
}
