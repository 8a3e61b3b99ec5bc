/* kernels, mpi: what one rank of the backend `mpi` runs, started by mpirun:
 *
 *     samebits-mpi-rank MEMORY f32|f64 N
 *
 * MEMORY holds the vectors of N elements of all ranks, then room for the sum, which rank 0 writes.
 */
#include <mpi.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int fail(const char *what) {
    perror(what);
    MPI_Abort(MPI_COMM_WORLD, 1);
    return 1;
}

int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    int rank, ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (argc != 4)
        return fail("usage: samebits-mpi-rank MEMORY f32|f64 N");
    bool wide = strcmp(argv[2], "f64") == 0;
    size_t n = strtoull(argv[3], NULL, 10), bytes = n * (wide ? sizeof(double) : sizeof(float));
    int fd = open(argv[1], O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return fail(argv[1]);
    char *memory =
        mmap(NULL, bytes * ((size_t)ranks + 1), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *sum = malloc(bytes);
    if (memory == MAP_FAILED || !sum)
        return fail("memory");
    MPI_Allreduce(memory + bytes * (size_t)rank, sum, (int)n, wide ? MPI_DOUBLE : MPI_FLOAT,
                  MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0)
        memcpy(memory + bytes * (size_t)ranks, sum, bytes);
    free(sum);
    MPI_Finalize();
    return 0;
}
