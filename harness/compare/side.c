/* Stage 5, compare: one side's files as a stream of events. See compare/side.h. */
#include "compare/side.h"

#include "compare/coroutine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Inside the coroutine ----------------------------------------------------------------------
 */

static int report(struct sb_side *side, enum sb_side_event event) {
    side->event = event;
    sb_coroutine_suspend(side->coroutine);
    return side->stopped ? -ECANCELED : 0;
}

/* Both streams are merged by name, so that order is as much a matter of trust as the rest. */
static int check_order(struct sb_side *side, const char *name, struct sb_error *err) {
    int order = side->last ? strcmp(side->last, name) : -1;
    if (order == 0)
        return sb_error_set(err, -EBADMSG, "'%s' occurs twice", name);
    if (order > 0)
        return sb_error_set(err, -EBADMSG, "'%s' comes after '%s'", name, side->last);
    free(side->last);
    side->last = strdup(name);
    return side->last ? 0 : sb_error_errno(err, -ENOMEM, "'%s'", name);
}

static int side_begin(void *context, const struct sb_tensor_info *info, bool *wanted,
                      struct sb_error *err) {
    struct sb_side *side = context;
    int r = check_order(side, info->name, err);
    if (r < 0)
        return r;
    side->info = info;
    side->n_tensors++;
    r = report(side, SB_SIDE_TENSOR);
    *wanted = side->wanted;
    return r;
}

static int side_data(void *context, const void *elements, uint64_t n, struct sb_error *err) {
    (void)err;
    struct sb_side *side = context;
    side->elements = elements;
    side->n = n;
    return report(side, SB_SIDE_ELEMENTS);
}

static int side_range(void *context, const struct sb_bytes *bytes, bool big_endian, uint64_t offset,
                      struct sb_error *err) {
    (void)err;
    struct sb_side *side = context;
    side->lying = (struct sb_lying){*bytes, big_endian, offset};
    side->taken = false;
    int r = report(side, SB_SIDE_RANGE);
    return r < 0 ? r : side->taken;
}

static int side_end(void *context, struct sb_error *err) {
    (void)err;
    return report(context, SB_SIDE_TENSOR_END);
}

static void read_files(void *context) {
    struct sb_side *side = context;
    struct sb_tensor_sink sink = {.context = side,
                                  .threads = side->options ? side->options->threads : 1,
                                  .begin = side_begin,
                                  .data = side_data,
                                  .range = side_range,
                                  .end = side_end};
    for (; side->current < side->n_files && side->code == 0; side->current++) {
        free(side->last);
        side->last = NULL;
        side->code =
            sb_weights_file_read(side->files[side->current], side->options, &sink, &side->error);
    }
    side->event = SB_SIDE_END;
}

/* ---- Outside -----------------------------------------------------------------------------------
 */

static int resume(struct sb_side *side, struct sb_error *err) {
    const struct sb_weights_file *file =
        side->current < side->n_files ? side->files[side->current] : NULL;
    if (file && file->reading) /* the other side may have said the same of itself meanwhile */
        *file->reading = (uint32_t)file->index + 1;
    sb_coroutine_resume(side->coroutine);
    if (side->code < 0 && err)
        *err = side->error;
    return side->code;
}

int sb_side_start(struct sb_side *side, const struct sb_weights_file *const *files, size_t n_files,
                  const struct sb_weights_options *options, struct sb_error *err) {
    *side = (struct sb_side){.files = files, .n_files = n_files, .options = options};
    side->coroutine = sb_coroutine_new(read_files, side);
    if (!side->coroutine)
        return sb_error_errno(err, -ENOMEM, "reading two files");
    return resume(side, err);
}

int sb_side_next(struct sb_side *side, bool wanted, struct sb_error *err) {
    side->wanted = wanted;
    return resume(side, err);
}

void sb_side_stop(struct sb_side *side) {
    side->stopped = true; /* every report is answered by -ECANCELED, and the reading unwinds */
    while (side->coroutine && sb_coroutine_resume(side->coroutine))
        continue;
    sb_coroutine_free(side->coroutine);
    side->coroutine = NULL;
    free(side->last);
    side->last = NULL;
}

int sb_side_misfit(const struct sb_side *side, struct sb_error *err) {
    return sb_error_set(err, -EBADMSG, "%s: a tensor has other elements than its shape says",
                        side->current < side->n_files ? side->files[side->current]->path : "");
}

const char *sb_side_prefix(const struct sb_side *side) {
    const char *prefix = side->current < side->n_files ? side->files[side->current]->prefix : NULL;
    return prefix ? prefix : "";
}
