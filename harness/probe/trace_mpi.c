/* The trace: reductions of MPI. A program that was built for one MPI calls that one: what differs
 * between them is only passed on. Handles are pointers in Open MPI and ints in MPICH, which a
 * register holds alike; datatypes and ranks are asked of the library itself. */
#include "probe/trace.h"

#include <samebits/weights.h>

#include <string.h>

typedef void *handle; /* of a datatype, an operation, a communicator */

/* Both libraries' MPI_IN_PLACE. */
static bool in_place(const void *buffer) {
    return buffer == (const void *)1 || buffer == (const void *)-1; // NOLINT
}

/* ---- What the library says --------------------------------------------------------------------
 */

/* Bytes of an element; 0: not known, or an element has holes. */
static unsigned element_of(handle datatype, const void *caller) {
    int size = 0;
    intptr_t low = 0, extent = 0;
    if (SB_ASK("PMPI_Type_size", (handle, int *), datatype, &size) != 0 || size <= 0 ||
        SB_ASK("PMPI_Type_get_extent", (handle, intptr_t *, intptr_t *), datatype, &low, &extent) !=
            0)
        return 0;
    return low == 0 && extent == size ? (unsigned)size : 0;
}

static int rank_in(handle communicator, const void *caller) {
    int rank = -1;
    return SB_ASK("PMPI_Comm_rank", (handle, int *), communicator, &rank) == 0 ? rank : -1;
}

static int size_of(handle communicator, const void *caller) {
    int size = 0;
    return SB_ASK("PMPI_Comm_size", (handle, int *), communicator, &size) == 0 ? size : 0;
}

/* ---- Calls ------------------------------------------------------------------------------------
 */

struct reduction {
    const void *send;
    void *receive;
    int64_t n_send, n_receive; /* elements; n_receive 0: nothing comes here */
    handle datatype, communicator;
};

/* The operation and the communicator do not go in: their handles are another in every process. */
static void describe(struct sb_traced *call, const struct reduction *made, const void *caller) {
    const void *from = in_place(made->send) ? made->receive : made->send;
    call->element = element_of(made->datatype, caller);
    call->valid = call->element && made->n_send >= 0 && made->n_receive >= 0;
    call->dtype = SB_DTYPE_U8;
    call->sizes[0] = (uint64_t)made->n_send;
    call->sizes[1] = call->element;
    call->sizes[2] = (uint64_t)size_of(made->communicator, caller);
    call->n_sizes = 3;
    call->operands[0] = (struct sb_operand){
        .at = from, .rows = (uint64_t)made->n_send, .columns = made->n_send > 0, .read = true};
    call->operands[1] = (struct sb_operand){.at = made->receive,
                                            .rows = (uint64_t)made->n_receive,
                                            .columns = made->n_receive > 0,
                                            .written = true};
    call->n_operands = 2;
}

#define INTERPOSE(symbol, parameters, made, arguments)                                             \
    SB_TRACED_CALL(int, symbol, #symbol, parameters, arguments, SB_TRACED_AFTER,                   \
                   const struct reduction reduction = made;                                        \
                   describe(&call, &reduction, caller))
#define MADE(...) ((struct reduction){__VA_ARGS__})

INTERPOSE(MPI_Allreduce,
          (const void *send, void *receive, int n, handle datatype, handle operation,
           handle communicator),
          MADE(send, receive, n, n, datatype, communicator),
          (send, receive, n, datatype, operation, communicator))
INTERPOSE(MPI_Reduce,
          (const void *send, void *receive, int n, handle datatype, handle operation, int root,
           handle communicator),
          MADE(send, receive, n, rank_in(communicator, caller) == root ? n : 0, datatype,
               communicator),
          (send, receive, n, datatype, operation, root, communicator))
INTERPOSE(MPI_Reduce_scatter_block,
          (const void *send, void *receive, int n, handle datatype, handle operation,
           handle communicator),
          MADE(send, receive, (int64_t)n *size_of(communicator, caller), n, datatype, communicator),
          (send, receive, n, datatype, operation, communicator))
INTERPOSE(MPI_Scan,
          (const void *send, void *receive, int n, handle datatype, handle operation,
           handle communicator),
          MADE(send, receive, n, n, datatype, communicator),
          (send, receive, n, datatype, operation, communicator))
