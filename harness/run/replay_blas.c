/* Stage 3, run: a call of BLAS that the trace library kept, made again through the C interface of
 * the library that computed it. What it kept is the call's description (probe/trace_describe.c):
 * flags and factors in one row, and operands, both in the order of the C interface. */
#include "run/replay_blas.h"

#include "probe/trace_describe.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct replay {
    const struct sb_saved_call *call;
    void **at;
    size_t next; /* option */
    bool failed; /* the description ended early */
    struct sb_replayed *to;
};

static const void *take(struct replay *replay, size_t n) {
    static const unsigned char none[16];
    if (replay->next + n > replay->call->n_options) {
        replay->failed = true;
        return none;
    }
    const void *bytes = replay->call->options + replay->next;
    replay->next += n;
    return bytes;
}

static int flag(struct replay *replay) {
    return *(const unsigned char *)take(replay, 1);
}

static int64_t size(const struct replay *replay, size_t i) {
    return (int64_t)replay->call->sizes[i];
}

static int64_t ld(const struct replay *replay, size_t i) {
    return (int64_t)replay->call->operands[i].stride;
}

/* Vectors are described from the lowest address on; which way they go is an option. */
static int64_t step(struct replay *replay, size_t i) {
    int sign = flag(replay);
    int64_t stride = (int64_t)replay->call->operands[i].stride;
    return sign == '-' ? -stride : sign == '0' ? 0 : stride;
}

static void give(struct replay *replay, const void *result, size_t n) {
    memcpy(replay->to->result, result, n);
    replay->to->n_result = n;
}

/* By the type's letter: a factor as the C interface passes it, and the type of a real number. */
typedef float FACTOR_s;
typedef double FACTOR_d;
typedef const void *FACTOR_c, *FACTOR_z;
#define TAKE_s(replay) (*(const float *)memcpy(&(float){0}, take(replay, 4), 4))
#define TAKE_d(replay) (*(const double *)memcpy(&(double){0}, take(replay, 8), 8))
#define TAKE_c(replay) take(replay, 8)
#define TAKE_z(replay) take(replay, 16)
#define TAKE_REAL_s(replay) TAKE_s(replay)
#define TAKE_REAL_d(replay) TAKE_d(replay)
#define TAKE_REAL_c(replay) TAKE_s(replay)
#define TAKE_REAL_z(replay) TAKE_d(replay)

/* Integers are passed as wide as they may be: of a library with 32 bits nobody reads the other
 * half. */
#define IN const void *
#define INT int64_t
#define A(i) r->at[i]

#define REPLAY_gemm(t)                                                                             \
    int order = flag(r), ta = flag(r), tb = flag(r);                                               \
    FACTOR_##t alpha = TAKE_##t(r), beta = TAKE_##t(r);                                            \
    ((void (*)(int, int, int, INT, INT, INT, FACTOR_##t, IN, INT, IN, INT, FACTOR_##t, void *,     \
               INT))f)(order, ta, tb, size(r, 0), size(r, 1), size(r, 2), alpha, A(0), ld(r, 0),   \
                       A(1), ld(r, 1), beta, A(2), ld(r, 2))
#define REPLAY_symm(t)                                                                             \
    int order = flag(r), side = flag(r), uplo = flag(r);                                           \
    FACTOR_##t alpha = TAKE_##t(r), beta = TAKE_##t(r);                                            \
    ((void (*)(int, int, int, INT, INT, FACTOR_##t, IN, INT, IN, INT, FACTOR_##t, void *, INT))f)( \
        order, side, uplo, size(r, 0), size(r, 1), alpha, A(0), ld(r, 0), A(1), ld(r, 1), beta,    \
        A(2), ld(r, 2))
#define RANK_K(alpha_t, take_alpha)                                                                \
    int order = flag(r), uplo = flag(r), trans = flag(r);                                          \
    alpha_t alpha = take_alpha(r), beta = take_alpha(r);                                           \
    ((void (*)(int, int, int, INT, INT, alpha_t, IN, INT, alpha_t, void *, INT))f)(                \
        order, uplo, trans, size(r, 0), size(r, 1), alpha, A(0), ld(r, 0), beta, A(1), ld(r, 1))
#define REPLAY_syrk(t) RANK_K(FACTOR_##t, TAKE_##t)
#define REPLAY_herk(t) RANK_K(REAL_##t, TAKE_REAL_##t)
#define RANK_2K(t, beta_t, take_beta)                                                              \
    int order = flag(r), uplo = flag(r), trans = flag(r);                                          \
    FACTOR_##t alpha = TAKE_##t(r);                                                                \
    beta_t beta = take_beta(r);                                                                    \
    ((void (*)(int, int, int, INT, INT, FACTOR_##t, IN, INT, IN, INT, beta_t, void *, INT))f)(     \
        order, uplo, trans, size(r, 0), size(r, 1), alpha, A(0), ld(r, 0), A(1), ld(r, 1), beta,   \
        A(2), ld(r, 2))
#define REPLAY_syr2k(t) RANK_2K(t, FACTOR_##t, TAKE_##t)
#define REPLAY_her2k(t) RANK_2K(t, REAL_##t, TAKE_REAL_##t)
#define REPLAY_trmm(t)                                                                             \
    int order = flag(r), side = flag(r), uplo = flag(r), trans = flag(r), unit = flag(r);          \
    FACTOR_##t alpha = TAKE_##t(r);                                                                \
    ((void (*)(int, int, int, int, int, INT, INT, FACTOR_##t, IN, INT, void *, INT))f)(            \
        order, side, uplo, trans, unit, size(r, 0), size(r, 1), alpha, A(0), ld(r, 0), A(1),       \
        ld(r, 1))

#define REPLAY_gemv(t)                                                                             \
    int order = flag(r), trans = flag(r);                                                          \
    FACTOR_##t alpha = TAKE_##t(r), beta = TAKE_##t(r);                                            \
    INT x = step(r, 1), y = step(r, 2);                                                            \
    ((void (*)(int, int, INT, INT, FACTOR_##t, IN, INT, IN, INT, FACTOR_##t, void *, INT))f)(      \
        order, trans, size(r, 0), size(r, 1), alpha, A(0), ld(r, 0), A(1), x, beta, A(2), y)
#define REPLAY_symv(t)                                                                             \
    int order = flag(r), uplo = flag(r);                                                           \
    FACTOR_##t alpha = TAKE_##t(r), beta = TAKE_##t(r);                                            \
    INT x = step(r, 1), y = step(r, 2);                                                            \
    ((void (*)(int, int, INT, FACTOR_##t, IN, INT, IN, INT, FACTOR_##t, void *, INT))f)(           \
        order, uplo, size(r, 0), alpha, A(0), ld(r, 0), A(1), x, beta, A(2), y)
#define REPLAY_trmv(t)                                                                             \
    int order = flag(r), uplo = flag(r), trans = flag(r), unit = flag(r);                          \
    INT x = step(r, 1);                                                                            \
    ((void (*)(int, int, int, int, INT, IN, INT, void *, INT))f)(                                  \
        order, uplo, trans, unit, size(r, 0), A(0), ld(r, 0), A(1), x)
#define REPLAY_ger(t)                                                                              \
    int order = flag(r);                                                                           \
    FACTOR_##t alpha = TAKE_##t(r);                                                                \
    INT x = step(r, 0), y = step(r, 1);                                                            \
    ((void (*)(int, INT, INT, FACTOR_##t, IN, INT, IN, INT, void *, INT))f)(                       \
        order, size(r, 0), size(r, 1), alpha, A(0), x, A(1), y, A(2), ld(r, 2))
#define RANK_1(alpha_t, take_alpha)                                                                \
    int order = flag(r), uplo = flag(r);                                                           \
    alpha_t alpha = take_alpha(r);                                                                 \
    INT x = step(r, 0);                                                                            \
    ((void (*)(int, int, INT, alpha_t, IN, INT, void *, INT))f)(order, uplo, size(r, 0), alpha,    \
                                                                A(0), x, A(1), ld(r, 1))
#define REPLAY_syr(t) RANK_1(FACTOR_##t, TAKE_##t)
#define REPLAY_her(t) RANK_1(REAL_##t, TAKE_REAL_##t)
#define REPLAY_syr2(t)                                                                             \
    int order = flag(r), uplo = flag(r);                                                           \
    FACTOR_##t alpha = TAKE_##t(r);                                                                \
    INT x = step(r, 0), y = step(r, 1);                                                            \
    ((void (*)(int, int, INT, FACTOR_##t, IN, INT, IN, INT, void *, INT))f)(                       \
        order, uplo, size(r, 0), alpha, A(0), x, A(1), y, A(2), ld(r, 2))

#define REPLAY_dot(t)                                                                              \
    INT x = step(r, 0), y = step(r, 1);                                                            \
    REAL_##t value = ((REAL_##t(*)(INT, IN, INT, IN, INT))f)(size(r, 0), A(0), x, A(1), y);        \
    give(r, &value, sizeof value)
#define REPLAY_dot_sub(t)                                                                          \
    INT x = step(r, 0), y = step(r, 1);                                                            \
    REAL_##t value[2] = {0};                                                                       \
    ((void (*)(INT, IN, INT, IN, INT, void *))f)(size(r, 0), A(0), x, A(1), y, value);             \
    give(r, value, sizeof value)
#define REPLAY_norm(t)                                                                             \
    INT x = step(r, 0);                                                                            \
    REAL_##t value = ((REAL_##t(*)(INT, IN, INT))f)(size(r, 0), A(0), x);                          \
    give(r, &value, sizeof value)
#define REPLAY_axpy(t)                                                                             \
    FACTOR_##t alpha = TAKE_##t(r);                                                                \
    INT x = step(r, 0), y = step(r, 1);                                                            \
    ((void (*)(INT, FACTOR_##t, IN, INT, void *, INT))f)(size(r, 0), alpha, A(0), x, A(1), y)
#define SCALE(alpha_t, take_alpha)                                                                 \
    alpha_t alpha = take_alpha(r);                                                                 \
    INT x = step(r, 0);                                                                            \
    ((void (*)(INT, alpha_t, void *, INT))f)(size(r, 0), alpha, A(0), x)
#define REPLAY_scal(t) SCALE(FACTOR_##t, TAKE_##t)
#define REPLAY_rscal(t) SCALE(REAL_##t, TAKE_REAL_##t)

/* ---- Every routine ----------------------------------------------------------------------------
 */

typedef void replay_function(struct replay *r, void *f);

#define SB_ROUTINE(name, family, t)                                                                \
    static void replay_##name(struct replay *r, void *f) {                                         \
        REPLAY_##family(t);                                                                        \
    }
#define SB_CBLAS_ROUTINE(name, family, t) SB_ROUTINE(name, family, t)
#include "probe/trace_blas_list.h"
#undef SB_ROUTINE

/* ---- By Fortran's interface -------------------------------------------------------------------
 * Of libraries that have no other, such as a BLAS that is linked into a framework, the products
 * that trainings consist of. */

static char letter(int trans) {
    return trans == SB_NO_TRANSPOSE ? 'N' : trans == SB_TRANSPOSE ? 'T' : 'C';
}

#define AT_s(factor) (const void *)&(factor)
#define AT_d(factor) (const void *)&(factor)
#define AT_c(factor) (factor)
#define AT_z(factor) (factor)
#define REF const void *

/* Lengths of texts come last, by value. By rows, C is the transposed product of what is swapped. */
#define FORTRAN_gemm(t)                                                                            \
    bool rows = flag(r) == SB_ROW_MAJOR;                                                           \
    char ta = letter(flag(r)), tb = letter(flag(r));                                               \
    FACTOR_##t alpha = TAKE_##t(r), beta = TAKE_##t(r);                                            \
    INT m = size(r, rows), n = size(r, !rows), k = size(r, 2), a = ld(r, rows), b = ld(r, !rows),  \
        c = ld(r, 2);                                                                              \
    ((void (*)(REF, REF, REF, REF, REF, REF, REF, REF, REF, REF, REF, void *, REF, size_t,         \
               size_t))f)(rows ? &tb : &ta, rows ? &ta : &tb, &m, &n, &k, AT_##t(alpha), A(rows),  \
                          &a, A(!rows), &b, AT_##t(beta), A(2), &c, 1, 1)
#define FORTRAN_gemv(t)                                                                            \
    r->failed |= flag(r) == SB_ROW_MAJOR;                                                          \
    char trans = letter(flag(r));                                                                  \
    FACTOR_##t alpha = TAKE_##t(r), beta = TAKE_##t(r);                                            \
    INT x = step(r, 1), y = step(r, 2), m = size(r, 0), n = size(r, 1), a = ld(r, 0);              \
    if (r->failed)                                                                                 \
        return;                                                                                    \
    ((void (*)(REF, REF, REF, REF, REF, REF, REF, REF, REF, void *, REF, size_t))f)(               \
        &trans, &m, &n, AT_##t(alpha), A(0), &a, A(1), &x, AT_##t(beta), A(2), &y, 1)

#define FORTRAN(family, t)                                                                         \
    static void fortran_##t##family(struct replay *r, void *f) {                                   \
        FORTRAN_##family(t);                                                                       \
    }
FORTRAN(gemm, s)
FORTRAN(gemm, d)
FORTRAN(gemm, c)
FORTRAN(gemm, z)
FORTRAN(gemv, s)
FORTRAN(gemv, d)
FORTRAN(gemv, c)
FORTRAN(gemv, z)

static const struct {
    const char *name;
    replay_function *replay;
} by_fortran[] = {{"sgemm", fortran_sgemm}, {"dgemm", fortran_dgemm}, {"cgemm", fortran_cgemm},
                  {"zgemm", fortran_zgemm}, {"sgemv", fortran_sgemv}, {"dgemv", fortran_dgemv},
                  {"cgemv", fortran_cgemv}, {"zgemv", fortran_zgemv}};

static replay_function *find_by_fortran(const char *kernel) {
    for (size_t i = 0; i < sizeof by_fortran / sizeof *by_fortran; i++) {
        if (strcmp(by_fortran[i].name, kernel) == 0)
            return by_fortran[i].replay;
    }
    return NULL;
}

/* ---- A call -----------------------------------------------------------------------------------
 */

/* How many operands each family describes; sizes never are more than 3. */
enum {
    OPERANDS_gemm = 3,
    OPERANDS_symm = 3,
    OPERANDS_syrk = 2,
    OPERANDS_herk = 2,
    OPERANDS_syr2k = 3,
    OPERANDS_her2k = 3,
    OPERANDS_trmm = 2,
    OPERANDS_gemv = 3,
    OPERANDS_symv = 3,
    OPERANDS_trmv = 2,
    OPERANDS_ger = 3,
    OPERANDS_syr = 2,
    OPERANDS_her = 2,
    OPERANDS_syr2 = 3,
    OPERANDS_dot = 2,
    OPERANDS_dot_sub = 2,
    OPERANDS_norm = 1,
    OPERANDS_axpy = 2,
    OPERANDS_scal = 1,
    OPERANDS_rscal = 1
};

static const struct {
    const char *name;
    replay_function *replay;
    unsigned operands;
} routines[] = {
#define SB_ROUTINE(name, family, t) {#name, replay_##name, OPERANDS_##family},
#include "probe/trace_blas_list.h"
#undef SB_ROUTINE
};

/* Under the names that libraries have for it. */
static const char *const c_names[] = {"cblas_%s",       "cblas_%s64_",       "cblas_%s_64",
                                      "scipy_cblas_%s", "scipy_cblas_%s64_", NULL};
static const char *const fortran_names[] = {"%s_", "%s_64_", "%s64_", NULL};

static void *find_symbol(void *library, const char *const *names, const char *kernel) {
    void *found = NULL;
    for (size_t i = 0; names[i] && !found; i++) {
        char name[SB_SAVED_NAME + 32];
        size_t before = strcspn(names[i], "%");
        snprintf(name, sizeof name, "%.*s%s%s", (int)before, names[i], kernel,
                 names[i] + before + strlen("%s"));
        found = dlsym(library, name);
    }
    return found;
}

/* As the trace library digests it. */
static void digest(const struct sb_loaded_call *loaded, struct sb_replayed *replayed) {
    struct sb_traced traced = {.element = (unsigned)loaded->call.operands[0].element,
                               .n_operands = loaded->call.n_operands};
    for (size_t i = 0; i < traced.n_operands; i++) {
        const struct sb_saved_operand *from = &loaded->call.operands[i];
        traced.operands[i] = (struct sb_operand){.at = loaded->at[i],
                                                 .rows = from->rows,
                                                 .columns = from->columns,
                                                 .stride = from->stride,
                                                 .part = (enum sb_counted)from->part,
                                                 .read = from->read,
                                                 .written = from->written};
    }
    sb_trace_digest_plain(&traced, true, replayed->result, replayed->n_result, replayed->out);
}

int sb_replay_blas(struct sb_loaded_call *loaded, struct sb_replayed *replayed,
                   struct sb_error *err) {
    const struct sb_saved_call *call = &loaded->call;
    size_t r = 0, n = sizeof routines / sizeof *routines;
    while (r < n && strcmp(routines[r].name, call->kernel) != 0)
        r++;
    if (r == n || call->n_operands != routines[r].operands)
        return sb_error_set(err, -ENOTSUP, "'%s' is no routine of BLAS that is made again",
                            call->kernel);
    void *library = dlopen(call->library, RTLD_NOW);
    if (!library)
        return sb_error_set(err, -ENOTSUP, "%s", dlerror());
    replay_function *make = routines[r].replay;
    void *function = find_symbol(library, c_names, call->kernel);
    if (!function && (make = find_by_fortran(call->kernel)))
        function = find_symbol(library, fortran_names, call->kernel);
    if (!function)
        return sb_error_set(err, -ENOTSUP, "%s has no interface of %s that it is made again by",
                            call->library, call->kernel);
    struct replay replay = {.call = call, .at = loaded->at, .to = replayed};
    *replayed = (struct sb_replayed){.n_result = 0};
    make(&replay, function);
    if (replay.failed || replay.next != call->n_options)
        return sb_error_set(err, -EBADMSG, "options that are not those of %s", call->kernel);
    digest(loaded, replayed);
    return 0;
}
