/* kernels, ref: ref_attention.c for one element type. Included for float and double with REAL and
 * N(name), which it takes away again. Exponentials and their sums are computed in double and
 * rounded when stored. */

/* A head's elements of operand o, from row i. */
static REAL *N(rows)(const struct attention *attention, size_t o, size_t head, size_t i) {
    return (REAL *)attention->call->operand[o] + (head * attention->s + i) * attention->d;
}

/* Scores of one query become weights, ascending; those of keys that it does not see are 0. Returns
 * the log of the sum. */
static double N(soften)(const struct attention *attention, REAL *row, size_t seen, size_t keys) {
    double top = row[0], sum = 0;
    for (size_t j = 1; j < seen; j++)
        top = row[j] > top ? row[j] : top;
    for (size_t j = 0; j < seen; j++)
        sum += sb_exp((row[j] - top) / attention->root);
    for (size_t j = 0; j < keys; j++)
        row[j] = (REAL)(j < seen ? sb_exp((row[j] - top) / attention->root) / sum : 0);
    return top / attention->root + sb_log(sum);
}

static void N(forward)(struct attention *attention, size_t head, void *room) {
    const REAL *k = N(rows)(attention, 1, head, 0), *v = N(rows)(attention, 2, head, 0);
    REAL *log_sum = (REAL *)attention->call->operand[4] + head * attention->s, *weights = room;
    for (size_t first = 0; first < attention->s; first += QUERIES) {
        struct group group = group_from(attention, first);
        product(attention, false, true, group.n, group.keys, attention->d,
                N(rows)(attention, 0, head, first), k, weights);
        for (size_t i = 0; i < group.n; i++)
            log_sum[first + i] = (REAL)N(soften)(attention, weights + i * group.keys,
                                                 keys_of(attention, &group, i), group.keys);
        product(attention, false, false, group.n, attention->d, group.keys, weights, v,
                N(rows)(attention, 3, head, first));
    }
}

/* Scores of one query become its weights again, and the slopes of these those of the scores. */
static void N(steepen)(const struct attention *attention, size_t head, size_t query,
                       const struct group *group, REAL *weights, REAL *slopes) {
    size_t seen = keys_of(attention, group, query - group->first);
    const REAL *y = N(rows)(attention, 3, head, query), *dy = N(rows)(attention, 5, head, query);
    double log_sum = ((const REAL *)attention->call->operand[4])[head * attention->s + query];
    double mean = 0;
    for (size_t e = 0; e < attention->d; e++)
        mean += (double)y[e] * dy[e];
    for (size_t j = 0; j < group->keys; j++) {
        double weight = j < seen ? sb_exp(weights[j] / attention->root - log_sum) : 0;
        weights[j] = (REAL)weight;
        slopes[j] = (REAL)(j < seen ? weight * (slopes[j] - mean) / attention->root : 0);
    }
}

/* Adds the product aᵀ·b of a group's [n,keys] and [n,d] to [keys,d]. */
static void N(add_product)(struct attention *attention, const struct group *group, const REAL *a,
                           const REAL *b, REAL *part, REAL *sum) {
    size_t elements = group->keys * attention->d;
    product(attention, true, false, group->keys, attention->d, group->n, a, b, part);
    for (size_t i = 0; i < elements; i++)
        sum[i] += part[i];
}

static void N(backward)(struct attention *attention, size_t head, void *room) {
    const REAL *k = N(rows)(attention, 1, head, 0), *v = N(rows)(attention, 2, head, 0);
    REAL *dk = N(rows)(attention, 7, head, 0), *dv = N(rows)(attention, 8, head, 0);
    REAL *weights = room, *slopes = weights + QUERIES * attention->s,
         *part = slopes + QUERIES * attention->s;
    for (size_t i = 0; i < attention->s * attention->d; i++)
        dk[i] = dv[i] = 0;
    for (size_t first = 0; first < attention->s; first += QUERIES) {
        struct group group = group_from(attention, first);
        const REAL *q = N(rows)(attention, 0, head, first),
                   *dy = N(rows)(attention, 5, head, first);
        product(attention, false, true, group.n, group.keys, attention->d, q, k, weights);
        product(attention, false, true, group.n, group.keys, attention->d, dy, v, slopes);
        for (size_t i = 0; i < group.n; i++) {
            REAL *row = weights + i * group.keys, *slope = slopes + i * group.keys;
            N(steepen)(attention, head, first + i, &group, row, slope);
        }
        product(attention, false, false, group.n, attention->d, group.keys, slopes, k,
                N(rows)(attention, 6, head, first));
        N(add_product)(attention, &group, slopes, q, part, dk);
        N(add_product)(attention, &group, weights, dy, part, dv);
    }
}

#undef REAL
#undef N
