/* kernels, ref: ref_pool.c for one element type. Included for float and double with REAL and
 * N(name), which it takes away again. */

/* The first of the largest elements of a window; a NaN is larger than all else. */
static size_t N(largest)(const REAL *x, const struct sb_window *window, size_t p, size_t q) {
    struct taps taps = taps_of(window, p, q);
    size_t at = taps.y * window->w + taps.x;
    for (size_t y = taps.y; y < taps.y_end; y++) {
        for (size_t place = y * window->w + taps.x; place < y * window->w + taps.x_end; place++) {
            if (x[place] > x[at] || (x[place] != x[place] && x[at] == x[at]))
                at = place;
        }
    }
    return at;
}

static void N(max_pool)(const struct pool *pool, size_t plane) {
    const REAL *x = (const REAL *)pool->call->operand[0] + plane * pool->area;
    REAL *y = (REAL *)pool->call->operand[1] + plane * pool->windows;
    for (size_t i = 0; i < pool->windows; i++)
        y[i] = x[N(largest)(x, &pool->window, i / pool->window.q, i % pool->window.q)];
}

static void N(max_pool_gradient)(const struct pool *pool, size_t plane) {
    const REAL *x = (const REAL *)pool->call->operand[0] + plane * pool->area,
               *dy = (const REAL *)pool->call->operand[2] + plane * pool->windows;
    REAL *dx = (REAL *)pool->call->operand[3] + plane * pool->area;
    for (size_t i = 0; i < pool->area; i++)
        dx[i] = 0;
    for (size_t i = 0; i < pool->windows; i++)
        dx[N(largest)(x, &pool->window, i / pool->window.q, i % pool->window.q)] += dy[i];
}

/* Summed in double, rounded once. */
static void N(average_pool)(const struct pool *pool, size_t plane) {
    const REAL *x = (const REAL *)pool->call->operand[0] + plane * pool->area;
    REAL *to = (REAL *)pool->call->operand[1] + plane * pool->windows;
    for (size_t i = 0; i < pool->windows; i++) {
        struct taps taps = taps_of(&pool->window, i / pool->window.q, i % pool->window.q);
        double sum = 0;
        for (size_t y = taps.y; y < taps.y_end; y++) {
            for (size_t place = taps.x; place < taps.x_end; place++)
                sum += x[y * pool->window.w + place];
        }
        to[i] = (REAL)(sum / count_of(pool, &taps));
    }
}

static void N(average_pool_gradient)(const struct pool *pool, size_t plane) {
    const REAL *dy = (const REAL *)pool->call->operand[0] + plane * pool->windows;
    REAL *dx = (REAL *)pool->call->operand[1] + plane * pool->area;
    for (size_t i = 0; i < pool->area; i++)
        dx[i] = 0;
    for (size_t i = 0; i < pool->windows; i++) {
        struct taps taps = taps_of(&pool->window, i / pool->window.q, i % pool->window.q);
        REAL share = (REAL)(dy[i] / count_of(pool, &taps));
        for (size_t y = taps.y; y < taps.y_end; y++) {
            for (size_t place = taps.x; place < taps.x_end; place++)
                dx[y * pool->window.w + place] += share;
        }
    }
}

#undef REAL
#undef N
