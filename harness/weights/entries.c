/* Stage 4, weights: tensors that a header lists. See weights/entries.h. */
#include "weights/entries.h"

#include "weights/tensors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sb_entries_clear(struct sb_entries *entries) {
    for (size_t i = 0; i < entries->n; i++) {
        sb_tensor_label_clear(&entries->items[i].info);
        free(entries->items[i].why_ignored);
    }
    free(entries->items);
    *entries = (struct sb_entries){0};
}

static int make_room(struct sb_entries *entries) {
    if (entries->n < entries->room)
        return 0;
    size_t room = entries->room ? 2 * entries->room : 64;
    void *grown = reallocarray(entries->items, room, sizeof *entries->items);
    if (!grown)
        return -ENOMEM;
    entries->items = grown;
    entries->room = room;
    return 0;
}

int sb_entries_add(struct sb_entries *entries, const struct sb_tensor_info *info, char *why_ignored,
                   uint64_t begin, uint64_t end, struct sb_error *err) {
    struct sb_entry entry = {.why_ignored = why_ignored, .begin = begin, .end = end};
    if (make_room(entries) < 0 || sb_tensor_label_make(info, &entry.info) < 0) {
        free(why_ignored);
        return sb_error_errno(err, -ENOMEM, "'%s'", info->name);
    }
    entries->items[entries->n++] = entry;
    return 0;
}

int sb_entries_move(struct sb_entries *entries, struct sb_entries *from, unsigned source,
                    struct sb_error *err) {
    for (size_t i = 0; i < from->n; i++) {
        if (make_room(entries) < 0)
            return sb_error_errno(err, -ENOMEM, "'%s'", from->items[i].info.name);
        struct sb_entry *moved = &entries->items[entries->n++];
        *moved = from->items[i];
        moved->source = source;
        from->items[i] = (struct sb_entry){.source = source};
    }
    return 0;
}

static int by_place(const void *a, const void *b) {
    const struct sb_entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* A file without tensors has no list, which qsort may not be given. */
static void sort(struct sb_entries *entries, int (*compare)(const void *, const void *)) {
    if (entries->n)
        qsort(entries->items, entries->n, sizeof *entries->items, compare);
}

void sb_entries_sort_by_place(struct sb_entries *entries) {
    sort(entries, by_place);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct sb_entry *)a)->info.name, ((const struct sb_entry *)b)->info.name);
}

int sb_entries_sort(struct sb_entries *entries, struct sb_error *err) {
    sort(entries, by_name);
    for (size_t i = 1; i < entries->n; i++) {
        if (by_name(&entries->items[i - 1], &entries->items[i]) == 0)
            return sb_error_set(err, -EBADMSG, "'%s' occurs twice", entries->items[i].info.name);
    }
    return 0;
}

static int hand_out(const struct sb_entry *entry, struct sb_stream *stream, sb_entry_read *read,
                    void *context, struct sb_error *err) {
    struct sb_tensor_sink *sink = stream->sink;
    const struct sb_tensor_info info = sb_tensor_label_info(&entry->info);
    bool wanted = true;
    if (entry->why_ignored)
        return sink->ignored ? sink->ignored(sink->context, entry->info.name, entry->why_ignored)
                             : 0;
    int r = sink->begin(sink->context, &info, &wanted, err);
    if (r < 0 || !wanted)
        return r;
    r = read(stream, &info, entry, context, err);
    return r < 0 ? r : sink->end(sink->context, err);
}

int sb_entries_hand_out(const struct sb_entries *entries, struct sb_stream *stream,
                        sb_entry_read *read, void *context, struct sb_error *err) {
    int r = 0;
    for (size_t i = 0; i < entries->n && r == 0; i++)
        r = hand_out(&entries->items[i], stream, read, context, err);
    return r;
}
