/* kernels, train: see transformer.h. Sums of two and copies are done here, everything else by the
 * engine. */
#include "kernels/train/transformer.h"
#include "kernels/ops/operations.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double epsilon = 1e-3; /* of layernorm, Keras's default */
enum { BY_TANH = 1 };               /* gelu as GPT-2 has it (Radford and others, 2019) */

/* ---- Making ---------------------------------------------------------------------------------- */

enum { EMBEDDING, POSITIONS, FIRST_BLOCK };
enum { LAST_GAMMA, LAST_BETA, HEAD, HEAD_BIAS, LAST_VARIABLES };

static struct sb_variable *block_variable(const struct sb_transformer *model, size_t block,
                                          size_t which) {
    return &model->variables[FIRST_BLOCK + block * SB_TRANSFORMER_BLOCK + which];
}

static struct sb_variable *last_variable(const struct sb_transformer *model, size_t which) {
    return block_variable(model, model->sizes.depth, which);
}

/* Dimensions of a block's variable by letters: (w)idth, (h)eads, (e)lements of a head, hi(d)den;
 * and whether it is a kernel (k), all ones (1) or all zeros (0) at first. */
static const struct {
    const char *dims;
    char first;
} block_shapes[SB_TRANSFORMER_BLOCK] = {
    [SB_TRANSFORMER_GAMMA_1] = {"w", '1'},  [SB_TRANSFORMER_BETA_1] = {"w", '0'},
    [SB_TRANSFORMER_QUERY] = {"whe", 'k'},  [SB_TRANSFORMER_QUERY_BIAS] = {"he", '0'},
    [SB_TRANSFORMER_KEY] = {"whe", 'k'},    [SB_TRANSFORMER_KEY_BIAS] = {"he", '0'},
    [SB_TRANSFORMER_VALUE] = {"whe", 'k'},  [SB_TRANSFORMER_VALUE_BIAS] = {"he", '0'},
    [SB_TRANSFORMER_OUTPUT] = {"hew", 'k'}, [SB_TRANSFORMER_OUTPUT_BIAS] = {"w", '0'},
    [SB_TRANSFORMER_GAMMA_2] = {"w", '1'},  [SB_TRANSFORMER_BETA_2] = {"w", '0'},
    [SB_TRANSFORMER_UP] = {"wd", 'k'},      [SB_TRANSFORMER_UP_BIAS] = {"d", '0'},
    [SB_TRANSFORMER_DOWN] = {"dw", 'k'},    [SB_TRANSFORMER_DOWN_BIAS] = {"w", '0'},
};

static size_t size_of(const struct sb_transformer_sizes *sizes, char letter) {
    switch (letter) {
    case 'w':
        return sizes->width;
    case 'h':
        return sizes->heads;
    case 'e':
        return sizes->width / sizes->heads;
    case 'd':
        return sizes->hidden;
    case 'c':
        return sizes->context;
    default:
        return sizes->vocabulary;
    }
}

static int make_variable(struct sb_transformer *model, struct sb_variable *variable,
                         const char *letters) {
    uint64_t dims[SB_VARIABLE_RANK];
    unsigned rank = 0;
    for (; letters[rank]; rank++)
        dims[rank] = size_of(&model->sizes, letters[rank]);
    return sb_variable_make(model->dtype, rank, dims, variable);
}

static int make_variables(struct sb_transformer *model) {
    static const char *const last[LAST_VARIABLES] = {"w", "w", "wv", "v"};
    size_t depth = model->sizes.depth;
    model->n_variables = FIRST_BLOCK + depth * SB_TRANSFORMER_BLOCK + LAST_VARIABLES;
    model->variables = calloc(model->n_variables, sizeof *model->variables);
    if (!model->variables)
        return -ENOMEM;
    int rc = make_variable(model, &model->variables[EMBEDDING], "vw");
    if (rc == 0)
        rc = make_variable(model, &model->variables[POSITIONS], "cw");
    for (size_t i = 0; i < depth * SB_TRANSFORMER_BLOCK && rc == 0; i++)
        rc = make_variable(model, block_variable(model, 0, i),
                           block_shapes[i % SB_TRANSFORMER_BLOCK].dims);
    for (size_t i = 0; i < LAST_VARIABLES && rc == 0; i++)
        rc = make_variable(model, last_variable(model, i), last[i]);
    return rc;
}

/* Elements of one token. */
static size_t value_size(const struct sb_transformer_sizes *sizes,
                         enum sb_transformer_value value) {
    switch (value) {
    case SB_TRANSFORMER_MEAN_1:
    case SB_TRANSFORMER_MEAN_2:
    case SB_TRANSFORMER_INVERSE_1:
    case SB_TRANSFORMER_INVERSE_2:
        return 1;
    case SB_TRANSFORMER_LOG_SUM:
        return sizes->heads;
    case SB_TRANSFORMER_RAISED:
    case SB_TRANSFORMER_ACTIVE:
        return sizes->hidden;
    default:
        return sizes->width;
    }
}

static int make_values(struct sb_transformer *model) {
    const struct sb_transformer_sizes *sizes = &model->sizes;
    size_t tokens = model->max_batch * sizes->context, size = sb_dtype_size(model->dtype);
    model->values = calloc(sizes->depth + 1, sizeof *model->values);
    if (!model->values)
        return -ENOMEM;
    for (size_t block = 0; block <= sizes->depth; block++) {
        int end = block < sizes->depth ? SB_TRANSFORMER_VALUES : SB_TRANSFORMER_Q;
        for (int v = 0; v < end; v++) {
            model->values[block][v] =
                calloc(tokens * value_size(sizes, (enum sb_transformer_value)v), size);
            if (!model->values[block][v])
                return -ENOMEM;
        }
    }
    for (size_t i = 0; i < sizeof model->narrow / sizeof *model->narrow; i++)
        model->narrow[i] = calloc(tokens * sizes->width, size);
    for (size_t i = 0; i < 2; i++)
        model->wide[i] = calloc(tokens * sizes->hidden, size);
    model->logits = calloc(tokens * sizes->vocabulary, size);
    model->slope = calloc(tokens * sizes->vocabulary, size);
    bool all = model->logits && model->slope && model->wide[0] && model->wide[1];
    for (size_t i = 0; i < sizeof model->narrow / sizeof *model->narrow; i++)
        all = all && model->narrow[i];
    return all ? 0 : -ENOMEM;
}

int sb_transformer_make(enum sb_dtype dtype, const struct sb_transformer_sizes *sizes,
                        size_t max_batch, struct sb_transformer *model, struct sb_error *err) {
    struct sb_transformer made = {.dtype = dtype, .sizes = *sizes, .max_batch = max_batch};
    int rc = make_variables(&made);
    if (rc == 0)
        rc = make_values(&made);
    if (rc < 0) {
        sb_transformer_clear(&made);
        return sb_error_errno(err, rc, "transformer of %zu blocks", sizes->depth);
    }
    *model = made;
    return 0;
}

void sb_transformer_clear(struct sb_transformer *model) {
    for (size_t i = 0; model->variables && i < model->n_variables; i++)
        sb_variable_clear(&model->variables[i]);
    for (size_t block = 0; model->values && block <= model->sizes.depth; block++) {
        for (size_t v = 0; v < SB_TRANSFORMER_VALUES; v++)
            free(model->values[block][v]);
    }
    for (size_t i = 0; i < sizeof model->narrow / sizeof *model->narrow; i++)
        free(model->narrow[i]);
    for (size_t i = 0; i < 2; i++)
        free(model->wide[i]);
    free(model->logits);
    free(model->slope);
    free(model->values);
    free(model->variables);
    *model = (struct sb_transformer){0};
}

/* Keras takes the last two dimensions for in and out, and those before as a field that multiplies
 * both, also where they are heads. */
static void initialise_kernel(struct sb_variable *variable, enum sb_dtype dtype,
                              struct sb_stream *stream) {
    double field = variable->rank == 3 ? (double)variable->dims[0] : 1;
    sb_variable_glorot(variable, dtype, field * (double)variable->dims[variable->rank - 2],
                       field * (double)variable->dims[variable->rank - 1], stream);
}

void sb_transformer_initialise(struct sb_transformer *model, struct sb_stream *stream) {
    sb_variable_uniform(&model->variables[EMBEDDING], model->dtype, 0.05, stream);
    sb_variable_uniform(&model->variables[POSITIONS], model->dtype, 0.05, stream);
    for (size_t i = 0; i < model->sizes.depth * SB_TRANSFORMER_BLOCK; i++) {
        char first = block_shapes[i % SB_TRANSFORMER_BLOCK].first;
        if (first == 'k')
            initialise_kernel(block_variable(model, 0, i), model->dtype, stream);
        else
            sb_variable_fill(block_variable(model, 0, i), model->dtype, first == '1');
    }
    sb_variable_fill(last_variable(model, LAST_GAMMA), model->dtype, 1);
    initialise_kernel(last_variable(model, HEAD), model->dtype, stream);
}

/* ---- Parts of a pass ------------------------------------------------------------------------- */

/* One way forward and back. After a failure nothing more is computed. */
struct pass {
    struct sb_transformer *model;
    struct sb_engine *engine;
    size_t batch, tokens;
    struct sb_error *err;
    int rc;
};

static void invoke(struct pass *pass, struct sb_call call) {
    call.dtype = pass->model->dtype;
    if (pass->rc == 0)
        pass->rc = sb_engine_call(pass->engine, &call, pass->err);
}
#define INVOKE(pass, name, ...)                                                                    \
    invoke(pass, (struct sb_call){.operation = &sb_operation_##name, __VA_ARGS__})

static void add(const struct pass *pass, const void *from, void *to) {
    size_t n = pass->tokens * pass->model->sizes.width;
    for (size_t i = 0; i < n; i++) {
        if (pass->model->dtype == SB_DTYPE_F32)
            ((float *)to)[i] += ((const float *)from)[i];
        else
            ((double *)to)[i] += ((const double *)from)[i];
    }
}

/* Between [batch,context,heads,…] and [batch,heads,context,…]. */
static void swap_heads(const struct pass *pass, bool to_heads, const void *from, void *to) {
    const struct sb_transformer_sizes *sizes = &pass->model->sizes;
    size_t heads = sizes->heads, context = sizes->context,
           bytes = sizes->width / heads * sb_dtype_size(pass->model->dtype);
    for (size_t i = 0; i < pass->tokens * heads; i++) {
        size_t token = i / heads, sequence = token / context, place = token % context;
        size_t by_head = (sequence * heads + i % heads) * context + place;
        memcpy((char *)to + (to_heads ? by_head : i) * bytes,
               (const char *)from + (to_heads ? i : by_head) * bytes, bytes);
    }
}

/* y = x·kernel + bias */
static void dense(struct pass *pass, const struct sb_variable *kernel, size_t in, size_t out,
                  void *x, void *y) {
    INVOKE(pass, gemm, .size = {pass->tokens, out, in}, .operand = {x, kernel->value, y});
    INVOKE(pass, bias_add, .size = {pass->tokens, out}, .operand = {kernel[1].value, y});
}

/* dx, and the gradients of the kernel and of the bias that stands behind it. */
static void dense_gradient(struct pass *pass, const struct sb_variable *kernel, size_t in,
                           size_t out, void *x, void *dy, void *dx) {
    INVOKE(pass, gemm, .size = {in, out, pass->tokens}, .operand = {x, dy, kernel->gradient},
           .attribute = {1, 0});
    INVOKE(pass, bias_gradient, .size = {pass->tokens, out}, .operand = {dy, kernel[1].gradient});
    INVOKE(pass, gemm, .size = {pass->tokens, in, out}, .operand = {dy, kernel->value, dx},
           .attribute = {0, 1});
}

static void normalise(struct pass *pass, const struct sb_variable *gamma, void *x,
                      void *const *normal) {
    INVOKE(pass, layernorm, .size = {pass->tokens, pass->model->sizes.width},
           .operand = {x, gamma->value, gamma[1].value, normal[0], normal[1], normal[2]},
           .attribute = {epsilon});
}

static void normalise_gradient(struct pass *pass, const struct sb_variable *gamma, void *x,
                               void *const *normal, void *dy, void *dx) {
    INVOKE(pass, layernorm_gradient, .size = {pass->tokens, pass->model->sizes.width},
           .operand = {x, gamma->value, normal[1], normal[2], dy, dx, gamma->gradient,
                       gamma[1].gradient},
           .attribute = {epsilon});
}

/* ---- Forward --------------------------------------------------------------------------------- */

static void attend(struct pass *pass, size_t block) {
    const struct sb_transformer_sizes *sizes = &pass->model->sizes;
    size_t width = sizes->width;
    void **value = pass->model->values[block], *room = pass->model->narrow[0];
    for (size_t i = 0; i < 3; i++) {
        dense(pass, block_variable(pass->model, block, SB_TRANSFORMER_QUERY + 2 * i), width, width,
              value[SB_TRANSFORMER_NORMAL_1], room);
        swap_heads(pass, true, room, value[SB_TRANSFORMER_Q + i]);
    }
    INVOKE(pass, attention,
           .size = {pass->batch, sizes->heads, sizes->context, width / sizes->heads},
           .operand = {value[SB_TRANSFORMER_Q], value[SB_TRANSFORMER_K], value[SB_TRANSFORMER_V],
                       value[SB_TRANSFORMER_Y], value[SB_TRANSFORMER_LOG_SUM]},
           .attribute = {1});
    swap_heads(pass, false, value[SB_TRANSFORMER_Y], value[SB_TRANSFORMER_MERGED]);
    dense(pass, block_variable(pass->model, block, SB_TRANSFORMER_OUTPUT), width, width,
          value[SB_TRANSFORMER_MERGED], value[SB_TRANSFORMER_MIDDLE]);
}

static void forward_block(struct pass *pass, size_t block) {
    const struct sb_transformer_sizes *sizes = &pass->model->sizes;
    void **value = pass->model->values[block],
         *y = pass->model->values[block + 1][SB_TRANSFORMER_X];
    normalise(pass, block_variable(pass->model, block, SB_TRANSFORMER_GAMMA_1),
              value[SB_TRANSFORMER_X], &value[SB_TRANSFORMER_NORMAL_1]);
    attend(pass, block);
    add(pass, value[SB_TRANSFORMER_X], value[SB_TRANSFORMER_MIDDLE]);
    normalise(pass, block_variable(pass->model, block, SB_TRANSFORMER_GAMMA_2),
              value[SB_TRANSFORMER_MIDDLE], &value[SB_TRANSFORMER_NORMAL_2]);
    dense(pass, block_variable(pass->model, block, SB_TRANSFORMER_UP), sizes->width, sizes->hidden,
          value[SB_TRANSFORMER_NORMAL_2], value[SB_TRANSFORMER_RAISED]);
    INVOKE(pass, gelu, .size = {pass->tokens * sizes->hidden},
           .operand = {value[SB_TRANSFORMER_RAISED], value[SB_TRANSFORMER_ACTIVE]},
           .attribute = {BY_TANH});
    dense(pass, block_variable(pass->model, block, SB_TRANSFORMER_DOWN), sizes->hidden,
          sizes->width, value[SB_TRANSFORMER_ACTIVE], y);
    add(pass, value[SB_TRANSFORMER_MIDDLE], y);
}

static void forward(struct pass *pass, const int32_t *tokens) {
    struct sb_transformer *model = pass->model;
    const struct sb_transformer_sizes *sizes = &model->sizes;
    void *x = model->values[0][SB_TRANSFORMER_X], **last = model->values[sizes->depth];
    INVOKE(pass, embedding, .size = {pass->tokens, sizes->vocabulary, sizes->width},
           .operand = {model->variables[EMBEDDING].value, (void *)tokens, x});
    INVOKE(pass, bias_add, .size = {pass->batch, sizes->context * sizes->width},
           .operand = {model->variables[POSITIONS].value, x});
    for (size_t block = 0; block < sizes->depth; block++)
        forward_block(pass, block);
    normalise(pass, last_variable(model, LAST_GAMMA), last[SB_TRANSFORMER_X],
              &last[SB_TRANSFORMER_NORMAL_1]);
    dense(pass, last_variable(model, HEAD), sizes->width, sizes->vocabulary,
          last[SB_TRANSFORMER_NORMAL_1], model->logits);
}

/* ---- Backward -------------------------------------------------------------------------------- */

/* dy: of what attention gives; dx: of what it took, the normalised tokens. */
static void attend_gradient(struct pass *pass, size_t block, void *dy, void *dx) {
    const struct sb_transformer_sizes *sizes = &pass->model->sizes;
    size_t width = sizes->width;
    void **value = pass->model->values[block], **room = &pass->model->narrow[1];
    dense_gradient(pass, block_variable(pass->model, block, SB_TRANSFORMER_OUTPUT), width, width,
                   value[SB_TRANSFORMER_MERGED], dy, dx);
    swap_heads(pass, true, dx, room[3]);
    INVOKE(pass, attention_gradient,
           .size = {pass->batch, sizes->heads, sizes->context, width / sizes->heads},
           .operand = {value[SB_TRANSFORMER_Q], value[SB_TRANSFORMER_K], value[SB_TRANSFORMER_V],
                       value[SB_TRANSFORMER_Y], value[SB_TRANSFORMER_LOG_SUM], room[3], room[0],
                       room[1], room[2]},
           .attribute = {1});
    memset(dx, 0, pass->tokens * width * sb_dtype_size(pass->model->dtype));
    for (size_t i = 0; i < 3; i++) {
        swap_heads(pass, false, room[i], room[3]);
        dense_gradient(pass, block_variable(pass->model, block, SB_TRANSFORMER_QUERY + 2 * i),
                       width, width, value[SB_TRANSFORMER_NORMAL_1], room[3], room[i]);
        add(pass, room[i], dx);
    }
}

/* d: of what the block gives, then of what it took. */
static void backward_block(struct pass *pass, size_t block, void *d) {
    const struct sb_transformer_sizes *sizes = &pass->model->sizes;
    void **value = pass->model->values[block], **wide = pass->model->wide;
    void *dx = pass->model->narrow[5], *part = pass->model->narrow[1];
    dense_gradient(pass, block_variable(pass->model, block, SB_TRANSFORMER_DOWN), sizes->hidden,
                   sizes->width, value[SB_TRANSFORMER_ACTIVE], d, wide[0]);
    INVOKE(pass, gelu_gradient, .size = {pass->tokens * sizes->hidden},
           .operand = {value[SB_TRANSFORMER_RAISED], wide[0], wide[1]}, .attribute = {BY_TANH});
    dense_gradient(pass, block_variable(pass->model, block, SB_TRANSFORMER_UP), sizes->width,
                   sizes->hidden, value[SB_TRANSFORMER_NORMAL_2], wide[1], dx);
    normalise_gradient(pass, block_variable(pass->model, block, SB_TRANSFORMER_GAMMA_2),
                       value[SB_TRANSFORMER_MIDDLE], &value[SB_TRANSFORMER_NORMAL_2], dx, part);
    add(pass, part, d);
    attend_gradient(pass, block, d, dx);
    normalise_gradient(pass, block_variable(pass->model, block, SB_TRANSFORMER_GAMMA_1),
                       value[SB_TRANSFORMER_X], &value[SB_TRANSFORMER_NORMAL_1], dx, part);
    add(pass, part, d);
}

static void backward(struct pass *pass, const int32_t *tokens) {
    struct sb_transformer *model = pass->model;
    const struct sb_transformer_sizes *sizes = &model->sizes;
    void **last = model->values[sizes->depth], *d = model->narrow[0], *part = model->narrow[1];
    dense_gradient(pass, last_variable(model, HEAD), sizes->width, sizes->vocabulary,
                   last[SB_TRANSFORMER_NORMAL_1], model->slope, part);
    normalise_gradient(pass, last_variable(model, LAST_GAMMA), last[SB_TRANSFORMER_X],
                       &last[SB_TRANSFORMER_NORMAL_1], part, d);
    for (size_t block = sizes->depth; block-- > 0;)
        backward_block(pass, block, d);
    INVOKE(pass, bias_gradient, .size = {pass->batch, sizes->context * sizes->width},
           .operand = {d, model->variables[POSITIONS].gradient});
    INVOKE(pass, embedding_gradient, .size = {pass->tokens, sizes->vocabulary, sizes->width},
           .operand = {(void *)tokens, d, model->variables[EMBEDDING].gradient});
}

int sb_transformer_gradient(struct sb_transformer *model, struct sb_engine *engine,
                            const int32_t *tokens, const int32_t *next, size_t batch, double *loss,
                            struct sb_error *err) {
    struct pass pass = {.model = model,
                        .engine = engine,
                        .batch = batch,
                        .tokens = batch * model->sizes.context,
                        .err = err};
    union {
        float f32;
        double f64;
    } mean = {0};
    forward(&pass, tokens);
    INVOKE(&pass, cross_entropy, .size = {pass.tokens, model->sizes.vocabulary},
           .operand = {model->logits, (void *)next, &mean, model->slope});
    backward(&pass, tokens);
    if (pass.rc == 0)
        *loss = model->dtype == SB_DTYPE_F32 ? (double)mean.f32 : mean.f64;
    return pass.rc;
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* Layers of a kind are numbered through: layers/dense, layers/dense_1, … */
static void name_layer(char name[SB_TRANSFORMER_NAME], const char *kind, size_t number,
                       const char *part, size_t variable) {
    char suffix[24] = "";
    if (number)
        snprintf(suffix, sizeof suffix, "_%zu", number);
    snprintf(name, SB_TRANSFORMER_NAME, "layers/%s%s%s/vars/%zu", kind, suffix, part, variable);
}

void sb_transformer_name(const struct sb_transformer *model, size_t i,
                         char name[SB_TRANSFORMER_NAME]) {
    static const char *const parts[] = {"/query_dense", "/key_dense", "/value_dense",
                                        "/output_dense"};
    if (i < FIRST_BLOCK) {
        name_layer(name, "embedding", i, "", 0);
        return;
    }
    size_t block = (i - FIRST_BLOCK) / SB_TRANSFORMER_BLOCK,
           which = (i - FIRST_BLOCK) % SB_TRANSFORMER_BLOCK;
    bool last = block == model->sizes.depth;
    if (which < SB_TRANSFORMER_QUERY)
        name_layer(name, "layer_normalization", 2 * block, "", which);
    else if (last)
        name_layer(name, "dense", 2 * block, "", which - HEAD);
    else if (which < SB_TRANSFORMER_GAMMA_2)
        name_layer(name, "multi_head_attention", block, parts[(which - SB_TRANSFORMER_QUERY) / 2],
                   which % 2);
    else if (which < SB_TRANSFORMER_UP)
        name_layer(name, "layer_normalization", 2 * block + 1, "", which - SB_TRANSFORMER_GAMMA_2);
    else
        name_layer(name, "dense", 2 * block + (which >= SB_TRANSFORMER_DOWN), "", which % 2);
}
