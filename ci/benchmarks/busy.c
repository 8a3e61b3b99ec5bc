/* A job of a known length: keeps one CPU busy for argv[1] milliseconds of its own CPU time, then
 * writes a small weights file (npy) to argv[2]. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A version 1.0 npy file of four float32; the header is padded to 128 bytes. */
static int write_npy(const char *path) {
    char header[128];
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    const char *text = "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }";
    memcpy(header + 10, text, strlen(text));
    header[127] = '\n';
    const float values[4] = {1, 2, 3, 4};
    FILE *file = fopen(path, "wb");
    if (!file)
        return 1;
    fwrite(header, 1, sizeof header, file);
    fwrite(values, sizeof values[0], 4, file);
    return fclose(file) != 0;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    double until = atof(argv[1]) / 1e3;
    volatile uint64_t work = 0;
    while (cpu_seconds() < until) {
        for (int i = 0; i < 10000; i++)
            work += (uint64_t)i;
    }
    return write_npy(argv[2]);
}
