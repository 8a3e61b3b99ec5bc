/* kernels, ref: ref_conv.c for one element type. Included for float and double with REAL and
 * N(name), which it takes away again. */

/* One tap of windows (p, q) to (p, q + n): elements of a row of the image, or padding. */
static void N(take_row)(REAL *restrict to, const REAL *restrict plane,
                        const struct sb_window *window, size_t p, size_t q, size_t n, size_t r,
                        size_t s) {
    size_t y = p * window->stride + r * window->dilation - window->padding;
    size_t x = q * window->stride + s * window->dilation - window->padding;
    for (size_t i = 0; i < n; i++, x += window->stride)
        to[i] = y < window->h && x < window->w ? plane[y * window->w + x] : 0;
}

/* Row (c, r, s) of the matrix for channels from `first`, windows [begin, begin + n) as columns. */
static void N(lay_out)(const struct convolution *convolution, const REAL *x, size_t first,
                       size_t channels, size_t begin, size_t n, REAL *to) {
    const struct sb_window *window = &convolution->window;
    for (size_t row = 0; row < channels * convolution->taps; row++) {
        size_t c = first + row / convolution->taps, tap = row % convolution->taps;
        size_t r = tap / window->s, s = tap % window->s;
        for (size_t i = begin, here; i < begin + n; i += here, to += here) {
            size_t image = i / convolution->windows, place = i % convolution->windows;
            size_t q = place % window->q;
            here = smaller(window->q - q, begin + n - i);
            const REAL *plane = x + (image * convolution->channels + c) * convolution->area;
            N(take_row)(to, plane, window, place / window->q, q, here, r, s);
        }
    }
}

/* Filters [first, first + filters) of windows [begin, begin + n) of an operand [n,k,p,q], between
 * it and a matrix [filters,n]. */
static void N(move)(const struct convolution *convolution, REAL *images, size_t first,
                    size_t filters, size_t begin, size_t n, REAL *matrix, bool to_images) {
    for (size_t k = 0; k < filters; k++) {
        for (size_t i = begin, here; i < begin + n; i += here, matrix += here) {
            size_t image = i / convolution->windows, place = i % convolution->windows;
            REAL *at =
                images + (image * convolution->filters + first + k) * convolution->windows + place;
            here = smaller(convolution->windows - place, begin + n - i);
            memcpy(to_images ? at : matrix, to_images ? matrix : at, here * sizeof *at);
        }
    }
}

/* Y[k, windows] = W[k, c·r·s] · matrix */
static void N(forward)(struct convolution *convolution, size_t unit) {
    size_t begin = unit * convolution->unit_windows;
    size_t channels = convolution->channels, filters = convolution->filters;
    size_t n =
        smaller(convolution->unit_windows, convolution->images * convolution->windows - begin);
    size_t deep = channels * convolution->taps;
    const REAL *x = convolution->call->operand[0], *w = convolution->call->operand[1];
    REAL *y = convolution->call->operand[2];
    void *result, *matrix = room(convolution, deep * n, filters * n, &result);
    if (!matrix)
        return;
    N(lay_out)(convolution, x, 0, channels, begin, n, matrix);
    if (product(convolution, false, filters, n, deep, w, matrix, result)) {
        N(move)(convolution, y, 0, filters, begin, n, result, true);
    }
    free(matrix);
}

static void N(transpose)(struct convolution *convolution) {
    const REAL *w = convolution->call->operand[0];
    REAL *to = convolution->transposed;
    size_t rows = convolution->channels * convolution->taps;
    for (size_t row = 0; row < rows; row++) {
        for (size_t k = 0; k < convolution->filters; k++)
            *to++ = w[k * rows + row];
    }
}

/* Adds what windows say of the elements under one tap. */
static void N(put_back)(const struct sb_window *window, const REAL *from, size_t r, size_t s,
                        REAL *plane) {
    for (size_t p = 0; p < window->p; p++) {
        size_t y = p * window->stride + r * window->dilation - window->padding;
        size_t x = s * window->dilation - window->padding;
        for (size_t q = 0; q < window->q; q++, from++, x += window->stride) {
            if (y < window->h && x < window->w)
                plane[y * window->w + x] += *from;
        }
    }
}

/* Matrix[c·r·s, windows] = Wᵀ · dY, of one image and some channels, and back to the image. */
static void N(data)(struct convolution *convolution, size_t unit) {
    size_t blocks = parts(convolution->channels, convolution->unit_channels);
    size_t image = unit / blocks, first = unit % blocks * convolution->unit_channels;
    size_t channels = smaller(convolution->unit_channels, convolution->channels - first);
    size_t rows = channels * convolution->taps;
    void *unused, *matrix = room(convolution, rows * convolution->windows, 0, &unused);
    if (!matrix)
        return;
    const REAL *w = (const REAL *)convolution->transposed +
                    first * convolution->taps * convolution->filters,
               *dy = (const REAL *)convolution->call->operand[1] +
                     image * convolution->filters * convolution->windows,
               *from = matrix;
    REAL *dx = (REAL *)convolution->call->operand[2] +
               (image * convolution->channels + first) * convolution->area;
    bool done = product(convolution, false, rows, convolution->windows, convolution->filters, w, dy,
                        matrix);
    memset(dx, 0, channels * convolution->area * sizeof *dx);
    for (size_t row = 0; row < rows && done; row++, from += convolution->windows) {
        size_t c = row / convolution->taps, tap = row % convolution->taps;
        size_t r = tap / convolution->window.s, s = tap % convolution->window.s;
        N(put_back)(&convolution->window, from, r, s, dx + c * convolution->area);
    }
    free(matrix);
}

/* dW[k, c·r·s] += dY[k, windows] · matrixᵀ, of some filters and channels, over all windows. */
static void N(filter)(struct convolution *convolution, size_t unit) {
    size_t blocks = parts(convolution->channels, convolution->unit_channels);
    size_t first = unit % blocks * convolution->unit_channels,
           first_filter = unit / blocks * convolution->unit_filters;
    size_t channels = smaller(convolution->unit_channels, convolution->channels - first),
           filters = smaller(convolution->unit_filters, convolution->filters - first_filter);
    size_t rows = channels * convolution->taps, all = convolution->images * convolution->windows;
    void *dy, *matrix = room(convolution, rows * WINDOWS, filters * (WINDOWS + rows), &dy);
    if (!matrix)
        return;
    REAL *part = (REAL *)dy + filters * WINDOWS, *dw = convolution->call->operand[2],
         *images = convolution->call->operand[1];
    for (size_t begin = 0, n; begin < all; begin += n) {
        n = smaller(WINDOWS, all - begin);
        N(lay_out)(convolution, convolution->call->operand[0], first, channels, begin, n, matrix);
        N(move)(convolution, images, first_filter, filters, begin, n, dy, false);
        if (!product(convolution, true, filters, rows, n, dy, matrix, part))
            break;
        for (size_t i = 0; i < filters * rows; i++) {
            REAL *at = dw + (first_filter + i / rows) * convolution->channels * convolution->taps +
                       first * convolution->taps + i % rows;
            *at = begin ? *at + part[i] : part[i];
        }
    }
    free(matrix);
}

#undef REAL
#undef N
