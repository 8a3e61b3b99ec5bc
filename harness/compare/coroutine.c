/* Stage 5, compare: coroutines over ucontext. See compare/coroutine.h. */
#include "compare/coroutine.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

/* As much as a process has: parsers recurse. Only what is touched takes memory, and what runs over
 * meets a page that may not be touched. */
enum { STACK_BYTES = 8 << 20 };

struct sb_coroutine {
    ucontext_t inside, outside;
    void *stack;
    void (*body)(void *context);
    void *context;
    bool finished;
};

/* makecontext passes ints: a pointer comes in two halves. */
static void enter(unsigned high, unsigned low) {
    struct sb_coroutine *coroutine =
        (struct sb_coroutine *)((uintptr_t)((uint64_t)high << 32 | low));
    coroutine->body(coroutine->context);
    coroutine->finished = true;
}

/* getcontext may return twice as far as a compiler knows: alone with its locals. */
static bool prepare(struct sb_coroutine *coroutine) {
    uint64_t address = (uintptr_t)coroutine;
    if (getcontext(&coroutine->inside) < 0)
        return false;
    coroutine->inside.uc_stack.ss_sp = coroutine->stack;
    coroutine->inside.uc_stack.ss_size = STACK_BYTES;
    coroutine->inside.uc_link = &coroutine->outside;
    makecontext(&coroutine->inside, (void (*)(void))enter, 2, (unsigned)(address >> 32),
                (unsigned)address);
    return true;
}

struct sb_coroutine *sb_coroutine_new(void (*body)(void *context), void *context) {
    struct sb_coroutine *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->body = body;
    made->context = context;
    made->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (made->stack == MAP_FAILED ||
        mprotect(made->stack, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE) < 0 || !prepare(made)) {
        sb_coroutine_free(made);
        return NULL;
    }
    return made;
}

bool sb_coroutine_resume(struct sb_coroutine *coroutine) {
    if (!coroutine->finished)
        swapcontext(&coroutine->outside, &coroutine->inside);
    return !coroutine->finished;
}

void sb_coroutine_suspend(struct sb_coroutine *coroutine) {
    swapcontext(&coroutine->inside, &coroutine->outside);
}

void sb_coroutine_free(struct sb_coroutine *coroutine) {
    if (!coroutine)
        return;
    if (coroutine->stack != MAP_FAILED)
        munmap(coroutine->stack, STACK_BYTES);
    free(coroutine);
}
