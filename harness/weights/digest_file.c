/* Stage 4, weights: the digest of a file's bytes, whatever they are. See weights/digest.h. */
#include "weights/digest.h"

#include "base/cleanup.h"

#include <errno.h>

static void free_digest(struct sb_digest **digest) {
    sb_digest_free(*digest);
}

int sb_digest_file(int fd, uint64_t *left, char text[SB_DIGEST_TEXT]) {
    enum { PIECE = 1 << 18 };
    SB_CLEANUP(free_digest) struct sb_digest *digest = sb_digest_new(SB_DIGEST_XXH3);
    SB_AUTO_FREE char *buffer = malloc(PIECE);
    uint64_t room = *left;
    int rc = digest && buffer ? 0 : -ENOMEM;
    for (ssize_t got = 1; rc == 0 && got != 0;) {
        got = read(fd, buffer, PIECE);
        if (got < 0 && errno != EINTR)
            rc = -errno;
        else if (got > 0 && (uint64_t)got > room)
            rc = -EFBIG;
        else if (got > 0) {
            sb_digest_add(digest, buffer, (size_t)got);
            room -= (uint64_t)got;
        }
    }
    if (rc == 0)
        rc = sb_digest_finish(digest, text);
    if (rc == 0)
        *left = room;
    return rc;
}
