/* recalled.c: see recalled.h. */
#include "recalled.h"

#include <stdlib.h>
#include <string.h>

#include "core/grow.h"

static bool add(const char *client, uint64_t round, uint64_t missed, void *user)
{
    rd_recalled *r = user;
    rd_error ignored;
    if (rd_grow(&r->clients, &r->capacity, r->count + 1, sizeof *r->clients, "clients", &ignored) != RD_OK)
        return false;
    r->clients[r->count] = (rd_recalled_client){strdup(client), round, (unsigned)missed};
    return r->clients[r->count].name != NULL && ++r->count > 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const rd_recalled_client *)a)->name, ((const rd_recalled_client *)b)->name);
}

static rd_status loaded(rd_recalled *r, bool all, rd_error *err)
{
    if (!all)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the names of the clients");
    if (r->count > 0)
        qsort(r->clients, r->count, sizeof *r->clients, by_name);
    return RD_OK;
}

rd_status rd_recalled_load_counted(rd_recalled *r, rd_store *store, rd_error *err)
{
    bool all = true;
    rd_status status = rd_store_last_counted(store, add, r, &all, err);
    return status == RD_OK ? loaded(r, all, err) : status;
}

rd_status rd_recalled_load_missed(rd_recalled *r, rd_store *store, rd_error *err)
{
    bool all = true;
    rd_status status = rd_store_missed(store, add, r, &all, err);
    return status == RD_OK ? loaded(r, all, err) : status;
}

rd_recalled_client rd_recalled_of(const rd_recalled *r, const char *client)
{
    const rd_recalled_client wanted = {.name = (char *)client};
    const rd_recalled_client *found =
        r->count > 0 ? bsearch(&wanted, r->clients, r->count, sizeof wanted, by_name) : NULL;
    return found != NULL ? *found : wanted;
}

void rd_recalled_free(rd_recalled *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->clients[i].name);
    free(r->clients);
}
