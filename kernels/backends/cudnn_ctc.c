/* kernels, cudnn: CTC loss with its gradient, by both of cuDNN's algorithms. */
#include "kernels/backends/gpu_cudnn.h"

#include <errno.h>
#include <stdlib.h>

const char *const sb_cudnn_ctc_algorithms[] = {"deterministic", "non_deterministic", NULL};

/* What a call needs: logits, of which cuDNN itself takes the softmax, are [t,n,a]; all sequences
 * have t steps and l labels. */
struct ctc {
    cudnnTensorDescriptor_t logits;
    cudnnCTCLossDescriptor_t loss;
    int *lengths; /* n times l, then n times t */
};

static void clear(const struct sb_cudnn *cudnn, struct ctc *ctc) {
    sb_cudnn_drop(cudnn, &ctc->logits, 1);
    if (ctc->loss)
        cudnn->dnn.cudnnDestroyCTCLossDescriptor(ctc->loss);
    free(ctc->lengths);
}

static int make(const struct sb_cudnn *cudnn, const struct sb_call *call, struct ctc *ctc,
                struct sb_error *err) {
    int t = (int)call->size[0], n = (int)call->size[1], a = (int)call->size[2],
        l = (int)call->size[3];
    const int dims[] = {t, n, a}, strides[] = {n * a, a, 1};
    ctc->lengths = calloc(2 * (size_t)n, sizeof *ctc->lengths);
    if (!ctc->lengths)
        return sb_error_errno(err, -ENOMEM, "lengths");
    for (int i = 0; i < n; i++) {
        ctc->lengths[i] = l;
        ctc->lengths[n + i] = t;
    }
    int rc = sb_cudnn_check(cudnn, cudnn->dnn.cudnnCreateTensorDescriptor(&ctc->logits),
                            "cudnnCreateTensorDescriptor", err);
    if (rc == 0)
        rc = sb_cudnn_check(
            cudnn,
            cudnn->dnn.cudnnSetTensorNdDescriptor(ctc->logits, CUDNN_DATA_FLOAT, 3, dims, strides),
            "cudnnSetTensorNdDescriptor", err);
    if (rc == 0)
        rc = sb_cudnn_check(cudnn, cudnn->dnn.cudnnCreateCTCLossDescriptor(&ctc->loss),
                            "cudnnCreateCTCLossDescriptor", err);
    if (rc == 0)
        rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnSetCTCLossDescriptorEx(ctc->loss, CUDNN_DATA_FLOAT,
                                                                   CUDNN_LOSS_NORMALIZATION_SOFTMAX,
                                                                   CUDNN_PROPAGATE_NAN),
                            "cudnnSetCTCLossDescriptorEx", err);
    return rc;
}

/* Labels and lengths are the host's here. Operands: x labels loss dx. */
static int compute(struct sb_cudnn *cudnn, const struct sb_call *call, const struct ctc *ctc,
                   cudnnCTCLossAlgo_t algorithm, void *const device[], struct sb_error *err) {
    const int *labels = call->operand[1], *steps = ctc->lengths + call->size[1];
    size_t bytes = 0;
    int rc = sb_cudnn_check(
        cudnn,
        cudnn->dnn.cudnnGetCTCLossWorkspaceSize(cudnn->handle, ctc->logits, ctc->logits, labels,
                                                ctc->lengths, steps, algorithm, ctc->loss, &bytes),
        "cudnnGetCTCLossWorkspaceSize", err);
    if (rc == 0)
        rc = sb_gpu_reserve(&cudnn->gpu, &cudnn->gpu.workspace, bytes, err);
    if (rc == 0 && call->report)
        call->report->workspace = bytes;
    if (rc == 0)
        rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnCTCLoss(cudnn->handle, ctc->logits, device[0], labels,
                                                    ctc->lengths, steps, device[2], ctc->logits,
                                                    device[3], algorithm, ctc->loss,
                                                    cudnn->gpu.workspace.at, bytes),
                            "cudnnCTCLoss", err);
    return rc;
}

static int work(struct sb_cudnn *cudnn, const struct sb_call *call,
                void *const device[SB_MAX_OPERANDS], struct sb_error *err) {
    bool fixed = call->algorithm ? sb_gpu_asked(call, "deterministic") : cudnn->deterministic;
    struct ctc ctc = {0};
    if (fixed)
        sb_gpu_report(call, "deterministic", SB_CLAIM_DETERMINISTIC, SB_CUDNN_REPEATS);
    else
        sb_gpu_report(call, "non_deterministic", SB_CLAIM_NONDETERMINISTIC,
                      "cuDNN documentation (Reproducibility): cudnnCTCLoss with "
                      "CUDNN_CTC_LOSS_ALGO_NON_DETERMINISTIC does not repeat");
    int rc = make(cudnn, call, &ctc, err);
    if (rc == 0)
        rc = compute(cudnn, call, &ctc,
                     fixed ? CUDNN_CTC_LOSS_ALGO_DETERMINISTIC
                           : CUDNN_CTC_LOSS_ALGO_NON_DETERMINISTIC,
                     device, err);
    clear(cudnn, &ctc);
    return rc;
}

int sb_cudnn_ctc(void *state, const struct sb_call *call, struct sb_error *err) {
    return sb_cudnn_do(state, call, work, err);
}
