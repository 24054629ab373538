/* names.h: distinct texts, numbered in the order in which they first appear (owners of rows, labels that
 * are words). A hash table over an array, so that a column of a million values costs a million steps. */
#ifndef RONDO_DATA_NAMES_H
#define RONDO_DATA_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

typedef struct rd_names {
    char **name;  /* (count) */
    size_t count; /* at most INT32_MAX */
    size_t capacity;
    uint32_t *slot; /* (slots) 0 = empty, otherwise 1 + the number of a name; slots is a power of two */
    size_t slots;
} rd_names;

/* Writes the number of text, which is copied when it is new. A zeroed struct is an empty table. */
rd_status rd_names_add(rd_names *n, const char *text, int32_t *number, rd_error *err) RD_MUST_CHECK;
/* False: not there. */
bool rd_names_find(const rd_names *n, const char *text, int32_t *number);
void rd_names_free(rd_names *n);

#endif
