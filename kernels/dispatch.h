/* kernels: the one dispatch layer through which jobs compute. Operations are described by data
 * (names, sizes, operands), a backend is a table of functions for some of them, and an engine is a
 * loaded backend. */
#ifndef SB_KERNELS_DISPATCH_H
#define SB_KERNELS_DISPATCH_H

#include <samebits/error.h>
#include <samebits/weights.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Operations ------------------------------------------------------------------------------ */

enum { SB_MAX_SIZES = 12, SB_MAX_OPERANDS = 12, SB_MAX_ATTRIBUTES = 8 };

enum sb_role { SB_ROLE_IN, SB_ROLE_OUT, SB_ROLE_INOUT };

/* What a test or a kernel job puts into an operand. Wide values (signs and exponents vary) let the
 * order of a sum show; integers and powers of two would hide it. */
enum sb_fill {
    SB_FILL_WIDE,     /* ± 2^[-8, 8) */
    SB_FILL_NORMAL,   /* standard normal */
    SB_FILL_POSITIVE, /* [0, 1) */
    SB_FILL_LABELS,   /* integers from 0 up to the size named by `below` */
    SB_FILL_NOTHING,  /* outputs */
};

struct sb_operand {
    const char *name; /* NULL ends the list */
    enum sb_role role;
    const char *dims; /* letters of sizes, also derived ones, outermost first; "": one element */
    enum sb_fill fill;
    char below;  /* SB_FILL_LABELS: the letter of the size */
    bool labels; /* elements are i32 whatever the call's dtype */
    /* 1 + the place of an attribute that, when not 0, means that the two dims are stored the other
     * way round; 0: none. */
    unsigned transposed_by;
};

struct sb_attribute {
    const char *name; /* NULL ends the list */
    double value;     /* unless given */
    double min, max;
    const char *summary;
};

struct sb_call;

/* One operation. A new one is a file ops/<name>.c that defines `const struct sb_operation
 * sb_operation_<name>`, and a name in kernels/meson.build. */
struct sb_operation {
    const char *name, *summary;
    const char *planned;        /* why it is known but not in this build; NULL: it is */
    const char *sizes;          /* one letter a number of the shape: "mnk" */
    const char *derived;        /* letters of sizes that follow from those; NULL: none */
    size_t shape[SB_MAX_SIZES]; /* unless given */
    size_t odd[SB_MAX_SIZES];   /* a small one that is no multiple of anything, for tests */
    /* Letters over which elements of the result are summed; where outputs differ in that, groups
     * joined by a space, of which the longest counts. */
    const char *reduced;
    /* The letter along which rows are computed independently: a row's outputs (those that have the
     * letter among their dims) must not depend on which other rows are there. 0: there is none. */
    char row;
    const char *matters; /* axes that can change the bits, joined by a space: "threads isa batch" */
    struct sb_operand operands[SB_MAX_OPERANDS + 1];
    struct sb_attribute attributes[SB_MAX_ATTRIBUTES + 1];
    /* Writes size[] of the derived letters, which stand after the given ones; -EINVAL: a shape and
     * attributes that do not go together. NULL where nothing is derived. */
    int (*derive)(size_t *size, const double *attribute, struct sb_error *err);
    /* Makes filled inputs fit one another, e.g. the output that a gradient takes as an input, out
     * of that input. NULL: they do. */
    void (*prepare)(struct sb_call *call);
    /* The result in at least float64, for every output operand o: expected[o][i], and scale[o][i],
     * the sum of the magnitudes that were added up to it (at least |expected|). An error is said
     * relative to that: relative to the result itself it has no bound where terms cancel.
     * `call` holds the inputs; of INOUT operands the values before the call. */
    void (*oracle)(const struct sb_call *call, double *const *expected, double *const *scale);
};

/* What a library says of the algorithm that it used: do its results repeat? */
enum sb_claim { SB_CLAIM_NONE, SB_CLAIM_DETERMINISTIC, SB_CLAIM_NONDETERMINISTIC };
extern const char *const sb_claim_names[]; /* "none", "deterministic", "nondeterministic" */

/* A backend's word on one call. Zero: it says nothing. */
struct sb_call_report {
    char algorithm[96]; /* what was used, in the library's own name */
    enum sb_claim claim;
    char note[256]; /* where the claim stands, and what else it says (numerical notes) */
    double unit; /* unit roundoff of the arithmetic, where it is coarser than the dtype's (TF32) */
    uint64_t workspace; /* bytes */
};

/* One call. Sizes, operands and attributes stand in the order of the operation's description.
 * Operands are row-major (C order) without gaps and do not overlap; inputs are not written. */
struct sb_call {
    const struct sb_operation *operation;
    enum sb_dtype dtype;
    size_t size[SB_MAX_SIZES]; /* given ones, then derived ones */
    void *operand[SB_MAX_OPERANDS];
    double attribute[SB_MAX_ATTRIBUTES];
    const char *algorithm;         /* one that the kernel names; NULL: the backend's own choice */
    struct sb_call_report *report; /* NULL: nobody asks */
};

/* The size that a letter names, also a derived one. */
size_t sb_call_size(const struct sb_call *call, char letter);
/* Number of elements of operand o, and their type. */
size_t sb_call_elements(const struct sb_call *call, size_t o);
enum sb_dtype sb_call_dtype(const struct sb_call *call, size_t o);
/* Element i of operand o, which has the call's dtype (f16, bf16, f32 or f64). */
double sb_call_value(const struct sb_call *call, size_t o, size_t i);
/* Stores one, rounded to nearest, ties to even. */
void sb_call_store(const struct sb_call *call, size_t o, size_t i, double value);
/* The results of gradient_norm: the norm, and by what gradients are scaled so that it is at most
 * the limit (attribute 0); a norm that is no number leaves none in the scale either. */
void sb_call_store_norm(const struct sb_call *call, double norm);

/* ---- Backends -------------------------------------------------------------------------------- */

enum { SB_BACKEND_API = 3 };

/* One kernel of a backend. `run` returns -ENOTSUP where it cannot do a shape, an attribute or the
 * algorithm asked for: the job is then skipped with that reason. */
struct sb_kernel {
    const char *operation; /* NULL ends the table */
    unsigned dtypes;       /* SB_BIT(SB_DTYPE_F32) | … */
    int (*run)(void *state, const struct sb_call *call, struct sb_error *err);
    unsigned widened; /* dtypes (f16, bf16) that are widened to f32, run so and rounded once */
    const char *const *algorithms; /* names to choose from, ends with NULL; NULL: one way only */
};
#define SB_BIT(dtype) (1u << (dtype))

/* A backend's own word on what it uses. Empty and 0: unknown. */
struct sb_backend_facts {
    char library[1024]; /* path; empty for code of our own */
    char version[64];
    char core[64];    /* the code path: "SkylakeX", "avx512" */
    char config[256]; /* how it was built, in its own words */
    unsigned threads; /* read back, not as asked */
};

/* Why a backend has no kernel for some operations. */
struct sb_missing {
    const char *operations; /* names, joined by a space; NULL ends the list */
    const char *why;
};

/* One backend. A new one is a file backends/<name>.c that defines `const struct sb_backend
 * sb_backend_<name>`, and a name in kernels/meson.build. Optional slots are NULL. */
struct sb_backend {
    unsigned api; /* SB_BACKEND_API */
    const char *name, *summary;
    const char *planned; /* why it is known but not in this build; NULL: it is */
    const struct sb_kernel *kernels;
    const char *gaps;                 /* why operations are missing from the table */
    const struct sb_missing *missing; /* of some of them, where that is another reason */
    const char *dtypes_missing;       /* why dtypes are, of operations that are there */
    /* Loads what it needs, in the process that computes only. -ENOENT: a library is not there. */
    int (*load)(void **state, struct sb_error *err);
    void (*unload)(void *state);
    int (*set_threads)(void *state, unsigned threads, struct sb_error *err);
    int (*set_deterministic)(void *state, bool on, struct sb_error *err); /* NULL: no such switch */
    void (*describe)(void *state, struct sb_backend_facts *facts);
    /* The code is a shared object, loaded with an engine (module.h); here the table only says what
     * there is, without functions. */
    bool module;
};

/* Generated registries, each ending with NULL; what is planned is in them too. */
extern const struct sb_operation *const sb_operations[];
extern const struct sb_backend *const sb_backends[];

const struct sb_operation *sb_operation_find(const char *name);
const struct sb_backend *sb_backend_find(const char *name);

/* Names out of a registry joined by a space, for messages; malloc'd or NULL. */
char *sb_operation_names(void);
char *sb_backend_names(void);

/* The kernel of a backend, or NULL. */
const struct sb_kernel *sb_backend_kernel(const struct sb_backend *backend, const char *operation,
                                          enum sb_dtype dtype);

/* Why a backend has no kernel for this ("backend 'cudnn': not built (…)"), malloc'd; NULL: it has
 * one (or there is no memory). Loads nothing. */
char *sb_backend_gap(const struct sb_backend *backend, const struct sb_operation *operation,
                     enum sb_dtype dtype);

/* ---- Engines --------------------------------------------------------------------------------- */

/* A loaded backend. What it has no kernel for is computed by the plain code of `ref`. */
struct sb_engine;

struct sb_engine_options {
    unsigned threads;   /* from 1 */
    bool deterministic; /* asks the backend for it, where it has a switch */
};

/* -ENOENT: the library is not there; -ENOTSUP: not built. */
int sb_engine_open(const struct sb_backend *backend, const struct sb_engine_options *options,
                   struct sb_engine **engine, struct sb_error *err);
void sb_engine_close(struct sb_engine *engine);
const struct sb_backend *sb_engine_backend(const struct sb_engine *engine);
void sb_engine_describe(const struct sb_engine *engine, struct sb_backend_facts *facts);
int sb_engine_call(struct sb_engine *engine, const struct sb_call *call, struct sb_error *err);

/* Calls made so far; a training that another process goes on with counts on. */
uint64_t sb_engine_calls(const struct sb_engine *engine);
void sb_engine_set_calls(struct sb_engine *engine, uint64_t calls);
/* The training step that further calls belong to, from 1. */
void sb_engine_set_step(struct sb_engine *engine, uint64_t step);

/* Called after every call with digests (XXH3-128, canonical) of what went in and came out: of the
 * bytes of all inputs, and of all outputs, one operand after the other. `backend` is the one whose
 * kernel ran. */
struct sb_traced_call {
    uint64_t step, call; /* from 1 */
    const char *backend;
    const struct sb_call *made;
    uint8_t in[16], out[16];
};
typedef int sb_trace_function(void *context, const struct sb_traced_call *call,
                              struct sb_error *err);
void sb_engine_trace(struct sb_engine *engine, sb_trace_function *function, void *context);
/* Called before every call; what comes out is not known yet. */
void sb_engine_watch(struct sb_engine *engine, sb_trace_function *function, void *context);

/* What the call of this number gives is computed anew by `ref`, after the backend has computed it;
 * nothing else that the backend does becomes another. 0: none. */
void sb_engine_replace(struct sb_engine *engine, uint64_t call);

#endif
