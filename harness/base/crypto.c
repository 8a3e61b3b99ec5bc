/* base: finds and loads libcrypto. See base/crypto.h. */
#include "base/crypto.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Of the version whose headers this was built with: what the functions take may change with it. */
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
static const char soname[] = "libcrypto.so.3";
#else
static const char soname[] = "libcrypto.so.1.1";
#endif

/* Filled in once, constant after. */
static struct {
    struct sb_crypto functions;
    struct sb_error err;
    bool loaded;
} the;

static void load_once(void) {
    static const struct {
        const char *name;
        size_t offset;
    } symbols[] = {
#define SB_CRYPTO_SYMBOL(name) {#name, offsetof(struct sb_crypto, name)},
        SB_CRYPTO_FUNCTIONS(SB_CRYPTO_SYMBOL)
#undef SB_CRYPTO_SYMBOL
    };
    void *handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    the.loaded = handle != NULL;
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols && the.loaded; i++) {
        void *symbol = dlsym(handle, symbols[i].name);
        memcpy((char *)&the.functions + symbols[i].offset, &symbol, sizeof symbol);
        the.loaded = symbol != NULL;
    }
    if (!the.loaded)
        sb_error_set(&the.err, -ENOSYS, "OpenSSL is needed: %s", dlerror());
}

const struct sb_crypto *sb_crypto(struct sb_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_once);
    if (!the.loaded && err)
        *err = the.err;
    return the.loaded ? &the.functions : NULL;
}
