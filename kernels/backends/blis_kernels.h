/* kernels, blis: its table, for the program and for the module that has the code. Each defines
 * KERNEL(operation) first. */
KERNEL(gemm)
KERNEL(gemv)
KERNEL(dot)
KERNEL(gradient_norm)
#undef KERNEL
