#include "dot.h"

enum { PART = 1024, MOST_PARTS = 1024 };

static float dot_part(const float *a, const float *b, size_t n) {
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static float sum_in_pairs(const float *values, size_t n) {
    if (n < 2)
        return n ? values[0] : 0;
    return sum_in_pairs(values, n / 2) + sum_in_pairs(values + n / 2, n - n / 2);
}

float dot_tree(const float *a, const float *b, size_t n) {
    float parts[MOST_PARTS];
    size_t length = PART;
    while ((n + length - 1) / length > MOST_PARTS)
        length *= 2;
    long n_parts = (long)((n + length - 1) / length);
#pragma omp parallel for
    for (long i = 0; i < n_parts; i++) {
        size_t from = (size_t)i * length;
        parts[i] = dot_part(a + from, b + from, n - from < length ? n - from : length);
    }
    return sum_in_pairs(parts, (size_t)n_parts);
}

float dot_arrival(const float *a, const float *b, size_t n) {
    float sum = 0;
#pragma omp parallel for reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}
