/* base: arrays that grow by one. */
#ifndef SB_BASE_ARRAY_H
#define SB_BASE_ARRAY_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Room doubles whenever the count is a power of two, so that no capacity need be kept. */
static inline void *sb_array_grow(void *items, size_t n, size_t size) {
    if ((n & (n - 1)) != 0)
        return items;
    size_t room = n ? 2 * n : 1;
    return room > SIZE_MAX / size ? NULL : realloc(items, room * size);
}

/* Appends a zeroed item to `*items`, which holds `*n` and was only ever grown by this; a pointer to
 * it, or NULL without memory. */
#define sb_array_add(items, n)                                                                     \
    ({                                                                                             \
        __auto_type grown_ = *(items);                                                             \
        grown_ = sb_array_grow(grown_, *(n), sizeof **(items));                                    \
        if (grown_) {                                                                              \
            *(items) = grown_;                                                                     \
            grown_ += (*(n))++;                                                                    \
            memset(grown_, 0, sizeof *grown_);                                                     \
        }                                                                                          \
        grown_;                                                                                    \
    })

#endif
