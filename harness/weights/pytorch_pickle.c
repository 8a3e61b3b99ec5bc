/* Stage 4, weights: from a pickle's nodes to PyTorch's tensors. See weights/pytorch_pickle.h.
 * What torch.save calls: torch/_utils.py, torch/_tensor.py and torch/serialization.py. */
#include "weights/pytorch_pickle.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "weights/tensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A value can stand at many places, and so a small pickle for a very large tree. */
enum { DEEPEST = 64, MOST_LOOKED = 1 << 24 };

struct search {
    struct sb_tensor_sink *sink;
    struct sb_pytorch_tensors *tensors;
    struct sb_text name; /* of the place that is looked at */
    unsigned depth;
    unsigned searches; /* for storages in objects */
    uint64_t looked;   /* at so many values */
    struct sb_error *err;
};

/* ---- Element types --------------------------------------------------------------------------- */

/* Classes of storages, and the dtypes that newer calls name themselves. */
static const struct {
    const char *global;
    enum sb_dtype dtype;
} types[] = {
    {"torch.BoolStorage", SB_DTYPE_BOOL},
    {"torch.CharStorage", SB_DTYPE_I8},
    {"torch.ShortStorage", SB_DTYPE_I16},
    {"torch.IntStorage", SB_DTYPE_I32},
    {"torch.LongStorage", SB_DTYPE_I64},
    {"torch.ByteStorage", SB_DTYPE_U8},
    {"torch.HalfStorage", SB_DTYPE_F16},
    {"torch.BFloat16Storage", SB_DTYPE_BF16},
    {"torch.FloatStorage", SB_DTYPE_F32},
    {"torch.DoubleStorage", SB_DTYPE_F64},
    {"torch.ComplexFloatStorage", SB_DTYPE_C64},
    {"torch.ComplexDoubleStorage", SB_DTYPE_C128},
    {"torch.bool", SB_DTYPE_BOOL},
    {"torch.int8", SB_DTYPE_I8},
    {"torch.int16", SB_DTYPE_I16},
    {"torch.int32", SB_DTYPE_I32},
    {"torch.int64", SB_DTYPE_I64},
    {"torch.uint8", SB_DTYPE_U8},
    {"torch.uint16", SB_DTYPE_U16},
    {"torch.uint32", SB_DTYPE_U32},
    {"torch.uint64", SB_DTYPE_U64},
    {"torch.float16", SB_DTYPE_F16},
    {"torch.bfloat16", SB_DTYPE_BF16},
    {"torch.float32", SB_DTYPE_F32},
    {"torch.float64", SB_DTYPE_F64},
    {"torch.complex64", SB_DTYPE_C64},
    {"torch.complex128", SB_DTYPE_C128},
    {"torch.float8_e4m3fn", SB_DTYPE_F8_E4M3},
    {"torch.float8_e5m2", SB_DTYPE_F8_E5M2},
};

static bool dtype_of(const struct sb_pickle *global, enum sb_dtype *dtype) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (sb_pickle_is_global(global, types[i].global)) {
            *dtype = types[i].dtype;
            return true;
        }
    }
    return false;
}

/* ---- Reading nodes --------------------------------------------------------------------------- */

static const char *place(const struct search *search) {
    return search->name.length ? search->name.data : "what was saved";
}

static int bad(struct search *search, const char *what) {
    return sb_error_set(search->err, -EBADMSG, "%s: %s", place(search), what);
}

/* Item i of a tuple, or NULL. */
static struct sb_pickle *item(const struct sb_pickle *tuple, size_t i) {
    return tuple && tuple->kind == SB_PICKLE_TUPLE && i < tuple->n_items ? tuple->items[i] : NULL;
}

static bool get_count(const struct sb_pickle *value, uint64_t *count) {
    if (!value || value->kind != SB_PICKLE_INT || !value->fits || value->integer < 0)
        return false;
    *count = (uint64_t)value->integer;
    return true;
}

/* torch.Size is a tuple that is called for. */
static const struct sb_pickle *as_tuple(const struct sb_pickle *value) {
    if (value && value->kind == SB_PICKLE_CALL &&
        sb_pickle_is_global(value->function, "torch.Size"))
        return item(value->arguments, 0);
    return value;
}

/* ---- Tensors --------------------------------------------------------------------------------- */

/* ('storage', class, key, location, number of elements) */
static int read_storage(struct search *search, const struct sb_pickle *storage,
                        struct sb_pytorch_tensor *tensor) {
    const struct sb_pickle *id =
        storage && storage->kind == SB_PICKLE_PERSISTENT ? storage->arguments : NULL;
    const struct sb_pickle *tag = item(id, 0), *key = item(id, 2);
    if (!tag || tag->kind != SB_PICKLE_TEXT || strcmp(tag->text, "storage") != 0 || !key ||
        key->kind != SB_PICKLE_TEXT)
        return bad(search, "a tensor without a storage");
    tensor->key = key->text;
    const struct sb_pickle *class = item(id, 1);
    if (!dtype_of(class, &tensor->info.dtype) &&
        !sb_pickle_is_global(class, "torch.storage.UntypedStorage") &&
        !sb_pickle_is_global(class, "torch.UntypedStorage"))
        tensor->ignored = "its storage is of a type that has no equal here";
    return 0;
}

static int read_shape(struct search *search, const struct sb_pickle *size,
                      const struct sb_pickle *stride, struct sb_pytorch_tensor *tensor) {
    size = as_tuple(size);
    stride = as_tuple(stride);
    if (!size || !stride || size->kind != SB_PICKLE_TUPLE || stride->kind != SB_PICKLE_TUPLE ||
        size->n_items != stride->n_items || size->n_items > SB_MAX_RANK)
        return bad(search, "a tensor without a usable shape");
    tensor->info.rank = (unsigned)size->n_items;
    for (size_t i = 0; i < size->n_items; i++) {
        if (!get_count(size->items[i], &tensor->info.dims[i]) ||
            !get_count(stride->items[i], &tensor->strides[i]))
            return bad(search, "a tensor without a usable shape");
    }
    return 0;
}

static int add_tensor(struct search *search, struct sb_pytorch_tensor *tensor) {
    struct sb_pytorch_tensors *all = search->tensors;
    SB_AUTO_TEXT struct sb_text name = {0};
    sb_name_escape(&name, search->name.data ? search->name.data : "", search->name.length);
    tensor->info.name = sb_text_take(&name);
    if (!tensor->info.name)
        return sb_error_errno(search->err, -ENOMEM, "tensors");
    int rc = sb_tensor_info_count(&tensor->info, search->err);
    if (rc == 0 && all->n == all->room) {
        size_t room = all->room ? 2 * all->room : 64;
        struct sb_pytorch_tensor *items = realloc(all->items, room * sizeof *items);
        if (items) {
            all->items = items;
            all->room = room;
        } else {
            rc = sb_error_errno(search->err, -ENOMEM, "tensors");
        }
    }
    if (rc < 0)
        free(tensor->info.name);
    else
        all->items[all->n++] = *tensor;
    return rc;
}

/* (storage, offset, size, stride, requires_grad, hooks); of version 3 also the dtype. */
static int take_tensor(struct search *search, const struct sb_pickle *arguments, bool names_dtype) {
    struct sb_pytorch_tensor tensor = {0};
    int rc = read_storage(search, item(arguments, 0), &tensor);
    if (rc == 0 && !get_count(item(arguments, 1), &tensor.offset))
        rc = bad(search, "a tensor without a place in its storage");
    if (rc == 0)
        rc = read_shape(search, item(arguments, 2), item(arguments, 3), &tensor);
    if (rc == 0 && names_dtype && !dtype_of(item(arguments, 6), &tensor.info.dtype))
        tensor.ignored = "its dtype has no equal here";
    return rc < 0 ? rc : add_tensor(search, &tensor);
}

/* ---- The tree -------------------------------------------------------------------------------- */

static int look(struct search *search, struct sb_pickle *value);

/* Looks at a value one step further down, under its name. */
static int look_below(struct search *search, const char *key, size_t n_key,
                      struct sb_pickle *value) {
    size_t before = search->name.length;
    if (search->depth == DEEPEST)
        return bad(search, "nested too deeply");
    if (before)
        sb_text_putc(&search->name, '/');
    sb_text_add(&search->name, key, n_key);
    search->depth++;
    int rc =
        search->name.failed ? sb_error_errno(search->err, -ENOMEM, "tensors") : look(search, value);
    search->depth--;
    search->name.length = before;
    if (search->name.data)
        search->name.data[before] = '\0';
    return rc;
}

static int look_at_pairs(struct search *search, const struct sb_pickle *mapping) {
    int rc = 0;
    for (size_t i = 0; i + 1 < mapping->n_items && rc == 0; i += 2) {
        const struct sb_pickle *key = mapping->items[i];
        char number[24];
        const char *text = key->text;
        size_t n = key->n_text;
        if (key->kind == SB_PICKLE_INT && key->fits) {
            n = (size_t)snprintf(number, sizeof number, "%" PRId64, key->integer);
            text = number;
        } else if (key->kind != SB_PICKLE_TEXT && key->kind != SB_PICKLE_BYTES) {
            return bad(search, "a key that is neither text nor number");
        }
        rc = look_below(search, text, n, mapping->items[i + 1]);
    }
    return rc;
}

static int look_at_items(struct search *search, const struct sb_pickle *list) {
    int rc = 0;
    for (size_t i = 0; i < list->n_items && rc == 0; i++) {
        char number[24];
        int n = snprintf(number, sizeof number, "%zu", i);
        rc = look_below(search, number, (size_t)n, list->items[i]);
    }
    return rc;
}

static int pass_over(struct search *search, const char *what) {
    struct sb_tensor_sink *sink = search->sink;
    SB_AUTO_TEXT struct sb_text name = {0};
    sb_name_escape(&name, search->name.data ? search->name.data : "", search->name.length);
    if (!name.data)
        return name.failed ? sb_error_errno(search->err, -ENOMEM, "tensors") : 0;
    return sink->ignored ? sink->ignored(sink->context, name.data, what) : 0;
}

/* Is there a storage anywhere in it? Each value is asked once. */
static bool holds_storage(struct sb_pickle *value, unsigned search) {
    if (!value || value->seen == search)
        return false;
    value->seen = search;
    if (value->kind == SB_PICKLE_PERSISTENT)
        return true;
    for (size_t i = 0; i < value->n_items; i++) {
        if (holds_storage(value->items[i], search))
            return true;
    }
    return holds_storage(value->arguments, search) || holds_storage(value->state, search);
}

/* An object of a class that is not known. Weights must not be lost in it without a word. */
static int look_at_object(struct search *search, struct sb_pickle *object) {
    const char *class =
        object->function->kind == SB_PICKLE_GLOBAL ? object->function->text : "unknown class";
    if (holds_storage(object, ++search->searches))
        return sb_error_set(search->err, -EBADMSG,
                            "%s is an object of %s with tensors in it, and nothing is executed "
                            "to take it apart: save its state_dict()",
                            place(search), class);
    SB_AUTO_TEXT struct sb_text what = {0};
    sb_text_puts(&what, "an object of ");
    sb_name_escape(&what, class, strlen(class));
    return what.failed ? sb_error_errno(search->err, -ENOMEM, "tensors")
                       : pass_over(search, what.data);
}

enum call { TENSOR, TENSOR_3, FIRST_ARGUMENT, TYPED, MAPPING, UNREADABLE };

static int look_at_call(struct search *search, struct sb_pickle *call) {
    static const struct {
        const char *global;
        enum call means;
    } calls[] = {
        {"torch._utils._rebuild_tensor_v2", TENSOR},
        {"torch._utils._rebuild_tensor", TENSOR},
        {"torch._utils._rebuild_tensor_v3", TENSOR_3},
        {"torch._utils._rebuild_parameter", FIRST_ARGUMENT},
        {"torch._utils._rebuild_parameter_with_state", FIRST_ARGUMENT},
        {"torch._tensor._rebuild_from_type_v2", TYPED},
        {"torch._utils._rebuild_qtensor", UNREADABLE},
        {"torch._utils._rebuild_sparse_tensor", UNREADABLE},
        {"torch._utils._rebuild_nested_tensor", UNREADABLE},
        {"collections.OrderedDict", MAPPING},
        {"collections.defaultdict", MAPPING},
    };
    size_t i = 0, n = sizeof calls / sizeof *calls;
    while (i < n && !sb_pickle_is_global(call->function, calls[i].global))
        i++;
    if (i == n)
        return look_at_object(search, call);
    switch (calls[i].means) {
    case TENSOR:
        return take_tensor(search, call->arguments, false);
    case TENSOR_3:
        return take_tensor(search, call->arguments, true);
    case FIRST_ARGUMENT:
        return look(search, item(call->arguments, 0));
    case TYPED: /* (function, class, arguments, state): a tensor of a class derived from Tensor */
        return look(search, &(struct sb_pickle){.kind = SB_PICKLE_CALL,
                                                .function = item(call->arguments, 0),
                                                .arguments = item(call->arguments, 2)});
    case MAPPING:
        return look_at_pairs(search, call);
    case UNREADABLE:
        break;
    }
    return pass_over(search, "a quantised, sparse or nested tensor, which is not read");
}

static int look(struct search *search, struct sb_pickle *value) {
    if (!value)
        return bad(search, "a call lacks its arguments");
    if (++search->looked > MOST_LOOKED)
        return bad(search, "more objects than are read");
    switch (value->kind) {
    case SB_PICKLE_DICT:
        return look_at_pairs(search, value);
    case SB_PICKLE_LIST:
    case SB_PICKLE_TUPLE:
        return look_at_items(search, value);
    case SB_PICKLE_CALL:
        return value->function ? look_at_call(search, value) : bad(search, "a call of nothing");
    case SB_PICKLE_PERSISTENT:
        return bad(search, "a storage without a tensor");
    case SB_PICKLE_SET:
        return pass_over(search, "a set");
    case SB_PICKLE_TEXT:
    case SB_PICKLE_BYTES:
        return pass_over(search, "a string");
    default:
        return pass_over(search, "a Python object");
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct sb_pytorch_tensor *)a)->info.name,
                  ((const struct sb_pytorch_tensor *)b)->info.name);
}

int sb_pytorch_tensors_find(const struct sb_pickle_tree *tree, struct sb_tensor_sink *sink,
                            struct sb_pytorch_tensors *tensors, struct sb_error *err) {
    struct search search = {.sink = sink, .tensors = tensors, .err = err};
    *tensors = (struct sb_pytorch_tensors){0};
    int rc = look(&search, tree->root);
    sb_text_clear(&search.name);
    if (rc == 0 && tensors->n)
        qsort(tensors->items, tensors->n, sizeof *tensors->items, by_name);
    for (size_t i = 1; rc == 0 && i < tensors->n; i++) {
        if (by_name(&tensors->items[i - 1], &tensors->items[i]) == 0)
            rc = sb_error_set(err, -EBADMSG, "'%s' is there twice", tensors->items[i].info.name);
    }
    if (rc < 0)
        sb_pytorch_tensors_clear(tensors);
    return rc;
}

void sb_pytorch_tensors_clear(struct sb_pytorch_tensors *tensors) {
    for (size_t i = 0; i < tensors->n; i++)
        free(tensors->items[i].info.name);
    free(tensors->items);
    *tensors = (struct sb_pytorch_tensors){0};
}
