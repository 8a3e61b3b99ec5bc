/* cli: distinct fingerprints, numbered in the order in which they first came. */
#ifndef SB_CLI_GROUPS_H
#define SB_CLI_GROUPS_H

#include "base/text.h"

struct sb_group_slot;

/* Zero-initialise; free with sb_groups_clear. */
struct sb_groups {
    struct sb_strings names;     /* of each group, its fingerprint */
    struct sb_group_slot *slots; /* a hash table of them */
    size_t room;
};

/* The group of a fingerprint, a new one where there is none yet. 0 or -ENOMEM. */
int sb_groups_find(struct sb_groups *groups, const char *fingerprint, size_t *group);
void sb_groups_clear(struct sb_groups *groups);

#endif
