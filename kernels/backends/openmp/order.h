/* kernels, openmp: the order in which parts of a sum are combined, and the kernels by type. */
#ifndef SB_KERNELS_OPENMP_ORDER_H
#define SB_KERNELS_OPENMP_ORDER_H

#include "kernels/dispatch.h"

struct openmp {
    bool deterministic;
};

enum order { ARRIVAL, TREE, RING };

/* What the call asks for, or the switch; says so in the call's report. */
enum order order_of(const struct openmp *openmp, const struct sb_call *call);

/* Says in the call's report that no two threads add to one number: the bits are the same at every
 * number of them. */
void say_rows(const struct sb_call *call);
/* The same, where nothing is added up. */
void say_elements(const struct sb_call *call);

/* Parts of a fixed size, whatever the threads: elements of a vector, rows of a matrix. */
enum { PART = 1024, PART_ROWS = 64 };

#define KERNEL(operation, algorithms)                                                              \
    int operation##_f32(const struct openmp *openmp, const struct sb_call *call,                   \
                        struct sb_error *err);                                                     \
    int operation##_f64(const struct openmp *openmp, const struct sb_call *call,                   \
                        struct sb_error *err);
#include "kernels/backends/openmp_kernels.h"

#endif
