/* kernels: see parallel.h. */
#include "kernels/parallel.h"

#include <pthread.h>
#include <stdbool.h>

struct piece {
    void (*function)(void *, unsigned, unsigned);
    void *context;
    unsigned i, n;
};

static void *run(void *argument) {
    struct piece *piece = argument;
    piece->function(piece->context, piece->i, piece->n);
    return NULL;
}

void sb_parallel(unsigned n, void (*function)(void *, unsigned, unsigned), void *context) {
    enum { MOST = 256 };
    if (n > MOST)
        n = MOST;
    pthread_t threads[MOST];
    struct piece pieces[MOST];
    bool started[MOST] = {0};
    for (unsigned i = 0; i + 1 < n; i++) {
        pieces[i] = (struct piece){function, context, i, n};
        started[i] = pthread_create(&threads[i], NULL, run, &pieces[i]) == 0;
    }
    if (n)
        function(context, n - 1, n);
    for (unsigned i = 0; i + 1 < n; i++) {
        if (started[i])
            pthread_join(threads[i], NULL);
        else
            function(context, i, n);
    }
}
