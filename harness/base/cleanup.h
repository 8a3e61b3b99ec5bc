/* base: cleanup attributes, so that every function has one exit path. */
#ifndef SB_BASE_CLEANUP_H
#define SB_BASE_CLEANUP_H

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SB_CLEANUP(function) __attribute__((cleanup(function)))

static inline void sb_cleanup_free(void *pointer) {
    free(*(void **)pointer);
}

static inline void sb_cleanup_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
}

static inline void sb_cleanup_file(FILE **file) {
    if (*file)
        fclose(*file);
}

static inline void sb_cleanup_dir(DIR **dir) {
    if (*dir)
        closedir(*dir);
}

static inline void sb_cleanup_json(json_t **json) {
    json_decref(*json);
}

#define SB_AUTO_FREE SB_CLEANUP(sb_cleanup_free)
#define SB_AUTO_FD SB_CLEANUP(sb_cleanup_fd)
#define SB_AUTO_FILE SB_CLEANUP(sb_cleanup_file)
#define SB_AUTO_DIR SB_CLEANUP(sb_cleanup_dir)
#define SB_AUTO_JSON SB_CLEANUP(sb_cleanup_json)

/* Takes the value out of an SB_AUTO_* variable, which then cleans up nothing. */
#define sb_steal_pointer(pointer)                                                                  \
    ({                                                                                             \
        __auto_type stolen_ = *(pointer);                                                          \
        *(pointer) = NULL;                                                                         \
        stolen_;                                                                                   \
    })

static inline int sb_steal_fd(int *fd) {
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

#endif
