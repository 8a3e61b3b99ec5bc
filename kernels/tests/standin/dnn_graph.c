/* Tests, stand-in for libcudnn: the graph interface, for one convolution, or gelu or its gradient.
 * It has three engines: one whose results repeat, one whose do not and which says so, and one that
 * supports nothing. The first computes no gelu. */
#include "kernels/tests/standin/dnn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SOME = -1 }; /* two or three */
enum { MOST_SET = 8, MOST_BYTES = 32, ENGINES = 3, REPEATS = 0, ANYWHERE = 1, UNSUPPORTED = 2 };

static const char kind[] = "backend descriptor";

struct value {
    cudnnBackendAttributeName_t name;
    int64_t n;
    unsigned char bytes[MOST_BYTES];
};

struct descriptor {
    cudnnBackendDescriptorType_t type;
    bool final;
    size_t n;
    struct value set[MOST_SET];
};

/* What each type must be given, all of it; but for an operation's tensors, of which the function
 * says what they are, and how many tensors the memory is of. */
static const struct rule {
    cudnnBackendDescriptorType_t of;
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t n;
    bool optional;
} rules[] = {
#define TENSOR(name, type, n)                                                                      \
    { CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_##name, type, n }
    TENSOR(DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1),
    TENSOR(DIMENSIONS, CUDNN_TYPE_INT64, 4),
    TENSOR(STRIDES, CUDNN_TYPE_INT64, 4),
    TENSOR(UNIQUE_ID, CUDNN_TYPE_INT64, 1),
    TENSOR(BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1),
#define WINDOW(name, type, n)                                                                      \
    { CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_##name, type, n }
    WINDOW(COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1),
    WINDOW(CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1),
    WINDOW(SPATIAL_DIMS, CUDNN_TYPE_INT64, 1),
    WINDOW(FILTER_STRIDES, CUDNN_TYPE_INT64, 2),
    WINDOW(PRE_PADDINGS, CUDNN_TYPE_INT64, 2),
    WINDOW(POST_PADDINGS, CUDNN_TYPE_INT64, 2),
    WINDOW(DILATIONS, CUDNN_TYPE_INT64, 2),
/* alpha and beta are float or double: type -1. */
#define OPERATION(of, prefix, x, w, y)                                                             \
    {of, CUDNN_ATTR_OPERATION_CONVOLUTION_##prefix##_##x, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},       \
        {of, CUDNN_ATTR_OPERATION_CONVOLUTION_##prefix##_##w, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},   \
        {of, CUDNN_ATTR_OPERATION_CONVOLUTION_##prefix##_##y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},   \
        {of, CUDNN_ATTR_OPERATION_CONVOLUTION_##prefix##_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, \
         1},                                                                                       \
        {of, CUDNN_ATTR_OPERATION_CONVOLUTION_##prefix##_ALPHA, (cudnnBackendAttributeType_t)-1,   \
         1},                                                                                       \
    {                                                                                              \
        of, CUDNN_ATTR_OPERATION_CONVOLUTION_##prefix##_BETA, (cudnnBackendAttributeType_t)-1, 1   \
    }
    OPERATION(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, FORWARD, X, W, Y),
    OPERATION(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, BWD_DATA, DX, W, DY),
    OPERATION(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, BWD_FILTER, X, DW,
              DY),
#define POINTWISE(name, type, optional)                                                            \
    {                                                                                              \
        CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_##name, type, \
            1, optional                                                                            \
    }
    POINTWISE(PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, false),
    POINTWISE(XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, false),
    POINTWISE(YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, true),
    POINTWISE(DYDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, true),
    POINTWISE(DXDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, true),
#define ONE(of, name, type)                                                                        \
    { CUDNN_BACKEND_##of##_DESCRIPTOR, CUDNN_ATTR_##name, CUDNN_TYPE_##type, 1 }
    ONE(POINTWISE, POINTWISE_MODE, POINTWISE_MODE),
    ONE(POINTWISE, POINTWISE_MATH_PREC, DATA_TYPE),
    ONE(OPERATIONGRAPH, OPERATIONGRAPH_HANDLE, HANDLE),
    ONE(OPERATIONGRAPH, OPERATIONGRAPH_OPS, BACKEND_DESCRIPTOR),
    ONE(ENGINE, ENGINE_OPERATION_GRAPH, BACKEND_DESCRIPTOR),
    ONE(ENGINE, ENGINE_GLOBAL_INDEX, INT64),
    ONE(ENGINECFG, ENGINECFG_ENGINE, BACKEND_DESCRIPTOR),
    ONE(EXECUTION_PLAN, EXECUTION_PLAN_HANDLE, HANDLE),
    ONE(EXECUTION_PLAN, EXECUTION_PLAN_ENGINE_CONFIG, BACKEND_DESCRIPTOR),
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
     SOME},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
     CUDNN_TYPE_VOID_PTR, SOME},
    ONE(VARIANT_PACK, VARIANT_PACK_WORKSPACE, VOID_PTR),
};
enum { N_RULES = sizeof rules / sizeof *rules };

static size_t size_of(cudnnBackendAttributeType_t type) {
    return type == CUDNN_TYPE_DATA_TYPE || type == CUDNN_TYPE_CONVOLUTION_MODE ||
                   type == CUDNN_TYPE_POINTWISE_MODE || type == CUDNN_TYPE_FLOAT
               ? 4
               : 8;
}

static const struct value *find(const struct descriptor *of, cudnnBackendAttributeName_t name) {
    for (size_t i = 0; i < of->n; i++) {
        if (of->set[i].name == name)
            return &of->set[i];
    }
    return NULL;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *made) {
    struct descriptor *descriptor = sb_standin_make(kind, sizeof *descriptor);
    descriptor->type = type;
    *made = descriptor;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t gone) {
    return sb_standin_dnn_status(sb_standin_free("cudnnBackendDestroyDescriptor", kind, gone));
}

/* A descriptor that is referred to must be alive and final; a handle alive. */
static bool referred(const char *who, cudnnBackendAttributeType_t type, const void *at) {
    void *what;
    if (type != CUDNN_TYPE_HANDLE && type != CUDNN_TYPE_BACKEND_DESCRIPTOR)
        return true;
    memcpy(&what, at, sizeof what);
    if (type == CUDNN_TYPE_HANDLE)
        return sb_standin_dnn_ready(who, what);
    if (!sb_standin_is(who, kind, what))
        return false;
    if (((const struct descriptor *)what)->final)
        return true;
    sb_standin_refuse("%s: a descriptor that is not final is referred to", who);
    return false;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t to,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t n,
                                       const void *values) {
    static const char who[] = "cudnnBackendSetAttribute";
    struct descriptor *descriptor = to;
    if (!sb_standin_is(who, kind, to) || !referred(who, type, values))
        return CUDNN_STATUS_BAD_PARAM;
    for (size_t r = 0; r < N_RULES; r++) {
        bool scalar =
            (int)rules[r].type == -1 && (type == CUDNN_TYPE_FLOAT || type == CUDNN_TYPE_DOUBLE);
        if (rules[r].of != descriptor->type || rules[r].name != name)
            continue;
        bool fits = rules[r].n == SOME ? n == 2 || n == 3 : rules[r].n == n;
        if ((rules[r].type != type && !scalar) || !fits || descriptor->final ||
            find(descriptor, name)) {
            sb_standin_refuse("%s: attribute %d as %d of type %d%s", who, (int)name, (int)n,
                              (int)type, descriptor->final ? ", of what is final" : "");
            return CUDNN_STATUS_BAD_PARAM;
        }
        struct value *value = &descriptor->set[descriptor->n++];
        value->name = name;
        value->n = n;
        memcpy(value->bytes, values, (size_t)n * size_of(type));
        return CUDNN_STATUS_SUCCESS;
    }
    sb_standin_refuse("%s: descriptor %d has no attribute %d", who, (int)descriptor->type,
                      (int)name);
    return CUDNN_STATUS_BAD_PARAM;
}

static int64_t number(const struct descriptor *of, cudnnBackendAttributeName_t name, int i) {
    int64_t value;
    memcpy(&value, find(of, name)->bytes + 8 * i, sizeof value);
    return value;
}

static void *pointer(const struct descriptor *of, cudnnBackendAttributeName_t name, int i) {
    void *value;
    memcpy(&value, find(of, name)->bytes + 8 * i, sizeof value);
    return value;
}

/* Of an engine: is it for a function, not for a convolution? */
static bool is_pointwise(const struct descriptor *engine) {
    const struct descriptor *graph = pointer(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, 0);
    const struct descriptor *operation = pointer(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, 0);
    return operation->type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR;
}

static cudnnPointwiseMode_t mode_of(const struct descriptor *operation) {
    cudnnPointwiseMode_t mode;
    const struct descriptor *function =
        pointer(operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, 0);
    memcpy(&mode, find(function, CUDNN_ATTR_POINTWISE_MODE)->bytes, sizeof mode);
    return mode;
}

static bool is_gradient(cudnnPointwiseMode_t mode) {
    return mode == CUDNN_POINTWISE_GELU_BWD || mode == CUDNN_POINTWISE_GELU_APPROX_TANH_BWD;
}

/* A function has x and y, a gradient x, dy and dx. */
static bool is_whole(const char *who, const struct descriptor *operation) {
    bool gradient = is_gradient(mode_of(operation));
    if (!find(operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC) == gradient &&
        !find(operation, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC) != gradient &&
        !find(operation, CUDNN_ATTR_OPERATION_POINTWISE_DXDESC) != gradient)
        return true;
    sb_standin_refuse("%s: other tensors than the function's", who);
    return false;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t of) {
    static const char who[] = "cudnnBackendFinalize";
    struct descriptor *descriptor = of;
    if (!sb_standin_is(who, kind, of))
        return CUDNN_STATUS_BAD_PARAM;
    for (size_t r = 0; r < N_RULES; r++) {
        if (rules[r].of == descriptor->type && !rules[r].optional &&
            !find(descriptor, rules[r].name)) {
            sb_standin_refuse("%s: descriptor %d lacks attribute %d", who, (int)descriptor->type,
                              (int)rules[r].name);
            return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
        }
    }
    if (descriptor->type == CUDNN_BACKEND_ENGINE_DESCRIPTOR) {
        int64_t index = number(descriptor, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0);
        if (index < 0 || index >= ENGINES) {
            sb_standin_refuse("%s: no engine %d", who, (int)index);
            return CUDNN_STATUS_BAD_PARAM;
        }
        if (index == UNSUPPORTED || (index == REPEATS && is_pointwise(descriptor)))
            return CUDNN_STATUS_NOT_SUPPORTED;
    }
    if (descriptor->type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR &&
        !is_whole(who, descriptor))
        return CUDNN_STATUS_BAD_PARAM;
    descriptor->final = true;
    return CUDNN_STATUS_SUCCESS;
}

static int64_t engine_of(const struct descriptor *plan) {
    const struct descriptor *configuration =
        pointer(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, 0);
    return number(pointer(configuration, CUDNN_ATTR_ENGINECFG_ENGINE, 0),
                  CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0);
}

static size_t workspace_of(int64_t engine) {
    return engine == ANYWHERE ? 4096 : 0;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const of,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t most, int64_t *n,
                                       void *values) {
    static const char who[] = "cudnnBackendGetAttribute";
    const struct descriptor *descriptor = of;
    if (!sb_standin_is(who, kind, of) || most < 1)
        return CUDNN_STATUS_BAD_PARAM;
    if (!descriptor->final) {
        sb_standin_refuse("%s: of what is not final", who);
        return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
    }
    *n = 1;
    int64_t answer;
    if (name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE && type == CUDNN_TYPE_NUMERICAL_NOTE) {
        *n = number(descriptor, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0) == ANYWHERE &&
             !getenv("SAMEBITS_STANDIN_LIES");
        *(cudnnBackendNumericalNote_t *)values = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
        return CUDNN_STATUS_SUCCESS;
    }
    if (name == CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT)
        answer = ENGINES;
    else if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE)
        answer = (int64_t)workspace_of(engine_of(descriptor));
    else
        return CUDNN_STATUS_NOT_SUPPORTED;
    if (type != CUDNN_TYPE_INT64)
        return CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE;
    memcpy(values, &answer, sizeof answer);
    return CUDNN_STATUS_SUCCESS;
}

/* ---- Execution ---------------------------------------------------------------------------------
 */

static bool take_tensor(const struct descriptor *tensor, int dims[4], cudaDataType *type) {
    static const cudaDataType types[] = {CUDA_R_32F, CUDA_R_64F, CUDA_R_16F};
    cudnnDataType_t said;
    memcpy(&said, find(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE)->bytes, sizeof said);
    *type = said == CUDNN_DATA_BFLOAT16 ? CUDA_R_16BF : types[said];
    int64_t stride = 1;
    for (int i = 3; i >= 0; i--) {
        dims[i] = (int)number(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, i);
        if (number(tensor, CUDNN_ATTR_TENSOR_STRIDES, i) != stride || dims[i] < 1) {
            sb_standin_refuse("cudnnBackendExecute: a tensor that is not packed");
            return false;
        }
        stride *= dims[i];
    }
    return true;
}

/* What the pack holds for a tensor, by its id. */
static void *data_of(const struct descriptor *pack, const struct descriptor *tensor) {
    int64_t id = number(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, 0);
    for (int i = 0; i < find(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS)->n; i++) {
        if (number(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i) == id)
            return pointer(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, i);
    }
    return NULL;
}

static void take_window(const struct descriptor *window, struct sb_standin_convolution *of) {
    for (int i = 0; i < 2; i++) {
        of->padding[i] = (int)number(window, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, i);
        of->stride[i] = (int)number(window, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, i);
        of->dilation[i] = (int)number(window, CUDNN_ATTR_CONVOLUTION_DILATIONS, i);
    }
}

/* The operation's attributes stand in the order x w y window alpha beta in every direction's rules.
 */
static bool take_operation(const struct descriptor *operation, const struct descriptor *pack,
                           struct sb_standin_convolution *of) {
    size_t first = 0;
    while (rules[first].of != operation->type)
        first++;
    const struct descriptor *tensors[3];
    int *dims[] = {of->x, of->w, of->y};
    void *data[3];
    for (int i = 0; i < 3; i++) {
        tensors[i] = pointer(operation, rules[first + (size_t)i].name, 0);
        if (!take_tensor(tensors[i], dims[i], &of->type))
            return false;
        data[i] = data_of(pack, tensors[i]);
    }
    take_window(pointer(operation, rules[first + 3].name, 0), of);
    of->direction =
        operation->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR
            ? SB_STANDIN_FORWARD
        : operation->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR
            ? SB_STANDIN_DATA
            : SB_STANDIN_FILTER;
    of->a = of->direction == SB_STANDIN_DATA ? data[1] : data[0];
    of->b = of->direction == SB_STANDIN_FORWARD ? data[1] : data[2];
    of->out = data[of->direction == SB_STANDIN_FORWARD ? 2
                   : of->direction == SB_STANDIN_DATA  ? 0
                                                       : 1];
    const struct value *alpha = find(operation, rules[first + 4].name),
                       *beta = find(operation, rules[first + 5].name);
    return sb_standin_dnn_scalars("cudnnBackendExecute", of->type, alpha->bytes, beta->bytes);
}

/* ---- gelu --------------------------------------------------------------------------------------
 */

struct function {
    cudaDataType type;
    cudnnPointwiseMode_t mode;
    size_t n;
    void *data[3]; /* x y, or x dy dx */
};

static void compute_function(void *arg) {
    const struct function *of = arg;
    bool gradient = is_gradient(of->mode),
         by_tanh = of->mode == CUDNN_POINTWISE_GELU_APPROX_TANH_FWD ||
                   of->mode == CUDNN_POINTWISE_GELU_APPROX_TANH_BWD;
    const double root = sqrt(M_2_PI), cubic = 0.044715;
    for (size_t i = 0; i < of->n; i++) {
        double x = sb_standin_value(of->type, of->data[0], i);
        double share = by_tanh ? tanh(root * (x + cubic * x * x * x)) : erf(x * M_SQRT1_2);
        double slope =
            root * (by_tanh ? (1 - share * share) * (1 + 3 * cubic * x * x) : exp(-x * x / 2));
        double y = gradient ? sb_standin_value(of->type, of->data[1], i) *
                                  ((1 + share) / 2 + x / 2 * slope)
                            : x / 2 * (1 + share);
        sb_standin_store(of->type, of->data[gradient ? 2 : 1], i, y);
    }
}

static bool run_function(const char *who, cudaStream_t stream, const struct descriptor *operation,
                         const struct descriptor *pack) {
    static const cudnnBackendAttributeName_t names[2][3] = {
        {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_ATTR_OPERATION_POINTWISE_YDESC},
        {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC,
         CUDNN_ATTR_OPERATION_POINTWISE_DXDESC}};
    struct function of = {.mode = mode_of(operation)};
    bool gradient = is_gradient(of.mode);
    int dims[4];
    for (int i = 0; i < (gradient ? 3 : 2); i++) {
        const struct descriptor *tensor = pointer(operation, names[gradient][i], 0);
        cudaDataType type;
        if (!take_tensor(tensor, dims, &type))
            return false;
        if (i && (type != of.type || sb_standin_dnn_elements(dims) != of.n)) {
            sb_standin_refuse("%s: tensors that are not alike", who);
            return false;
        }
        of.type = type;
        of.n = sb_standin_dnn_elements(dims);
        of.data[i] = data_of(pack, tensor);
        if (!sb_standin_dnn_memory(who, "a tensor", of.data[i], of.n * sb_standin_size(type)))
            return false;
    }
    if (of.type == CUDA_R_64F) {
        sb_standin_refuse("%s: no engine computes it in f64", who);
        return false;
    }
    return sb_standin_enqueue(who, stream, compute_function, &of, sizeof of);
}

static bool is_final(const char *who, const struct descriptor *descriptor,
                     cudnnBackendDescriptorType_t type) {
    if (!sb_standin_is(who, kind, descriptor))
        return false;
    if (descriptor->type == type && descriptor->final)
        return true;
    sb_standin_refuse("%s: a descriptor of another type, or not final", who);
    return false;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
    static const char who[] = "cudnnBackendExecute";
    if (!sb_standin_dnn_ready(who, handle) ||
        !is_final(who, plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) ||
        !is_final(who, pack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR))
        return CUDNN_STATUS_BAD_PARAM;
    int64_t index = engine_of(plan);
    const struct descriptor *engine = pointer(
        pointer(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, 0), CUDNN_ATTR_ENGINECFG_ENGINE, 0);
    const struct descriptor *graph = pointer(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, 0);
    struct sb_standin_convolution of = {.anywhere = index == ANYWHERE};
    size_t needed = workspace_of(index);
    if (needed &&
        !sb_standin_on_device(who, "the workspace",
                              pointer(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, 0), needed))
        return CUDNN_STATUS_BAD_PARAM;
    if (is_pointwise(engine))
        return sb_standin_dnn_status(run_function(
            who, handle->stream, pointer(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, 0), pack));
    return sb_standin_dnn_status(
        take_operation(pointer(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, 0), pack, &of) &&
        sb_standin_dnn_fits(who, &of) && sb_standin_dnn_convolve(who, handle->stream, &of));
}
