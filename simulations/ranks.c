/* ranks.c: see ranks.h. */
#include "ranks.h"

#include <limits.h>

#ifdef RONDO_MPI
#include <mpi.h>
#include <stdint.h>
#include <stdlib.h>

static bool several(void)
{
    int ready = 0;
    MPI_Initialized(&ready);
    return ready != 0;
}

void rd_ranks_open(int *argc, char ***argv)
{
    /* Started by hand, there is nobody to talk to, and no need to wait for MPI to find that out. */
    if (getenv("OMPI_COMM_WORLD_SIZE") != NULL || getenv("PMI_SIZE") != NULL || getenv("PMIX_RANK") != NULL)
        MPI_Init(argc, argv);
}

void rd_ranks_close(bool failed)
{
    if (several() && failed)
        MPI_Abort(MPI_COMM_WORLD, 1);
    if (several())
        MPI_Finalize();
}

size_t rd_rank(void)
{
    int rank = 0;
    if (several())
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return (size_t)rank;
}

size_t rd_rank_count(void)
{
    int count = 1;
    if (several())
        MPI_Comm_size(MPI_COMM_WORLD, &count);
    return (size_t)count;
}

void rd_ranks_broadcast(void *bytes, size_t size, size_t from)
{
    char *next = bytes;
    while (several() && size > 0) {
        int count = size < INT_MAX / 2 ? (int)size : INT_MAX / 2;
        MPI_Bcast(next, count, MPI_BYTE, (int)from, MPI_COMM_WORLD);
        next += count;
        size -= (size_t)count;
    }
}

void rd_ranks_unite(void *bytes, size_t size)
{
    char *next = bytes;
    while (several() && size > 0) {
        int count = size < INT_MAX / 2 ? (int)size : INT_MAX / 2;
        MPI_Allreduce(MPI_IN_PLACE, next, count, MPI_BYTE, MPI_BOR, MPI_COMM_WORLD);
        next += count;
        size -= (size_t)count;
    }
}

typedef struct wide {
    uint64_t low;
    int64_t high;
} wide;

static void add_wide(void *from, void *into, int *count, MPI_Datatype *type)
{
    const wide *a = from;
    wide *b = into;
    (void)type;
    for (int i = 0; i < *count; i++) {
        uint64_t low = a[i].low + b[i].low;
        b[i].high += a[i].high + (low < a[i].low);
        b[i].low = low;
    }
}

void rd_ranks_add(rd_exact_vector *sum)
{
    enum { PIECE = 1 << 14 };
    MPI_Datatype type;
    MPI_Op op;
    if (!several())
        return;
    wide piece[PIECE];
    MPI_Type_contiguous(sizeof(wide), MPI_BYTE, &type);
    MPI_Type_commit(&type);
    MPI_Op_create(add_wide, 1, &op);
    for (size_t first = 0; first < sum->count; first += PIECE) {
        size_t n = sum->count - first < PIECE ? sum->count - first : PIECE;
        for (size_t i = 0; i < n; i++)
            piece[i] = (wide){sum->low[first + i], sum->high[first + i]};
        MPI_Allreduce(MPI_IN_PLACE, piece, (int)n, type, op, MPI_COMM_WORLD);
        for (size_t i = 0; i < n; i++) {
            sum->low[first + i] = piece[i].low;
            sum->high[first + i] = piece[i].high;
        }
    }
    MPI_Op_free(&op);
    MPI_Type_free(&type);
}

#else

void rd_ranks_open(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
}

void rd_ranks_close(bool failed)
{
    (void)failed;
}

size_t rd_rank(void)
{
    return 0;
}

size_t rd_rank_count(void)
{
    return 1;
}

void rd_ranks_broadcast(void *bytes, size_t size, size_t from)
{
    (void)bytes;
    (void)size;
    (void)from;
}

void rd_ranks_unite(void *bytes, size_t size)
{
    (void)bytes;
    (void)size;
}

void rd_ranks_add(rd_exact_vector *sum)
{
    (void)sum;
}
#endif
