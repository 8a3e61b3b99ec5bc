/* Tests, stand-in for libcudart: the .cu file compiled for the host. A block's threads are contexts
 * that change at barriers; blocks, and threads between barriers, come in random order. */
#include "kernels/tests/standin/standin.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <tuple>
#include <type_traits>
#include <ucontext.h>
#include <utility>
#include <vector>

#undef __global__
#undef __device__
#undef __shared__
#define __global__
#define __device__
#define __shared__ static /* one block at a time */

namespace {

enum { STACK = 64 << 10 };

struct thread {
    ucontext_t context;
    uint3 index;
    bool ended;
};

struct running {
    dim3 grid, block;
    uint3 block_index;
    thread *current;
    ucontext_t scheduler;
    void (*body)(const void *args);
    const void *args;
} now;

void barrier()
{
    swapcontext(&now.current->context, &now.scheduler);
}

/* Blocks are run one by one: adding needs no more. */
template <typename T> T atomicAdd(T *to, T value)
{
    T old = *to;
    *to += value;
    return old;
}

} // namespace

#define threadIdx (now.current->index)
#define blockIdx (now.block_index)
#define blockDim (now.block)
#define gridDim (now.grid)
#define __syncthreads barrier

#include "kernels/backends/cuda_kernels.cu"

#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim

namespace {

void thread_main()
{
    now.body(now.args);
    now.current->ended = true;
    swapcontext(&now.current->context, &now.scheduler);
}

void shuffle(std::vector<unsigned> &order)
{
    for (size_t i = order.size(); i > 1; i--)
        std::swap(order[i - 1], order[sb_standin_random((unsigned)i)]);
}

std::vector<unsigned> numbers(unsigned n)
{
    std::vector<unsigned> order(n);
    for (unsigned i = 0; i < n; i++)
        order[i] = i;
    return order;
}

/* Every thread as far as its next barrier, until none is left. */
void run_block(std::vector<thread> &threads)
{
    static char stacks[1024][STACK];
    for (size_t t = 0; t < threads.size(); t++) {
        threads[t].ended = false;
        threads[t].index = uint3{(unsigned)t, 0, 0};
        getcontext(&threads[t].context);
        threads[t].context.uc_stack.ss_sp = stacks[t];
        threads[t].context.uc_stack.ss_size = STACK;
        threads[t].context.uc_link = nullptr;
        makecontext(&threads[t].context, thread_main, 0);
    }
    std::vector<unsigned> order = numbers((unsigned)threads.size());
    for (size_t ended = 0; ended < threads.size();) {
        size_t before = ended;
        shuffle(order);
        for (unsigned t : order) {
            if (threads[t].ended)
                continue;
            now.current = &threads[t];
            swapcontext(&now.scheduler, &now.current->context);
            ended += threads[t].ended;
        }
        if (ended != before && ended != threads.size()) {
            sb_standin_refuse("a kernel: %zu of a block's threads ended before a barrier", ended);
            abort();
        }
    }
}

struct launch {
    void (*body)(const void *args);
    dim3 grid, block;
    alignas(16) char args[128];
};

void run(void *arg)
{
    launch plan;
    memcpy((void *)&plan, arg, sizeof plan);
    std::vector<thread> threads(plan.block.x);
    std::vector<unsigned> order = numbers(plan.grid.x);
    shuffle(order);
    now.grid = plan.grid, now.block = plan.block, now.body = plan.body, now.args = plan.args;
    for (unsigned b : order) {
        now.block_index = uint3{b, 0, 0};
        run_block(threads);
    }
}

/* One kernel: its parameters are checked and copied when it is launched. */
template <typename A> bool good(const void *arg)
{
    if constexpr (std::is_pointer_v<A>) {
        const void *at = *(A const *)arg;
        return !at || (sb_standin_on_device("cudaLaunchKernel", "a parameter", at, 1) &&
                       (size_t)at % alignof(std::remove_pointer_t<A>) == 0);
    }
    return true;
}

template <auto F> struct kernel;
template <typename... A, void (*F)(A...)> struct kernel<F> {
    using tuple = std::tuple<A...>;
    static_assert(sizeof(tuple) <= sizeof launch::args);

    template <size_t... I> static bool take(void **args, char *to, std::index_sequence<I...>)
    {
        if (!(good<A>(args[I]) && ...))
            return false;
        new (to) tuple(*(A *)args[I]...);
        return true;
    }
    static bool capture(void **args, char *to)
    {
        return take(args, to, std::index_sequence_for<A...>());
    }
    static void call(const void *args)
    {
        std::apply(F, *(const tuple *)args);
    }
};

struct entry {
    const char *name;
    bool (*capture)(void **args, char *to);
    void (*call)(const void *args);
};

#define ONE(name) {#name, kernel<name>::capture, kernel<name>::call}
#define BOTH(name) ONE(name##_f32), ONE(name##_f64)

const entry entries[] = {BOTH(sum_atomic),     BOTH(sum_tree),         BOTH(columns_atomic),
                         BOTH(columns_tree),   BOTH(scatter_atomic),   BOTH(scatter_segments),
                         ONE(sort_indices)};

} // namespace

const void *sb_standin_kernel(const char *name)
{
    for (const entry &found : entries) {
        if (strcmp(found.name, name) == 0)
            return &found;
    }
    return nullptr;
}

bool sb_standin_launch(const void *kernel, dim3 grid, dim3 block, void **args, size_t shared,
                       cudaStream_t stream)
{
    const entry *found = (const entry *)kernel;
    if (found < entries || found >= entries + sizeof entries / sizeof *entries) {
        sb_standin_refuse("cudaLaunchKernel: no kernel");
        return false;
    }
    if (grid.y * grid.z * block.y * block.z != 1 || shared != 0) {
        sb_standin_refuse("cudaLaunchKernel: the stand-in runs one dimension, without memory that is "
                          "sized at launch");
        return false;
    }
    launch plan;
    memset((void *)&plan, 0, sizeof plan);
    plan.body = found->call, plan.grid = grid, plan.block = block;
    return found->capture(args, plan.args) &&
           sb_standin_enqueue("cudaLaunchKernel", stream, run, &plan, sizeof plan);
}
