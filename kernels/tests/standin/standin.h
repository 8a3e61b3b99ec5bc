/* Tests: stand-ins for CUDA's libraries, which compute on the CPU and check what they are asked.
 * They are never installed. This is what they share; libcudart's exports it. */
#ifndef SB_STANDIN_H
#define SB_STANDIN_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SB_STANDIN_DEVICE "stand-in on the CPU (not a GPU)"

/* Says on stderr, and keeps for sb_standin_refusal, what was wrong with a call. */
void sb_standin_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The last one, "" where there was none; clears it. The text stays until the next. */
const char *sb_standin_refusal(void);

/* Do these bytes lie wholly in one live allocation of the device? `who` is the function asked for;
 * refuses where not. NULL with 0 bytes is fine. */
bool sb_standin_on_device(const char *who, const char *what, const void *at, size_t bytes);
/* Refuses a pointer to the device's memory. */
bool sb_standin_on_host(const char *who, const char *what, const void *at);

/* Handles and descriptors: zeroed memory of a kind (a string by its address), which stays known
 * until it is freed. */
void *sb_standin_make(const char *kind, size_t bytes);
bool sb_standin_is(const char *who, const char *kind, const void *handle);
bool sb_standin_free(const char *who, const char *kind, void *handle);
/* The device that was chosen when this memory, stream or other thing was made; -1: it is none. */
int sb_standin_device_of(const void *at);
/* The device that is chosen now. */
int sb_standin_device(void);
/* How many things of any kind, allocations and streams too, are alive. */
unsigned sb_standin_alive(void);

/* Work of a stream: done when somebody waits for it and no earlier, so that what is read without
 * waiting is old. The device's memory can be touched only while work is done. arg is copied. */
bool sb_standin_enqueue(const char *who, cudaStream_t stream, void (*work)(void *arg),
                        const void *arg, size_t bytes);
bool sb_standin_drain(cudaStream_t stream);
void sb_standin_drain_all(void);
bool sb_standin_is_stream(const char *who, cudaStream_t stream);
bool sb_standin_is_captured(cudaStream_t stream);

/* Pseudorandom, other numbers in every process: what order atomics come in. */
unsigned sb_standin_random(unsigned below);

/* Kernels of the .cu file, compiled for the host (shim.cpp). */
const void *sb_standin_kernel(const char *name);
bool sb_standin_launch(const void *kernel, dim3 grid, dim3 block, void **args, size_t shared,
                       cudaStream_t stream);

/* Within cudart's stand-in. */
void sb_standin_open_memory(void);
void sb_standin_close_memory(void);

#ifdef __cplusplus
}
#endif

#endif
