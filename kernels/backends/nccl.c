/* kernels: backend `nccl`, NVIDIA's collectives, loaded at run time: an allreduce whose ranks are
 * the CUDA devices of this machine, driven by one thread. */
#include "kernels/backends/gpu_nccl.h"

#include <errno.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOUNDARY = 64 };

/* One device. */
struct rank {
    ncclComm_t communicator;
    cudaStream_t stream;
    struct sb_gpu_memory x, y;
};

struct nccl {
    struct sb_gpu gpu;
    struct sb_nccl_functions nccl;
    struct rank *ranks; /* one a device */
    int n_devices;
    int n_joined; /* ranks that have a communicator, by the algorithm joined_by */
    const char *joined_by;
};

/* NCCL_ALGO of each; what a machine cannot do NCCL refuses. */
static const char *const algorithms[] = {"ring", "tree", "nvls", "nvls_tree", NULL};
static const char *const names_in_nccl[] = {"Ring", "Tree", "NVLS", "NVLSTree"};

/* Of what was asked for without a choice nothing is refused: then it is an error. */
static int check(const struct nccl *nccl, ncclResult_t code, const char *algorithm,
                 const char *what, struct sb_error *err) {
    if (code == ncclSuccess)
        return 0;
    const char *said = nccl->nccl.ncclGetErrorString(code);
    if (algorithm && (code == ncclInvalidUsage || code == ncclInvalidArgument))
        return sb_error_set(err, -ENOTSUP, "algorithm '%s': %s", algorithm, said);
    return sb_error_set(err, -EIO, "%s: %s", what, said);
}

static int choose_device(const struct nccl *nccl, int device, struct sb_error *err) {
    return sb_gpu_check(&nccl->gpu, nccl->gpu.cuda.cudaSetDevice(device), "cudaSetDevice", err);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void leave(struct nccl *nccl) {
    for (int r = 0; r < nccl->n_joined; r++)
        nccl->nccl.ncclCommDestroy(nccl->ranks[r].communicator);
    nccl->n_joined = 0;
}

static void unload(void *state) {
    struct nccl *nccl = state;
    leave(nccl);
    for (int r = 0; r < nccl->n_devices; r++) {
        struct rank *rank = &nccl->ranks[r];
        choose_device(nccl, r, NULL);
        if (rank->x.at)
            nccl->gpu.cuda.cudaFree(rank->x.at);
        if (rank->y.at)
            nccl->gpu.cuda.cudaFree(rank->y.at);
        if (rank->stream)
            nccl->gpu.cuda.cudaStreamDestroy(rank->stream);
    }
    if (nccl->n_devices > 0)
        choose_device(nccl, 0, NULL);
    free(nccl->ranks);
    sb_gpu_close(&nccl->gpu);
    free(nccl);
}

static int open_devices(struct nccl *nccl, struct sb_error *err) {
    int n = 0, rc = sb_gpu_check(&nccl->gpu, nccl->gpu.cuda.cudaGetDeviceCount(&n),
                                 "cudaGetDeviceCount", err);
    if (rc < 0)
        return rc;
    nccl->ranks = calloc((size_t)n, sizeof *nccl->ranks);
    if (!nccl->ranks)
        return sb_error_errno(err, -ENOMEM, "ranks");
    nccl->n_devices = n;
    for (int r = 0; r < n && rc == 0; r++) {
        rc = choose_device(nccl, r, err);
        if (rc == 0)
            rc = sb_gpu_check(&nccl->gpu,
                              nccl->gpu.cuda.cudaStreamCreateWithFlags(&nccl->ranks[r].stream,
                                                                       cudaStreamNonBlocking),
                              "cudaStreamCreate", err);
    }
    return rc == 0 ? choose_device(nccl, 0, err) : rc;
}

static int load(void **state, struct sb_error *err) {
    static const char *const names[] = {SB_NCCL_FUNCTIONS(SB_GPU_NAME) NULL};
    char soname[32];
    struct nccl *nccl = calloc(1, sizeof *nccl);
    if (!nccl)
        return sb_error_errno(err, -ENOMEM, "load");
    snprintf(soname, sizeof soname, "libnccl.so.%d", NCCL_MAJOR);
    int rc = sb_gpu_open(&nccl->gpu, err);
    if (rc == 0)
        rc = sb_gpu_library(soname, names, &nccl->nccl, sizeof nccl->nccl, err);
    if (rc == 0)
        rc = open_devices(nccl, err);
    if (rc < 0)
        unload(nccl);
    else
        *state = nccl;
    return rc;
}

static void describe(void *state, struct sb_backend_facts *facts) {
    const struct nccl *nccl = state;
    int version = 0;
    sb_gpu_describe(&nccl->gpu, facts);
    if (nccl->nccl.ncclGetVersion(&version) == ncclSuccess)
        snprintf(facts->version, sizeof facts->version, "%d.%d.%d", version / 10000,
                 version / 100 % 100, version % 100);
    size_t n = strlen(facts->config);
    snprintf(facts->config + n, sizeof facts->config - n, ", %d device%s", nccl->n_devices,
             nccl->n_devices == 1 ? "" : "s");
}

/* ---- The collective -------------------------------------------------------------------------- */

/* NCCL reads the algorithm from the environment, once for every communicator. Without a choice it
 * is what the user put there, or NCCL's own. */
static int join_by(struct nccl *nccl, int n, const char *algorithm, struct sb_error *err) {
    ncclComm_t *joined = calloc((size_t)n, sizeof(ncclComm_t));
    const char *users = getenv("NCCL_ALGO");
    char *before = users ? strdup(users) : NULL;
    if (!joined || (users && !before)) {
        free(joined);
        return sb_error_errno(err, -ENOMEM, "communicators");
    }
    for (size_t a = 0; algorithm && algorithms[a]; a++) {
        if (strcmp(algorithms[a], algorithm) == 0)
            setenv("NCCL_ALGO", names_in_nccl[a], 1);
    }
    int rc =
        check(nccl, nccl->nccl.ncclCommInitAll(joined, n, NULL), algorithm, "ncclCommInitAll", err);
    if (before)
        setenv("NCCL_ALGO", before, 1);
    else
        unsetenv("NCCL_ALGO");
    for (int r = 0; r < n && rc == 0; r++)
        nccl->ranks[r].communicator = joined[r];
    nccl->n_joined = rc == 0 ? n : 0;
    nccl->joined_by = algorithm;
    free(before);
    free(joined);
    return rc;
}

static int join(struct nccl *nccl, int n, const char *algorithm, struct sb_error *err) {
    bool same = algorithm && nccl->joined_by ? strcmp(algorithm, nccl->joined_by) == 0
                                             : algorithm == nccl->joined_by;
    if (nccl->n_joined == n && same)
        return 0;
    leave(nccl);
    return join_by(nccl, n, algorithm, err);
}

/* Where an operand starts on a device: as far behind a boundary as the caller's. */
static char *place(const struct sb_gpu_memory *memory, const struct sb_call *call, size_t o) {
    return (char *)memory->at + (uintptr_t)call->operand[o] % BOUNDARY;
}

static size_t bytes_of(const struct sb_call *call) {
    return call->size[1] * sb_dtype_size(call->dtype);
}

/* A rank's vector to its device; the result becomes NaN, so that what is left unwritten shows. */
static int hand_out(struct nccl *nccl, const struct sb_call *call, int r, struct sb_error *err) {
    struct rank *rank = &nccl->ranks[r];
    const struct sb_cudart *cuda = &nccl->gpu.cuda;
    size_t bytes = bytes_of(call);
    int rc = choose_device(nccl, r, err);
    if (rc == 0)
        rc = sb_gpu_reserve(&nccl->gpu, &rank->x, bytes + BOUNDARY, err);
    if (rc == 0)
        rc = sb_gpu_reserve(&nccl->gpu, &rank->y, bytes + BOUNDARY, err);
    if (rc == 0)
        rc = sb_gpu_check(&nccl->gpu,
                          cuda->cudaMemcpyAsync(place(&rank->x, call, 0),
                                                (const char *)call->operand[0] + (size_t)r * bytes,
                                                bytes, cudaMemcpyHostToDevice, rank->stream),
                          "copy to the device", err);
    if (rc == 0)
        rc = sb_gpu_check(
            &nccl->gpu, cuda->cudaMemsetAsync(place(&rank->y, call, 1), 0xff, bytes, rank->stream),
            "cudaMemset", err);
    return rc;
}

static ncclDataType_t type_of(const struct sb_call *call) {
    return call->dtype == SB_DTYPE_F64    ? ncclFloat64
           : call->dtype == SB_DTYPE_F16  ? ncclFloat16
           : call->dtype == SB_DTYPE_BF16 ? ncclBfloat16
                                          : ncclFloat32;
}

/* In a group: one thread that asked for one rank at a time would wait for the others for ever. */
static int add_up(struct nccl *nccl, const struct sb_call *call, struct sb_error *err) {
    int n = (int)call->size[0];
    int rc = check(nccl, nccl->nccl.ncclGroupStart(), NULL, "ncclGroupStart", err);
    if (rc < 0)
        return rc;
    for (int r = 0; r < n && rc == 0; r++) {
        struct rank *rank = &nccl->ranks[r];
        rc = check(nccl,
                   nccl->nccl.ncclAllReduce(place(&rank->x, call, 0), place(&rank->y, call, 1),
                                            call->size[1], type_of(call), ncclSum,
                                            rank->communicator, rank->stream),
                   call->algorithm, "ncclAllReduce", err);
    }
    int ended = check(nccl, nccl->nccl.ncclGroupEnd(), call->algorithm, "ncclGroupEnd",
                      rc == 0 ? err : NULL);
    return rc < 0 ? rc : ended;
}

/* What a rank received, once its stream is done; `room` is as large as the result. The header says
 * that the copies are identical: another one is no result of an allreduce. */
static int take_in(struct nccl *nccl, const struct sb_call *call, int r, void *room,
                   struct sb_error *err) {
    struct rank *rank = &nccl->ranks[r];
    const struct sb_cudart *cuda = &nccl->gpu.cuda;
    size_t bytes = bytes_of(call);
    void *to = r == 0 ? call->operand[1] : room;
    ncclResult_t later = ncclSuccess;
    int rc = choose_device(nccl, r, err);
    if (rc == 0)
        rc = sb_gpu_check(&nccl->gpu,
                          cuda->cudaMemcpyAsync(to, place(&rank->y, call, 1), bytes,
                                                cudaMemcpyDeviceToHost, rank->stream),
                          "copy from the device", err);
    int last = sb_gpu_check(&nccl->gpu, cuda->cudaStreamSynchronize(rank->stream), "the collective",
                            rc == 0 ? err : NULL);
    if (rc < 0 || last < 0)
        return rc < 0 ? rc : last;
    rc = check(nccl, nccl->nccl.ncclCommGetAsyncError(rank->communicator, &later), NULL,
               "ncclCommGetAsyncError", err);
    if (rc == 0)
        rc = check(nccl, later, NULL, "the collective", err);
    if (rc == 0 && r > 0 && memcmp(call->operand[1], room, bytes) != 0)
        rc = sb_error_set(err, -EIO, "rank %d received another result than rank 0", r);
    return rc;
}

/* In 16 bits every addition of two ranks is rounded to the type. */
static void report(const struct nccl *nccl, const struct sb_call *call) {
    const char *algorithm = call->algorithm ? call->algorithm : "default";
    double additions = (double)call->size[0] - 1;
    if (call->size[0] == 1)
        sb_gpu_report(call, algorithm, SB_CLAIM_NONE, "one rank: a copy");
    else
        sb_gpu_report(
            call, algorithm, SB_CLAIM_NONE, "%zu of %d devices; %s", call->size[0], nccl->n_devices,
            strncmp(algorithm, "nvls", 4) == 0
                ? "by NCCL's maintainers (issue 1497) NVLS of older drivers may not repeat"
                : "NCCL's documentation makes no claim");
    if (call->report && (call->dtype == SB_DTYPE_F16 || call->dtype == SB_DTYPE_BF16))
        call->report->unit =
            (call->dtype == SB_DTYPE_F16 ? 0x1p-11 : 0x1p-8) * (additions > 4 ? additions / 4 : 1);
}

static int allreduce(void *state, const struct sb_call *call, struct sb_error *err) {
    struct nccl *nccl = state;
    int n = (int)call->size[0], rc = sb_gpu_sizes(call, err);
    if (rc < 0)
        return rc;
    if (n > nccl->n_devices)
        return sb_error_set(err, -ENOTSUP, "%d ranks need as many CUDA devices; there %s %d", n,
                            nccl->n_devices == 1 ? "is" : "are", nccl->n_devices);
    void *room = malloc(bytes_of(call));
    if (!room)
        return sb_error_errno(err, -ENOMEM, "results");
    rc = join(nccl, n, call->algorithm, err);
    for (int r = 0; r < n && rc == 0; r++)
        rc = hand_out(nccl, call, r, err);
    if (rc == 0)
        rc = add_up(nccl, call, err);
    for (int r = 0; r < n; r++) {
        int taken = rc == 0
                        ? take_in(nccl, call, r, room, err)
                        : sb_gpu_check(&nccl->gpu,
                                       nccl->gpu.cuda.cudaStreamSynchronize(nccl->ranks[r].stream),
                                       "the collective", NULL);
        rc = rc == 0 ? taken : rc;
    }
    free(room);
    int back = choose_device(nccl, 0, rc == 0 ? err : NULL);
    report(nccl, call);
    return rc < 0 ? rc : back;
}

static const struct sb_kernel kernels[] = {
    {"allreduce",
     SB_BIT(SB_DTYPE_F32) | SB_BIT(SB_DTYPE_F64) | SB_BIT(SB_DTYPE_F16) | SB_BIT(SB_DTYPE_BF16),
     allreduce, .algorithms = algorithms},
    {NULL},
};

const struct sb_backend sb_backend_nccl = {
    .api = SB_BACKEND_API,
    .name = "nccl",
    .summary = "NVIDIA NCCL's allreduce over the GPUs of this machine, loaded when needed",
    .kernels = kernels,
    .gaps = "NCCL has collectives only; training takes ref's",
    .load = load,
    .unload = unload,
    .describe = describe,
};
