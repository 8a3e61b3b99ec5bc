/* Stage 2, matrix: axis memory: what fresh memory holds, so that memory read before it was written
 * shows. */
#include "base/cleanup.h"
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>
#include <features.h>
#include <stdlib.h>
#include <string.h>

/* glibc fills a block that malloc, realloc (where it moves) or posix_memalign returns with the
 * complement of glibc.malloc.perturb, and a freed one with the byte itself (malloc/malloc.c,
 * alloc_perturb and free_perturb). 0 switches that off, so that a fresh 0xff cannot be had, and
 * values above 255 are refused. Blocks that come from a thread's own cache are not filled: it is
 * made empty. Measured with 2.36: blocks from 16 bytes to 40 MB have the byte; calloc's stay zero;
 * what realloc adds in place has not.
 *
 * All levels, `off` too, use the same allocators, so that only the filling differs between runs:
 * Python's own would hand out small objects unfilled. */
static const char perturb[] = "glibc.malloc.perturb";
static const char cache[] = "glibc.malloc.tcache_count";
static const char choices[] =
    "off, zero, or the byte that fresh memory holds, 0 to 254 or 0x00 to 0xfe";

enum { OFF = -1, UNKNOWN = -2 };

/* Byte of fresh memory, OFF or UNKNOWN. */
static int byte_of(const char *level) {
    uint64_t byte;
    if (strcmp(level, "off") == 0)
        return OFF;
    if (strcmp(level, "zero") == 0)
        return 0;
    return sb_level_number(level, true, 255, &byte) ? (int)byte : UNKNOWN;
}

static char *text_of(int byte) {
    if (byte == OFF)
        return strdup("off");
    return byte == 0 ? strdup("zero") : sb_format("0x%02x", (unsigned)byte);
}

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    (void)machine;
    int byte = byte_of(level);
    if (strcmp(level, "nan") == 0 || byte == 255)
        return sb_error_set(err, -EINVAL,
                            "level '%s' cannot be had: it takes bytes 0xff, and glibc fills fresh "
                            "memory with every byte but that one (levels: %s)",
                            level, choices);
    if (byte == UNKNOWN)
        return sb_error_set(err, -EINVAL, "unknown level '%s' (levels: %s)", level, choices);
    return 0;
}

static char *resolve(const struct sb_machine *machine, const char *level) {
    (void)machine;
    return text_of(byte_of(level));
}

static char *unavailable(const struct sb_machine *machine, const char *level) {
    (void)machine, (void)level;
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 26)
    return NULL;
#else
    return strdup("it needs the GNU C library, 2.26 or newer");
#endif
}

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)machine, (void)name;
    int byte = byte_of(level);
    char value[8];
    snprintf(value, sizeof value, "0x%02x", byte == OFF ? 0 : (unsigned)byte ^ 0xff);
    sb_setup_unset(setup, "MALLOC_PERTURB_"); /* the older name of the same tunable */
    int status = sb_setup_tunable(setup, cache, "0", false);
    if (status == 0)
        status = sb_setup_tunable(setup, perturb, value, false);
    if (status == 0)
        status = sb_setup_set(setup, "PYTHONMALLOC", "malloc");
    return status;
}

/* Byte that a process's environment makes fresh memory hold. */
static int seen_byte(const struct sb_seen_process *process) {
    const char *tunables = sb_seen_variable(process, "GLIBC_TUNABLES");
    const char *older = sb_seen_variable(process, "MALLOC_PERTURB_");
    if (older && strcmp(older, "0") != 0)
        return UNKNOWN;
    size_t length = strlen(perturb);
    int byte = OFF;
    for (const char *item = tunables ? tunables : ""; *item;) {
        size_t n = strcspn(item, ":");
        if (n > length && strncmp(item, perturb, length) == 0 && item[length] == '=') {
            char *end;
            unsigned long value = strtoul(item + length + 1, &end, 0);
            if (end != item + n || value > 255)
                return UNKNOWN;
            byte = value ? (int)(value ^ 0xff) : OFF;
        }
        item += n + (item[n] == ':');
    }
    return byte;
}

/* Known where one program ran, linked to glibc, with no other allocator. */
static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    (void)name, (void)level;
    if (!seen->n_processes || !sb_seen_library(seen, "libc.so.6") ||
        sb_seen_library(seen, "libjemalloc") || sb_seen_library(seen, "libtcmalloc") ||
        sb_seen_library(seen, "libmimalloc"))
        return NULL;
    int byte = UNKNOWN;
    for (size_t i = 0; i < seen->n_processes; i++) {
        const struct sb_seen_process *process = &seen->processes[i];
        if (!process->environment || !process->exe || !seen->processes[0].exe ||
            strcmp(process->exe, seen->processes[0].exe) != 0)
            return NULL;
        int own = seen_byte(process);
        if (own == UNKNOWN || (i && own != byte))
            return NULL;
        byte = own;
    }
    return text_of(byte);
}

static char *arrived(const char *name, const struct sb_observation *seen) {
    static const char *const names[] = {"GLIBC_TUNABLES", "MALLOC_PERTURB_", "PYTHONMALLOC", NULL};
    (void)name;
    return sb_seen_variables(seen, names);
}

const struct sb_axis sb_axis_memory = {
    .name = "memory",
    .summary = "what fresh memory holds; freed memory holds the complement",
    .levels = choices,
    .check = check,
    .resolve = resolve,
    .unavailable = unavailable,
    .apply = apply,
    .observe = observe,
    .arrived = arrived,
};
