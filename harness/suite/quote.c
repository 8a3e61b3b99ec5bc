/* Stage 1, suite: any bytes as a YAML scalar. */
#include "suite/quote.h"

#include "base/cleanup.h"
#include "base/crypto.h"

#include <stdint.h>
#include <string.h>

/* Reads one character and moves on; false where the bytes are no UTF-8. */
static bool next_character(const char **at, uint32_t *character) {
    const unsigned char *p = (const unsigned char *)*at;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    unsigned more = p[0] < 0x80             ? 0
                    : (p[0] & 0xe0) == 0xc0 ? 1
                    : (p[0] & 0xf0) == 0xe0 ? 2
                    : (p[0] & 0xf8) == 0xf0 ? 3
                                            : 4;
    if (more == 4)
        return false;
    uint32_t value = more ? p[0] & (0x3fu >> more) : p[0];
    for (unsigned i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return false;
        value = value << 6 | (p[i] & 0x3f);
    }
    if (value < least[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return false;
    *at += 1 + more;
    *character = value;
    return true;
}

static bool is_utf8(const char *bytes) {
    uint32_t character;
    while (*bytes) {
        if (!next_character(&bytes, &character))
            return false;
    }
    return true;
}

/* Letters and what paths and options are made of; nothing that YAML or its readers take for a
 * number, a truth value or a mark. */
static bool is_plain(const char *bytes) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char *const words[] = {"true", "false", "yes", "no",   "on",  "off",
                                        "null", "y",     "n",   ".inf", ".nan"};
    bool begins = *bytes && strchr(letters, *bytes);
    begins |= *bytes == '.' && bytes[1] == '/';
    begins |= *bytes == '/';
    if (!begins || bytes[strspn(bytes,
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                                "0123456789./+=@-")])
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(bytes, words[i]) == 0)
            return false;
    }
    return true;
}

/* Characters that YAML allows unescaped between double quotes and that show. */
static bool is_printable(uint32_t c) {
    if (c == 0x2028 || c == 0x2029 || c == 0xfeff || c == '"' || c == '\\')
        return false;
    return (c >= 0x20 && c < 0x7f) || (c >= 0xa0 && c < 0xd800) || (c >= 0xe000 && c < 0xfffe) ||
           c >= 0x10000;
}

static void quote_character(struct sb_text *text, uint32_t c, const char *bytes, size_t n) {
    static const char named[] = "\"\\\n\t\r", names[] = "\"\\ntr";
    const char *name = c < 0x80 ? strchr(named, (int)c) : NULL;
    if (is_printable(c))
        sb_text_add(text, bytes, n);
    else if (name)
        sb_text_printf(text, "\\%c", names[name - named]);
    else
        sb_text_printf(text, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
}

static void quote_binary(struct sb_text *text, const char *bytes) {
    size_t n = strlen(bytes);
    SB_AUTO_FREE unsigned char *base64 = malloc(4 * ((n + 2) / 3) + 1);
    const struct sb_crypto *crypto = sb_crypto(NULL);
    if (!base64 || !crypto) {
        text->failed = true;
        return;
    }
    crypto->EVP_EncodeBlock(base64, (const unsigned char *)bytes, (int)n);
    sb_text_printf(text, "!!binary \"%s\"", (const char *)base64);
}

void sb_quote_yaml(struct sb_text *text, const char *bytes) {
    if (is_plain(bytes)) {
        sb_text_puts(text, bytes);
    } else if (!is_utf8(bytes)) {
        quote_binary(text, bytes);
    } else {
        sb_text_putc(text, '"');
        for (uint32_t c; *bytes;) {
            const char *start = bytes;
            if (next_character(&bytes, &c))
                quote_character(text, c, start, (size_t)(bytes - start));
        }
        sb_text_putc(text, '"');
    }
}
