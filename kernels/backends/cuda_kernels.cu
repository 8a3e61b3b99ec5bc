/* kernels: the CUDA kernels of backend `cuda`, in pairs of twins: one adds atomically, in the order
 * in which threads arrive, the other in an order that is a function of the shape alone, whatever
 * the device. Compiled without fused multiply-adds, into an image for the architectures of the
 * toolkit. */

enum { THREADS = 256, EACH = 16 };

/* ---- Sum of x, or of x·y ---------------------------------------------------------------------- */

template <typename T>
__device__ static void sum_atomic(const T *x, const T *y, size_t n, T *result)
{
    size_t step = (size_t)gridDim.x * blockDim.x;
    T sum = 0;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        sum += y ? x[i] * y[i] : x[i];
    atomicAdd(result, sum);
}

/* The sums of a block's threads, pairwise; the result is the first thread's. */
template <typename T>
__device__ static T tree_of_block(T mine)
{
    __shared__ T shared[THREADS];
    shared[threadIdx.x] = mine;
    for (unsigned half = THREADS / 2; half; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            shared[threadIdx.x] += shared[threadIdx.x + half];
    }
    return shared[threadIdx.x];
}

/* Block b adds elements b·THREADS·EACH and on; the caller repeats this with the partial sums. */
template <typename T>
__device__ static void sum_tree(const T *x, const T *y, size_t n, T *partial)
{
    size_t first = (size_t)blockIdx.x * THREADS * EACH + threadIdx.x;
    T sum = 0;
    for (size_t e = 0; e < EACH; e++) {
        size_t i = first + e * THREADS;
        if (i < n)
            sum += y ? x[i] * y[i] : x[i];
    }
    sum = tree_of_block(sum);
    if (threadIdx.x == 0)
        partial[blockIdx.x] = sum;
}

/* ---- Sums of columns: db[n] of dy[b,n] --------------------------------------------------------- */

template <typename T>
__device__ static void columns_atomic(const T *dy, size_t b, size_t n, T *db)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < b * n)
        atomicAdd(&db[i % n], dy[i]);
}

/* One block a column. */
template <typename T>
__device__ static void columns_tree(const T *dy, size_t b, size_t n, T *db)
{
    T sum = 0;
    for (size_t i = threadIdx.x; i < b; i += THREADS)
        sum += dy[i * n + blockIdx.x];
    sum = tree_of_block(sum);
    if (threadIdx.x == 0)
        db[blockIdx.x] = sum;
}

/* ---- Scatter-add: dtable[v,d] of dy[b,d] by indices[b] ------------------------------------------ */

template <typename T>
__device__ static void scatter_atomic(const int *indices, const T *dy, size_t b, size_t d, T *dtable)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < b * d)
        atomicAdd(&dtable[(size_t)indices[i / d] * d + i % d], dy[i]);
}

/* The order of the indices by value and, among equals, by place. Quadratic, and free of any
 * library. */
extern "C" __global__ void sort_indices(const int *indices, size_t b, unsigned *order)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x, before = 0;
    if (i >= b)
        return;
    for (size_t j = 0; j < b; j++)
        before += indices[j] < indices[i] || (indices[j] == indices[i] && j < i);
    order[before] = (unsigned)i;
}

/* One thread an element of the table: the segment of its row, from first to last. */
template <typename T>
__device__ static void scatter_segments(const int *indices, const unsigned *order, const T *dy,
                                        size_t b, size_t v, size_t d, T *dtable)
{
    size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= v * d)
        return;
    size_t row = at / d, low = 0, high = b;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((size_t)indices[order[middle]] < row)
            low = middle + 1;
        else
            high = middle;
    }
    T sum = 0;
    for (; low < b && (size_t)indices[order[low]] == row; low++)
        sum += dy[(size_t)order[low] * d + at % d];
    dtable[at] = sum;
}

/* ---- By name ----------------------------------------------------------------------------------- */

#define FOR(T, suffix)                                                                             \
    extern "C" __global__ void sum_atomic_##suffix(const T *x, const T *y, size_t n, T *result)    \
    {                                                                                              \
        sum_atomic(x, y, n, result);                                                               \
    }                                                                                              \
    extern "C" __global__ void sum_tree_##suffix(const T *x, const T *y, size_t n, T *partial)     \
    {                                                                                              \
        sum_tree(x, y, n, partial);                                                                \
    }                                                                                              \
    extern "C" __global__ void columns_atomic_##suffix(const T *dy, size_t b, size_t n, T *db)     \
    {                                                                                              \
        columns_atomic(dy, b, n, db);                                                              \
    }                                                                                              \
    extern "C" __global__ void columns_tree_##suffix(const T *dy, size_t b, size_t n, T *db)       \
    {                                                                                              \
        columns_tree(dy, b, n, db);                                                                \
    }                                                                                              \
    extern "C" __global__ void scatter_atomic_##suffix(const int *indices, const T *dy, size_t b,  \
                                                       size_t d, T *dtable)                        \
    {                                                                                              \
        scatter_atomic(indices, dy, b, d, dtable);                                                 \
    }                                                                                              \
    extern "C" __global__ void scatter_segments_##suffix(const int *indices,                       \
                                                         const unsigned *order, const T *dy,       \
                                                         size_t b, size_t v, size_t d, T *dtable)  \
    {                                                                                              \
        scatter_segments(indices, order, dy, b, v, d, dtable);                                     \
    }

FOR(float, f32)
FOR(double, f64)
