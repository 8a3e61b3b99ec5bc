/* Stage 4, weights: names and shapes of tensors, and the choice among them. See weights/tensors.h.
 */
#include "weights/tensors.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void sb_name_escape(struct sb_text *text, const char *name, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c < 0x20 || c == '\\')
            sb_text_printf(text, "\\x%02x", c);
        else
            sb_text_putc(text, (char)c);
    }
}

int sb_tensor_info_count(struct sb_tensor_info *info, struct sb_error *err) {
    if (info->rank > SB_MAX_RANK)
        return sb_error_set(err, -EBADMSG, "'%s' has %u dimensions, at most %d are possible",
                            info->name, info->rank, SB_MAX_RANK);
    uint64_t limit = INT64_MAX / sb_dtype_size(info->dtype), n = 1;
    bool empty = false, overflow = false;
    for (unsigned i = 0; i < info->rank; i++) {
        empty |= info->dims[i] == 0;
        overflow |= __builtin_mul_overflow(n, info->dims[i] ? info->dims[i] : 1, &n) || n > limit;
    }
    if (overflow && !empty)
        return sb_error_set(err, -EBADMSG, "'%s' claims more elements than can exist", info->name);
    info->n_elements = empty ? 0 : n;
    return 0;
}

void sb_dims_print(struct sb_text *text, const uint64_t *dims, unsigned rank) {
    for (unsigned i = 0; i < rank; i++)
        sb_text_printf(text, "%s%" PRIu64, i ? "x" : "", dims[i]);
}

int sb_tensor_label_make(const struct sb_tensor_info *info, struct sb_tensor_label *label) {
    size_t dims_bytes = info->rank * sizeof *info->dims, name_bytes = strlen(info->name) + 1;
    uint64_t *dims = malloc(dims_bytes + name_bytes);
    if (!dims)
        return -ENOMEM;
    memcpy(dims, info->dims, dims_bytes);
    *label = (struct sb_tensor_label){.name = memcpy(dims + info->rank, info->name, name_bytes),
                                      .dims = dims,
                                      .n_elements = info->n_elements,
                                      .dtype = info->dtype,
                                      .rank = info->rank};
    return 0;
}

void sb_tensor_label_clear(struct sb_tensor_label *label) {
    free(label->dims);
    *label = (struct sb_tensor_label){0};
}

struct sb_tensor_info sb_tensor_label_info(const struct sb_tensor_label *label) {
    struct sb_tensor_info info = {.name = label->name,
                                  .dtype = label->dtype,
                                  .rank = label->rank,
                                  .n_elements = label->n_elements};
    memcpy(info.dims, label->dims, label->rank * sizeof *label->dims);
    return info;
}

/* Tries all of them, for the sake of those that match nothing. */
static bool matches_any(char *const *globs, size_t n, const char *full, const char *bare,
                        uint64_t *met) {
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (!sb_glob_match(globs[i], full) && !sb_glob_match(globs[i], bare))
            continue;
        any = true;
        *met |= i < 64 ? UINT64_C(1) << i : 0;
    }
    return any;
}

static bool chosen(const struct sb_filter *filter, const char *full, const char *bare) {
    const struct sb_weights_options *options = filter->options;
    struct sb_globs_met met = {0};
    if (!options)
        return true;
    bool included = matches_any(options->include, options->n_include, full, bare, &met.include) ||
                    options->n_include == 0;
    bool excluded = matches_any(options->exclude, options->n_exclude, full, bare, &met.exclude);
    if (filter->met) {
        __atomic_fetch_or(&filter->met->include, met.include, __ATOMIC_RELAXED);
        __atomic_fetch_or(&filter->met->exclude, met.exclude, __ATOMIC_RELAXED);
    }
    return included && !excluded;
}

static char *unmet(const char *what, char *const *globs, size_t i, uint64_t met) {
    return i >= 64 || met >> i & 1 ? NULL : sb_format("%s %s", what, globs[i]);
}

char **sb_globs_unmet(const struct sb_weights_options *options, const struct sb_globs_met *met) {
    char **list = calloc(options->n_include + options->n_exclude + 1, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; list && i < options->n_include; i++)
        n += (list[n] = unmet("include", options->include, i, met->include)) != NULL;
    for (size_t i = 0; list && i < options->n_exclude; i++)
        n += (list[n] = unmet("exclude", options->exclude, i, met->exclude)) != NULL;
    return list;
}

static int filter_begin(void *context, const struct sb_tensor_info *info, bool *wanted,
                        struct sb_error *err) {
    struct sb_filter *filter = context;
    SB_AUTO_TEXT struct sb_text full = {0};
    if (filter->prefix)
        sb_name_escape(&full, filter->prefix, strlen(filter->prefix));
    sb_text_puts(&full, info->name);
    SB_AUTO_FREE char *name = sb_text_take(&full);
    if (!name)
        return sb_error_errno(err, -ENOMEM, "'%s'", info->name);
    *wanted = filter->wanted = chosen(filter, name, info->name);
    if (!filter->wanted)
        return 0;
    struct sb_tensor_info renamed = *info;
    renamed.name = name;
    int r = filter->next->begin(filter->next->context, &renamed, wanted, err);
    filter->wanted = *wanted;
    return r;
}

static int filter_data(void *context, const void *elements, uint64_t n, struct sb_error *err) {
    struct sb_filter *filter = context;
    return filter->wanted ? filter->next->data(filter->next->context, elements, n, err) : 0;
}

static int filter_range(void *context, const struct sb_bytes *bytes, bool big_endian,
                        uint64_t offset, struct sb_error *err) {
    const struct sb_filter *filter = context;
    if (!filter->wanted || !filter->next->range)
        return 0;
    return filter->next->range(filter->next->context, bytes, big_endian, offset, err);
}

static int filter_end(void *context, struct sb_error *err) {
    struct sb_filter *filter = context;
    return filter->wanted ? filter->next->end(filter->next->context, err) : 0;
}

static int filter_ignored(void *context, const char *name, const char *why) {
    struct sb_filter *filter = context;
    SB_AUTO_TEXT struct sb_text full = {0};
    if (filter->prefix)
        sb_name_escape(&full, filter->prefix, strlen(filter->prefix));
    sb_text_puts(&full, name);
    SB_AUTO_FREE char *whole = sb_text_take(&full);
    if (!whole)
        return -ENOMEM;
    if (!chosen(filter, whole, name) || !filter->next->ignored)
        return 0;
    return filter->next->ignored(filter->next->context, whole, why);
}

void sb_filter_sink(struct sb_filter *filter, struct sb_tensor_sink *sink) {
    *sink = (struct sb_tensor_sink){
        .context = filter,
        .threads = filter->next->threads,
        .begin = filter_begin,
        .data = filter_data,
        .range = filter_range,
        .end = filter_end,
        .ignored = filter_ignored,
    };
}
