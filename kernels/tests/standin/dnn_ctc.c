/* Tests, stand-in for libcudnn: CTC loss with its gradient, of probabilities scaled at every step.
 * The algorithm that is not deterministic adds up the paths through a symbol in any order. */
#include "kernels/tests/standin/dnn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct cudnnCTCLossStruct {
    bool set;
};
static const char kind[] = "CTC loss descriptor";

enum { MOST_LABELS = 1024 };

struct ctc {
    int t, n, a, l;
    bool anywhere;
    const float *logits;
    float *losses, *gradients;
    int labels[MOST_LABELS];
};

cudnnStatus_t cudnnCreateCTCLossDescriptor(cudnnCTCLossDescriptor_t *made) {
    *made = sb_standin_make(kind, sizeof **made);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroyCTCLossDescriptor(cudnnCTCLossDescriptor_t gone) {
    return sb_standin_dnn_status(sb_standin_free("cudnnDestroyCTCLossDescriptor", kind, gone));
}

cudnnStatus_t cudnnSetCTCLossDescriptorEx(cudnnCTCLossDescriptor_t ctc, cudnnDataType_t compute,
                                          cudnnLossNormalizationMode_t normalisation,
                                          cudnnNanPropagation_t nan) {
    (void)nan;
    if (!sb_standin_is("cudnnSetCTCLossDescriptorEx", kind, ctc) || compute != CUDNN_DATA_FLOAT ||
        normalisation != CUDNN_LOSS_NORMALIZATION_SOFTMAX)
        return CUDNN_STATUS_BAD_PARAM;
    ctc->set = true;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensorNdDescriptor(cudnnTensorDescriptor_t tensor, cudnnDataType_t type,
                                         int n, const int dims[], const int strides[]) {
    static const char who[] = "cudnnSetTensorNdDescriptor";
    if (!sb_standin_is(who, sb_standin_tensor, tensor))
        return CUDNN_STATUS_BAD_PARAM;
    if (n != 3 || type != CUDNN_DATA_FLOAT || strides[2] != 1 || strides[1] != dims[2] ||
        strides[0] != dims[1] * dims[2]) {
        sb_standin_refuse("%s: the stand-in knows packed ones of 3 dimensions in f32", who);
        return CUDNN_STATUS_BAD_PARAM;
    }
    tensor->type = CUDA_R_32F;
    memcpy(tensor->dims, (const int[]){dims[0], dims[1], dims[2], 1}, sizeof tensor->dims);
    return CUDNN_STATUS_SUCCESS;
}

/* ---- One sequence ------------------------------------------------------------------------------
 */

struct paths {
    const struct ctc *ctc;
    const int *labels;
    int places;
    double *y, *forward, *backward;
};

static int symbol(const struct paths *of, int place) {
    return place % 2 ? of->labels[place / 2] : 0;
}

static bool skips(const struct paths *of, int place) {
    return place % 2 && place >= 3 && symbol(of, place) != symbol(of, place - 2);
}

static void softmax(const struct paths *of, int n) {
    const struct ctc *ctc = of->ctc;
    for (int t = 0; t < ctc->t; t++) {
        const float *row = ctc->logits + ((size_t)t * (size_t)ctc->n + (size_t)n) * (size_t)ctc->a;
        double *y = of->y + t * ctc->a, sum = 0;
        for (int k = 0; k < ctc->a; k++)
            sum += y[k] = exp((double)row[k]);
        for (int k = 0; k < ctc->a; k++)
            y[k] /= sum;
    }
}

/* Divides by the sum, which it returns. */
static double scale(double *row, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += row[i];
    for (int i = 0; i < n; i++)
        row[i] /= sum;
    return sum;
}

static double walk(struct paths *of) {
    int s = of->places, a = of->ctc->a, last = of->ctc->t - 1;
    double loss = 0;
    for (int t = 0; t <= last; t++) {
        double *here = of->forward + t * s, *before = here - s;
        for (int p = 0; p < s; p++) {
            here[p] = t == 0 ? p < 2 : before[p] + (p ? before[p - 1] : 0);
            if (t && skips(of, p))
                here[p] += before[p - 2];
            here[p] *= of->y[t * a + symbol(of, p)];
        }
        loss -= log(scale(here, s));
    }
    for (int t = last; t >= 0; t--) {
        double *here = of->backward + t * s, *after = here + s, *y = of->y + (t + 1) * a;
        for (int p = 0; p < s; p++) {
            here[p] = t == last ? p >= s - 2 : after[p] * y[symbol(of, p)];
            if (t < last && p + 1 < s)
                here[p] += after[p + 1] * y[symbol(of, p + 1)];
            if (t < last && p + 2 < s && skips(of, p + 2))
                here[p] += after[p + 2] * y[symbol(of, p + 2)];
        }
        scale(here, s);
    }
    /* The last step's sum also holds paths that have not come to the end. */
    const double *end = of->forward + last * s;
    return loss - log(end[s - 1] + end[s - 2]);
}

static void gradient(const struct paths *of, int n, int t) {
    const struct ctc *ctc = of->ctc;
    int s = of->places;
    double all = 0;
    for (int p = 0; p < s; p++)
        all += of->forward[t * s + p] * of->backward[t * s + p];
    for (int k = 0; k < ctc->a; k++) {
        double terms[2 * MOST_LABELS + 1];
        size_t m = 0;
        for (int p = 0; p < s; p++) {
            if (symbol(of, p) == k)
                terms[m++] = of->forward[t * s + p] * of->backward[t * s + p] / all;
        }
        double share = sb_standin_dnn_sum(CUDA_R_32F, terms, m,
                                          ctc->anywhere ? sb_standin_random(1 << 20) : 0);
        ctc->gradients[((size_t)t * (size_t)ctc->n + (size_t)n) * (size_t)ctc->a + (size_t)k] =
            (float)(of->y[t * ctc->a + k] - share);
    }
}

static void run(void *arg) {
    const struct ctc *ctc = arg;
    int s = 2 * ctc->l + 1;
    double *room = calloc((size_t)ctc->t * (size_t)(ctc->a + 2 * s), sizeof *room);
    if (!room)
        abort();
    for (int n = 0; n < ctc->n; n++) {
        struct paths of = {ctc,  ctc->labels + n * ctc->l, s,
                           room, room + ctc->t * ctc->a,   room + ctc->t * (ctc->a + s)};
        softmax(&of, n);
        ctc->losses[n] = (float)walk(&of);
        for (int t = 0; t < ctc->t; t++)
            gradient(&of, n, t);
    }
    free(room);
}

/* ---- The calls ---------------------------------------------------------------------------------
 */

static size_t workspace_of(const int dims[4], cudnnCTCLossAlgo_t algo) {
    return (size_t)dims[0] * (size_t)dims[1] *
           (algo == CUDNN_CTC_LOSS_ALGO_DETERMINISTIC ? 64 : 32);
}

/* All sequences must be as long as the first, which is what the backend has. */
static bool fits(const char *who, cudnnCTCLossDescriptor_t desc, cudnnTensorDescriptor_t logits,
                 const int *labels, const int *label_lengths, const int *steps, struct ctc *ctc) {
    if (!sb_standin_is(who, kind, desc) || !desc->set ||
        !sb_standin_is(who, sb_standin_tensor, logits) || !logits->dims[0] ||
        !sb_standin_on_host(who, "the labels", labels) ||
        !sb_standin_on_host(who, "their lengths", label_lengths) ||
        !sb_standin_on_host(who, "the lengths of the input", steps))
        return false;
    const int *d = logits->dims;
    ctc->t = d[0], ctc->n = d[1], ctc->a = d[2], ctc->l = label_lengths[0];
    for (int n = 0; n < ctc->n; n++) {
        if (label_lengths[n] == ctc->l && steps[n] == ctc->t)
            continue;
        sb_standin_refuse("%s: sequence %d has %d labels and %d steps, not %d and %d", who, n,
                          label_lengths[n], steps[n], ctc->l, ctc->t);
        return false;
    }
    for (int i = 0; i < ctc->n * ctc->l; i++) {
        if (i < MOST_LABELS && labels[i] > 0 && labels[i] < ctc->a) {
            ctc->labels[i] = labels[i];
            continue;
        }
        sb_standin_refuse("%s: label %d is %d", who, i, labels[i]);
        return false;
    }
    return true;
}

cudnnStatus_t cudnnGetCTCLossWorkspaceSize(cudnnHandle_t handle,
                                           const cudnnTensorDescriptor_t logits,
                                           const cudnnTensorDescriptor_t gradients,
                                           const int *labels, const int *label_lengths,
                                           const int *steps, cudnnCTCLossAlgo_t algo,
                                           cudnnCTCLossDescriptor_t desc, size_t *bytes) {
    static const char who[] = "cudnnGetCTCLossWorkspaceSize";
    struct ctc ctc;
    if (!sb_standin_dnn_ready(who, handle) || !sb_standin_is(who, sb_standin_tensor, gradients) ||
        !fits(who, desc, logits, labels, label_lengths, steps, &ctc))
        return CUDNN_STATUS_BAD_PARAM;
    *bytes = workspace_of(logits->dims, algo);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCTCLoss(cudnnHandle_t handle, const cudnnTensorDescriptor_t logits_desc,
                           const void *logits, const int labels[], const int label_lengths[],
                           const int steps[], void *costs,
                           const cudnnTensorDescriptor_t gradients_desc, void *gradients,
                           cudnnCTCLossAlgo_t algo, cudnnCTCLossDescriptor_t desc, void *workspace,
                           size_t bytes) {
    static const char who[] = "cudnnCTCLoss";
    struct ctc ctc = {.anywhere = algo == CUDNN_CTC_LOSS_ALGO_NON_DETERMINISTIC,
                      .logits = logits,
                      .losses = costs,
                      .gradients = gradients};
    if (!sb_standin_dnn_ready(who, handle) ||
        !fits(who, desc, logits_desc, labels, label_lengths, steps, &ctc) ||
        !sb_standin_dnn_tensor(who, "the logits", logits_desc, logits) ||
        !sb_standin_dnn_tensor(who, "the gradients", gradients_desc, gradients) ||
        !sb_standin_dnn_memory(who, "the costs", costs, (size_t)ctc.n * sizeof(float)))
        return CUDNN_STATUS_BAD_PARAM;
    if (bytes < workspace_of(logits_desc->dims, algo)) {
        sb_standin_refuse("%s: %zu bytes of workspace are too few", who, bytes);
        return CUDNN_STATUS_BAD_PARAM;
    }
    bool good = sb_standin_on_device(who, "the workspace", workspace, bytes) &&
                sb_standin_enqueue(who, handle->stream, run, &ctc, sizeof ctc);
    if (good)
        sb_standin_fault(who, handle->stream, CUDA_R_32F, costs);
    return sb_standin_dnn_status(good);
}
