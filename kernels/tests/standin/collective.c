/* Tests, stand-in for libnccl: an allreduce over the stand-in's devices, in the order of a ring or
 * a tree. It knows what a single thread must observe, which else would wait for ever. */
#include "kernels/tests/standin/product.h"
#include "kernels/tests/standin/standin.h"

#include <nccl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RANKS = 128 };

/* The communicators that ncclCommInitAll makes together. */
struct clique {
    int ranks, alive;
    bool tree;
    struct ncclComm *members[MOST_RANKS];
};

/* One rank's part in a collective. */
struct part {
    const void *from;
    void *to;
    size_t count;
    cudaDataType type;
    cudaStream_t stream;
};

struct ncclComm {
    struct clique *clique;
    int rank, device;
    bool asked; /* in the group that is open */
    struct part part;
};

static const char kind[] = "NCCL communicator";
static int depth;
static struct clique *grouped; /* whose collective the open group holds */

ncclResult_t ncclGetVersion(int *version) {
    *version = NCCL_VERSION_CODE;
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result) {
    return result == ncclInvalidArgument ? "invalid argument"
           : result == ncclInvalidUsage  ? "invalid usage"
                                         : "an error of the stand-in";
}

/* SAMEBITS_STANDIN_LIES: one rank receives other bits. */
static bool lies(void) {
    return getenv("SAMEBITS_STANDIN_LIES");
}

/* ---- Communicators --------------------------------------------------------------------------- */

ncclResult_t ncclCommInitAll(ncclComm_t *made, int n, const int *devices) {
    int count;
    const char *algorithm = getenv("NCCL_ALGO");
    bool tree = algorithm && strcmp(algorithm, "Tree") == 0;
    cudaGetDeviceCount(&count);
    if (n < 1 || n > count || n > MOST_RANKS) {
        sb_standin_refuse("ncclCommInitAll: %d ranks on %d devices", n, count);
        return ncclInvalidArgument;
    }
    if (algorithm && !tree && strcmp(algorithm, "Ring") != 0)
        return ncclInvalidUsage; /* as on a machine that has no NVLink switch */
    struct clique *clique = calloc(1, sizeof *clique);
    if (!clique)
        abort();
    clique->ranks = clique->alive = n;
    clique->tree = tree;
    for (int r = 0; r < n; r++) {
        made[r] = clique->members[r] = sb_standin_make(kind, sizeof *made[r]);
        made[r]->clique = clique;
        made[r]->rank = r;
        made[r]->device = devices ? devices[r] : r;
    }
    return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t gone) {
    if (!sb_standin_is("ncclCommDestroy", kind, gone))
        return ncclInvalidArgument;
    struct clique *clique = gone->clique;
    clique->members[gone->rank] = NULL;
    if (--clique->alive == 0)
        free(clique);
    sb_standin_free("ncclCommDestroy", kind, gone);
    return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t *later) {
    *later = ncclSuccess;
    return sb_standin_is("ncclCommGetAsyncError", kind, communicator) ? ncclSuccess
                                                                      : ncclInvalidArgument;
}

ncclResult_t ncclCommCount(const ncclComm_t communicator, int *count) {
    if (!sb_standin_is("ncclCommCount", kind, communicator))
        return ncclInvalidArgument;
    *count = communicator->clique->ranks;
    return ncclSuccess;
}

ncclResult_t ncclCommUserRank(const ncclComm_t communicator, int *rank) {
    if (!sb_standin_is("ncclCommUserRank", kind, communicator))
        return ncclInvalidArgument;
    *rank = communicator->rank;
    return ncclSuccess;
}

/* ---- Work: done by whichever rank's stream comes first, for all of them -----------------------
 */

struct collective {
    int ranks, waiting;
    bool tree, done;
    struct part parts[MOST_RANKS];
};

/* In the type, as NCCL adds. */
static double add(cudaDataType type, double a, double b) {
    double sum = 0;
    sb_standin_store(type, &sum, 0, type == CUDA_R_32F ? (float)a + (float)b : a + b);
    return sb_standin_value(type, &sum, 0);
}

/* Of ranks first … first + n - 1. */
static double by_tree(const struct collective *collective, int first, int n, size_t i) {
    const struct part *part = &collective->parts[first];
    return n == 1 ? sb_standin_value(part->type, part->from, i)
                  : add(part->type, by_tree(collective, first, n / 2, i),
                        by_tree(collective, first + n / 2, n - n / 2, i));
}

/* Each chunk starts at another rank. */
static double by_ring(const struct collective *collective, size_t i) {
    const struct part *parts = collective->parts;
    int n = collective->ranks, start = (int)(i * (size_t)n / parts[0].count);
    double sum = sb_standin_value(parts[start].type, parts[start].from, i);
    for (int step = 1; step < n; step++) {
        const struct part *part = &parts[(start + step) % n];
        sum = add(part->type, sum, sb_standin_value(part->type, part->from, i));
    }
    return sum;
}

static void reduce(void *arg) {
    struct collective *collective = *(struct collective **)arg;
    for (size_t i = 0; i < collective->parts[0].count && !collective->done; i++) {
        double sum = collective->tree ? by_tree(collective, 0, collective->ranks, i)
                                      : by_ring(collective, i);
        for (int r = 0; r < collective->ranks; r++) {
            const struct part *part = &collective->parts[r];
            sb_standin_store(part->type, part->to, i, r > 0 && lies() ? 2 * sum : sum);
        }
    }
    collective->done = true;
    if (--collective->waiting == 0)
        free(collective);
}

/* Every rank's stream waits for what the others had to do before. */
static ncclResult_t launch(struct clique *clique) {
    struct collective *collective = calloc(1, sizeof *collective);
    if (!collective)
        abort();
    *collective = (struct collective){clique->ranks, clique->ranks, clique->tree, false, {{0}}};
    for (int r = 0; r < clique->ranks; r++)
        collective->parts[r] = clique->members[r]->part;
    cudaEvent_t ready[MOST_RANKS];
    for (int r = 0; r < clique->ranks; r++) {
        cudaEventCreateWithFlags(&ready[r], cudaEventDisableTiming);
        cudaEventRecord(ready[r], collective->parts[r].stream);
    }
    for (int r = 0; r < clique->ranks; r++) {
        for (int other = 0; other < clique->ranks; other++)
            cudaStreamWaitEvent(collective->parts[r].stream, ready[other], 0);
        sb_standin_enqueue("ncclAllReduce", collective->parts[r].stream, reduce, &collective,
                           sizeof collective);
        sb_standin_fault("ncclAllReduce", collective->parts[r].stream, collective->parts[r].type,
                         collective->parts[r].to);
    }
    for (int r = 0; r < clique->ranks; r++)
        cudaEventDestroy(ready[r]);
    return ncclSuccess;
}

/* ---- Groups ---------------------------------------------------------------------------------- */

static bool is_complete(const struct clique *clique) {
    const struct ncclComm *first = clique->members[0];
    for (int r = 0; r < clique->ranks; r++) {
        const struct ncclComm *member = clique->members[r];
        if (!member || !member->asked) {
            sb_standin_refuse(
                "ncclAllReduce: rank %d of %d is not in the group: the others would "
                "wait for it",
                r, clique->ranks);
            return false;
        }
        if (member->part.count != first->part.count || member->part.type != first->part.type) {
            sb_standin_refuse("ncclAllReduce: rank %d has another count or type than rank 0", r);
            return false;
        }
    }
    return true;
}

static ncclResult_t finish(struct clique *clique) {
    bool good = is_complete(clique);
    for (int r = 0; r < clique->ranks; r++) {
        if (clique->members[r])
            clique->members[r]->asked = false;
    }
    return good ? launch(clique) : ncclInvalidUsage;
}

ncclResult_t ncclGroupStart(void) {
    depth++;
    return ncclSuccess;
}

ncclResult_t ncclGroupEnd(void) {
    if (depth == 0) {
        sb_standin_refuse("ncclGroupEnd: no group is open");
        return ncclInvalidUsage;
    }
    struct clique *clique = grouped;
    if (--depth > 0 || !clique)
        return ncclSuccess;
    grouped = NULL;
    return finish(clique);
}

static cudaDataType type_of(ncclDataType_t type) {
    return type == ncclFloat32    ? CUDA_R_32F
           : type == ncclFloat64  ? CUDA_R_64F
           : type == ncclFloat16  ? CUDA_R_16F
           : type == ncclBfloat16 ? CUDA_R_16BF
                                  : CUDA_R_8I;
}

static bool on_own_device(const char *what, const void *at, const struct ncclComm *communicator) {
    int device = sb_standin_device_of(at);
    if (device == communicator->device)
        return true;
    sb_standin_refuse("ncclAllReduce: %s is on device %d, the communicator on %d", what, device,
                      communicator->device);
    return false;
}

static bool is_good(const struct part *part, ncclRedOp_t op, const struct ncclComm *communicator) {
    static const char who[] = "ncclAllReduce";
    size_t bytes = part->count * sb_standin_size(part->type);
    if (op != ncclSum || bytes == 0) {
        sb_standin_refuse("%s: the stand-in adds up floating-point numbers", who);
        return false;
    }
    if (communicator->asked) {
        sb_standin_refuse("%s: rank %d is in the group already", who, communicator->rank);
        return false;
    }
    return sb_standin_is_stream(who, part->stream) &&
           sb_standin_on_device(who, "the vector", part->from, bytes) &&
           sb_standin_on_device(who, "the result", part->to, bytes) &&
           on_own_device("the stream", part->stream, communicator) &&
           on_own_device("the vector", part->from, communicator) &&
           on_own_device("the result", part->to, communicator);
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t communicator, cudaStream_t stream) {
    struct part part = {from, to, count, type_of(type), stream};
    if (!sb_standin_is("ncclAllReduce", kind, communicator) || !is_good(&part, op, communicator))
        return ncclInvalidArgument;
    if (depth > 0 && grouped && grouped != communicator->clique) {
        sb_standin_refuse("ncclAllReduce: the stand-in has one clique in a group");
        return ncclInvalidUsage;
    }
    communicator->part = part;
    communicator->asked = true;
    if (depth == 0) /* a group of its own */
        return finish(communicator->clique);
    grouped = communicator->clique;
    return ncclSuccess;
}
