/* allow_list.c: see allow_list.h. */
#include "allow_list.h"

#include <string.h>

rd_status rd_allow_list_open(rd_allow_list *l, const char *path, rd_error *err)
{
    memset(l, 0, sizeof *l);
    (void)pthread_rwlock_init(&l->lock, NULL);
    l->path = path;
    return path != NULL ? rd_allow_load(path, &l->list, err) : RD_OK;
}

void rd_allow_list_close(rd_allow_list *l)
{
    rd_allow_free(&l->list);
    (void)pthread_rwlock_destroy(&l->lock);
}

bool rd_allow_list_has(rd_allow_list *l, const char *client)
{
    if (l->path == NULL)
        return true;
    (void)pthread_rwlock_rdlock(&l->lock);
    bool found = rd_allow_has(&l->list, client);
    (void)pthread_rwlock_unlock(&l->lock);
    return found;
}

rd_status rd_allow_list_reload(rd_allow_list *l, size_t *count, rd_error *err)
{
    rd_allow list;
    rd_status status = rd_allow_load(l->path, &list, err);
    if (status != RD_OK)
        return status;
    (void)pthread_rwlock_wrlock(&l->lock);
    rd_allow before = l->list;
    l->list = list;
    *count = list.count;
    (void)pthread_rwlock_unlock(&l->lock);
    rd_allow_free(&before);
    return RD_OK;
}
