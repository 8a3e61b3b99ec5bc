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

void sb_dims_print(struct sb_text *text, const struct sb_tensor_info *info) {
    for (unsigned i = 0; i < info->rank; i++)
        sb_text_printf(text, i ? "x%" PRIu64 : "%" PRIu64, info->dims[i]);
}

static bool matches_any(char *const *globs, size_t n, const char *full, const char *bare) {
    for (size_t i = 0; i < n; i++) {
        if (sb_glob_match(globs[i], full) || sb_glob_match(globs[i], bare))
            return true;
    }
    return false;
}

static bool chosen(const struct sb_weights_options *options, const char *full, const char *bare) {
    if (!options)
        return true;
    if (options->n_include && !matches_any(options->include, options->n_include, full, bare))
        return false;
    return !matches_any(options->exclude, options->n_exclude, full, bare);
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
    *wanted = filter->wanted = chosen(filter->options, name, info->name);
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
    if (!chosen(filter->options, whole, name) || !filter->next->ignored)
        return 0;
    return filter->next->ignored(filter->next->context, whole, why);
}

void sb_filter_sink(struct sb_filter *filter, struct sb_tensor_sink *sink) {
    *sink = (struct sb_tensor_sink){
        .context = filter,
        .begin = filter_begin,
        .data = filter_data,
        .end = filter_end,
        .ignored = filter_ignored,
    };
}
