/* collection.c: see collection.h. */
#include "run/collection.h"

#include <stdlib.h>

float *rd_collection_take_vector(rd_collection *c)
{
    return c->spare_count > 0 ? c->spare[--c->spare_count] : malloc((c->size + 1) * sizeof(float));
}

void rd_collection_give_vector(rd_collection *c, float *values)
{
    if (c->spare_count == c->spare_capacity) {
        size_t capacity = c->spare_capacity == 0 ? 16 : 2 * c->spare_capacity;
        float **spare = realloc(c->spare, capacity * sizeof *spare);
        if (spare == NULL) {
            free(values);
            return;
        }
        c->spare = spare;
        c->spare_capacity = capacity;
    }
    c->spare[c->spare_count++] = values;
}

rd_status rd_collection_reserve(rd_collection *c, rd_error *err)
{
    if (c->due < c->row_capacity)
        return RD_OK;
    size_t capacity = c->row_capacity == 0 ? 16 : 2 * c->row_capacity;
    rd_collected *rows = realloc(c->rows, capacity * sizeof *rows);
    if (rows == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu updates", capacity);
    c->rows = rows;
    c->row_capacity = capacity;
    return RD_OK;
}

void rd_collection_add(rd_collection *c, float *values, uint64_t key, uint32_t weight)
{
    c->rows[c->row_count++] = (rd_collected){values, key, weight};
}

static int by_key(const void *a, const void *b)
{
    const rd_collected *x = a, *y = b;
    return x->key < y->key ? -1 : x->key > y->key;
}

void rd_collection_sort(rd_collection *c)
{
    qsort(c->rows, c->row_count, sizeof *c->rows, by_key);
}

void rd_collection_clear(rd_collection *c)
{
    for (size_t i = 0; i < c->row_count; i++)
        rd_collection_give_vector(c, c->rows[i].values);
    c->row_count = c->due = 0;
}

void rd_collection_free(rd_collection *c)
{
    for (size_t i = 0; i < c->row_count; i++)
        free(c->rows[i].values);
    for (size_t i = 0; i < c->spare_count; i++)
        free(c->spare[i]);
    free(c->rows);
    free(c->spare);
}
