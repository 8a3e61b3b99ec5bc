/* kernels, onednn: the module, which links oneDNN. Debian's is built with OpenMP, whose runtime
 * comes into the process with it. */
#include "kernels/backends/onednn.h"
#include "kernels/backends/onednn/primitive.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void unload(void *state) {
    struct onednn *onednn = state;
    if (onednn->stream)
        dnnl_stream_destroy(onednn->stream);
    if (onednn->engine)
        dnnl_engine_destroy(onednn->engine);
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

static const char *isa_name(dnnl_cpu_isa_t isa) {
    static const struct {
        dnnl_cpu_isa_t isa;
        const char *name;
    } names[] = {
        {dnnl_cpu_isa_sse41, "sse41"},
        {dnnl_cpu_isa_avx, "avx"},
        {dnnl_cpu_isa_avx2, "avx2"},
        {dnnl_cpu_isa_avx2_vnni, "avx2_vnni"},
        {dnnl_cpu_isa_avx512_mic, "avx512_mic"},
        {dnnl_cpu_isa_avx512_mic_4ops, "avx512_mic_4ops"},
        {dnnl_cpu_isa_avx512_core, "avx512_core"},
        {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
        {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
        {dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].isa == isa)
            return names[i].name;
    }
    return "unknown";
}

static const char *runtime_name(unsigned runtime) {
    return runtime == DNNL_RUNTIME_OMP          ? "OpenMP"
           : runtime == DNNL_RUNTIME_TBB        ? "TBB"
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

extern const struct sb_backend sb_backend_onednn __attribute__((visibility("default")));
const struct sb_backend sb_backend_onednn = {
    .api = SB_BACKEND_API,
    .name = "onednn",
    .kernels = kernels,
    .load = load,
    .unload = unload,
    .set_threads = set_threads,
    .describe = describe,
};
