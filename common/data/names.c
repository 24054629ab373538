/* names.c: see names.h. Open addressing with linear probing, at most half full. */
#include "data/names.h"

#include <stdlib.h>
#include <string.h>

#include "core/grow.h"

static uint64_t hash_text(const char *text)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *text != '\0'; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return h ^ (h >> 32);
}

/* The slot that holds text, or the empty one where it belongs. */
static size_t find_slot(const rd_names *n, const char *text)
{
    size_t at = (size_t)hash_text(text) & (n->slots - 1);
    while (n->slot[at] != 0 && strcmp(n->name[n->slot[at] - 1], text) != 0)
        at = (at + 1) & (n->slots - 1);
    return at;
}

static rd_status grow(rd_names *n, rd_error *err)
{
    rd_status status = RD_OK;
    size_t capacity = n->capacity;
    uint32_t *slot = NULL;
    if (n->count == INT32_MAX)
        RD_THROW(RD_ERR_MEMORY, "more than %zu distinct names", n->count);
    RD_TRY(rd_grow(&n->name, &capacity, n->count + 1, sizeof *n->name, "distinct names", err));
    slot = calloc(capacity * 2, sizeof *slot); /* a power of two */
    if (slot == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for %zu distinct names", capacity);
    free(n->slot);
    n->slot = slot;
    n->slots = capacity * 2;
    n->capacity = capacity;
    for (size_t i = 0; i < n->count; i++)
        n->slot[find_slot(n, n->name[i])] = (uint32_t)i + 1;
cleanup:
    return status;
}

bool rd_names_find(const rd_names *n, const char *text, int32_t *number)
{
    if (n->slots == 0)
        return false;
    uint32_t found = n->slot[find_slot(n, text)];
    if (found == 0)
        return false;
    *number = (int32_t)(found - 1);
    return true;
}

rd_status rd_names_add(rd_names *n, const char *text, int32_t *number, rd_error *err)
{
    if (rd_names_find(n, text, number))
        return RD_OK;
    if (n->count == n->capacity) {
        rd_status status = grow(n, err);
        if (status != RD_OK)
            return status;
    }
    char *copy = strdup(text);
    if (copy == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the name '%.40s'", text);
    n->slot[find_slot(n, text)] = (uint32_t)n->count + 1;
    n->name[n->count] = copy;
    *number = (int32_t)n->count;
    n->count++;
    return RD_OK;
}

void rd_names_free(rd_names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->name[i]);
    free(n->name);
    free(n->slot);
    memset(n, 0, sizeof *n);
}
