/* kernels, blis: its table, for the program and for the module that has the code. Each defines
 * KERNEL(operation) first. */
KERNEL(gemm)
KERNEL(gemv)
KERNEL(symv)
KERNEL(dot)
KERNEL(gradient_norm)
KERNEL(bias_add)
KERNEL(bias_gradient)
#undef KERNEL
