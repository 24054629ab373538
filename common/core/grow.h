/* grow.h: room in an array that grows while its length is not known. */
#ifndef RONDO_CORE_GROW_H
#define RONDO_CORE_GROW_H

#include <stddef.h>

#include "core/error.h"

/* Makes room for at least `needed` elements of so many bytes each. array: the address of the pointer to the first one
 * (any T **), NULL before there is any. Where capacity does not suffice it becomes twice what it was, or needed where
 * that is more, and never less than RD_GROW_LEAST: of an array that grows one by one it is RD_GROW_LEAST times a power
 * of two. RD_ERR_MEMORY, with `what` its elements are ("rows"), leaves array and capacity as they were. */
#define RD_GROW_LEAST 8
rd_status rd_grow(void *array, size_t *capacity, size_t needed, size_t element, const char *what,
                  rd_error *err) RD_MUST_CHECK;

#endif
