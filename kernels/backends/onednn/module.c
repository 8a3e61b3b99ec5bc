/* kernels, onednn: the module, which links oneDNN of version 2 or 3: backend `onednn`, and built a
 * second time, with the names that meson.build gives it, `onednn3`. A library that is built with
 * OpenMP, as Debian's is, brings that runtime into the process. */
#include "kernels/backends/onednn.h"
#include "kernels/backends/onednn/primitive.h"

#include <dlfcn.h>
#include <dnnl_debug.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void unload(void *state) {
    struct onednn *onednn = state;
    if (onednn->stream)
        dnnl_stream_destroy(onednn->stream);
    if (onednn->engine)
        dnnl_engine_destroy(onednn->engine);
    if (onednn->attributes)
        dnnl_primitive_attr_destroy(onednn->attributes);
    free(onednn);
}

static int load(void **state, struct sb_error *err) {
    struct onednn *onednn = calloc(1, sizeof *onednn);
    if (!onednn)
        return sb_error_errno(err, -ENOMEM, "load");
    dnnl_status_t status = dnnl_engine_create(&onednn->engine, dnnl_cpu, 0);
    if (status == dnnl_success)
        status = dnnl_stream_create(&onednn->stream, onednn->engine, dnnl_stream_default_flags);
    if (status != dnnl_success) {
        unload(onednn);
        return sb_error_set(err, -EIO, "oneDNN's status %d", (int)status);
    }
    *state = onednn;
    return 0;
}

/* A function of the OpenMP runtime that oneDNN has brought, if it has; the module itself links
 * none. POSIX lets a pointer of dlsym's become one to a function. */
static void *openmp_function(const char *name) {
    return dlsym(RTLD_DEFAULT, name);
}

static int set_threads(void *state, unsigned threads, struct sb_error *err) {
    (void)state, (void)err;
    void (*set)(int);
    *(void **)&set = openmp_function("omp_set_num_threads");
    if (set)
        set((int)threads);
    return 0;
}

#ifdef SB_ONEDNN_DETERMINISTIC /* oneDNN 3.4 */
static int set_deterministic(void *state, bool on, struct sb_error *err) {
    struct onednn *onednn = state;
    dnnl_status_t status =
        onednn->attributes ? dnnl_success : dnnl_primitive_attr_create(&onednn->attributes);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_deterministic(onednn->attributes, on);
    if (status != dnnl_success)
        return sb_error_set(err, -EIO, "attribute deterministic: oneDNN's status %d", (int)status);
    return 0;
}
#endif

/* "avx512_core" of "cpu_isa_avx512_core". */
static const char *isa_name(dnnl_cpu_isa_t isa) {
    static const char prefix[] = "cpu_isa_";
    const char *name = dnnl_cpu_isa2str(isa);
    return strncmp(name, prefix, sizeof prefix - 1) == 0 ? name + sizeof prefix - 1 : name;
}

static const char *runtime_name(unsigned runtime) {
    return runtime == DNNL_RUNTIME_OMP          ? "OpenMP"
           : runtime == DNNL_RUNTIME_TBB        ? "TBB"
           : runtime == DNNL_RUNTIME_SYCL       ? "SYCL"
           : runtime == DNNL_RUNTIME_THREADPOOL ? "a thread pool"
                                                : "none";
}

static void describe(void *state, struct sb_backend_facts *facts) {
    (void)state;
    Dl_info info;
    if (dladdr((void *)(uintptr_t)dnnl_version, &info) && info.dli_fname)
        snprintf(facts->library, sizeof facts->library, "%s", info.dli_fname);
    const dnnl_version_t *version = dnnl_version();
    snprintf(facts->version, sizeof facts->version, "%d.%d.%d", version->major, version->minor,
             version->patch);
    snprintf(facts->core, sizeof facts->core, "%s", isa_name(dnnl_get_effective_cpu_isa()));
    snprintf(facts->config, sizeof facts->config, "threads: %s",
             runtime_name(version->cpu_runtime));
    int (*threads)(void);
    *(void **)&threads = openmp_function("omp_get_max_threads");
    facts->threads = threads ? (unsigned)threads() : 0;
}

#define KERNEL(operation, native)                                                                  \
    {#operation, native, onednn_##operation, SB_ONEDNN_ALL & ~(native)},
static const struct sb_kernel kernels[] = {
#include "kernels/backends/onednn_kernels.h"
    {NULL},
};

extern const struct sb_backend SB_ONEDNN_BACKEND __attribute__((visibility("default")));
const struct sb_backend SB_ONEDNN_BACKEND = {
    .api = SB_BACKEND_API,
    .name = SB_ONEDNN_NAME,
    .kernels = kernels,
    .load = load,
    .unload = unload,
    .set_threads = set_threads,
#ifdef SB_ONEDNN_DETERMINISTIC
    .set_deterministic = set_deterministic,
#endif
    .describe = describe,
};
