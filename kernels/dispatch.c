/* kernels: registries, and calls by way of them. */
#include "kernels/dispatch.h"
#include "kernels/half.h"
#include "kernels/module.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* the state on the stack */
#include <xxhash.h>

extern const struct sb_backend sb_backend_ref;

struct sb_engine {
    const struct sb_backend *backend;
    void *state;
    void *plain; /* state of `ref`, for what the backend has no kernel for; NULL: it is `ref` */
    uint64_t step, calls;
    uint64_t replaced; /* number of a call that `ref` computes anew */
    sb_trace_function *trace, *watch;
    void *trace_context, *watch_context;
};

const char *const sb_claim_names[] = {"none", "deterministic", "nondeterministic"};

/* Place of a letter among the sizes, given and derived. */
static size_t letter(const struct sb_operation *operation, char dim) {
    const char *at = strchr(operation->sizes, dim);
    if (at)
        return (size_t)(at - operation->sizes);
    return strlen(operation->sizes) +
           (size_t)(strchr(operation->derived, dim) - operation->derived);
}

size_t sb_call_size(const struct sb_call *call, char dim) {
    return call->size[letter(call->operation, dim)];
}

size_t sb_call_elements(const struct sb_call *call, size_t o) {
    size_t n = 1;
    for (const char *dim = call->operation->operands[o].dims; *dim; dim++)
        n *= sb_call_size(call, *dim);
    return n;
}

enum sb_dtype sb_call_dtype(const struct sb_call *call, size_t o) {
    return call->operation->operands[o].labels ? SB_DTYPE_I32 : call->dtype;
}

double sb_call_value(const struct sb_call *call, size_t o, size_t i) {
    switch (call->dtype) {
    case SB_DTYPE_F16:
        return sb_f16_value(((const uint16_t *)call->operand[o])[i]);
    case SB_DTYPE_BF16:
        return sb_bf16_value(((const uint16_t *)call->operand[o])[i]);
    case SB_DTYPE_F32:
        return (double)((const float *)call->operand[o])[i];
    default:
        return ((const double *)call->operand[o])[i];
    }
}

void sb_call_store(const struct sb_call *call, size_t o, size_t i, double value) {
    switch (call->dtype) {
    case SB_DTYPE_F16:
        ((uint16_t *)call->operand[o])[i] = sb_f16_round(value);
        break;
    case SB_DTYPE_BF16:
        ((uint16_t *)call->operand[o])[i] = sb_bf16_round(value);
        break;
    case SB_DTYPE_F32:
        ((float *)call->operand[o])[i] = (float)value;
        break;
    default:
        ((double *)call->operand[o])[i] = value;
    }
}

void sb_call_store_norm(const struct sb_call *call, double norm) {
    double limit = call->attribute[0];
    sb_call_store(call, 1, 0, norm);
    sb_call_store(call, 2, 0, norm > limit || isnan(norm) ? limit / norm : 1);
}

const struct sb_operation *sb_operation_find(const char *name) {
    for (size_t i = 0; sb_operations[i]; i++) {
        if (strcmp(sb_operations[i]->name, name) == 0)
            return sb_operations[i];
    }
    return NULL;
}

const struct sb_backend *sb_backend_find(const char *name) {
    for (size_t i = 0; sb_backends[i]; i++) {
        if (strcmp(sb_backends[i]->name, name) == 0)
            return sb_backends[i];
    }
    return NULL;
}

static int append(char **text, const char *name) {
    char *longer = NULL;
    if (asprintf(&longer, "%s%s%s", *text ? *text : "", *text ? " " : "", name) < 0)
        return -ENOMEM;
    free(*text);
    *text = longer;
    return 0;
}

char *sb_operation_names(void) {
    char *text = NULL;
    for (size_t i = 0; sb_operations[i]; i++) {
        if (!sb_operations[i]->planned)
            append(&text, sb_operations[i]->name);
    }
    return text;
}

char *sb_backend_names(void) {
    char *text = NULL;
    for (size_t i = 0; sb_backends[i]; i++)
        append(&text, sb_backends[i]->name);
    return text;
}

const struct sb_kernel *sb_backend_kernel(const struct sb_backend *backend, const char *operation,
                                          enum sb_dtype dtype) {
    for (const struct sb_kernel *k = backend->kernels; k && k->operation; k++) {
        if (((k->dtypes | k->widened) & SB_BIT(dtype)) && strcmp(k->operation, operation) == 0)
            return k;
    }
    return NULL;
}

static bool names_it(const char *names, const char *name) {
    size_t n = strlen(name);
    for (const char *at = names; (at = strstr(at, name)); at += n) {
        if ((at == names || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    }
    return false;
}

static const char *why_missing(const struct sb_backend *backend, const char *operation) {
    for (const struct sb_missing *m = backend->missing; m && m->operations; m++) {
        if (names_it(m->operations, operation))
            return m->why;
    }
    return backend->gaps ? backend->gaps : "not written yet";
}

char *sb_backend_gap(const struct sb_backend *backend, const struct sb_operation *operation,
                     enum sb_dtype dtype) {
    char *why = NULL;
    int n = 0;
    if (backend->planned)
        n = asprintf(&why, "backend '%s': not built (%s)", backend->name, backend->planned);
    else if (operation->planned)
        n = asprintf(&why, "kernel '%s': not built (%s)", operation->name, operation->planned);
    else if (sb_backend_kernel(backend, operation->name, dtype))
        return NULL;
    else if (sb_backend_kernel(backend, operation->name, SB_DTYPE_F32) ||
             sb_backend_kernel(backend, operation->name, SB_DTYPE_F64))
        n = asprintf(&why, "backend '%s': no kernel '%s' for dtype %s%s%s%s", backend->name,
                     operation->name, sb_dtype_names[dtype], backend->dtypes_missing ? " (" : "",
                     backend->dtypes_missing ? backend->dtypes_missing : "",
                     backend->dtypes_missing ? ")" : "");
    else
        n = asprintf(&why, "backend '%s': no kernel '%s' (%s)", backend->name, operation->name,
                     why_missing(backend, operation->name));
    return n < 0 ? NULL : why;
}

int sb_engine_open(const struct sb_backend *backend, const struct sb_engine_options *options,
                   struct sb_engine **engine, struct sb_error *err) {
    if (backend->planned)
        return sb_error_set(err, -ENOTSUP, "backend '%s': not built (%s)", backend->name,
                            backend->planned);
    int rc = backend->module ? sb_module_load(backend->name, &backend, err) : 0;
    if (rc < 0)
        return sb_error_prefix(err, rc, "backend '%s'", backend->name);
    if (backend->api != SB_BACKEND_API)
        return sb_error_set(err, -ENOTSUP,
                            "backend '%s': made for version %u of the interface, not %d",
                            backend->name, backend->api, SB_BACKEND_API);
    struct sb_engine *opened = calloc(1, sizeof *opened);
    if (!opened)
        return sb_error_errno(err, -ENOMEM, "backend '%s'", backend->name);
    opened->backend = backend;
    rc = backend->load(&opened->state, err);
    if (rc < 0) {
        free(opened);
        return sb_error_prefix(err, rc, "backend '%s'", backend->name);
    }
    if (backend->set_threads)
        rc = backend->set_threads(opened->state, options->threads, err);
    if (rc == 0 && backend->set_deterministic)
        rc = backend->set_deterministic(opened->state, options->deterministic, err);
    if (rc == 0 && backend != &sb_backend_ref)
        rc = sb_backend_ref.load(&opened->plain, err);
    if (rc < 0) {
        sb_engine_close(opened);
        return sb_error_prefix(err, rc, "backend '%s'", backend->name);
    }
    *engine = opened;
    return 0;
}

void sb_engine_close(struct sb_engine *engine) {
    if (!engine)
        return;
    if (engine->plain)
        sb_backend_ref.unload(engine->plain);
    engine->backend->unload(engine->state);
    free(engine);
}

const struct sb_backend *sb_engine_backend(const struct sb_engine *engine) {
    return engine->backend;
}

void sb_engine_describe(const struct sb_engine *engine, struct sb_backend_facts *facts) {
    *facts = (struct sb_backend_facts){0};
    if (engine->backend->describe)
        engine->backend->describe(engine->state, facts);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static void copy_operand(const struct sb_call *from, const struct sb_call *to, size_t o) {
    size_t n = sb_call_elements(from, o);
    for (size_t i = 0; i < n; i++)
        sb_call_store(to, o, i, sb_call_value(from, o, i));
}

/* A call in f16 or bf16 by way of f32: widening is exact, and results are rounded once. */
static int run_widened(const struct sb_kernel *kernel, void *state, const struct sb_call *call,
                       struct sb_error *err) {
    const struct sb_operand *operand = call->operation->operands;
    struct sb_call wide = *call;
    wide.dtype = SB_DTYPE_F32;
    int rc = 0;
    for (size_t o = 0; operand[o].name; o++) {
        if (operand[o].labels)
            continue;
        wide.operand[o] = malloc(sb_call_elements(call, o) * sizeof(float));
        if (!wide.operand[o])
            rc = sb_error_errno(err, -ENOMEM, "operand '%s'", operand[o].name);
        else if (operand[o].role != SB_ROLE_OUT)
            copy_operand(call, &wide, o);
    }
    if (rc == 0)
        rc = kernel->run(state, &wide, err);
    for (size_t o = 0; operand[o].name; o++) {
        if (operand[o].labels)
            continue;
        if (rc == 0 && operand[o].role != SB_ROLE_IN)
            copy_operand(&wide, call, o);
        free(wide.operand[o]);
    }
    return rc;
}

static int check_algorithm(const struct sb_kernel *kernel, const char *algorithm,
                           struct sb_error *err) {
    char names[256] = "";
    for (const char *const *name = kernel->algorithms; name && *name; name++) {
        if (strcmp(*name, algorithm) == 0)
            return 0;
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, " %s", *name);
    }
    return sb_error_set(err, -ENOTSUP, "no algorithm '%s' (choices:%s)", algorithm,
                        *names ? names : " none");
}

/* Digest of the operands that are read (or written), as they are now. */
static void digest(const struct sb_call *call, bool written, uint8_t bytes[16]) {
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (size_t o = 0; call->operation->operands[o].name; o++) {
        if (call->operation->operands[o].role == (written ? SB_ROLE_IN : SB_ROLE_OUT))
            continue;
        XXH3_128bits_update(&state, call->operand[o],
                            sb_call_elements(call, o) * sb_dtype_size(sb_call_dtype(call, o)));
    }
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
    memcpy(bytes, canonical.digest, 16);
}

static int run_kernel(const struct sb_kernel *kernel, void *state, const struct sb_call *call,
                      struct sb_error *err) {
    int rc = call->algorithm ? check_algorithm(kernel, call->algorithm, err) : 0;
    if (rc < 0)
        return rc;
    return kernel->widened & SB_BIT(call->dtype) ? run_widened(kernel, state, call, err)
                                                 : kernel->run(state, call, err);
}

/* Copies operands that a call reads and writes to *kept, or back from there. */
static int keep_updated(const struct sb_call *call, void *kept[SB_MAX_OPERANDS], bool back) {
    for (size_t o = 0; call->operation->operands[o].name; o++) {
        size_t n = sb_call_elements(call, o) * sb_dtype_size(sb_call_dtype(call, o));
        if (call->operation->operands[o].role != SB_ROLE_INOUT)
            continue;
        if (back && kept[o])
            memcpy(call->operand[o], kept[o], n);
        else if (!back && !(kept[o] = malloc(n + 1)))
            return -ENOMEM;
        else if (!back)
            memcpy(kept[o], call->operand[o], n);
    }
    return 0;
}

static int run_and_replace(const struct sb_engine *engine, const struct sb_kernel *kernel,
                           const struct sb_call *call, struct sb_error *err) {
    const struct sb_kernel *plain =
        sb_backend_kernel(&sb_backend_ref, call->operation->name, call->dtype);
    void *kept[SB_MAX_OPERANDS] = {NULL};
    if (!plain)
        return sb_error_set(err, -ENOTSUP, "ref has no kernel for dtype %s",
                            sb_dtype_names[call->dtype]);
    int rc = keep_updated(call, kept, false);
    rc = rc < 0 ? sb_error_errno(err, rc, "a copy") : run_kernel(kernel, engine->state, call, err);
    if (rc == 0) {
        keep_updated(call, kept, true);
        rc = run_kernel(plain, engine->plain, call, err);
    }
    for (size_t o = 0; o < SB_MAX_OPERANDS; o++)
        free(kept[o]);
    return rc;
}

int sb_engine_call(struct sb_engine *engine, const struct sb_call *call, struct sb_error *err) {
    const char *name = call->operation->name;
    const struct sb_kernel *kernel = sb_backend_kernel(engine->backend, name, call->dtype);
    struct sb_traced_call traced = {.step = engine->step,
                                    .call = ++engine->calls,
                                    .backend = engine->backend->name,
                                    .made = call};
    void *state = engine->state;
    if (!kernel && engine->plain) {
        kernel = sb_backend_kernel(&sb_backend_ref, name, call->dtype);
        state = engine->plain;
        traced.backend = sb_backend_ref.name;
    }
    if (!kernel)
        return sb_error_set(err, -ENOTSUP, "backend '%s': no kernel '%s' for dtype %s",
                            engine->backend->name, name, sb_dtype_names[call->dtype]);
    bool replaced = traced.call == engine->replaced && state != engine->plain && engine->plain;
    if (replaced)
        traced.backend = sb_backend_ref.name;
    if (engine->trace || engine->watch)
        digest(call, false, traced.in);
    int rc = engine->watch ? engine->watch(engine->watch_context, &traced, err) : 0;
    if (rc == 0)
        rc = replaced ? run_and_replace(engine, kernel, call, err)
                      : run_kernel(kernel, state, call, err);
    if (rc < 0)
        return sb_error_prefix(err, rc, "backend '%s': %s", engine->backend->name, name);
    if (!engine->trace)
        return 0;
    digest(call, true, traced.out);
    return engine->trace(engine->trace_context, &traced, err);
}

uint64_t sb_engine_calls(const struct sb_engine *engine) {
    return engine->calls;
}

void sb_engine_set_calls(struct sb_engine *engine, uint64_t calls) {
    engine->calls = calls;
}

void sb_engine_set_step(struct sb_engine *engine, uint64_t step) {
    engine->step = step;
}

void sb_engine_trace(struct sb_engine *engine, sb_trace_function *function, void *context) {
    engine->trace = function;
    engine->trace_context = context;
}

void sb_engine_watch(struct sb_engine *engine, sb_trace_function *function, void *context) {
    engine->watch = function;
    engine->watch_context = context;
}

void sb_engine_replace(struct sb_engine *engine, uint64_t call) {
    engine->replaced = call;
}
