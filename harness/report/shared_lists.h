/* Stage 7, private: lists that most runs of a document share, which are in it once, by a key. */
#ifndef SB_REPORT_SHARED_LISTS_H
#define SB_REPORT_SHARED_LISTS_H

#include <jansson.h>
#include <stdbool.h>
#include <xxhash.h>

/* The digest of the texts of a list, in the making. */
struct sb_list_key {
    XXH3_state_t *state;
    char text[40];
};
void sb_list_key_begin(struct sb_list_key *key, const char *kind);
void sb_list_key_add(struct sb_list_key *key, const char *text); /* NULL: as "" */
bool sb_list_key_end(struct sb_list_key *key);                   /* false: no memory */

/* Members of runs[].observed that are shared. */
struct sb_shared_list {
    const char *name;
    void (*add)(struct sb_list_key *key, const json_t *list); /* its texts */
    bool looked_into; /* judging looks into it: once read, it stands in its place */
};
enum { SB_N_SHARED_LISTS = 3 };
extern const struct sb_shared_list sb_shared_lists[SB_N_SHARED_LISTS];

/* 0 or -ENOMEM. */
int sb_shared_list_key(const struct sb_shared_list *shared, const json_t *list,
                       struct sb_list_key *key);

/* Has `observed`, of a run whose document has these `lists`, name its lists by their keys, but
 * those that are looked into, and `table` hold them all. 0 or -ENOMEM. */
int sb_shared_lists_name(json_t *observed, const json_t *lists, json_t *table);

#endif
