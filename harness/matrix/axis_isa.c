/* Stage 2, matrix: axis isa: the instruction set that libraries take their code paths for. */
#include "base/cleanup.h"
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const sb_isa_names[] = {"sse2", "avx2", "avx512", NULL};
enum { N_LEVELS = 3 };

/* What each level sets. BLIS: numbers of its arch_t (penryn, haswell, skx), since only some
 * versions read names and the others take a name for 0. */
static const struct {
    const char *name, *values[N_LEVELS];
} table[] = {
    {"OPENBLAS_CORETYPE", {"Prescott", "Haswell", "SkylakeX"}},
    {"BLIS_ARCH_TYPE", {"5", "3", "0"}},
    {"ONEDNN_MAX_CPU_ISA", {"SSE41", "AVX2", "AVX512_CORE"}},
    {"DNNL_MAX_CPU_ISA", {"SSE41", "AVX2", "AVX512_CORE"}},
    {"ATEN_CPU_CAPABILITY", {"default", "avx2", "avx512"}},
    {"MKL_ENABLE_INSTRUCTIONS", {"SSE4_2", "AVX2", "AVX512"}},
};

/* Features that NumPy may not use at the levels below the one given. A feature that is part of its
 * baseline (SSE*, X86_V2) must not be named: importing NumPy then fails. One that a version does
 * not know is ignored with a warning, and one that this CPU lacks would be warned of needlessly.
 * X86_V3 and X86_V4 are the names since NumPy 2.4. */
struct numpy_feature {
    const char *name;
    unsigned level; /* index of the lowest level that may use it */
    bool present;
};

#if defined(__x86_64__) || defined(__i386__)
#define HAS(feature) (__builtin_cpu_supports(feature) != 0)

static size_t numpy_features(struct numpy_feature features[16]) {
    bool skx =
        HAS("avx512f") && HAS("avx512cd") && HAS("avx512vl") && HAS("avx512bw") && HAS("avx512dq");
    bool clx = skx && HAS("avx512vnni");
    bool cnl = skx && HAS("avx512ifma") && HAS("avx512vbmi");
    bool icl = clx && cnl && HAS("avx512vbmi2") && HAS("avx512bitalg") && HAS("avx512vpopcntdq");
    const struct numpy_feature all[] = {
        {"AVX", 1, HAS("avx")},
        {"F16C", 1, HAS("avx2")}, /* every CPU with AVX2 has it */
        {"FMA3", 1, HAS("fma")},
        {"AVX2", 1, HAS("avx2")},
        {"X86_V3", 1, HAS("avx2")},
        {"AVX512F", 2, HAS("avx512f")},
        {"AVX512CD", 2, HAS("avx512cd")},
        {"AVX512_SKX", 2, skx},
        {"X86_V4", 2, skx},
        {"AVX512_CLX", 2, clx},
        {"AVX512_CNL", 2, cnl},
        {"AVX512_ICL", 2, icl},
    };
    memcpy(features, all, sizeof all);
    return sizeof all / sizeof *all;
}
#else
static size_t numpy_features(struct numpy_feature features[16]) {
    (void)features;
    return 0;
}
#endif

/* For glibc's own libm and string functions. The names with _Usable are those before 2.33; a name
 * that is not known is ignored (sysdeps/x86/cpu-tunables.c). */
static const char *const hwcaps[N_LEVELS] = {
    "-AVX_Usable,-AVX2_Usable,-FMA_Usable,-FMA4_Usable,-AVX512F_Usable,-AVX512DQ_Usable,"
    "-AVX,-AVX2,-FMA,-FMA4,-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX512CD",
    "-AVX512F_Usable,-AVX512DQ_Usable,-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX512CD",
    NULL,
};

static size_t index_of(const char *level) {
    size_t i = 0;
    while (sb_isa_names[i] && strcmp(level, sb_isa_names[i]) != 0)
        i++;
    return i;
}

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    if (index_of(level) < N_LEVELS)
        return 0;
    SB_AUTO_TEXT struct sb_text list = {0};
    for (size_t i = 0; i < N_LEVELS; i++) {
        if (machine->has_isa[i])
            sb_text_printf(&list, " %s", sb_isa_names[i]);
    }
    if (!list.length)
        return sb_error_set(
            err, -EINVAL, "unknown level '%s' (sse2, avx2 and avx512 are known; this CPU has none)",
            level);
    return sb_error_set(err, -EINVAL, "unknown level '%s' (this CPU has:%s)", level, list.data);
}

static char *unavailable(const struct sb_machine *machine, const char *level) {
    size_t i = index_of(level);
    if (i < N_LEVELS && !machine->has_isa[i])
        return sb_format("this CPU has no %s", level);
    if (i < N_LEVELS && machine->isa_refused[i])
        return strdup(machine->isa_refused[i]);
    return NULL;
}

static int apply_numpy(size_t level, struct sb_setup *setup) {
    struct numpy_feature features[16];
    size_t n = numpy_features(features);
    SB_AUTO_TEXT struct sb_text list = {0};
    for (size_t i = 0; i < n; i++) {
        if (features[i].present && features[i].level > level)
            sb_text_printf(&list, "%s%s", list.length ? " " : "", features[i].name);
    }
    if (list.failed)
        return -ENOMEM;
    if (list.length)
        return sb_setup_set(setup, "NPY_DISABLE_CPU_FEATURES", list.data);
    sb_setup_unset(setup, "NPY_DISABLE_CPU_FEATURES");
    return 0;
}

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)machine, (void)name;
    size_t i = index_of(level);
    if (i >= N_LEVELS)
        return 0;
    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
        int status = sb_setup_set(setup, table[k].name, table[k].values[i]);
        if (status < 0)
            return status;
    }
    int status = apply_numpy(i, setup);
    if (status < 0 || !hwcaps[i])
        return status;
    return sb_setup_tunable(setup, "glibc.cpu.hwcaps", hwcaps[i], true);
}

/* The library's own word: it may have taken another core than it was told. */
static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    (void)name, (void)level;
    return sb_worker_word(seen, "core");
}

static char *arrived(const char *name, const struct sb_observation *seen) {
    (void)name;
    const char *names[sizeof table / sizeof *table + 3] = {"NPY_DISABLE_CPU_FEATURES",
                                                           "GLIBC_TUNABLES"};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        names[i + 2] = table[i].name;
    return seen->worker ? NULL : sb_seen_variables(seen, names);
}

int sb_machine_check_isa(struct sb_machine *machine, const struct sb_suite *suite,
                         int (*check_level)(void *context, const char *level, char **refused,
                                            struct sb_error *err),
                         void *context, struct sb_error *err) {
    for (size_t j = 0; j < suite->n_jobs; j++) {
        for (size_t a = 0; a < suite->jobs[j].n_axes; a++) {
            const struct sb_suite_axis *axis = &suite->jobs[j].axes[a];
            if (strcmp(axis->name, "isa") != 0)
                continue;
            for (size_t l = 0; l < axis->n_levels; l++) {
                size_t i = index_of(axis->levels[l]);
                if (i >= N_LEVELS || !machine->has_isa[i] || machine->isa_checked[i])
                    continue;
                machine->isa_checked[i] = true;
                int status = check_level(context, sb_isa_names[i], &machine->isa_refused[i], err);
                if (status < 0)
                    return status;
            }
        }
    }
    return 0;
}

const struct sb_axis sb_axis_isa = {
    .name = "isa",
    .summary = "instruction set of OpenBLAS, BLIS, oneDNN, MKL, PyTorch, NumPy and libc",
    .levels = "sse2, avx2, avx512",
    .check = check,
    .unavailable = unavailable,
    .apply = apply,
    .observe = observe,
    .arrived = arrived,
};
