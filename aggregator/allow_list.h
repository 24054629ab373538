/* allow_list.h: who may take part at this moment. The list (serve --allow) is read again while clients ask, so it
 * stands behind a lock; one that cannot be read leaves the old one in force. */
#ifndef RONDO_AGGREGATOR_ALLOW_LIST_H
#define RONDO_AGGREGATOR_ALLOW_LIST_H

#include <pthread.h>
#include <stdbool.h>

#include "allow.h"

typedef struct rd_allow_list {
    const char *path; /* NULL: every client with a certificate of the CA */
    pthread_rwlock_t lock;
    rd_allow list;
} rd_allow_list;

rd_status rd_allow_list_open(rd_allow_list *l, const char *path, rd_error *err) RD_MUST_CHECK;
void rd_allow_list_close(rd_allow_list *l);
bool rd_allow_list_has(rd_allow_list *l, const char *client);
/* *count = names that are in force now. */
rd_status rd_allow_list_reload(rd_allow_list *l, size_t *count, rd_error *err) RD_MUST_CHECK;

#endif
