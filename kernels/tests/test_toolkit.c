/* kernels: the functions that the GPU backends look up are those of the real toolkit: this program
 * is linked to its libraries, and only where they are. */
#include "kernels/backends/gpu_cublas.h"
#include "tests/testing.h"

#ifdef SB_HAVE_CUDNN
#include "kernels/backends/gpu_cudnn.h"
#endif
#ifdef SB_HAVE_NCCL
#include "kernels/backends/gpu_nccl.h"
#endif

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define SLOT(name) {#name, (void *)(name)},

static const struct {
    const char *name;
    void *function;
} functions[] = {SB_CUDART_FUNCTIONS(SLOT) SB_CUBLAS_FUNCTIONS(SLOT) SB_CUBLASLT_FUNCTIONS(SLOT)
#ifdef SB_HAVE_CUDNN
                     SB_CUDNN_FUNCTIONS(SLOT)
#endif
#ifdef SB_HAVE_NCCL
                         SB_NCCL_FUNCTIONS(SLOT)
#endif
};

START_TEST(every_function_is_the_toolkits)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        Dl_info where;
        ck_assert_msg(functions[i].function && dladdr(functions[i].function, &where),
                      "%s is nowhere", functions[i].name);
        ck_assert_msg((strstr(where.dli_fname, "/libcu") || strstr(where.dli_fname, "/libnccl")) &&
                          !strstr(where.dli_fname, "standin"),
                      "%s is of %s", functions[i].name, where.dli_fname);
    }
}
END_TEST

/* The backends' own way to them, with or without a device. */
START_TEST(tables_are_filled_from_the_real_libraries)
{
    static const char *const blas_names[] = {SB_CUBLAS_FUNCTIONS(SB_GPU_NAME) NULL};
    static const char *const lt_names[] = {SB_CUBLASLT_FUNCTIONS(SB_GPU_NAME) NULL};
    struct sb_cublas_functions blas;
    struct sb_cublaslt_functions lt;
    struct sb_error err = {0};
    ck_assert_msg(
        sb_gpu_library("libcublas.so." SB_CUDA_MAJOR, blas_names, &blas, sizeof blas, &err) == 0,
        "%s", err.text);
    ck_assert_msg(sb_gpu_library("libcublasLt.so." SB_CUDA_MAJOR, lt_names, &lt, sizeof lt, &err) ==
                      0,
                  "%s", err.text);
    ck_assert_ptr_eq((void *)blas.cublasGemmEx, (void *)cublasGemmEx);
    ck_assert_ptr_eq((void *)lt.cublasLtMatmul, (void *)cublasLtMatmul);
}
END_TEST

SB_TEST_MAIN("kernels-toolkit", every_function_is_the_toolkits,
             tables_are_filled_from_the_real_libraries)
