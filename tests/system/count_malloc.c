/* count_malloc.c: loaded before the C library (LD_PRELOAD), counts a program's allocations and writes their number
 * to the file that MALLOC_COUNT names, when the program ends. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* The C library's own, under the names that it keeps for this. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static atomic_ullong allocations;

void *malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(old, size);
}

__attribute__((destructor)) static void tell(void)
{
    unsigned long long sum = atomic_load(&allocations);
    const char *path = getenv("MALLOC_COUNT");
    FILE *file = path != NULL ? fopen(path, "w") : NULL;
    if (file == NULL)
        return;
    (void)fprintf(file, "%llu\n", sum);
    (void)fclose(file);
}
