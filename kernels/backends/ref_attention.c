/* kernels, ref: attention, forward and backward. Heads are independent. Queries are taken so many
 * at a time, which decides no bits forward; backward, what they say of keys and values is summed
 * within each group, then group by group. */
#include "kernels/backends/ref_kernels.h"
#include "kernels/numeric.h"
#include "kernels/parallel.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { QUERIES = 64 };

/* One call, shared out by heads. */
struct attention {
    const struct sb_ref *ref;
    const struct sb_call *call;
    size_t heads, s, d;
    double root; /* √d */
    bool causal;
    void (*head)(struct attention *attention, size_t head, void *room);
    size_t room; /* elements that a head needs */
    atomic_bool failed;
};

/* Queries [first, first + n) of a head, and how many keys they see at most. */
struct group {
    size_t first, n, keys;
};

static struct group group_from(const struct attention *attention, size_t first) {
    struct group group = {.first = first, .n = attention->s - first, .keys = attention->s};
    if (group.n > QUERIES)
        group.n = QUERIES;
    if (attention->causal)
        group.keys = first + group.n;
    return group;
}

/* Keys that query i of a group sees. */
static size_t keys_of(const struct attention *attention, const struct group *group, size_t i) {
    return attention->causal ? group->first + i + 1 : attention->s;
}

/* A product within a head: others run beside it. */
static void product(struct attention *attention, bool transpose_a, bool transpose_b, size_t m,
                    size_t n, size_t k, const void *a, const void *b, void *c) {
    int rc = sb_ref_gemm(attention->ref->path, 1, attention->call->dtype, transpose_a, transpose_b,
                         m, n, k, a, b, c, NULL);
    if (rc < 0)
        atomic_store(&attention->failed, true);
}

#define REAL float
#define N(name) name##_f32
#include "kernels/backends/ref_attention_plain.h"

#define REAL double
#define N(name) name##_f64
#include "kernels/backends/ref_attention_plain.h"

static void piece(void *context, unsigned i, unsigned n) {
    struct attention *attention = context;
    void *room = calloc(attention->room, sb_dtype_size(attention->call->dtype));
    if (!room)
        atomic_store(&attention->failed, true);
    size_t end = attention->heads * (i + 1) / n;
    for (size_t head = attention->heads * i / n; room && head < end; head++)
        attention->head(attention, head, room);
    free(room);
}

static int run(struct attention *attention, struct sb_error *err) {
    /* As for the product itself, a thread costs about as much as 64³ multiplications. */
    double work = (double)attention->heads * (double)attention->s * (double)attention->s *
                  (double)attention->d;
    double worth = work / (64.0 * 64 * 64) + 1;
    double threads = attention->ref->threads < worth ? attention->ref->threads : worth;
    if (threads > (double)attention->heads)
        threads = (double)attention->heads;
    sb_parallel((unsigned)threads, piece, attention);
    return atomic_load(&attention->failed) ? sb_error_errno(err, -ENOMEM, "attention") : 0;
}

static struct attention begin(void *state, const struct sb_call *call) {
    return (struct attention){.ref = state,
                              .call = call,
                              .heads = call->size[0] * call->size[1],
                              .s = call->size[2],
                              .d = call->size[3],
                              .root = sb_sqrt((double)call->size[3]),
                              .causal = call->attribute[0] != 0};
}

SB_REF_DECLARE(attention) {
    struct attention attention = begin(state, call);
    attention.head = call->dtype == SB_DTYPE_F32 ? forward_f32 : forward_f64;
    attention.room = QUERIES * attention.s;
    return run(&attention, err);
}

SB_REF_DECLARE(attention_gradient) {
    struct attention attention = begin(state, call);
    attention.head = call->dtype == SB_DTYPE_F32 ? backward_f32 : backward_f64;
    attention.room = 2 * QUERIES * attention.s + attention.s * attention.d;
    return run(&attention, err);
}
