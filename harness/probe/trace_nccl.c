/* The trace: reductions of NCCL. What they give is there when their stream has come to them, and in
 * a group not before its end: till then they wait here. The operation goes in; one that a program
 * made is another handle in every process, and goes in as one of its own. */
#include "probe/trace_cuda.h"

#include <samebits/weights.h>

#include <stdlib.h>
#include <string.h>

/* ---- Groups, which are a thread's own ---------------------------------------------------------
 */

/* A call that waits for its group's end. */
struct pending {
    struct sb_traced call;
    const void *communicator;
    unsigned turn; /* of the communicator, in the group */
};

static _Thread_local struct {
    unsigned depth, n;
    struct pending *calls;
} group __attribute__((tls_model("initial-exec")));

static bool put_off(const struct sb_traced *call, const void *communicator) {
    struct pending *calls = reallocarray(group.calls, group.n + 1, sizeof *calls);
    if (!calls)
        return false;
    group.calls = calls;
    calls[group.n] = (struct pending){*call, communicator, 0};
    for (unsigned i = 0; i < group.n; i++)
        calls[group.n].turn += calls[i].communicator == communicator;
    group.n++;
    return true;
}

static void conclude(struct sb_traced *call, const void *communicator) {
    sb_trace_leave(call);
    if (group.depth && call->valid && put_off(call, communicator))
        return;
    call->valid = call->valid && !group.depth;
    sb_trace_conclude(call, NULL, 0);
}

/* A result is a function of what all ranks put in: those of this process are known. */
static void add_inputs(struct pending *pending, uint8_t in[16]) {
    uint64_t sum[2], one[2];
    memcpy(sum, pending->call.in, sizeof sum);
    for (unsigned i = 0; i < group.n; i++) {
        const struct pending *other = &group.calls[i];
        if (other == pending || other->turn != pending->turn ||
            strcmp(other->call.kernel, pending->call.kernel) != 0 ||
            other->call.sizes[0] != pending->call.sizes[0])
            continue;
        memcpy(one, other->call.in, sizeof one);
        sum[0] = 3 * sum[0] + one[0]; /* of digests any mixture is one */
        sum[1] = 3 * sum[1] + one[1];
    }
    memcpy(in, sum, sizeof sum);
}

static void end_group(bool good) {
    for (unsigned i = 0; i < group.n; i++) {
        struct sb_traced call = group.calls[i].call;
        add_inputs(&group.calls[i], call.in);
        call.valid = good;
        sb_trace_conclude(&call, NULL, 0);
    }
    free(group.calls);
    group.calls = NULL;
    group.n = 0;
}

/* ---- Calls ------------------------------------------------------------------------------------
 */

struct reduction {
    const void *send;
    void *receive;
    size_t n_send, n_receive; /* n_receive 0: nothing comes here */
    ncclDataType_t type;
    ncclRedOp_t operation;
    ncclComm_t communicator;
    void *stream;
};

static const uint8_t dtypes[][2] = {[SB_ncclInt8] = {SB_DTYPE_I8, 1},
                                    [SB_ncclUint8] = {SB_DTYPE_U8, 1},
                                    [SB_ncclInt32] = {SB_DTYPE_I32, 4},
                                    [SB_ncclUint32] = {SB_DTYPE_U32, 4},
                                    [SB_ncclInt64] = {SB_DTYPE_I64, 8},
                                    [SB_ncclUint64] = {SB_DTYPE_U64, 8},
                                    [SB_ncclFloat16] = {SB_DTYPE_F16, 2},
                                    [SB_ncclFloat32] = {SB_DTYPE_F32, 4},
                                    [SB_ncclFloat64] = {SB_DTYPE_F64, 8},
                                    [SB_ncclBfloat16] = {SB_DTYPE_BF16, 2},
                                    [SB_ncclFloat8e4m3] = {SB_DTYPE_F8_E4M3, 1},
                                    [SB_ncclFloat8e5m2] = {SB_DTYPE_F8_E5M2, 1}};

static int asked(ncclComm_t communicator, const void *caller, bool size) {
    int answer = -1, rc = size ? SB_ASK("ncclCommCount", (void *, int *), communicator, &answer)
                               : SB_ASK("ncclCommUserRank", (void *, int *), communicator, &answer);
    return rc == 0 ? answer : -1;
}

static struct sb_operand vector(const void *at, size_t n) {
    return (struct sb_operand){.at = at, .rows = n, .columns = n > 0, .stride = n};
}

static void describe(struct sb_traced *call, const struct reduction *made, const void *caller) {
    int ranks = asked(made->communicator, caller, true);
    unsigned operation = (unsigned)made->operation;
    bool known = (unsigned)made->type < sizeof dtypes / sizeof *dtypes && ranks > 0;
    call->valid = known && sb_cuda_memory(&call->memory, made->stream);
    call->dtype = known ? dtypes[made->type][0] : SB_DTYPE_U8;
    call->element = known ? dtypes[made->type][1] : 1;
    call->sizes[0] = made->n_send;
    call->sizes[1] = (uint64_t)ranks;
    call->n_sizes = 2;
    call->options[0] = (uint8_t)(operation < SB_ncclNumOps ? operation : SB_ncclNumOps);
    call->n_options = 1;
    call->operands[0] = vector(made->send, made->n_send);
    call->operands[0].read = true;
    call->operands[1] = vector(made->receive, made->n_receive);
    call->operands[1].written = true;
    call->n_operands = 2;
}

#define REDUCTION(symbol, parameters, arguments, ...)                                              \
    SB_NCCL_CALL(symbol, parameters, arguments, const struct reduction reduction = {__VA_ARGS__};  \
                 describe(&call, &reduction, caller))

#ifdef SB_CUDA_HEADERS
#define SB_NCCL_CALL(symbol, parameters, arguments, ...)                                           \
    extern __typeof__(symbol) symbol;                                                              \
    extern ncclResult_t symbol parameters;
#else
#define SB_NCCL_CALL(symbol, parameters, arguments, ...)                                           \
    SB_TRACED_CALL(ncclResult_t, symbol, #symbol, parameters, arguments,                           \
                   conclude(&call, communicator), __VA_ARGS__)
#endif

REDUCTION(ncclAllReduce,
          (const void *send, void *receive, size_t n, ncclDataType_t type, ncclRedOp_t operation,
           ncclComm_t communicator, cudaStream_t stream),
          (send, receive, n, type, operation, communicator, stream), send, receive, n, n, type,
          operation, communicator, stream)
REDUCTION(ncclReduce,
          (const void *send, void *receive, size_t n, ncclDataType_t type, ncclRedOp_t operation,
           int root, ncclComm_t communicator, cudaStream_t stream),
          (send, receive, n, type, operation, root, communicator, stream), send, receive, n,
          asked(communicator, caller, false) == root ? n : 0, type, operation, communicator, stream)
REDUCTION(ncclReduceScatter,
          (const void *send, void *receive, size_t n, ncclDataType_t type, ncclRedOp_t operation,
           ncclComm_t communicator, cudaStream_t stream),
          (send, receive, n, type, operation, communicator, stream), send, receive,
          n *(size_t)asked(communicator, caller, true), n, type, operation, communicator, stream)

#ifndef SB_CUDA_HEADERS

SB_INTERPOSED ncclResult_t ncclGroupStart(void);
SB_INTERPOSED ncclResult_t ncclGroupStart(void) {
    static struct sb_real real = {.name = "ncclGroupStart"};
    const struct sb_found *found = sb_trace_real(&real, (const void *)ncclGroupStart, SB_CALLER);
    ncclResult_t status = ((ncclResult_t(*)(void))found->function)();
    group.depth += status == 0;
    return status;
}

SB_INTERPOSED ncclResult_t ncclGroupEnd(void);
SB_INTERPOSED ncclResult_t ncclGroupEnd(void) {
    static struct sb_real real = {.name = "ncclGroupEnd"};
    const struct sb_found *found = sb_trace_real(&real, (const void *)ncclGroupEnd, SB_CALLER);
    ncclResult_t status = ((ncclResult_t(*)(void))found->function)();
    group.depth -= group.depth > 0;
    if (!group.depth)
        end_group(status == 0);
    return status;
}

#endif
