/* Stage 4, weights: walks an HDF5 file's links. See weights/hdf5_walk.h.
 *
 * Hard links make the file a graph, with cycles where it likes. A heap hands out paths in byte
 * order, a group's path ending with `/`: so a path never comes before its own beginning, each
 * object is met first under the smallest name that any way to it has, and each is opened up once.
 */
#include "weights/hdf5_walk.h"

#include "base/cleanup.h"
#include "weights/counters.h"
#include "weights/tensors.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_NAME = 16384 };

struct path_entry {
    char *name; /* escaped; ends with `/` once it is known to be a group */
    sb_h5_place place;
    bool group;
};

struct paths {
    struct path_entry *items;
    size_t n, room;
};

struct walk {
    const struct sb_hdf5_library *h5;
    hid_t file;
    const struct sb_hdf5_visitor *visitor;
    struct paths heap;     /* smallest name first */
    void *met;             /* tree of places that were visited */
    const char *below;     /* the group being listed */
    struct paths siblings; /* what it holds, until their names are counted anew */
    char *latest;          /* name of the dataset that was handed on last, or NULL */
    int result;            /* of a callback that libhdf5 calls */
    struct sb_error *err;
};

static int by_place(const void *a, const void *b) {
    return memcmp(a, b, sizeof(sb_h5_place));
}

static void swap_entries(struct path_entry *a, struct path_entry *b) {
    struct path_entry kept = *a;
    *a = *b;
    *b = kept;
}

/* Takes the entry's name, on failure too. */
static int append(struct paths *paths, struct path_entry entry) {
    if (paths->n == paths->room) {
        size_t room = paths->room ? 2 * paths->room : 64;
        void *grown = reallocarray(paths->items, room, sizeof *paths->items);
        if (!grown) {
            free(entry.name);
            return -ENOMEM;
        }
        paths->items = grown;
        paths->room = room;
    }
    paths->items[paths->n++] = entry;
    return 0;
}

static void paths_clear(struct paths *paths) {
    while (paths->n)
        free(paths->items[--paths->n].name);
    free(paths->items);
    *paths = (struct paths){0};
}

/* Takes the entry's name, on failure too. */
static int push(struct walk *walk, struct path_entry entry) {
    int r = append(&walk->heap, entry);
    if (r < 0)
        return r;
    struct path_entry *heap = walk->heap.items;
    size_t i = walk->heap.n - 1;
    while (i && strcmp(heap[i].name, heap[(i - 1) / 2].name) < 0) {
        swap_entries(&heap[i], &heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    return 0;
}

static struct path_entry pop(struct walk *walk) {
    struct path_entry *heap = walk->heap.items;
    struct path_entry first = heap[0];
    size_t n = --walk->heap.n;
    heap[0] = heap[n];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++) {
            if (strcmp(heap[child].name, heap[least].name) < 0)
                least = child;
        }
        if (least == i)
            return first;
        swap_entries(&heap[i], &heap[least]);
        i = least;
    }
}

/* Remembers a place; false when it was known. */
static int remember(struct walk *walk, const sb_h5_place *place, bool *first) {
    sb_h5_place *copy = malloc(sizeof *copy);
    if (!copy)
        return -ENOMEM;
    *copy = *place;
    sb_h5_place **found = tsearch(copy, &walk->met, by_place);
    *first = found && *found == copy;
    if (!*first)
        free(copy);
    return found ? 0 : -ENOMEM;
}

static char *name_below(const char *group, const char *link) {
    SB_AUTO_TEXT struct sb_text name = {0};
    sb_text_puts(&name, group);
    sb_name_escape(&name, link, strlen(link));
    return sb_text_take(&name);
}

static const char *why_not_followed(H5L_type_t type) {
    switch (type) {
    case H5L_TYPE_SOFT:
        return "soft link, not followed";
    case H5L_TYPE_EXTERNAL:
        return "external link, refused";
    default:
        return "link of a kind that is not known";
    }
}

static herr_t list_link(hid_t group, const char *link_name, const sb_h5_link *link, void *context) {
    (void)group;
    struct walk *walk = context;
    SB_AUTO_FREE char *name = name_below(walk->below, link_name);
    walk->result = -ENOMEM;
    if (!name)
        return -1;
    if (strlen(name) > LONGEST_NAME) {
        walk->result = sb_error_set(walk->err, -EBADMSG, "a name is longer than %d bytes: '%.60s…'",
                                    LONGEST_NAME, name);
        return -1;
    }
    if (link->type != H5L_TYPE_HARD)
        walk->result =
            walk->visitor->ignored(walk->visitor->context, name, why_not_followed(link->type));
    else {
        struct path_entry entry = {.name = sb_steal_pointer(&name),
                                   .place = SB_H5_LINK_PLACE(link)};
        walk->result = walk->visitor->recount ? append(&walk->siblings, entry) : push(walk, entry);
    }
    return walk->result < 0 ? -1 : 0;
}

static int push_recounted(struct walk *walk) {
    struct paths *siblings = &walk->siblings;
    if (!siblings->n)
        return 0;
    char **names = calloc(siblings->n + 1, sizeof *names);
    if (!names)
        return -ENOMEM;
    for (size_t i = 0; i < siblings->n; i++)
        names[i] = siblings->items[i].name;
    int r = sb_names_recount(names, siblings->n, strlen(walk->below));
    for (size_t i = 0; i < siblings->n; i++)
        siblings->items[i].name = names[i];
    free(names);
    while (r == 0 && siblings->n)
        r = push(walk, siblings->items[--siblings->n]);
    return r;
}

static int list_group(struct walk *walk, const char *name, hid_t group) {
    hsize_t position = 0;
    walk->below = name;
    walk->result = 0;
#if H5_VERSION_GE(1, 12, 0)
    herr_t r =
        walk->h5->H5Literate2(group, H5_INDEX_NAME, H5_ITER_NATIVE, &position, list_link, walk);
#else
    herr_t r =
        walk->h5->H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, &position, list_link, walk);
#endif
    if (walk->result == 0)
        walk->result = push_recounted(walk);
    if (walk->result == -ENOMEM)
        return sb_error_errno(walk->err, -ENOMEM, "group '%s'", name);
    if (walk->result < 0)
        return walk->result;
    return r < 0
               ? sb_hdf5_error(walk->h5, walk->err, -EBADMSG, "group '/%s' cannot be listed", name)
               : 0;
}

static hid_t open_place(const struct walk *walk, sb_h5_place place) {
#if H5_VERSION_GE(1, 12, 0)
    return walk->h5->H5Oopen_by_token(walk->file, place);
#else
    return walk->h5->H5Oopen_by_addr(walk->file, place);
#endif
}

/* A damaged group can hold two links of one name. */
static int hand_on(struct walk *walk, const char *name, hid_t dataset) {
    if (walk->latest && strcmp(walk->latest, name) == 0)
        return sb_error_set(walk->err, -EBADMSG, "two datasets are named '%s'", name);
    free(walk->latest);
    walk->latest = strdup(name);
    if (!walk->latest)
        return -ENOMEM;
    return walk->visitor->dataset(walk->visitor->context, name, dataset, walk->err);
}

/* What stands behind a name that was not visited yet. */
static int visit_object(struct walk *walk, struct path_entry *entry, hid_t object,
                        H5I_type_t type) {
    bool first = true;
    if (type == H5I_GROUP && !entry->group) {
        char *name = sb_format("%s/", entry->name);
        return name ? push(walk, (struct path_entry){name, entry->place, true}) : -ENOMEM;
    }
    int r = remember(walk, &entry->place, &first);
    if (r < 0 || !first)
        return r;
    if (type == H5I_GROUP)
        return list_group(walk, entry->name, object);
    if (type == H5I_DATASET)
        return hand_on(walk, entry->name, object);
    return walk->visitor->ignored(walk->visitor->context, entry->name,
                                  type == H5I_DATATYPE ? "named datatype, no tensor"
                                                       : "object of a kind that is not known");
}

static int visit(struct walk *walk, struct path_entry *entry) {
    if (tfind(&entry->place, &walk->met, by_place))
        return 0;
    hid_t object = open_place(walk, entry->place);
    if (object < 0)
        return sb_hdf5_error(walk->h5, walk->err, -EBADMSG, "'%s' cannot be opened", entry->name);
    int r = visit_object(walk, entry, object, walk->h5->H5Iget_type(object));
    walk->h5->H5Oclose(object);
    return r;
}

static int visit_root(struct walk *walk) {
    hid_t root = walk->h5->H5Gopen2(walk->file, "/", H5P_DEFAULT);
    if (root < 0)
        return sb_hdf5_error(walk->h5, walk->err, -EBADMSG, "the root group cannot be opened");
    struct path_entry entry = {.name = (char[]){""}, .group = true};
#if H5_VERSION_GE(1, 12, 0)
    H5O_info2_t info;
    bool known = walk->h5->H5Oget_info3(root, &info, H5O_INFO_BASIC) >= 0;
    entry.place = info.token;
#else
    H5O_info_t info;
    bool known = walk->h5->H5Oget_info2(root, &info, H5O_INFO_BASIC) >= 0;
    entry.place = info.addr;
#endif
    int r = known ? visit_object(walk, &entry, root, H5I_GROUP)
                  : sb_hdf5_error(walk->h5, walk->err, -EBADMSG, "the root group cannot be read");
    walk->h5->H5Gclose(root);
    return r;
}

int sb_hdf5_walk(const struct sb_hdf5_library *h5, hid_t file,
                 const struct sb_hdf5_visitor *visitor, struct sb_error *err) {
    struct walk walk = {.h5 = h5, .file = file, .visitor = visitor, .err = err};
    int r = visit_root(&walk);
    while (r == 0 && walk.heap.n) {
        struct path_entry entry = pop(&walk);
        r = visit(&walk, &entry);
        if (r == -ENOMEM)
            sb_error_errno(err, r, "'%s'", entry.name);
        free(entry.name);
    }
    paths_clear(&walk.heap);
    paths_clear(&walk.siblings);
    free(walk.latest);
    tdestroy(walk.met, free);
    return r;
}
