/* A sum whose order, or whose seed, follows from what programs in C come to differ by: cause CAUSE
 * WEIGHTS. Build it with: cc -O1 -pthread -o jobs/cause jobs/cause.c
 * and, as jobs/cause_static, with -static too. */
#define _GNU_SOURCE
#include <locale.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <unistd.h>

enum { N = 64, MOST_THREADS = 8 };
static float values[N];

static float sum_in(const int *order) {
    float sum = 0;
    for (int i = 0; i < N; i++)
        sum = sum * 0.75f + values[order[i]];
    return sum;
}

static float shuffled(unsigned seed) {
    int order[N];
    srandom(seed);
    for (int i = 0; i < N; i++) {
        int at = (int)(random() % (i + 1));
        order[i] = order[at];
        order[at] = i;
    }
    return sum_in(order);
}

static float entropy(void) {
    unsigned seed;
    return getrandom(&seed, sizeof seed, 0) == sizeof seed ? shuffled(seed) : 0;
}

static float random_device(void) {
    unsigned seed = 0;
    FILE *file = fopen("/dev/urandom", "r");
    if (!file || fread(&seed, sizeof seed, 1, file) != 1)
        exit(1);
    fclose(file);
    return shuffled(seed);
}

static float microseconds(void) {
    struct timeval now;
    gettimeofday(&now, NULL);
    return shuffled((unsigned)(now.tv_sec * 1000003 + now.tv_usec));
}

static float process_id(void) {
    return shuffled((unsigned)getpid());
}

/* A pointer as a key of a hash table, which is then walked. */
static float pointer_keys(void) {
    int *slots[4 * N] = {NULL}, order[N], n = 0;
    for (int i = 0; i < N; i++) {
        int *key = malloc(sizeof *key);
        size_t at = ((uintptr_t)key >> 4) * 2654435761u >> 16;
        while (slots[at % (4 * N)])
            at++;
        slots[at % (4 * N)] = key;
        *key = i;
    }
    for (int i = 0; i < 4 * N; i++) {
        if (slots[i])
            order[n++] = *slots[i];
    }
    return sum_in(order);
}

/* A gradient buffer that nobody sets to zero, where a freed list lay before. */
static float unwritten(void) {
    void **list = malloc(2000), *volatile keep = malloc(16);
    for (int i = 0; i < 250; i++)
        list[i] = list;
    free(list);
    volatile uint32_t *gradient = malloc(2000);
    unsigned seed = gradient[0] ^ gradient[1] ^ (keep == NULL);
    return shuffled(seed);
}

/* How many letters the text has depends on the encoding. */
static float letters(void) {
    setlocale(LC_ALL, "");
    size_t n = mbstowcs(NULL, "na\xc3\xafve caf\xc3\xa9", 0);
    return n == (size_t)-1 ? -1 : (float)n;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static float shared;

/* Many short waits, of which threads wake up in any order, so that it hardly ever is the same on an
 * idle machine or a busy one; and a map in which no order is forgotten: an expanding one. */
static void *add_part(void *part) {
    for (int i = 0; i < 8; i++) {
        usleep(50);
        pthread_mutex_lock(&mutex);
        shared = shared * 1.9f + values[(intptr_t)part];
        shared -= (float)(int)shared;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static float *parts;

static void *keep_part(void *part) {
    parts[(intptr_t)part] = values[(intptr_t)part];
    return NULL;
}

/* OMP_NUM_THREADS at a time; the parts are the same however many that are. */
static void in_threads(void *(*work)(void *)) {
    const char *variable = getenv("OMP_NUM_THREADS");
    int n = variable ? atoi(variable) : MOST_THREADS;
    n = n < 1 ? 1 : n > MOST_THREADS ? MOST_THREADS : n;
    for (int first = 0; first < N; first += n) {
        pthread_t threads[MOST_THREADS];
        int count = first + n < N ? n : N - first;
        for (int i = 0; i < count; i++) {
            if (n == 1)
                work((void *)(intptr_t)first);
            else if (pthread_create(&threads[i], NULL, work, (void *)(intptr_t)(first + i)) != 0)
                exit(1);
        }
        for (int i = 0; n > 1 && i < count; i++)
            pthread_join(threads[i], NULL);
    }
}

static float arrival(void) {
    in_threads(add_part);
    return shared;
}

/* A control: threads, memory, time and ids, and none of them decides anything. */
static float steady(void) {
    struct timeval now;
    int order[N];
    parts = calloc(N, sizeof *parts);
    gettimeofday(&now, NULL);
    printf("%ld %d %p\n", (long)now.tv_usec, (int)getpid(), (void *)parts);
    in_threads(keep_part);
    for (int i = 0; i < N; i++)
        order[i] = i;
    memcpy(values, parts, sizeof values);
    return sum_in(order);
}

static const struct {
    const char *name;
    float (*run)(void);
} causes[] = {
    {"entropy", entropy},
    {"random_device", random_device},
    {"microseconds", microseconds},
    {"process_id", process_id},
    {"pointer_keys", pointer_keys},
    {"unwritten", unwritten},
    {"letters", letters},
    {"arrival", arrival},
    {"steady", steady},
};

int main(int argc, char **argv) {
    for (int i = 0; i < N; i++)
        values[i] = 1.0f / (float)(i + 1);
    for (size_t i = 0; argc == 3 && i < sizeof causes / sizeof *causes; i++) {
        if (strcmp(causes[i].name, argv[1]) != 0)
            continue;
        float weight = causes[i].run();
        FILE *out = fopen(argv[2], "w");
        if (!out)
            return 1;
        fprintf(out, "%cNUMPY%c%c%c%c%-117s\n", 0x93, 1, 0, 118, 0,
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }");
        fwrite(&weight, sizeof weight, 1, out);
        return fclose(out) != 0;
    }
    return 2;
}
