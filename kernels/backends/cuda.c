/* kernels: backend `cuda`, kernels of our own (cuda_kernels.cu): each operation atomically, and by
 * its deterministic twin. */
#include "kernels/backends/gpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const unsigned char sb_cuda_image[]; /* what nvcc made of cuda_kernels.cu */

/* As there. */
enum { THREADS = 256, EACH = 16, MOST_BLOCKS = 1024 };

/* In pairs, f32 and f64. */
enum kernel {
    SUM_ATOMIC = 0,
    SUM_TREE = 2,
    COLUMNS_ATOMIC = 4,
    COLUMNS_TREE = 6,
    SCATTER_ATOMIC = 8,
    SCATTER_SEGMENTS = 10,
    SORT_INDICES = 12,
    N_KERNELS
};
static const char *const kernel_names[N_KERNELS] = {
    "sum_atomic_f32",     "sum_atomic_f64",     "sum_tree_f32",         "sum_tree_f64",
    "columns_atomic_f32", "columns_atomic_f64", "columns_tree_f32",     "columns_tree_f64",
    "scatter_atomic_f32", "scatter_atomic_f64", "scatter_segments_f32", "scatter_segments_f64",
    "sort_indices"};

struct cuda {
    struct sb_gpu gpu;
    cudaLibrary_t library;
    cudaKernel_t kernels[N_KERNELS];
    bool deterministic;
};

static void unload(void *state) {
    struct cuda *cuda = state;
    if (cuda->library)
        cuda->gpu.cuda.cudaLibraryUnload(cuda->library);
    sb_gpu_close(&cuda->gpu);
    free(cuda);
}

static int load(void **state, struct sb_error *err) {
    struct cuda *cuda = calloc(1, sizeof *cuda);
    if (!cuda)
        return sb_error_errno(err, -ENOMEM, "load");
    int rc = sb_gpu_open(&cuda->gpu, err);
    cuda->gpu.keep_offset = true;
    if (rc == 0)
        rc = sb_gpu_check(&cuda->gpu,
                          cuda->gpu.cuda.cudaLibraryLoadData(&cuda->library, sb_cuda_image, NULL,
                                                             NULL, 0, NULL, NULL, 0),
                          "cudaLibraryLoadData", err);
    for (int i = 0; rc == 0 && i < N_KERNELS; i++)
        rc = sb_gpu_check(
            &cuda->gpu,
            cuda->gpu.cuda.cudaLibraryGetKernel(&cuda->kernels[i], cuda->library, kernel_names[i]),
            kernel_names[i], err);
    if (rc < 0)
        unload(cuda);
    else
        *state = cuda;
    return rc;
}

static int set_deterministic(void *state, bool on, struct sb_error *err) {
    (void)err;
    ((struct cuda *)state)->deterministic = on;
    return 0;
}

static void describe(void *state, struct sb_backend_facts *facts) {
    sb_gpu_describe(&((const struct cuda *)state)->gpu, facts);
}

/* ---- Launching ------------------------------------------------------------------------------- */

static size_t blocks_for(size_t n, size_t each) {
    return (n + each - 1) / each;
}

static int launch(struct cuda *cuda, const struct sb_call *call, int kernel, size_t blocks,
                  void **args, struct sb_error *err) {
    int which = kernel == SORT_INDICES ? kernel : kernel + (call->dtype == SB_DTYPE_F64);
    dim3 grid = {(unsigned)blocks, 1, 1}, block = {THREADS, 1, 1};
    return sb_gpu_check(&cuda->gpu,
                        cuda->gpu.cuda.cudaLaunchKernel((const void *)cuda->kernels[which], grid,
                                                        block, args, 0, cuda->gpu.stream),
                        kernel_names[which], err);
}

/* What is added to starts as 0. */
static int clear(struct cuda *cuda, const struct sb_call *call, size_t o, void *at,
                 struct sb_error *err) {
    size_t bytes = sb_call_elements(call, o) * sb_dtype_size(call->dtype);
    return sb_gpu_check(&cuda->gpu, cuda->gpu.cuda.cudaMemsetAsync(at, 0, bytes, cuda->gpu.stream),
                        "cudaMemset", err);
}

static const char *const sum_algorithms[] = {"atomic", "tree", NULL};
static const char *const scatter_algorithms[] = {"atomic", "sorted", NULL};

static bool atomic(const struct cuda *cuda, const struct sb_call *call) {
    return call->algorithm ? sb_gpu_asked(call, "atomic") : !cuda->deterministic;
}

static void report(const struct cuda *cuda, const struct sb_call *call, const char *twin) {
    if (atomic(cuda, call))
        sb_gpu_report(call, "atomic", SB_CLAIM_NONDETERMINISTIC,
                      "atomicAdd of floating-point numbers, in the order of arrival");
    else
        sb_gpu_report(call, twin, SB_CLAIM_DETERMINISTIC,
                      "an order that is a function of the shape alone");
}

/* ---- Sums ------------------------------------------------------------------------------------ */

/* Partial sums of partial sums, until one is left. They go to and fro between the two halves of
 * the workspace, the last to the result. */
static int tree(struct cuda *cuda, const struct sb_call *call, void *x, void *y, void *result,
                struct sb_error *err) {
    size_t n = call->size[0], room = blocks_for(n, THREADS * EACH) * sizeof(double);
    int rc = sb_gpu_reserve(&cuda->gpu, &cuda->gpu.workspace, 2 * room, err);
    for (bool odd = false; rc == 0; odd = !odd) {
        size_t blocks = blocks_for(n, THREADS * EACH);
        void *to = blocks == 1 ? result : (char *)cuda->gpu.workspace.at + (odd ? room : 0);
        rc = launch(cuda, call, SUM_TREE, blocks, (void *[]){&x, &y, &n, &to}, err);
        if (blocks == 1)
            break;
        x = to, y = NULL, n = blocks;
    }
    return rc;
}

/* sum has one input, dot two. */
static int sum(void *state, const struct sb_call *call, struct sb_error *err) {
    struct cuda *cuda = state;
    void *device[SB_MAX_OPERANDS];
    int rc = sb_gpu_take(&cuda->gpu, call, device, err);
    if (rc < 0)
        return rc;
    bool two = call->operation->operands[1].role == SB_ROLE_IN;
    size_t o = two ? 2 : 1, n = call->size[0], blocks = blocks_for(n, THREADS);
    void *x = device[0], *y = two ? device[1] : NULL, *result = device[o];
    if (atomic(cuda, call)) {
        rc = clear(cuda, call, o, result, err);
        if (rc == 0)
            rc = launch(cuda, call, SUM_ATOMIC, blocks < MOST_BLOCKS ? blocks : MOST_BLOCKS,
                        (void *[]){&x, &y, &n, &result}, err);
    } else {
        rc = tree(cuda, call, x, y, result, err);
    }
    int given = sb_gpu_give(&cuda->gpu, call, device, rc == 0 ? err : NULL);
    report(cuda, call, "tree");
    return rc < 0 ? rc : given;
}

static int bias_gradient(void *state, const struct sb_call *call, struct sb_error *err) {
    struct cuda *cuda = state;
    void *device[SB_MAX_OPERANDS];
    int rc = sb_gpu_take(&cuda->gpu, call, device, err);
    if (rc < 0)
        return rc;
    size_t b = call->size[0], n = call->size[1];
    void *args[] = {&device[0], &b, &n, &device[1]};
    if (atomic(cuda, call)) {
        rc = clear(cuda, call, 1, device[1], err);
        if (rc == 0)
            rc = launch(cuda, call, COLUMNS_ATOMIC, blocks_for(b * n, THREADS), args, err);
    } else {
        rc = launch(cuda, call, COLUMNS_TREE, n, args, err);
    }
    int given = sb_gpu_give(&cuda->gpu, call, device, rc == 0 ? err : NULL);
    report(cuda, call, "tree");
    return rc < 0 ? rc : given;
}

/* ---- Scatter-add ----------------------------------------------------------------------------- */

static int check_indices(const struct sb_call *call, struct sb_error *err) {
    const int32_t *indices = call->operand[0];
    for (size_t i = 0; i < call->size[0]; i++) {
        if (indices[i] < 0 || (size_t)indices[i] >= call->size[1])
            return sb_error_set(err, -EDOM, "index %d is none of %zu rows", indices[i],
                                call->size[1]);
    }
    return 0;
}

static int sorted(struct cuda *cuda, const struct sb_call *call, void *device[],
                  struct sb_error *err) {
    size_t b = call->size[0], v = call->size[1], d = call->size[2];
    int rc = sb_gpu_reserve(&cuda->gpu, &cuda->gpu.workspace, b * sizeof(unsigned), err);
    void *order = cuda->gpu.workspace.at;
    if (rc == 0)
        rc = launch(cuda, call, SORT_INDICES, blocks_for(b, THREADS),
                    (void *[]){&device[0], &b, &order}, err);
    if (rc == 0)
        rc = launch(cuda, call, SCATTER_SEGMENTS, blocks_for(v * d, THREADS),
                    (void *[]){&device[0], &order, &device[1], &b, &v, &d, &device[2]}, err);
    return rc;
}

static int embedding_gradient(void *state, const struct sb_call *call, struct sb_error *err) {
    struct cuda *cuda = state;
    void *device[SB_MAX_OPERANDS];
    int rc = check_indices(call, err);
    if (rc == 0)
        rc = sb_gpu_take(&cuda->gpu, call, device, err);
    if (rc < 0)
        return rc;
    size_t b = call->size[0], d = call->size[2];
    if (atomic(cuda, call)) {
        rc = clear(cuda, call, 2, device[2], err);
        if (rc == 0)
            rc = launch(cuda, call, SCATTER_ATOMIC, blocks_for(b * d, THREADS),
                        (void *[]){&device[0], &device[1], &b, &d, &device[2]}, err);
    } else {
        rc = sorted(cuda, call, device, err);
    }
    int given = sb_gpu_give(&cuda->gpu, call, device, rc == 0 ? err : NULL);
    report(cuda, call, "sorted");
    return rc < 0 ? rc : given;
}

enum {
    BOTH = SB_BIT(SB_DTYPE_F32) | SB_BIT(SB_DTYPE_F64),
    HALF = SB_BIT(SB_DTYPE_F16) | SB_BIT(SB_DTYPE_BF16),
};

static const struct sb_kernel kernels[] = {
    {"sum", BOTH, sum, HALF, sum_algorithms},
    {"dot", BOTH, sum, HALF, sum_algorithms},
    {"bias_gradient", BOTH, bias_gradient, HALF, sum_algorithms},
    {"embedding_gradient", BOTH, embedding_gradient, HALF, scatter_algorithms},
    {NULL},
};

const struct sb_backend sb_backend_cuda = {
    .api = SB_BACKEND_API,
    .name = "cuda",
    .summary = "CUDA kernels of our own: atomic sums, and their twins in a fixed order",
    .kernels = kernels,
    .gaps = "it holds sums alone, atomic and in a fixed order",
    .load = load,
    .unload = unload,
    .set_deterministic = set_deterministic,
    .describe = describe,
};
