/* Tests, stand-in for libcudart: device memory, handles, refusals. */
#include "kernels/tests/standin/standin.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

static char refusal[512], told[512];

void sb_standin_refuse(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(refusal, sizeof refusal, format, arguments);
    va_end(arguments);
    fprintf(stderr, "stand-in: %s\n", refusal);
}

const char *sb_standin_refusal(void) {
    memcpy(told, refusal, sizeof told);
    *refusal = '\0';
    return told;
}

unsigned sb_standin_random(unsigned below) {
    static uint64_t state;
    while (!state && getrandom(&state, sizeof state, 0) < 0) {
    }
    state ^= state << 13; /* xorshift (Marsaglia, 2003) */
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 32) % below;
}

/* ---- Things that live ------------------------------------------------------------------------ */

struct thing {
    const char *kind;
    char *at;
    size_t bytes, mapped; /* mapped: of device memory */
    int device;
    struct thing *next;
};

static struct thing *things;
static const char device_memory[] = "device memory";
static unsigned open_depth;

unsigned sb_standin_alive(void) {
    unsigned n = 0;
    for (const struct thing *thing = things; thing; thing = thing->next)
        n++;
    return n;
}

static struct thing *add(const char *kind, void *at, size_t bytes, size_t mapped) {
    struct thing *thing = calloc(1, sizeof *thing);
    if (!thing)
        abort();
    *thing = (struct thing){kind, at, bytes, mapped, sb_standin_device(), things};
    things = thing;
    return thing;
}

static struct thing **find(const char *kind, const void *at) {
    struct thing **place = &things;
    while (*place && ((*place)->kind != kind || (*place)->at != at))
        place = &(*place)->next;
    return place;
}

void *sb_standin_make(const char *kind, size_t bytes) {
    void *at = calloc(1, bytes);
    if (!at)
        abort();
    add(kind, at, bytes, 0);
    return at;
}

bool sb_standin_is(const char *who, const char *kind, const void *handle) {
    if (handle && *find(kind, handle))
        return true;
    sb_standin_refuse("%s: no live %s", who, kind);
    return false;
}

bool sb_standin_free(const char *who, const char *kind, void *handle) {
    if (!sb_standin_is(who, kind, handle))
        return false;
    struct thing **place = find(kind, handle), *thing = *place;
    *place = thing->next;
    free(thing->at);
    free(thing);
    return true;
}

/* ---- Device memory ----------------------------------------------------------------------------
 */

/* Which the host cannot touch: pages are readable only while a stream's work is done. */
static void protect(int protection) {
    for (const struct thing *thing = things; thing; thing = thing->next) {
        if (thing->kind == device_memory)
            mprotect(thing->at, thing->mapped, protection);
    }
}

void sb_standin_open_memory(void) {
    if (open_depth++ == 0)
        protect(PROT_READ | PROT_WRITE);
}

void sb_standin_close_memory(void) {
    if (--open_depth == 0)
        protect(PROT_NONE);
}

static const struct thing *holding(const void *at) {
    for (const struct thing *thing = things; thing; thing = thing->next) {
        if (thing->kind == device_memory && (const char *)at >= thing->at &&
            (const char *)at < thing->at + thing->mapped)
            return thing;
    }
    return NULL;
}

int sb_standin_device_of(const void *at) {
    const struct thing *thing = holding(at);
    for (const struct thing *other = things; !thing && other; other = other->next)
        thing = other->at == at ? other : NULL;
    return thing ? thing->device : -1;
}

bool sb_standin_on_device(const char *who, const char *what, const void *at, size_t bytes) {
    if (!at && bytes == 0)
        return true;
    const struct thing *thing = holding(at);
    if (!thing)
        sb_standin_refuse("%s: %s is no pointer to device memory", who, what);
    else if ((size_t)((const char *)at - thing->at) + bytes > thing->bytes)
        sb_standin_refuse("%s: %s needs %zu bytes, %zu are allocated behind it", who, what, bytes,
                          thing->bytes - (size_t)((const char *)at - thing->at));
    else
        return true;
    return false;
}

bool sb_standin_on_host(const char *who, const char *what, const void *at) {
    if (at && !holding(at))
        return true;
    sb_standin_refuse("%s: %s is no pointer to host memory", who, what);
    return false;
}

/* From here on memory is a workspace, most of which nobody touches. */
enum { LARGE = 1 << 20 };

cudaError_t cudaMalloc(void **memory, size_t bytes) {
    size_t mapped = (bytes + 4095) / 4096 * 4096;
    if (!memory || !bytes)
        return cudaErrorInvalidValue;
    void *at = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return cudaErrorMemoryAllocation;
    if (bytes < LARGE)
        memset(at, 0xff, mapped); /* fresh memory holds what it holds: NaN */
    mprotect(at, mapped, PROT_NONE);
    add(device_memory, at, bytes, mapped);
    *memory = at;
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory) {
    if (!memory)
        return cudaSuccess;
    sb_standin_drain_all(); /* as CUDA's does */
    struct thing **place = find(device_memory, memory), *thing = *place;
    if (!thing) {
        sb_standin_refuse("cudaFree: not allocated, or freed before");
        return cudaErrorInvalidValue;
    }
    *place = thing->next;
    munmap(thing->at, thing->mapped);
    free(thing);
    return cudaSuccess;
}
