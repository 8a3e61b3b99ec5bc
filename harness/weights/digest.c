/* Stage 4, weights: streaming digests, XXH3-128 and SHA-256. See weights/digest.h. */
#include "weights/digest.h"

#include "base/crypto.h"
#include "base/text.h"
#include "samebits-config.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>
#if SB_XXHASH_DISPATCHES
#include <xxh_x86dispatch.h> /* the same functions in the widest vectors that the machine has */
#endif

struct sb_digest {
    enum sb_digest_kind kind;
    XXH3_state_t *xxh3;
    const struct sb_crypto *crypto;
    EVP_MD_CTX *sha256;
    bool failed;
};

static void restart(struct sb_digest *digest) {
    if (digest->kind == SB_DIGEST_XXH3)
        digest->failed = XXH3_128bits_reset(digest->xxh3) != XXH_OK;
    else
        digest->failed = digest->crypto->EVP_DigestInit_ex(digest->sha256,
                                                           digest->crypto->EVP_sha256(), NULL) != 1;
}

struct sb_digest *sb_digest_new(enum sb_digest_kind kind) {
    struct sb_digest *digest = calloc(1, sizeof *digest);
    if (!digest)
        return NULL;
    digest->kind = kind;
    if (kind == SB_DIGEST_XXH3)
        digest->xxh3 = XXH3_createState();
    else if ((digest->crypto = sb_crypto(NULL)))
        digest->sha256 = digest->crypto->EVP_MD_CTX_new();
    if (!digest->xxh3 && !digest->sha256) {
        free(digest);
        return NULL;
    }
    restart(digest);
    return digest;
}

void sb_digest_free(struct sb_digest *digest) {
    if (!digest)
        return;
    XXH3_freeState(digest->xxh3);
    if (digest->crypto)
        digest->crypto->EVP_MD_CTX_free(digest->sha256);
    free(digest);
}

int sb_digest_prepare(enum sb_digest_kind kind, struct sb_error *err) {
    if (kind == SB_DIGEST_XXH3)
        return 0;
    if (!sb_crypto(err))
        return -ENOSYS;
    sb_digest_free(sb_digest_new(kind)); /* it reads its configuration with the first one */
    return 0;
}

void sb_digest_add(struct sb_digest *digest, const void *bytes, size_t n) {
    if (n == 0 || digest->failed)
        return;
    if (digest->kind == SB_DIGEST_XXH3)
        digest->failed = XXH3_128bits_update(digest->xxh3, bytes, n) != XXH_OK;
    else
        digest->failed = digest->crypto->EVP_DigestUpdate(digest->sha256, bytes, n) != 1;
}

int sb_digest_finish(struct sb_digest *digest, char text[SB_DIGEST_TEXT]) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (digest->kind == SB_DIGEST_XXH3) {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(digest->xxh3));
        for (n = 0; n < sizeof canonical.digest; n++)
            bytes[n] = canonical.digest[n];
    } else if (!digest->failed) {
        digest->failed = digest->crypto->EVP_DigestFinal_ex(digest->sha256, bytes, &n) != 1;
    }
    bool failed = digest->failed;
    if (!failed)
        sb_hex(bytes, n, text);
    restart(digest);
    return failed ? -EIO : 0;
}
