/* The probe: the order in which folders list their entries. Where it is asked for, all entries of a
 * folder are read at its first readdir and put in order; otherwise they pass through. The probe's
 * own files are never shown. */
#include "probe/inside.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct dirent) == sizeof(struct dirent64) &&
                   offsetof(struct dirent, d_name) == offsetof(struct dirent64, d_name),
               "readdir and readdir64 give the same struct");

enum { AS_IT_IS, SORTED, REVERSED, SHUFFLED };

/* The entries of one open folder. telldir and seekdir of an ordered one count entries. */
struct listing {
    DIR *folder;
    struct dirent64 **entries;
    size_t n, next;
    struct listing *after;
};

static struct listing *listings;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A forked child must not find it held by a thread that it does not have. */
static void take(void) {
    pthread_mutex_lock(&lock);
}

static void give(void) {
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void watch_forks(void) {
    if (sb_probe_settings()->readdir != AS_IT_IS)
        pthread_atfork(take, give, give);
}

static struct listing **place_of(DIR *folder) {
    struct listing **place = &listings;
    while (*place && (*place)->folder != folder)
        place = &(*place)->after;
    return place;
}

static uint64_t rank(const char *name) {
    uint64_t hash = 0x72656164U;
    for (; *name; name++)
        hash = sb_probe_mix(hash, (unsigned char)*name);
    return hash;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(struct dirent64 *const *)a)->d_name, (*(struct dirent64 *const *)b)->d_name);
}

static int by_name_backwards(const void *a, const void *b) {
    return by_name(b, a);
}

static int by_rank(const void *a, const void *b) {
    uint64_t first = rank((*(struct dirent64 *const *)a)->d_name);
    uint64_t second = rank((*(struct dirent64 *const *)b)->d_name);
    return first < second ? -1 : first > second ? 1 : by_name(a, b);
}

static void forget(struct listing *listing) {
    for (size_t i = 0; i < listing->n; i++)
        free(listing->entries[i]);
    free(listing->entries);
    free(listing);
}

static bool add(struct listing *listing, const struct dirent64 *entry) {
    struct dirent64 **more = reallocarray(listing->entries, listing->n + 1, sizeof *more);
    if (!more)
        return false;
    listing->entries = more;
    more[listing->n] = malloc(entry->d_reclen > sizeof *entry ? entry->d_reclen : sizeof *entry);
    if (!more[listing->n])
        return false;
    memcpy(more[listing->n++], entry, entry->d_reclen);
    return true;
}

static struct dirent64 *next_shown(DIR *folder) {
    struct dirent64 *entry;
    do {
        entry = SB_REAL(readdir64)(folder);
    } while (entry && strncmp(entry->d_name, SB_PROBE_FILE, strlen(SB_PROBE_FILE)) == 0);
    return entry;
}

/* NULL with errno where it cannot be read. */
static struct listing *read_all(DIR *folder) {
    static int (*const orders[])(const void *, const void *) = {
        [SORTED] = by_name, [REVERSED] = by_name_backwards, [SHUFFLED] = by_rank};
    struct listing *listing = calloc(1, sizeof *listing);
    unsigned order = sb_probe_settings()->readdir;
    if (!listing)
        return NULL;
    listing->folder = folder;
    errno = 0;
    for (struct dirent64 *entry; (entry = next_shown(folder));) {
        if (!add(listing, entry)) {
            errno = ENOMEM;
            break;
        }
    }
    if (errno) {
        forget(listing);
        return NULL;
    }
    if (order < sizeof orders / sizeof *orders && listing->n)
        qsort(listing->entries, listing->n, sizeof *listing->entries, orders[order]);
    return listing;
}

static struct dirent64 *next_entry(DIR *folder, const char *call, const void *caller) {
    bool ordered = sb_probe_settings()->readdir != AS_IT_IS;
    sb_probe_note(SB_PROBE_READDIR, call, caller, ordered);
    if (!ordered)
        return next_shown(folder);
    struct dirent64 *entry = NULL;
    int saved = errno;
    take();
    struct listing **place = place_of(folder);
    if (!*place)
        *place = read_all(folder);
    if (*place) {
        errno = saved;
        if ((*place)->next < (*place)->n)
            entry = (*place)->entries[(*place)->next++];
    }
    give();
    return entry;
}

SB_INTERPOSED struct dirent64 *readdir64(DIR *folder) {
    return next_entry(folder, "readdir", SB_CALLER);
}

SB_INTERPOSED struct dirent *readdir(DIR *folder) {
    return (struct dirent *)next_entry(folder, "readdir", SB_CALLER);
}

static void drop(DIR *folder) {
    if (sb_probe_settings()->readdir == AS_IT_IS)
        return;
    take();
    struct listing **place = place_of(folder), *found = *place;
    if (found) {
        *place = found->after;
        forget(found);
    }
    give();
}

SB_INTERPOSED int closedir(DIR *folder) {
    drop(folder);
    return SB_REAL(closedir)(folder);
}

SB_INTERPOSED void rewinddir(DIR *folder) {
    drop(folder);
    SB_REAL(rewinddir)(folder);
}

SB_INTERPOSED long telldir(DIR *folder) {
    if (sb_probe_settings()->readdir == AS_IT_IS)
        return SB_REAL(telldir)(folder);
    take();
    struct listing *found = *place_of(folder);
    long position = found ? (long)found->next : 0;
    give();
    return position;
}

SB_INTERPOSED void seekdir(DIR *folder, long position) {
    if (sb_probe_settings()->readdir == AS_IT_IS) {
        SB_REAL(seekdir)(folder, position);
        return;
    }
    take();
    struct listing *found = *place_of(folder);
    if (found && position >= 0)
        found->next = (size_t)position < found->n ? (size_t)position : found->n;
    give();
}
