/* Stage 4, weights: the sink that makes a fingerprint. See weights/tensors.h. */
#include "weights/tensors.h"

#include "base/cleanup.h"
#include "weights/digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sb_collector {
    enum sb_digest_kind kind;
    struct sb_digest *digest;
    struct sb_sum sum;
    struct sb_tensor_digest *tensors;
    size_t n, capacity;
    struct sb_strings ignored;
};

void sb_fingerprint_clear(struct sb_fingerprint *fingerprint) {
    for (size_t i = 0; i < fingerprint->n_tensors; i++)
        free(fingerprint->tensors[i].info.name);
    free(fingerprint->tensors);
    for (size_t i = 0; i < fingerprint->n_ignored; i++)
        free(fingerprint->ignored[i]);
    free(fingerprint->ignored);
    *fingerprint = (struct sb_fingerprint){0};
}

struct sb_collector *sb_collector_new(enum sb_digest_kind kind) {
    struct sb_collector *collector = calloc(1, sizeof *collector);
    if (!collector)
        return NULL;
    collector->kind = kind;
    collector->digest = sb_digest_new(kind);
    if (!collector->digest)
        free(sb_steal_pointer(&collector));
    return collector;
}

void sb_collector_free(struct sb_collector *collector) {
    if (!collector)
        return;
    sb_digest_free(collector->digest);
    for (size_t i = 0; i < collector->n; i++)
        free(collector->tensors[i].info.name);
    free(collector->tensors);
    sb_strings_clear(&collector->ignored);
    free(collector);
}

static int collect_begin(void *context, const struct sb_tensor_info *info, bool *wanted,
                         struct sb_error *err) {
    struct sb_collector *collector = context;
    *wanted = true;
    if (collector->n == collector->capacity) {
        size_t capacity = collector->capacity ? 2 * collector->capacity : 16;
        void *grown = reallocarray(collector->tensors, capacity, sizeof *collector->tensors);
        if (!grown)
            return sb_error_errno(err, -ENOMEM, "'%s'", info->name);
        collector->tensors = grown;
        collector->capacity = capacity;
    }
    struct sb_tensor_digest *tensor = &collector->tensors[collector->n];
    *tensor = (struct sb_tensor_digest){.info = *info};
    tensor->info.name = strdup(info->name);
    if (!tensor->info.name)
        return sb_error_errno(err, -ENOMEM, "'%s'", info->name);
    collector->n++;
    sb_sum_begin(&collector->sum, info->dtype);
    return 0;
}

static int collect_data(void *context, const void *elements, uint64_t n, struct sb_error *err) {
    (void)err;
    struct sb_collector *collector = context;
    enum { BLOCK = 4096 }; /* elements that stay in the first cache between digest and sum */
    size_t size = sb_dtype_size(collector->sum.dtype);
    const char *next = elements;
    for (uint64_t left = n; left;) {
        uint64_t block = left < BLOCK ? left : BLOCK;
        sb_digest_add(collector->digest, next, block * size);
        sb_sum_add(&collector->sum, next, block);
        next += block * size;
        left -= block;
    }
    return 0;
}

static int collect_end(void *context, struct sb_error *err) {
    struct sb_collector *collector = context;
    struct sb_tensor_digest *tensor = &collector->tensors[collector->n - 1];
    tensor->sum = sb_sum_total(&collector->sum);
    tensor->all_zero = collector->sum.all_zero;
    tensor->all_nan = collector->sum.all_nan;
    int r = sb_digest_finish(collector->digest, tensor->digest);
    return r < 0 ? sb_error_set(err, r, "'%s': the digest failed", tensor->info.name) : 0;
}

static int collect_ignored(void *context, const char *name, const char *why) {
    struct sb_collector *collector = context;
    return sb_strings_take(&collector->ignored, sb_format("%s: %s", name, why));
}

void sb_collector_sink(struct sb_collector *collector, struct sb_tensor_sink *sink) {
    *sink = (struct sb_tensor_sink){
        .context = collector,
        .begin = collect_begin,
        .data = collect_data,
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
    sb_dims_print(&line, &tensor->info);
    sb_text_printf(&line, "\t%s\n", tensor->digest);
    if (line.failed)
        return -ENOMEM;
    sb_digest_add(digest, line.data, line.length);
    return 0;
}

int sb_collector_finish(struct sb_collector *collector, struct sb_fingerprint *fingerprint,
                        struct sb_error *err) {
    if (collector->n == 0)
        return sb_error_set(err, -ENODATA, "no tensor is left to compare");
    qsort(collector->tensors, collector->n, sizeof *collector->tensors, by_name);
    struct sb_fingerprint made = {.all_zero = true, .all_nan = true};
    for (size_t i = 0; i < collector->n; i++) {
        const struct sb_tensor_digest *tensor = &collector->tensors[i];
        if (i && by_name(tensor - 1, tensor) == 0)
            return sb_error_set(err, -EBADMSG, "'%s' occurs twice", tensor->info.name);
        if (add_line(collector->digest, tensor) < 0)
            return sb_error_errno(err, -ENOMEM, "'%s'", tensor->info.name);
        made.sum += tensor->sum;
        made.all_zero &= tensor->all_zero;
        made.all_nan &= tensor->all_nan;
    }
    char text[SB_DIGEST_TEXT];
    int r = sb_digest_finish(collector->digest, text);
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
    SB_CLEANUP(free_collector) struct sb_collector *collector = sb_collector_new(digest);
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
