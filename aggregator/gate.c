/* gate.c: see gate.h. */
#include "gate.h"

#include <string.h>

rd_status rd_gate_open(rd_gate *g, const char *path, rd_error *err)
{
    memset(g, 0, sizeof *g);
    (void)pthread_rwlock_init(&g->lock, NULL);
    g->path = path;
    return path != NULL ? rd_allow_load(path, &g->list, err) : RD_OK;
}

void rd_gate_close(rd_gate *g)
{
    rd_allow_free(&g->list);
    (void)pthread_rwlock_destroy(&g->lock);
}

bool rd_gate_admits(rd_gate *g, const char *client)
{
    if (g->path == NULL)
        return true;
    (void)pthread_rwlock_rdlock(&g->lock);
    bool admitted = rd_allow_has(&g->list, client);
    (void)pthread_rwlock_unlock(&g->lock);
    return admitted;
}

rd_status rd_gate_reload(rd_gate *g, size_t *count, rd_error *err)
{
    rd_allow list;
    rd_status status = rd_allow_load(g->path, &list, err);
    if (status != RD_OK)
        return status;
    (void)pthread_rwlock_wrlock(&g->lock);
    rd_allow before = g->list;
    g->list = list;
    *count = list.count;
    (void)pthread_rwlock_unlock(&g->lock);
    rd_allow_free(&before);
    return RD_OK;
}
