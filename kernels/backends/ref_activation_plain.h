/* kernels, ref: ref_activation.c for one element type. Included for float and double with REAL and
 * N(name), which it takes away again. Everything is computed in double, sums in ascending order,
 * and rounded once, when stored. */

static void N(softmax)(const struct sb_call *call) {
    size_t b = call->size[0], c = call->size[1];
    const REAL *x = call->operand[0];
    REAL *y = call->operand[1];
    for (size_t i = 0; i < b; i++, x += c, y += c) {
        double top = x[0], sum = 0;
        for (size_t j = 1; j < c; j++)
            top = x[j] > top ? x[j] : top;
        for (size_t j = 0; j < c; j++)
            sum += sb_exp(x[j] - top);
        for (size_t j = 0; j < c; j++)
            y[j] = (REAL)(sb_exp(x[j] - top) / sum);
    }
}

static void N(softmax_gradient)(const struct sb_call *call) {
    size_t b = call->size[0], c = call->size[1];
    const REAL *y = call->operand[0], *dy = call->operand[1];
    REAL *dx = call->operand[2];
    for (size_t i = 0; i < b; i++, y += c, dy += c, dx += c) {
        double sum = 0;
        for (size_t j = 0; j < c; j++)
            sum += (double)y[j] * dy[j];
        for (size_t j = 0; j < c; j++)
            dx[j] = (REAL)(y[j] * (dy[j] - sum));
    }
}

static void N(gelu)(const struct sb_call *call) {
    const REAL *x = call->operand[0];
    REAL *y = call->operand[1];
    for (size_t i = 0; i < call->size[0]; i++)
        y[i] = (REAL)gelu_of(x[i], call->attribute[0] != 0);
}

static void N(gelu_gradient)(const struct sb_call *call) {
    const REAL *x = call->operand[0], *dy = call->operand[1];
    REAL *dx = call->operand[2];
    for (size_t i = 0; i < call->size[0]; i++)
        dx[i] = (REAL)(dy[i] * gelu_slope(x[i], call->attribute[0] != 0));
}

/* An element that is dropped is +0, also where it was no number. */
static void N(dropout)(const struct sb_call *call) {
    const REAL *x = call->operand[0];
    REAL *y = call->operand[1], *mask = call->operand[2];
    double rate = call->attribute[0], factor = 1 / (1 - rate);
    struct sb_stream stream = sb_stream_make((uint64_t)call->attribute[1], 0);
    for (size_t i = 0; i < call->size[0]; i++) {
        bool kept = (double)(sb_stream_u32(&stream) >> 8) * 0x1p-24 >= rate;
        mask[i] = kept;
        y[i] = kept ? (REAL)(x[i] * factor) : 0;
    }
}

#undef REAL
#undef N
