/* check: numbers of threads for libraries that are loaded already, and have read their variables.
 */
#include "check/run.h"

#include <dlfcn.h>

static const char *const setters[] = {
    "omp_set_num_threads",
    "openblas_set_num_threads",
    "MKL_Set_Num_Threads",
};

void sb_threads_tell_libraries(unsigned threads) {
    for (size_t i = 0; i < sizeof setters / sizeof *setters; i++) {
        void (*set)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, setters[i]);
        if (set)
            set((int)threads);
    }
    void (*set_blis)(long) = (void (*)(long))dlsym(RTLD_DEFAULT, "bli_thread_set_num_threads");
    if (set_blis)
        set_blis((long)threads);
}
