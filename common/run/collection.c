/* collection.c: see collection.h. */
#include "run/collection.h"

#include <stdlib.h>

#include "core/assert.h"
#include "core/grow.h"

float *rd_collection_take_vector(rd_collection *c)
{
    return c->spare_count > 0 ? c->spare[--c->spare_count] : malloc((c->size + 1) * sizeof(float));
}

void rd_collection_give_vector(rd_collection *c, float *values)
{
    rd_error ignored;
    if (rd_grow(&c->spare, &c->spare_capacity, c->spare_count + 1, sizeof *c->spare, "vectors", &ignored) == RD_OK)
        c->spare[c->spare_count++] = values;
    else
        free(values); /* it need not be used again */
}

rd_status rd_collection_reserve(rd_collection *c, rd_error *err)
{
    return rd_grow(&c->updates, &c->capacity, c->due + 1, sizeof *c->updates, "updates", err);
}

void rd_collection_add(rd_collection *c, float *values, uint64_t key, uint32_t weight)
{
    RD_ASSERT(c->count < c->capacity); /* rd_collection_reserve comes first */
    c->updates[c->count++] = (rd_collected){values, key, weight};
}

static int by_key(const void *a, const void *b)
{
    const rd_collected *x = a, *y = b;
    return x->key < y->key ? -1 : x->key > y->key;
}

void rd_collection_sort(rd_collection *c)
{
    qsort(c->updates, c->count, sizeof *c->updates, by_key);
}

void rd_collection_clear(rd_collection *c)
{
    for (size_t i = 0; i < c->count; i++)
        rd_collection_give_vector(c, c->updates[i].values);
    c->count = c->due = 0;
}

void rd_collection_free(rd_collection *c)
{
    for (size_t i = 0; i < c->count; i++)
        free(c->updates[i].values);
    for (size_t i = 0; i < c->spare_count; i++)
        free(c->spare[i]);
    free(c->updates);
    free(c->spare);
}
