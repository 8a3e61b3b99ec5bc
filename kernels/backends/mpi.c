/* kernels: backend `mpi`, an allreduce of real MPI ranks: processes that mpirun starts for one
 * call. The program itself links no MPI; operands lie in memory that the ranks map. */
#include "kernels/dispatch.h"
#include "kernels/module.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Open MPI's numbers of its algorithms (coll_tuned_allreduce_algorithm), from 0: its own choice. */
static const char *const algorithms[] = {
    "default", "basic_linear",   "nonoverlapping", "recursive_doubling",
    "ring",    "segmented_ring", "rabenseifner",   NULL,
};

struct mpi {
    char *rank; /* path of the program that a rank runs */
    char version[64];
};

static void unload(void *state) {
    struct mpi *mpi = state;
    free(mpi->rank);
    free(mpi);
}

/* "mpirun (Open MPI) 4.1.4" */
static bool read_version(struct mpi *mpi) {
    FILE *output = popen("mpirun --version 2>/dev/null", "re");
    char line[256];
    bool found = output && fgets(line, sizeof line, output) &&
                 sscanf(line, "mpirun (Open MPI) %63s", mpi->version) == 1;
    if (output)
        pclose(output);
    return found;
}

static int load(void **state, struct sb_error *err) {
    struct mpi *mpi = calloc(1, sizeof *mpi);
    if (!mpi)
        return sb_error_errno(err, -ENOMEM, "load");
    int rc = sb_module_file("samebits-mpi-rank", &mpi->rank, err);
    if (rc == 0 && !read_version(mpi))
        rc = sb_error_set(err, -ENOENT, "Open MPI's mpirun not found (install openmpi-bin)");
    if (rc < 0)
        unload(mpi);
    else
        *state = mpi;
    return rc;
}

static void describe(void *state, struct sb_backend_facts *facts) {
    const struct mpi *mpi = state;
    snprintf(facts->version, sizeof facts->version, "%s", mpi->version);
    snprintf(facts->config, sizeof facts->config, "Open MPI, ranks on this machine");
}

/* Inputs of all ranks, then the result, in memory that has a name for the ranks. */
struct shared {
    int fd;
    size_t bytes;
    char *data;
};

static int share(const struct sb_call *call, struct shared *shared, struct sb_error *err) {
    size_t size = sb_dtype_size(call->dtype), in = sb_call_elements(call, 0) * size;
    *shared = (struct shared){.fd = memfd_create("samebits-allreduce", MFD_CLOEXEC),
                              .bytes = in + sb_call_elements(call, 1) * size};
    if (shared->fd < 0 || ftruncate(shared->fd, (off_t)shared->bytes) < 0)
        return sb_error_errno(err, -errno, "shared memory");
    void *data = mmap(NULL, shared->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, shared->fd, 0);
    if (data == MAP_FAILED)
        return sb_error_errno(err, -errno, "shared memory");
    shared->data = data;
    memcpy(shared->data, call->operand[0], in);
    return 0;
}

static void unshare_memory(struct shared *shared) {
    if (shared->data)
        munmap(shared->data, shared->bytes);
    if (shared->fd >= 0)
        close(shared->fd);
}

/* As root, as containers have it, mpirun wants to be told twice. */
static int start(char **argv, pid_t *child) {
    size_t n = 0;
    while (environ[n])
        n++;
    char **environment = calloc(n + 3, sizeof *environment);
    if (!environment)
        return -ENOMEM;
    memcpy(environment, environ, n * sizeof *environment);
    char allow[] = "OMPI_ALLOW_RUN_AS_ROOT=1", confirm[] = "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1";
    environment[n] = allow;
    environment[n + 1] = confirm;
    int rc = -posix_spawnp(child, argv[0], NULL, NULL, argv, environment);
    free(environment);
    return rc;
}

static int run_ranks(const struct mpi *mpi, const struct sb_call *call, const struct shared *shared,
                     unsigned algorithm, struct sb_error *err) {
    char ranks[24], elements[24], number[24], memory[64];
    snprintf(ranks, sizeof ranks, "%zu", call->size[0]);
    snprintf(elements, sizeof elements, "%zu", call->size[1]);
    snprintf(number, sizeof number, "%u", algorithm);
    snprintf(memory, sizeof memory, "/proc/%d/fd/%d", (int)getpid(), shared->fd);
    /* Unbound, for the CPUs are the run's to give; by shared memory, whose copies need no ptrace.
     */
    const char *const arguments[] = {"mpirun",
                                     "--oversubscribe",
                                     "--bind-to",
                                     "none",
                                     "-n",
                                     ranks,
                                     "--mca",
                                     "pml",
                                     "ob1",
                                     "--mca",
                                     "btl",
                                     "vader,self",
                                     "--mca",
                                     "btl_vader_single_copy_mechanism",
                                     "none",
                                     "--mca",
                                     "coll_tuned_use_dynamic_rules",
                                     "1",
                                     "--mca",
                                     "coll_tuned_allreduce_algorithm",
                                     number,
                                     mpi->rank,
                                     memory,
                                     sb_dtype_names[call->dtype],
                                     elements,
                                     NULL};
    pid_t child, ended;
    int status, rc = start((char **)arguments, &child);
    if (rc < 0)
        return sb_error_errno(err, rc, "mpirun");
    do {
        ended = waitpid(child, &status, 0);
    } while (ended < 0 && errno == EINTR);
    if (ended < 0)
        return sb_error_errno(err, -errno, "mpirun");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return sb_error_set(err, -EIO, "mpirun ended with %s %d",
                            WIFEXITED(status) ? "exit code" : "signal",
                            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return 0;
}

static int allreduce(void *state, const struct sb_call *call, struct sb_error *err) {
    enum { MOST_RANKS = 64 };
    unsigned algorithm = 0;
    while (call->algorithm && strcmp(algorithms[algorithm], call->algorithm) != 0)
        algorithm++;
    if (call->size[0] > MOST_RANKS)
        return sb_error_set(err, -ENOTSUP, "more than %d ranks on one machine", MOST_RANKS);
    struct shared shared = {.fd = -1};
    int rc = share(call, &shared, err);
    if (rc == 0)
        rc = run_ranks(state, call, &shared, algorithm, err);
    if (rc == 0) {
        size_t out = sb_call_elements(call, 1) * sb_dtype_size(call->dtype);
        memcpy(call->operand[1], shared.data + shared.bytes - out, out);
    }
    unshare_memory(&shared);
    if (rc == 0 && call->report) {
        snprintf(call->report->algorithm, sizeof call->report->algorithm, "%s",
                 algorithms[algorithm]);
        snprintf(call->report->note, sizeof call->report->note,
                 "MPI advises implementors that the same arguments give the same result");
    }
    return rc;
}

static const struct sb_kernel kernels[] = {
    {"allreduce", SB_BIT(SB_DTYPE_F32) | SB_BIT(SB_DTYPE_F64), allreduce,
     SB_BIT(SB_DTYPE_F16) | SB_BIT(SB_DTYPE_BF16), algorithms},
    {NULL},
};

const struct sb_backend sb_backend_mpi = {
    .api = SB_BACKEND_API,
    .name = "mpi",
    .summary = "allreduce by ranks that Open MPI's mpirun starts here; the rest as in ref",
    .kernels = kernels,
    .gaps = "MPI has collectives only; training takes ref's",
    .load = load,
    .unload = unload,
    .describe = describe,
};
