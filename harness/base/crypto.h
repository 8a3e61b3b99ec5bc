/* base: OpenSSL's libcrypto, loaded when it is first needed. Few commands need it, and a process
 * that has it takes longer to start and to fork. */
#ifndef SB_BASE_CRYPTO_H
#define SB_BASE_CRYPTO_H

#include <samebits/error.h>

#include <openssl/evp.h>

#define SB_CRYPTO_FUNCTIONS(X)                                                                     \
    X(EVP_MD_CTX_new)                                                                              \
    X(EVP_MD_CTX_free)                                                                             \
    X(EVP_sha256)                                                                                  \
    X(EVP_DigestInit_ex)                                                                           \
    X(EVP_DigestUpdate)                                                                            \
    X(EVP_DigestFinal_ex)                                                                          \
    X(EVP_EncodeBlock)                                                                             \
    X(EVP_DecodeBlock)

struct sb_crypto {
#define SB_CRYPTO_FUNCTION(name) __typeof__(name) *name;
    SB_CRYPTO_FUNCTIONS(SB_CRYPTO_FUNCTION)
#undef SB_CRYPTO_FUNCTION
};

/* The functions, which stay; NULL with -ENOSYS in err's words where it cannot be loaded. From any
 * thread. */
const struct sb_crypto *sb_crypto(struct sb_error *err);

#endif
