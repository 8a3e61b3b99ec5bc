/* kernels, openmp: sums over whole tensors, and what is made of nothing else, for one element type.
 * A source file for each type includes it after it has defined REAL, N(name), EXP, SQRT, LOG. */
#include "kernels/backends/openmp/order.h"
#include "kernels/backends/openmp/window.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- One number ------------------------------------------------------------------------------ */

/* Terms of a sum: x·y, (x - centre)², or x alone. */
struct terms {
    const REAL *x, *y;
    bool squared;
    REAL centre;
};

static inline REAL term(const struct terms *terms, size_t i) {
    REAL x = terms->x[i];
    if (terms->y)
        return x * terms->y[i];
    return terms->squared ? (x - terms->centre) * (x - terms->centre) : x;
}

static REAL in_order_of_arrival(const struct terms *terms, size_t n) {
    REAL total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total)
    for (size_t i = 0; i < n; i++)
        total += term(terms, i);
    return total;
}

/* Pairs of neighbours, then pairs of those. */
static void add_up(REAL *parts, size_t n, size_t width) {
    for (size_t step = 1; step < n; step *= 2) {
        for (size_t i = 0; i + step < n; i += 2 * step) {
            for (size_t j = 0; j < width; j++)
                parts[i * width + j] += parts[(i + step) * width + j];
        }
    }
}

static int by_tree(const struct terms *terms, size_t n, REAL *total, struct sb_error *err) {
    size_t n_parts = (n + PART - 1) / PART;
    REAL *parts = malloc(n_parts * sizeof *parts);
    if (!parts)
        return sb_error_errno(err, -ENOMEM, "parts");
#pragma omp parallel for schedule(static)
    for (size_t p = 0; p < n_parts; p++) {
        size_t end = p + 1 < n_parts ? (p + 1) * PART : n;
        REAL part = 0;
        for (size_t i = p * PART; i < end; i++)
            part += term(terms, i);
        parts[p] = part;
    }
    add_up(parts, n_parts, 1);
    *total = parts[0];
    free(parts);
    return 0;
}

static int reduce(enum order order, struct terms terms, size_t n, REAL *total,
                  struct sb_error *err) {
    if (order == TREE)
        return by_tree(&terms, n, total, err);
    *total = in_order_of_arrival(&terms, n);
    return 0;
}

int N(sum)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    struct terms terms = {.x = call->operand[0]};
    return reduce(order_of(openmp, call), terms, call->size[0], call->operand[1], err);
}

int N(dot)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    struct terms terms = {.x = call->operand[0], .y = call->operand[1]};
    return reduce(order_of(openmp, call), terms, call->size[0], call->operand[2], err);
}

int N(mean)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    enum order order = order_of(openmp, call);
    size_t m = call->size[0], n = call->size[1];
    REAL *mean = call->operand[1], *variance = call->operand[2];
    int rc = 0;
    for (size_t i = 0; i < m && rc == 0; i++) {
        struct terms terms = {.x = (const REAL *)call->operand[0] + i * n};
        REAL sum = 0, squares = 0;
        rc = reduce(order, terms, n, &sum, err);
        terms.squared = true;
        terms.centre = mean[i] = sum / (REAL)n;
        if (rc == 0)
            rc = reduce(order, terms, n, &squares, err);
        variance[i] = squares / (REAL)n;
    }
    return rc;
}

int N(gradient_norm)(const struct openmp *openmp, const struct sb_call *call,
                     struct sb_error *err) {
    struct terms terms = {.x = call->operand[0], .squared = true};
    REAL squares;
    int rc = reduce(order_of(openmp, call), terms, call->size[0], &squares, err);
    if (rc == 0)
        sb_call_store_norm(call, SQRT(squares));
    return rc;
}

/* ---- One number a column --------------------------------------------------------------------- */

/* Sums over rows: add(call, row, sums) adds what a row has to `width` numbers. */
typedef void add_row(const struct sb_call *call, size_t row, REAL *sums);

static int columns_as_they_arrive(const struct sb_call *call, add_row *add, size_t rows,
                                  size_t width, REAL *sums) {
    int rc = 0;
    memset(sums, 0, width * sizeof *sums);
#pragma omp parallel
    {
        REAL *own = calloc(width, sizeof *own);
#pragma omp for schedule(static) nowait
        for (size_t i = 0; i < rows; i++) {
            if (own)
                add(call, i, own);
        }
#pragma omp critical
        {
            for (size_t j = 0; j < width && own; j++)
                sums[j] += own[j];
            rc = own ? rc : -ENOMEM;
        }
        free(own);
    }
    return rc;
}

/* Parts of `of_part` rows, whatever the threads. */
static int columns_by_tree(const struct sb_call *call, add_row *add, size_t rows, size_t of_part,
                           size_t width, REAL *sums) {
    size_t n_parts = (rows + of_part - 1) / of_part;
    REAL *parts = calloc(n_parts * width, sizeof *parts);
    if (!parts)
        return -ENOMEM;
#pragma omp parallel for schedule(static)
    for (size_t p = 0; p < n_parts; p++) {
        for (size_t i = p * of_part; i < rows && i < (p + 1) * of_part; i++)
            add(call, i, parts + p * width);
    }
    add_up(parts, n_parts, width);
    memcpy(sums, parts, width * sizeof *sums);
    free(parts);
    return 0;
}

static int columns(enum order order, const struct sb_call *call, add_row *add, size_t rows,
                   size_t width, REAL *sums, struct sb_error *err) {
    int rc = order == TREE ? columns_by_tree(call, add, rows, PART_ROWS, width, sums)
                           : columns_as_they_arrive(call, add, rows, width, sums);
    return rc < 0 ? sb_error_errno(err, rc, "parts") : 0;
}

static void add_bias_row(const struct sb_call *call, size_t row, REAL *sums) {
    size_t n = call->size[1];
    const REAL *dy = (const REAL *)call->operand[0] + row * n;
    for (size_t j = 0; j < n; j++)
        sums[j] += dy[j];
}

int N(bias_gradient)(const struct openmp *openmp, const struct sb_call *call,
                     struct sb_error *err) {
    return columns(order_of(openmp, call), call, add_bias_row, call->size[0], call->size[1],
                   call->operand[1], err);
}

/* dgamma, then dbeta. */
static void add_layernorm_row(const struct sb_call *call, size_t row, REAL *sums) {
    size_t n = call->size[1];
    const REAL *x = (const REAL *)call->operand[0] + row * n,
               *dy = (const REAL *)call->operand[4] + row * n;
    REAL mean = ((const REAL *)call->operand[2])[row],
         inverse = ((const REAL *)call->operand[3])[row];
    for (size_t j = 0; j < n; j++) {
        sums[j] += dy[j] * ((x[j] - mean) * inverse);
        sums[n + j] += dy[j];
    }
}

static void layernorm_gradient_row(const struct sb_call *call, size_t row) {
    size_t n = call->size[1];
    const REAL *x = (const REAL *)call->operand[0] + row * n, *gamma = call->operand[1],
               *dy = (const REAL *)call->operand[4] + row * n;
    REAL mean = ((const REAL *)call->operand[2])[row],
         inverse = ((const REAL *)call->operand[3])[row];
    REAL *dx = (REAL *)call->operand[5] + row * n, sum = 0, product = 0;
    for (size_t j = 0; j < n; j++) {
        sum += dy[j] * gamma[j];
        product += dy[j] * gamma[j] * ((x[j] - mean) * inverse);
    }
    sum /= (REAL)n;
    product /= (REAL)n;
    for (size_t j = 0; j < n; j++)
        dx[j] = inverse * (dy[j] * gamma[j] - sum - (x[j] - mean) * inverse * product);
}

int N(layernorm_gradient)(const struct openmp *openmp, const struct sb_call *call,
                          struct sb_error *err) {
    size_t b = call->size[0], n = call->size[1];
    REAL *sums = malloc(2 * n * sizeof *sums);
    if (!sums)
        return sb_error_errno(err, -ENOMEM, "sums");
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < b; i++)
        layernorm_gradient_row(call, i);
    int rc = columns(order_of(openmp, call), call, add_layernorm_row, b, 2 * n, sums, err);
    if (rc == 0) {
        memcpy(call->operand[6], sums, n * sizeof *sums);
        memcpy(call->operand[7], sums + n, n * sizeof *sums);
    }
    free(sums);
    return rc;
}

/* Writes the row's gradient on the way. */
static void add_loss_row(const struct sb_call *call, size_t row, REAL *sums) {
    size_t c = call->size[1];
    const REAL *x = (const REAL *)call->operand[0] + row * c;
    size_t label = (size_t)((const int32_t *)call->operand[1])[row];
    REAL *dx = (REAL *)call->operand[3] + row * c, top = x[0], sum = 0;
    for (size_t j = 1; j < c; j++)
        top = x[j] > top ? x[j] : top;
    for (size_t j = 0; j < c; j++)
        sum += dx[j] = EXP(x[j] - top);
    for (size_t j = 0; j < c; j++)
        dx[j] = (dx[j] / sum - (label == j)) / (REAL)call->size[0];
    sums[0] += LOG(sum) - (x[label] - top);
}

int N(cross_entropy)(const struct openmp *openmp, const struct sb_call *call,
                     struct sb_error *err) {
    const int32_t *labels = call->operand[1];
    size_t b = call->size[0], c = call->size[1];
    for (size_t i = 0; i < b; i++) {
        if (labels[i] < 0 || (size_t)labels[i] >= c)
            return sb_error_set(err, -EDOM, "label %d is none of %zu classes", labels[i], c);
    }
    REAL *loss = call->operand[2];
    int rc = columns(order_of(openmp, call), call, add_loss_row, b, 1, loss, err);
    *loss /= (REAL)b;
    return rc;
}

/* Of one channel under tap (r, s). */
static REAL sum_of_products(const struct window *window, const REAL *x, const REAL *dy, size_t r,
                            size_t s) {
    REAL sum = 0;
    for (size_t p = 0; p < window->p; p++) {
        size_t row = row_of(window, p, r);
        for (size_t q = 0; q < window->q && row < window->h; q++) {
            size_t column = column_of(window, q, s);
            if (column < window->w)
                sum += dy[p * window->q + q] * x[row * window->w + column];
        }
    }
    return sum;
}

/* What one image adds to the gradient of the filters. */
static void add_image(const struct sb_call *call, size_t image, REAL *dw) {
    const struct window window = window_of(call);
    size_t channels = call->size[1], filters = call->size[4], area = window.h * window.w,
           places = window.p * window.q;
    const REAL *x = (const REAL *)call->operand[0] + image * channels * area,
               *dy = (const REAL *)call->operand[1] + image * filters * places;
    for (size_t k = 0; k < filters; k++) {
        for (size_t c = 0; c < channels; c++) {
            for (size_t t = 0; t < window.r * window.s; t++, dw++)
                *dw += sum_of_products(&window, x + c * area, dy + k * places, t / window.s,
                                       t % window.s);
        }
    }
}

int N(conv2d_gradient_filter)(const struct openmp *openmp, const struct sb_call *call,
                              struct sb_error *err) {
    size_t images = call->size[0], width = sb_call_elements(call, 2);
    REAL *dw = call->operand[2];
    int rc = order_of(openmp, call) == TREE
                 ? columns_by_tree(call, add_image, images, 1, width, dw)
                 : columns_as_they_arrive(call, add_image, images, width, dw);
    return rc < 0 ? sb_error_errno(err, rc, "images") : 0;
}

/* ---- Scattered sums -------------------------------------------------------------------------- */

static void scatter_as_they_arrive(const struct sb_call *call) {
    const int32_t *indices = call->operand[0];
    const REAL *dy = call->operand[1];
    REAL *dtable = call->operand[2];
    size_t b = call->size[0], v = call->size[1], d = call->size[2];
    memset(dtable, 0, v * d * sizeof *dtable);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < b; i++) {
        REAL *row = dtable + (size_t)indices[i] * d;
        for (size_t j = 0; j < d; j++) {
#pragma omp atomic
            row[j] += dy[i * d + j];
        }
    }
}

/* Rows of dy sorted by their index, those of one index in ascending order: first[k] is where those
 * of index k begin. */
static void sort_rows(const int32_t *indices, size_t b, size_t v, size_t *first, size_t *rows) {
    for (size_t i = 0; i < b; i++)
        first[indices[i] + 1]++;
    for (size_t k = 0; k < v; k++)
        first[k + 1] += first[k];
    for (size_t i = 0; i < b; i++)
        rows[first[indices[i]]++] = i;
    memmove(first + 1, first, v * sizeof *first);
    first[0] = 0;
}

static int scatter_by_segments(const struct sb_call *call) {
    const REAL *dy = call->operand[1];
    REAL *dtable = call->operand[2];
    size_t b = call->size[0], v = call->size[1], d = call->size[2];
    size_t *first = calloc(v + 1 + b, sizeof *first), *rows = first + v + 1;
    if (!first)
        return -ENOMEM;
    sort_rows(call->operand[0], b, v, first, rows);
    memset(dtable, 0, v * d * sizeof *dtable);
#pragma omp parallel for schedule(static)
    for (size_t k = 0; k < v; k++) {
        for (size_t i = first[k]; i < first[k + 1]; i++) {
            for (size_t j = 0; j < d; j++)
                dtable[k * d + j] += dy[rows[i] * d + j];
        }
    }
    free(first);
    return 0;
}

int N(embedding_gradient)(const struct openmp *openmp, const struct sb_call *call,
                          struct sb_error *err) {
    const int32_t *indices = call->operand[0];
    for (size_t i = 0; i < call->size[0]; i++) {
        if (indices[i] < 0 || (size_t)indices[i] >= call->size[1])
            return sb_error_set(err, -EDOM, "index %d is none of %zu rows", indices[i],
                                call->size[1]);
    }
    if (order_of(openmp, call) == ARRIVAL) {
        scatter_as_they_arrive(call);
        return 0;
    }
    int rc = scatter_by_segments(call);
    return rc < 0 ? sb_error_errno(err, rc, "segments") : 0;
}

/* ---- Collectives: a thread stands for a rank ------------------------------------------------- */

static void reduce_as_they_arrive(const REAL *x, REAL *y, size_t r, size_t n) {
    memset(y, 0, n * sizeof *y);
#pragma omp parallel for num_threads((int)r) schedule(static, 1)
    for (size_t rank = 0; rank < r; rank++) {
#pragma omp critical
        for (size_t i = 0; i < n; i++)
            y[i] += x[rank * n + i];
    }
}

/* Every rank owns a piece, whose sum travels once around the ring and ends with its owner: another
 * order for each piece, the same every time. */
static void reduce_by_ring(const REAL *x, REAL *y, size_t r, size_t n) {
#pragma omp parallel for num_threads((int)r) schedule(static, 1)
    for (size_t owner = 0; owner < r; owner++) {
        size_t begin = owner * n / r, end = (owner + 1) * n / r;
        for (size_t i = begin; i < end; i++) {
            REAL sum = x[(owner + 1) % r * n + i];
            for (size_t hop = 2; hop <= r; hop++)
                sum += x[(owner + hop) % r * n + i];
            y[i] = sum;
        }
    }
}

/* Ranks at a distance of 1, then 2, 4, … : a rank that receives adds what it is sent. */
static int reduce_by_tree(const REAL *x, REAL *y, size_t r, size_t n) {
    REAL *ranks = malloc(r * n * sizeof *ranks);
    if (!ranks)
        return -ENOMEM;
    memcpy(ranks, x, r * n * sizeof *ranks);
    for (size_t distance = 1; distance < r; distance *= 2) {
#pragma omp parallel for num_threads((int)r) schedule(static, 1)
        for (size_t to = 0; to < r - distance; to += 2 * distance) {
            for (size_t i = 0; i < n; i++)
                ranks[to * n + i] += ranks[(to + distance) * n + i];
        }
    }
    memcpy(y, ranks, n * sizeof *y);
    free(ranks);
    return 0;
}

int N(allreduce)(const struct openmp *openmp, const struct sb_call *call, struct sb_error *err) {
    size_t r = call->size[0], n = call->size[1];
    if (r > 1024)
        return sb_error_set(err, -ENOTSUP, "%zu ranks: more than 1024 threads", r);
    const REAL *x = call->operand[0];
    REAL *y = call->operand[1];
    int rc = 0;
    switch (order_of(openmp, call)) {
    case ARRIVAL:
        reduce_as_they_arrive(x, y, r, n);
        break;
    case RING:
        reduce_by_ring(x, y, r, n);
        break;
    case TREE:
        rc = reduce_by_tree(x, y, r, n);
    }
    return rc < 0 ? sb_error_errno(err, rc, "ranks") : 0;
}
