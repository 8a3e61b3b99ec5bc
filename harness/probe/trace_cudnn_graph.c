/* The trace: cuDNN's graphs, interposed. A call names a plan and addresses by number alone, and
 * cuDNN tells nobody what it was told; so what is set is noted, from a tensor to the operation that
 * it belongs to, the graph, the engine and its configuration, the plan. Each note is a copy, since
 * descriptors may be gone when the plan runs. What chooses an engine and its knobs is no input. */
#include "probe/trace_tensor.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* A tensor of a graph. */
struct item {
    struct sb_cudnn_tensor tensor;
    int64_t id;
    int name; /* attribute of its operation; 0: not yet of one */
    bool by_value, away, odd, added_to;
};

/* What is known of a descriptor. */
struct note {
    const void *descriptor;
    struct item own; /* of a tensor */
    struct item *items;
    unsigned n;
    uint64_t mixed;      /* of what else was set */
    bool adds, training; /* an operation: to what is there; normalises by what it is given now */
    int64_t *ids;        /* of a pack */
    void **addresses;
    int64_t n_ids, n_addresses;
    bool overridden;
    struct note *next;
};

enum { BUCKETS = 1024 };
static struct note *notes[BUCKETS];
static int lock;

static void take(void) {
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
        sched_yield();
}

static void give(void) {
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static struct note **place_of(const void *descriptor) {
    struct note **place = &notes[((uintptr_t)descriptor >> 4) % BUCKETS];
    while (*place && (*place)->descriptor != descriptor)
        place = &(*place)->next;
    return place;
}

static struct note *note_of(const void *descriptor) {
    struct note **place = place_of(descriptor);
    if (!*place && (*place = calloc(1, sizeof **place)))
        (*place)->descriptor = descriptor;
    return *place;
}

static void forget(const void *descriptor) {
    struct note **place = place_of(descriptor), *note = *place;
    if (!note)
        return;
    *place = note->next;
    free(note->items);
    free(note->ids);
    free(note->addresses);
    free(note);
}

/* ---- What is set ------------------------------------------------------------------------------
 */

static void mix(struct note *note, const void *bytes, size_t n) {
    struct sb_layer layer = {.mixed = note->mixed};
    sb_layer_mix(&layer, bytes, n);
    note->mixed = layer.mixed;
}

static bool is_true(const void *value) {
    return *(const bool *)value;
}

static void put_numbers(int64_t *to, int64_t n, const void *from, struct item *own) {
    own->odd = own->odd || n < 1 || n > SB_TENSOR_RANK;
    if (!own->odd)
        memcpy(to, from, (size_t)n * sizeof *to);
}

static void set_tensor(struct item *own, int name, int64_t n, const void *values) {
    int64_t number = 0;
    switch (name) {
    case SB_CUDNN_ATTR_TENSOR_DATA_TYPE:
        memcpy(&own->tensor.type, values, sizeof own->tensor.type);
        break;
    case SB_CUDNN_ATTR_TENSOR_DIMENSIONS:
        put_numbers(own->tensor.dims, n, values, own);
        own->tensor.rank = (int)n;
        break;
    case SB_CUDNN_ATTR_TENSOR_STRIDES:
        put_numbers(own->tensor.strides, n, values, own);
        break;
    case SB_CUDNN_ATTR_TENSOR_UNIQUE_ID:
        memcpy(&own->id, values, sizeof own->id);
        break;
    case SB_CUDNN_ATTR_TENSOR_IS_VIRTUAL:
        own->away = is_true(values);
        break;
    case SB_CUDNN_ATTR_TENSOR_IS_BY_VALUE:
        own->by_value = is_true(values);
        break;
    case SB_CUDNN_ATTR_TENSOR_VECTOR_COUNT:
        memcpy(&number, values, sizeof number);
        own->odd = own->odd || number > 1;
        break;
    case SB_CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC: /* there are gaps that no descriptor tells */
        own->odd = true;
        break;
    default: /* alignment and the like */
        break;
    }
}

static void set_pack(struct note *note, int name, int64_t n, const void *values) {
    bool ids = name == SB_CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS;
    if (!ids && name != SB_CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS) {
        note->overridden =
            note->overridden || name >= SB_CUDNN_ATTR_VARIANT_PACK_OVERRIDE_UNIQUE_IDS;
        return;
    }
    void *copy = n > 0 ? malloc((size_t)n * 8) : NULL;
    if (copy)
        memcpy(copy, values, (size_t)n * 8);
    free(ids ? (void *)note->ids : (void *)note->addresses);
    if (ids) {
        note->ids = copy;
        note->n_ids = copy ? n : 0;
    } else {
        note->addresses = copy;
        note->n_addresses = copy ? n : 0;
    }
}

/* Bytes of a value; 0: an address, or not of what is computed. */
static size_t size_of(int type) {
    switch (type) {
    case SB_CUDNN_TYPE_BOOLEAN:
        return sizeof(bool);
    case SB_CUDNN_TYPE_INT64:
    case SB_CUDNN_TYPE_DOUBLE:
        return 8;
    case SB_CUDNN_TYPE_HANDLE:
    case SB_CUDNN_TYPE_VOID_PTR:
    case SB_CUDNN_TYPE_BACKEND_DESCRIPTOR:
    case SB_CUDNN_TYPE_CHAR:
    case SB_CUDNN_TYPE_DATA_TYPE: /* of sums; tensors have theirs in their own notes */
    case SB_CUDNN_TYPE_FRACTION:
        return 0;
    default:
        return 4;
    }
}

/* Heuristics, configurations, plans, knobs, graphs' own; engines. */
static bool says_how(int name) {
    return (name >= SB_CUDNN_ATTR_ENGINEHEUR_MODE &&
            name < SB_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA) ||
           (name >= SB_CUDNN_ATTR_OPERATIONGRAPH_HANDLE &&
            name < SB_CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT) ||
           (name >= SB_CUDNN_ATTR_ENGINE_OPERATION_GRAPH &&
            name < SB_CUDNN_ATTR_MATMUL_COMP_TYPE) ||
           name == SB_CUDNN_ATTR_REDUCTION_IS_DETERMINISTIC;
}

static void set_value(struct note *note, int name, int type, int64_t n, const void *values) {
    bool beta = name == SB_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA ||
                name == SB_CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA ||
                name == SB_CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA;
    size_t size = size_of(type);
    if (!size || n < 1 || says_how(name))
        return;
    mix(note, &name, sizeof name);
    mix(note, values, (size_t)n * size);
    if (beta && type == SB_CUDNN_TYPE_FLOAT)
        note->adds = *(const float *)values != 0;
    else if (beta)
        note->adds = *(const double *)values != 0;
    else if (name == SB_CUDNN_ATTR_OPERATION_NORM_FWD_PHASE)
        note->training = *(const int *)values == SB_CUDNN_NORM_FWD_TRAINING;
}

/* ---- What belongs to what ---------------------------------------------------------------------
 */

static void add_items(struct note *to, const struct item *items, unsigned n) {
    struct item *grown = n ? reallocarray(to->items, to->n + n, sizeof *grown) : NULL;
    if (!grown)
        return;
    to->items = grown;
    memcpy(grown + to->n, items, n * sizeof *items);
    to->n += n;
}

static bool is_output(const struct note *operation, int name) {
    static const int outputs[] = {SB_CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                                  SB_CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                  SB_CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                  SB_CUDNN_ATTR_OPERATION_POINTWISE_YDESC,
                                  SB_CUDNN_ATTR_OPERATION_POINTWISE_DXDESC,
                                  SB_CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC,
                                  SB_CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC,
                                  SB_CUDNN_ATTR_OPERATION_BN_FINALIZE_UPDATED_RUNNING_MEAN_DESC,
                                  SB_CUDNN_ATTR_OPERATION_BN_FINALIZE_UPDATED_RUNNING_VAR_DESC,
                                  SB_CUDNN_ATTR_OPERATION_BN_FINALIZE_SAVED_MEAN_DESC,
                                  SB_CUDNN_ATTR_OPERATION_BN_FINALIZE_SAVED_INV_STD_DESC,
                                  SB_CUDNN_ATTR_OPERATION_BN_FINALIZE_EQ_SCALE_DESC,
                                  SB_CUDNN_ATTR_OPERATION_BN_FINALIZE_EQ_BIAS_DESC,
                                  SB_CUDNN_ATTR_OPERATION_MATMUL_CDESC,
                                  SB_CUDNN_ATTR_OPERATION_REDUCTION_YDESC,
                                  SB_CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC,
                                  SB_CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC,
                                  SB_CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC,
                                  SB_CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC,
                                  SB_CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS,
                                  SB_CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC,
                                  SB_CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC,
                                  SB_CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC,
                                  SB_CUDNN_ATTR_OPERATION_CONCAT_OUTPUT_DESC,
                                  SB_CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_MEAN_DESC,
                                  SB_CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_VAR_DESC,
                                  SB_CUDNN_ATTR_OPERATION_NORM_FWD_YDESC,
                                  SB_CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC,
                                  SB_CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC,
                                  SB_CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC,
                                  SB_CUDNN_ATTR_OPERATION_RESHAPE_YDESC,
                                  SB_CUDNN_ATTR_OPERATION_RNG_YDESC};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        if (outputs[i] == name)
            return true;
    }
    return operation->training && (name == SB_CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC ||
                                   name == SB_CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC);
}

/* Operations of newer libraries, of whose tensors it is not known here which they write. */
static bool is_known(int name) {
    return name < SB_CUDNN_ATTR_OPERATION_SIGNAL_MODE ||
           (name >= SB_CUDNN_ATTR_OPERATION_NORM_FWD_MODE &&
            name <= SB_CUDNN_ATTR_OPERATION_RESHAPE_YDESC) ||
           (name >= SB_CUDNN_ATTR_RNG_DISTRIBUTION &&
            name <= SB_CUDNN_ATTR_OPERATION_RNG_OFFSET_DESC);
}

static void refer(struct note *note, int name, const void *descriptor) {
    const struct note *other = *place_of(descriptor);
    if (!other)
        return;
    if (other->own.tensor.rank) {
        struct item item = other->own;
        item.name = name;
        item.odd = item.odd || !is_known(name);
        add_items(note, &item, 1);
        mix(note, &name, sizeof name);
        return;
    }
    unsigned first = note->n;
    add_items(note, other->items, other->n);
    for (unsigned i = first; i < note->n; i++) {
        struct item *item = &note->items[i];
        if (item->name <= 0) /* its operation is done with */
            continue;
        item->added_to = other->adds;
        item->name = is_output(other, item->name) ? -1 : 0;
    }
    if (!says_how(name) || name == SB_CUDNN_ATTR_OPERATIONGRAPH_OPS)
        mix(note, &other->mixed, sizeof other->mixed);
    else if (other->n)
        note->mixed = other->mixed;
}

static void set(const void *descriptor, int name, int type, int64_t n, const void *values) {
    struct note *note = note_of(descriptor);
    if (!note)
        return;
    if (name >= SB_CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT &&
        name <= SB_CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC)
        set_tensor(&note->own, name, n, values);
    else if (name >= SB_CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS &&
             name <= SB_CUDNN_ATTR_VARIANT_PACK_OVERRIDE_STRIDES)
        set_pack(note, name, n, values);
    else if (type == SB_CUDNN_TYPE_BACKEND_DESCRIPTOR)
        for (int64_t i = 0; i < n; i++)
            refer(note, name, ((const void *const *)values)[i]);
    else
        set_value(note, name, type, n, values);
}

/* Configurations that heuristics gave are of the heuristics' graph. */
static void got(const void *descriptor, int64_t n, const void *values) {
    const struct note *from = *place_of(descriptor);
    for (int64_t i = 0; from && i < n; i++) {
        struct note *to = note_of(((const void *const *)values)[i]);
        if (!to || to->n)
            continue;
        add_items(to, from->items, from->n);
        to->mixed = from->mixed;
    }
}

/* ---- The call ---------------------------------------------------------------------------------
 */

static void *address_of(const struct note *pack, int64_t id) {
    for (int64_t i = 0; i < pack->n_ids && i < pack->n_addresses; i++) {
        if (pack->ids[i] == id)
            return pack->addresses[i];
    }
    return NULL;
}

/* Several operations may have it; who writes it has the last word. */
static bool comes_again(const struct note *plan, unsigned at, unsigned *access) {
    const struct item *item = &plan->items[at];
    bool again = false, written = false, added_to = false;
    for (unsigned i = 0; i < plan->n; i++) {
        if (plan->items[i].id != item->id)
            continue;
        again = again || i < at;
        written = written || plan->items[i].name < 0;
        added_to = added_to || (plan->items[i].name < 0 && plan->items[i].added_to);
    }
    *access = !written ? SB_READ : added_to ? SB_READ | SB_WRITTEN : SB_WRITTEN;
    return again;
}

static void put_item(struct sb_layer *layer, const struct item *item, const void *at,
                     unsigned access) {
    size_t n = sb_cudnn_element(item->tensor.type);
    layer->failed = layer->failed || item->odd || !at;
    if (layer->failed)
        return;
    if (!item->by_value) {
        if (layer->call->n_operands < 2) /* of a convolution, what it is of and by what */
            sb_layer_sizes(layer, &item->tensor);
        sb_layer_tensor(layer, &item->tensor, at, access);
        return;
    }
    for (int i = 0; i < item->tensor.rank; i++)
        n *= (size_t)item->tensor.dims[i];
    sb_layer_mix(layer, at, n);
}

static void describe(struct sb_layer *layer, const void *of_plan, const void *of_pack) {
    take();
    const struct note *plan = *place_of(of_plan), *pack = *place_of(of_pack);
    layer->failed = layer->failed || !plan || !pack || pack->overridden;
    if (!layer->failed)
        sb_layer_mix(layer, &plan->mixed, sizeof plan->mixed);
    for (unsigned i = 0; !layer->failed && i < plan->n; i++) {
        const struct item *item = &plan->items[i];
        unsigned access;
        if (!item->away && !comes_again(plan, i, &access))
            put_item(layer, item, address_of(pack, item->id), access);
    }
    give();
}

SB_CUDA_CALL(cudnnStatus_t, cudnnBackendExecute, "cudnnBackendExecute",
             (cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack),
             (handle, plan, pack), struct sb_layer layer = sb_layer_begin(&call, handle, caller);
             describe(&layer, plan, pack); sb_layer_end(&layer))

/* What is only noted. */
#ifdef SB_CUDA_HEADERS
#define WATCH(symbol, parameters, arguments, note) extern cudnnStatus_t symbol parameters;
#else
#define WATCH(symbol, parameters, arguments, note)                                                 \
    SB_INTERPOSED cudnnStatus_t symbol parameters;                                                 \
    SB_INTERPOSED cudnnStatus_t symbol parameters {                                                \
        static struct sb_real real = {.name = #symbol};                                            \
        const struct sb_found *found = sb_trace_real(&real, (const void *)symbol, SB_CALLER);      \
        cudnnStatus_t status = ((cudnnStatus_t(*) parameters)found->function)arguments;            \
        if (status == 0 && sb_trace_is_on()) {                                                     \
            take();                                                                                \
            note;                                                                                  \
            give();                                                                                \
        }                                                                                          \
        return status;                                                                             \
    }
#endif

WATCH(cudnnBackendSetAttribute,
      (cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
       cudnnBackendAttributeType_t type, int64_t n, const void *values),
      (descriptor, name, type, n, values), set(descriptor, (int)name, (int)type, n, values))
WATCH(cudnnBackendGetAttribute,
      (cudnnBackendDescriptor_t const descriptor, cudnnBackendAttributeName_t name,
       cudnnBackendAttributeType_t type, int64_t most, int64_t *n, void *values),
      (descriptor, name, type, most, n, values),
      if ((int)type == SB_CUDNN_TYPE_BACKEND_DESCRIPTOR && n && values)
          got(descriptor, *n < most ? *n : most, values))
WATCH(cudnnBackendDestroyDescriptor, (cudnnBackendDescriptor_t descriptor), (descriptor),
      forget(descriptor))
