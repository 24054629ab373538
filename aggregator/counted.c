/* counted.c: see counted.h. */
#include "counted.h"

#include <stdlib.h>
#include <string.h>

#include "core/grow.h"

typedef struct rd_counted_client {
    char *name;
    uint64_t round;
} rd_counted_client;

static bool add(const char *client, uint64_t round, void *user)
{
    rd_error ignored;
    rd_counted *c = user;
    if (rd_grow(&c->clients, &c->capacity, c->count + 1, sizeof *c->clients, "clients", &ignored) != RD_OK)
        return false;
    c->clients[c->count] = (rd_counted_client){strdup(client), round};
    return c->clients[c->count].name != NULL && ++c->count > 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const rd_counted_client *)a)->name, ((const rd_counted_client *)b)->name);
}

rd_status rd_counted_load(rd_counted *c, rd_store *store, rd_error *err)
{
    bool all = true;
    rd_status status = RD_OK;
    RD_TRY(rd_store_last_counted(store, add, c, &all, err));
    if (!all)
        RD_THROW(RD_ERR_MEMORY, "no memory for the names of the clients");
    if (c->count > 0)
        qsort(c->clients, c->count, sizeof *c->clients, by_name);
cleanup:
    return status;
}

uint64_t rd_counted_of(const rd_counted *c, const char *client)
{
    const rd_counted_client wanted = {(char *)client, 0};
    const rd_counted_client *found =
        c->count > 0 ? bsearch(&wanted, c->clients, c->count, sizeof wanted, by_name) : NULL;
    return found != NULL ? found->round : 0;
}

void rd_counted_free(rd_counted *c)
{
    for (size_t i = 0; i < c->count; i++)
        free(c->clients[i].name);
    free(c->clients);
}
