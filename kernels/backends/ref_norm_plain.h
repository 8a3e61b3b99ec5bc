/* kernels, ref: ref_norm.c for one element type. Included for float and double with REAL and
 * N(name), which it takes away again. Everything is computed in double, sums in ascending order,
 * and rounded once, when stored. */

/* Of `blocks` runs of n elements, `stride` apart; the variance is over their number. */
static void N(moments)(const REAL *x, size_t blocks, size_t n, size_t stride, double *mean,
                       double *variance) {
    double sum = 0, squares = 0, count = (double)(blocks * n);
    for (size_t b = 0; b < blocks; b++) {
        for (size_t j = 0; j < n; j++)
            sum += x[b * stride + j];
    }
    double centre = sum / count;
    for (size_t b = 0; b < blocks; b++) {
        for (size_t j = 0; j < n; j++) {
            double distance = x[b * stride + j] - centre;
            squares += distance * distance;
        }
    }
    *mean = centre;
    *variance = squares / count;
}

static void N(mean)(const struct sb_call *call) {
    size_t m = call->size[0], n = call->size[1];
    const REAL *x = call->operand[0];
    for (size_t i = 0; i < m; i++) {
        double mean, variance;
        N(moments)(x + i * n, 1, n, n, &mean, &variance);
        ((REAL *)call->operand[1])[i] = (REAL)mean;
        ((REAL *)call->operand[2])[i] = (REAL)variance;
    }
}

static void N(layernorm)(const struct sb_call *call) {
    size_t b = call->size[0], n = call->size[1];
    const REAL *x = call->operand[0], *gamma = call->operand[1], *beta = call->operand[2];
    REAL *y = call->operand[3];
    for (size_t i = 0; i < b; i++, x += n, y += n) {
        double mean, variance;
        N(moments)(x, 1, n, n, &mean, &variance);
        double inverse = 1 / sb_sqrt(variance + call->attribute[0]);
        for (size_t j = 0; j < n; j++)
            y[j] = (REAL)((x[j] - mean) * inverse * gamma[j] + beta[j]);
        ((REAL *)call->operand[4])[i] = (REAL)mean;
        ((REAL *)call->operand[5])[i] = (REAL)inverse;
    }
}

static void N(layernorm_row_gradient)(const struct sb_call *call, size_t i) {
    size_t n = call->size[1];
    const REAL *x = (const REAL *)call->operand[0] + i * n, *gamma = call->operand[1],
               *dy = (const REAL *)call->operand[4] + i * n;
    REAL *dx = (REAL *)call->operand[5] + i * n;
    double mean = ((const REAL *)call->operand[2])[i],
           inverse = ((const REAL *)call->operand[3])[i];
    double sum = 0, product = 0;
    for (size_t j = 0; j < n; j++) {
        double g = (double)dy[j] * gamma[j];
        sum += g;
        product += g * ((x[j] - mean) * inverse);
    }
    sum /= (double)n;
    product /= (double)n;
    for (size_t j = 0; j < n; j++) {
        double g = (double)dy[j] * gamma[j], normal = (x[j] - mean) * inverse;
        dx[j] = (REAL)(inverse * ((g - sum) - normal * product));
    }
}

/* Of columns [first, first + n), so few that their sums stay near. */
static void N(layernorm_column_gradient)(const struct sb_call *call, size_t first, size_t n) {
    size_t columns = call->size[1];
    const REAL *x = call->operand[0], *mean = call->operand[2], *inverse = call->operand[3],
               *dy = call->operand[4];
    double sum[COLUMNS] = {0}, product[COLUMNS] = {0};
    for (size_t i = 0; i < call->size[0]; i++) {
        for (size_t j = 0; j < n; j++) {
            size_t at = i * columns + first + j;
            double normal = ((double)x[at] - (double)mean[i]) * (double)inverse[i];
            sum[j] += dy[at];
            product[j] += dy[at] * normal;
        }
    }
    for (size_t j = 0; j < n; j++) {
        ((REAL *)call->operand[6])[first + j] = (REAL)product[j];
        ((REAL *)call->operand[7])[first + j] = (REAL)sum[j];
    }
}

static void N(layernorm_gradient)(const struct sb_call *call) {
    for (size_t i = 0; i < call->size[0]; i++)
        N(layernorm_row_gradient)(call, i);
    for (size_t j = 0; j < call->size[1]; j += COLUMNS)
        N(layernorm_column_gradient)
    (call, j, call->size[1] - j < COLUMNS ? call->size[1] - j : COLUMNS);
}

static void N(batchnorm)(const struct sb_call *call) {
    size_t batch = call->size[0], channels = call->size[1], area = call->size[2] * call->size[3];
    size_t stride = channels * area, count = batch * area;
    double unbiased = count > 1 ? (double)count / (double)(count - 1) : 1;
    double factor = call->attribute[1];
    REAL *running_mean = call->operand[3], *running_variance = call->operand[4];
    for (size_t c = 0; c < channels; c++) {
        const REAL *x = (const REAL *)call->operand[0] + c * area;
        REAL *y = (REAL *)call->operand[5] + c * area;
        double gamma = ((const REAL *)call->operand[1])[c],
               beta = ((const REAL *)call->operand[2])[c];
        double mean, variance;
        N(moments)(x, batch, area, stride, &mean, &variance);
        double inverse = 1 / sb_sqrt(variance + call->attribute[0]);
        for (size_t b = 0; b < batch; b++) {
            for (size_t j = b * stride; j < b * stride + area; j++)
                y[j] = (REAL)((x[j] - mean) * inverse * gamma + beta);
        }
        running_mean[c] = (REAL)(running_mean[c] * (1 - factor) + mean * factor);
        running_variance[c] =
            (REAL)(running_variance[c] * (1 - factor) + variance * unbiased * factor);
        ((REAL *)call->operand[6])[c] = (REAL)mean;
        ((REAL *)call->operand[7])[c] = (REAL)inverse;
    }
}

static void N(batchnorm_gradient)(const struct sb_call *call) {
    size_t batch = call->size[0], channels = call->size[1], area = call->size[2] * call->size[3];
    size_t stride = channels * area;
    double count = (double)(batch * area);
    for (size_t c = 0; c < channels; c++) {
        const REAL *x = (const REAL *)call->operand[0] + c * area,
                   *dy = (const REAL *)call->operand[4] + c * area;
        REAL *dx = (REAL *)call->operand[5] + c * area;
        double gamma = ((const REAL *)call->operand[1])[c],
               mean = ((const REAL *)call->operand[2])[c],
               inverse = ((const REAL *)call->operand[3])[c];
        double sum = 0, product = 0;
        for (size_t b = 0; b < batch; b++) {
            for (size_t j = b * stride; j < b * stride + area; j++) {
                sum += dy[j];
                product += dy[j] * ((x[j] - mean) * inverse);
            }
        }
        for (size_t b = 0; b < batch; b++) {
            for (size_t j = b * stride; j < b * stride + area; j++) {
                double normal = (x[j] - mean) * inverse;
                dx[j] =
                    (REAL)(gamma * inverse * ((dy[j] - sum / count) - normal * (product / count)));
            }
        }
        ((REAL *)call->operand[6])[c] = (REAL)product;
        ((REAL *)call->operand[7])[c] = (REAL)sum;
    }
}

#undef REAL
#undef N
