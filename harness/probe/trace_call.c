/* The trace: from a call's beginning to its record; and where interposed calls go on to. */
#include "base/saved_call.h"
#include "probe/asked.h"
#include "probe/probe.h"
#include "probe/trace.h"
#include "probe/trace_format.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* Set before the program begins; then the same until its end. */
static bool on;
static char folder[4096];
static sb_trace_digest *digest = sb_trace_digest_plain;

/* How many threads are in traced calls, and how often one came while another was. */
static unsigned inside;
static uint64_t overlaps;

static _Thread_local unsigned depth __attribute__((tls_model("initial-exec")));

/* ---- Beginning --------------------------------------------------------------------------------
 */

static void choose_digest(void) {
#if defined __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f"))
        digest = sb_trace_digest_avx512;
    else if (__builtin_cpu_supports("avx2"))
        digest = sb_trace_digest_avx2;
#endif
}

/* The value of a variable; NULL: it is not set. The C library's own way is the probe's to watch. */
static const char *variable(const char *name) {
    size_t n = strlen(name);
    for (char **item = environ; item && *item; item++) {
        if (strncmp(*item, name, n) == 0 && (*item)[n] == '=')
            return *item + n + 1;
    }
    return NULL;
}

/* The folder lies beside the probe's record. */
__attribute__((constructor)) static void begin(void) {
    const char *text = variable(SB_PROBE_VARIABLE), *call = variable(SB_SAVED_CALL_VARIABLE),
               *asked = variable(SB_ASKED_VARIABLE);
    if (!text || !strstr(text, ";trace=1"))
        return;
    size_t n = strcspn(text, ";");
    while (n && text[n - 1] != '/')
        n--;
    if (!n || snprintf(folder, sizeof folder, "%.*s%s", (int)n, text, SB_TRACE_FOLDER) >=
                  (int)sizeof folder)
        return;
    choose_digest();
    sb_trace_file_begin(folder);
    if (call)
        sb_trace_save_begin(folder, call);
    if (asked)
        sb_trace_asked_begin(folder, asked);
    on = true;
}

bool sb_trace_is_on(void) {
    return on;
}

/* ---- Going on to the library ------------------------------------------------------------------
 */

static void *look_up(const char *object, const char *name, const void *own) {
    void *handle = dlopen(object, RTLD_LAZY | RTLD_NOLOAD);
    void *function = handle ? dlsym(handle, name) : NULL;
    if (handle)
        dlclose(handle);
    return function == own ? NULL : function;
}

struct objects {
    char **paths;
    size_t n;
};

/* Nothing is looked up in here: dlopen takes locks in the other order. */
static int list_object(struct dl_phdr_info *info, size_t size, void *argument) {
    struct objects *objects = argument;
    (void)size;
    char **paths =
        *info->dlpi_name ? reallocarray(objects->paths, objects->n + 1, sizeof *paths) : NULL;
    if (!paths)
        return 0;
    objects->paths = paths;
    paths[objects->n] = strdup(info->dlpi_name);
    objects->n += paths[objects->n] != NULL;
    return 0;
}

static void *look_everywhere(const char *name, const void *own) {
    struct objects objects = {0};
    void *function = NULL;
    dl_iterate_phdr(list_object, &objects);
    for (size_t i = 0; i < objects.n; i++) {
        if (!function)
            function = look_up(objects.paths[i], name, own);
        free(objects.paths[i]);
    }
    free(objects.paths);
    return function;
}

/* Python's extension modules and what they load are known to those alone who asked for them: there
 * the name is looked up as the caller would have found it, and at last in all that is loaded. */
static void *search_for(const char *name, const void *own, const void *caller, bool *for_all) {
    void *function = dlsym(RTLD_NEXT, name);
    *for_all = function != NULL;
    Dl_info object;
    if (!function && dladdr(caller, &object))
        function = look_up(object.dli_fname, name, own);
    return function ? function : look_everywhere(name, own);
}

const struct sb_found *sb_trace_find(struct sb_real *real, const void *own, const void *caller) {
    struct sb_found *first = __atomic_load_n(&real->found, __ATOMIC_ACQUIRE);
    for (const struct sb_found *found = first; found; found = found->next) {
        if (!found->caller || found->caller == caller)
            return found;
    }
    bool for_all;
    void *function = search_for(real->name, own, caller, &for_all);
    struct sb_found *found = function ? calloc(1, sizeof *found) : NULL;
    if (!found)
        return NULL;
    Dl_info object;
    const char *path = dladdr(function, &object) ? object.dli_fname : "";
    const char *slash = strrchr(path, '/');
    snprintf(found->library, sizeof found->library, "%s", slash ? slash + 1 : path);
    found->caller = for_all ? NULL : caller;
    found->function = function;
    found->next = first;
    /* Kept until the end, as many as there are places in programs that call. */
    while (!__atomic_compare_exchange_n(&real->found, &found->next, found, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
        ;
    return found;
}

const struct sb_found *sb_trace_real(struct sb_real *real, const void *own, const void *caller) {
    const struct sb_found *found = sb_trace_find(real, own, caller);
    if (!found) {
        fprintf(stderr, "samebits: symbol lookup error: undefined symbol: %s\n", real->name);
        abort();
    }
    return found;
}

/* ---- Calls ------------------------------------------------------------------------------------
 */

/* The probe notes who asks the C library for the time. */
static uint64_t clock_ns(clockid_t clock) {
    struct timespec now = {0};
    syscall(SYS_clock_gettime, clock, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

bool sb_trace_enter(struct sb_traced *call, const char *kernel, const struct sb_found *found) {
    if (!on || depth)
        return false;
    *call = (struct sb_traced){
        .kernel = kernel, .library = found->library, .function = found->function};
    return true;
}

void sb_trace_before(struct sb_traced *call) {
    int saved = errno;
    uint64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    depth++;
    call->valid = call->valid && digest(call, false, call->options, call->n_options, call->in);
    if (call->valid)
        sb_trace_save(call);
    call->alone = __atomic_fetch_add(&inside, 1, __ATOMIC_ACQ_REL) == 0;
    if (!call->alone)
        __atomic_fetch_add(&overlaps, 1, __ATOMIC_ACQ_REL);
    call->overlaps = __atomic_load_n(&overlaps, __ATOMIC_ACQUIRE);
    call->thread_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    sb_trace_file_spent(0, call->thread_ns - began);
    call->process_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    errno = saved;
}

/* A library computes in threads of its own: while no other thread is in a traced call, all of the
 * process's CPU time is taken for this call's. */
static uint64_t spent(const struct sb_traced *call) {
    bool alone = call->alone && __atomic_load_n(&overlaps, __ATOMIC_ACQUIRE) == call->overlaps;
    return alone ? clock_ns(CLOCK_PROCESS_CPUTIME_ID) - call->process_ns
                 : clock_ns(CLOCK_THREAD_CPUTIME_ID) - call->thread_ns;
}

void sb_trace_leave(struct sb_traced *call) {
    int saved = errno;
    sb_trace_file_spent(spent(call), 0);
    __atomic_fetch_sub(&inside, 1, __ATOMIC_ACQ_REL);
    depth--;
    errno = saved;
}

void sb_trace_conclude(struct sb_traced *call, const void *returned, size_t n) {
    int saved = errno;
    uint64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (call->valid && digest(call, true, returned, n, call->out))
        sb_trace_file_write(call);
    else
        sb_trace_file_lost();
    sb_trace_file_spent(0, clock_ns(CLOCK_THREAD_CPUTIME_ID) - began);
    errno = saved;
}

void sb_trace_after(struct sb_traced *call, const void *returned, size_t n) {
    sb_trace_leave(call);
    sb_trace_conclude(call, returned, n);
}

void sb_trace_note(const struct sb_traced *point) {
    struct sb_traced call = *point;
    if (!on)
        return;
    int saved = errno;
    uint64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    digest(&call, false, call.options, call.n_options, call.in);
    digest(&call, true, NULL, 0, call.out);
    sb_trace_file_write(&call);
    sb_trace_file_spent(0, clock_ns(CLOCK_THREAD_CPUTIME_ID) - began);
    errno = saved;
}

uint64_t sb_trace_unseen(void) {
    int saved = errno;
    uint64_t spent_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID), seen = sb_trace_file_accounted();
    errno = saved;
    return spent_ns > seen ? spent_ns - seen : 0;
}

/* Calls of BLAS that were made within have had their time counted: what is left is this call's. */
void sb_trace_noted(const struct sb_traced *call, const uint64_t *times) {
    int saved = errno;
    sb_trace_file_write(call);
    if (times) {
        uint64_t now = sb_trace_unseen();
        uint64_t inside_ns = times[2] > times[1] ? times[2] - times[1] : 0;
        uint64_t before = times[1] > times[0] ? times[1] - times[0] : 0;
        uint64_t after = now > times[2] ? now - times[2] : 0;
        sb_trace_file_spent(inside_ns, before + after);
    }
    errno = saved;
}
