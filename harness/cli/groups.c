/* cli: distinct fingerprints. See cli/groups.h. */
#include "cli/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct sb_group_slot {
    const char *fingerprint; /* NULL: free */
    size_t group;
};

/* Where a fingerprint stands in the table, or is to stand. */
static struct sb_group_slot *find_slot(const struct sb_groups *groups, const char *fingerprint) {
    size_t at = (size_t)XXH3_64bits(fingerprint, strlen(fingerprint)) & (groups->room - 1);
    while (groups->slots[at].fingerprint && strcmp(groups->slots[at].fingerprint, fingerprint) != 0)
        at = (at + 1) & (groups->room - 1);
    return &groups->slots[at];
}

/* Keeps the table at most half full. */
static int make_room(struct sb_groups *groups) {
    if (2 * (groups->names.n + 1) <= groups->room)
        return 0;
    size_t room = groups->room ? 2 * groups->room : 16;
    struct sb_group_slot *slots = calloc(room, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    free(groups->slots);
    groups->slots = slots;
    groups->room = room;
    for (size_t i = 0; i < groups->names.n; i++)
        *find_slot(groups, groups->names.items[i]) =
            (struct sb_group_slot){groups->names.items[i], i};
    return 0;
}

int sb_groups_find(struct sb_groups *groups, const char *fingerprint, size_t *group) {
    if (make_room(groups) < 0)
        return -ENOMEM;
    struct sb_group_slot *slot = find_slot(groups, fingerprint);
    if (!slot->fingerprint) {
        if (sb_strings_add(&groups->names, fingerprint) < 0)
            return -ENOMEM;
        *slot =
            (struct sb_group_slot){groups->names.items[groups->names.n - 1], groups->names.n - 1};
    }
    *group = slot->group;
    return 0;
}

void sb_groups_clear(struct sb_groups *groups) {
    sb_strings_clear(&groups->names);
    free(groups->slots);
    *groups = (struct sb_groups){.room = 0};
}
