/* The floor of a matrix product: three loops, as written. Prints the median seconds of a few. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TIMES = 3 };

static void multiply(size_t n, const float *a, const float *b, float *c) {
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            float sum = 0;
            for (size_t p = 0; p < n; p++)
                sum += a[i * n + p] * b[p * n + j];
            c[i * n + j] = sum;
        }
    }
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 512;
    float *a = malloc(n * n * sizeof *a), *b = malloc(n * n * sizeof *b),
          *c = malloc(n * n * sizeof *c);
    double seconds[TIMES], checked = 0;
    if (!a || !b || !c)
        return 1;
    for (size_t i = 0; i < n * n; i++) {
        a[i] = (float)(i % 17) - 8;
        b[i] = (float)(i % 23) - 11;
    }
    for (int t = 0; t < TIMES; t++) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        multiply(n, a, b, c);
        clock_gettime(CLOCK_MONOTONIC, &to);
        seconds[t] = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
        checked += c[n + 1];
    }
    qsort(seconds, TIMES, sizeof *seconds, compare);
    fprintf(stderr, "%g\n", checked);
    printf("%.9f\n", seconds[TIMES / 2]);
    return 0;
}
