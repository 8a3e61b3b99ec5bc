/* Stage 6: where two runs' traces (base/trace.h) part: the first call whose inputs are equal in
 * both and whose outputs are not. docs/traces.md tells how calls find each other. */
#ifndef SB_ATTRIBUTE_DIVERGENCE_H
#define SB_ATTRIBUTE_DIVERGENCE_H

#include <samebits/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SB_DIVERGENT_SIZES = 16 };

/* One call of the first trace. Owns its texts. */
struct sb_divergent_call {
    uint64_t seq; /* its place in the trace, from 1; 0: there is no such call */
    char *kernel, *backend;
    char *program; /* NULL: not known */
    uint8_t dtype; /* enum sb_dtype */
    uint8_t n_sizes;
    uint64_t sizes[SB_DIVERGENT_SIZES];
    uint32_t process, thread, step;
    uint64_t call;  /* its number within its process */
    uint8_t in[16]; /* digest of what went in */
};

struct sb_divergence {
    uint64_t calls[2];                /* in each trace */
    uint64_t same;                    /* calls of the first that the second has, outputs too */
    struct sb_divergent_call culprit; /* equal inputs, other outputs */
    uint64_t culprit_seq_b;           /* the same call's place in the second trace */
    /* The first call that the second trace has not with these inputs. Before the culprit: what was
     * not traced had made a difference by then. */
    struct sb_divergent_call other;
};

/* Takes 24 bytes of memory for each call of the second trace. -EBADMSG: damaged. */
int sb_divergence_find(const char *path_a, const char *path_b, struct sb_divergence *divergence,
                       struct sb_error *err);
void sb_divergence_clear(struct sb_divergence *divergence);

#endif
