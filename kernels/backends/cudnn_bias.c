/* kernels, cudnn: a bias added to rows, and its gradient: as cuDNN has it, of images of one pixel
 * with a channel for each element of a row. */
#include "kernels/backends/gpu_cudnn.h"

#include <string.h>

/* Operands: bias and x, which it is added to; or dy and dbias. */
static int bias(struct sb_cudnn *cudnn, const struct sb_call *call, void *const device[],
                struct sb_error *err) {
    const void *one = sb_cudnn_one(call->dtype), *zero = sb_cudnn_zero(call->dtype);
    cudnnTensorDescriptor_t tensors[2] = {0};
    const size_t rows[] = {call->size[0], call->size[1], 1, 1}, row[] = {1, call->size[1], 1, 1};
    int rc = sb_cudnn_tensor(cudnn, call, rows, &tensors[0], err);
    if (rc == 0)
        rc = sb_cudnn_tensor(cudnn, call, row, &tensors[1], err);
    if (rc == 0 && strcmp(call->operation->name, "bias_add") == 0)
        rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnAddTensor(cudnn->handle, one, tensors[1], device[0],
                                                      one, tensors[0], device[1]),
                            "cudnnAddTensor", err);
    else if (rc == 0)
        rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnConvolutionBackwardBias(cudnn->handle, one, tensors[0],
                                                                    device[0], zero, tensors[1],
                                                                    device[1]),
                            "cudnnConvolutionBackwardBias", err);
    sb_gpu_report(call, "bias", SB_CLAIM_DETERMINISTIC, SB_CUDNN_REPEATS);
    sb_cudnn_drop(cudnn, tensors, 2);
    return rc;
}

int sb_cudnn_bias(void *state, const struct sb_call *call, struct sb_error *err) {
    return sb_cudnn_do(state, call, bias, err);
}
