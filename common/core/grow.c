#include "core/grow.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

rd_status rd_grow(void *array, size_t *capacity, size_t needed, size_t element, const char *what, rd_error *err)
{
    /* Copied, because what is a T * must not be read as a void *; all pointers to objects look alike in POSIX. */
    void *elements;
    size_t larger = *capacity <= SIZE_MAX / 2 ? 2 * *capacity : SIZE_MAX, bytes;
    if (needed <= *capacity)
        return RD_OK;
    if (larger < needed)
        larger = needed;
    if (larger < RD_GROW_LEAST)
        larger = RD_GROW_LEAST;
    memcpy(&elements, array, sizeof elements);
    bool countable = !__builtin_mul_overflow(larger, element, &bytes) && bytes <= PTRDIFF_MAX;
    elements = countable ? realloc(elements, bytes) : NULL;
    if (elements == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu %s", larger, what);
    memcpy(array, &elements, sizeof elements);
    *capacity = larger;
    return RD_OK;
}
