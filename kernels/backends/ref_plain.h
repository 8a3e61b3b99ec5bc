/* kernels, ref: sums, optimizers and other small ones, for one element type. Included for float and
 * double with REAL and N(name), which it takes away again. Every loop adds in ascending order, or
 * in eight lanes that are then added pairwise. */

static REAL N(lanes)(const REAL *a, const REAL *b, size_t n) {
    REAL lane[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int l = 0; l < 8; l++)
            lane[l] += b ? a[i + l] * b[i + l] : a[i + l];
    }
    for (int l = 0; i < n; i++, l++)
        lane[l] += b ? a[i] * b[i] : a[i];
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) +
           ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

static void N(gemv)(const struct sb_call *call) {
    const REAL *a = call->operand[0], *x = call->operand[1];
    REAL *y = call->operand[2];
    size_t m = call->size[0], n = call->size[1];
    for (size_t i = 0; i < m; i++)
        y[i] = N(lanes)(a + i * n, x, n);
}

/* Left of the diagonal by way of the column above it, in one ascending sum. */
static void N(symv)(const struct sb_call *call) {
    const REAL *a = call->operand[0], *x = call->operand[1];
    REAL *y = call->operand[2];
    size_t n = call->size[0];
    for (size_t i = 0; i < n; i++) {
        REAL sum = 0;
        for (size_t j = 0; j < i; j++)
            sum += a[j * n + i] * x[j];
        y[i] = sum + N(lanes)(a + i * n + i, x + i, n - i);
    }
}

static void N(dot)(const struct sb_call *call) {
    *(REAL *)call->operand[2] = N(lanes)(call->operand[0], call->operand[1], call->size[0]);
}

static void N(sum)(const struct sb_call *call) {
    *(REAL *)call->operand[1] = N(lanes)(call->operand[0], NULL, call->size[0]);
}

static void N(bias_add)(const struct sb_call *call) {
    const REAL *bias = call->operand[0];
    REAL *x = call->operand[1];
    size_t b = call->size[0], n = call->size[1];
    for (size_t i = 0; i < b; i++) {
        for (size_t j = 0; j < n; j++)
            x[i * n + j] += bias[j];
    }
}

static void N(bias_gradient)(const struct sb_call *call) {
    const REAL *dy = call->operand[0];
    REAL *db = call->operand[1];
    size_t b = call->size[0], n = call->size[1];
    for (size_t j = 0; j < n; j++)
        db[j] = 0;
    for (size_t i = 0; i < b; i++) {
        for (size_t j = 0; j < n; j++)
            db[j] += dy[i * n + j];
    }
}

static void N(relu)(const struct sb_call *call) {
    const REAL *x = call->operand[0];
    REAL *y = call->operand[1];
    for (size_t i = 0; i < call->size[0]; i++)
        y[i] = x[i] > 0 || x[i] != x[i] ? x[i] : 0; /* a NaN stays one */
}

static void N(relu_gradient)(const struct sb_call *call) {
    const REAL *y = call->operand[0], *dy = call->operand[1];
    REAL *dx = call->operand[2];
    for (size_t i = 0; i < call->size[0]; i++)
        dx[i] = y[i] > 0 ? dy[i] : 0;
}

/* Exponentials and sums in double, in ascending order; rounded once, when stored. */
static int N(cross_entropy)(const struct sb_call *call, struct sb_error *err) {
    const REAL *x = call->operand[0];
    const int32_t *labels = call->operand[1];
    REAL *dx = call->operand[3];
    size_t b = call->size[0], c = call->size[1];
    double total = 0;
    for (size_t i = 0; i < b; i++, x += c, dx += c) {
        if (labels[i] < 0 || (size_t)labels[i] >= c)
            return sb_error_set(err, -EDOM, "label %d is none of %zu classes", labels[i], c);
        double top = x[0], sum = 0;
        for (size_t j = 1; j < c; j++)
            top = x[j] > top ? x[j] : top;
        for (size_t j = 0; j < c; j++)
            sum += sb_exp(x[j] - top);
        total += sb_log(sum) - (x[labels[i]] - top);
        for (size_t j = 0; j < c; j++) {
            double share = sb_exp(x[j] - top) / sum - ((size_t)labels[i] == j);
            dx[j] = (REAL)(share / (double)b);
        }
    }
    *(REAL *)call->operand[2] = (REAL)(total / (double)b);
    return 0;
}

/* Keras's formula: https://github.com/keras-team/keras, keras/src/optimizers/adam.py. Its factors
 * are computed in double and rounded to the type of the weights, as there. */
static void N(adam)(const struct sb_call *call) {
    REAL *w = call->operand[0], *m = call->operand[1], *v = call->operand[2];
    const REAL *g = call->operand[3];
    const double *attribute = call->attribute;
    double rate = attribute[0], beta_1 = attribute[1], beta_2 = attribute[2];
    double power_1 = power(beta_1, (uint64_t)attribute[4]),
           power_2 = power(beta_2, (uint64_t)attribute[4]);
    REAL alpha = (REAL)(rate * sb_sqrt(1 - power_2) / (1 - power_1));
    REAL rest_1 = (REAL)(1 - beta_1), rest_2 = (REAL)(1 - beta_2), epsilon = (REAL)attribute[3];
    for (size_t i = 0; i < call->size[0]; i++) {
        m[i] += (g[i] - m[i]) * rest_1;
        v[i] += (g[i] * g[i] - v[i]) * rest_2;
        w[i] -= (m[i] * alpha) / ((REAL)sb_sqrt(v[i]) + epsilon);
    }
}

/* Keras's formula: keras/src/optimizers/sgd.py; weight decay: optimizers/base_optimizer.py. */
static void N(sgd)(const struct sb_call *call) {
    REAL *w = call->operand[0], *m = call->operand[1];
    const REAL *g = call->operand[2];
    REAL rate = (REAL)call->attribute[0], momentum = (REAL)call->attribute[1];
    REAL decay = (REAL)(call->attribute[2] * call->attribute[0]);
    bool nesterov = call->attribute[3] != 0;
    for (size_t i = 0; i < call->size[0]; i++) {
        REAL step = g[i] * rate;
        m[i] = m[i] * momentum - step;
        w[i] -= w[i] * decay;
        w[i] += nesterov ? m[i] * momentum - step : m[i];
    }
}

/* Squares in double: of f32 they are exact, and none is too large. */
static void N(gradient_norm)(const struct sb_call *call) {
    const REAL *g = call->operand[0];
    double sum = 0, limit = call->attribute[0];
    for (size_t i = 0; i < call->size[0]; i++)
        sum += (double)g[i] * g[i];
    double norm = sb_sqrt(sum);
    *(REAL *)call->operand[1] = (REAL)norm;
    *(REAL *)call->operand[2] = (REAL)(norm > limit || norm != norm ? limit / norm : 1);
}

/* Rank by rank. */
static void N(allreduce)(const struct sb_call *call) {
    size_t r = call->size[0], n = call->size[1];
    const REAL *x = call->operand[0];
    REAL *y = call->operand[1];
    for (size_t i = 0; i < n; i++)
        y[i] = x[i];
    for (size_t rank = 1; rank < r; rank++) {
        for (size_t i = 0; i < n; i++)
            y[i] += x[rank * n + i];
    }
}

#undef REAL
#undef N
