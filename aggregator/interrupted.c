/* interrupted.c: see interrupted.h. A list without an order: it holds the clients of a round whose links break at this
 * moment, and is looked through from its beginning. What is freed may close a large file: that happens outside the lock.
 */
#include "interrupted.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/grow.h"

typedef struct kept {
    size_t client;
    uint64_t round;
    char session[RD_SESSION_MAX];
    rd_upload *upload;
} kept;

struct rd_interrupted {
    pthread_mutex_t lock;
    kept *all; /* (count) */
    size_t count, capacity;
};

rd_status rd_interrupted_create(rd_interrupted **out, rd_error *err)
{
    rd_interrupted *i = calloc(1, sizeof *i);
    if (i == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for interrupted updates");
    i->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    *out = i;
    return RD_OK;
}

void rd_interrupted_free(rd_interrupted *i)
{
    if (i == NULL)
        return;
    for (size_t at = 0; at < i->count; at++)
        rd_upload_free(i->all[at].upload);
    free(i->all);
    pthread_mutex_destroy(&i->lock);
    free(i);
}

/* With the lock held. NULL: nothing is kept of this client. */
static kept *find(rd_interrupted *i, size_t client)
{
    for (size_t at = 0; at < i->count; at++)
        if (i->all[at].client == client)
            return &i->all[at];
    return NULL;
}

/* With the lock held: what is kept under this key. */
static kept *find_key(rd_interrupted *i, const rd_interrupted_key *key)
{
    kept *k = find(i, key->client);
    return k != NULL && k->round == key->round && strcmp(k->session, key->session) == 0 ? k : NULL;
}

/* With the lock held: takes it out of the list. */
static rd_upload *take_out(rd_interrupted *i, kept *k)
{
    rd_upload *upload = k->upload;
    *k = i->all[--i->count];
    return upload;
}

void rd_interrupted_keep(rd_interrupted *i, const rd_interrupted_key *key, rd_upload *upload)
{
    rd_error ignored;
    rd_upload *unwanted = upload;
    RD_ASSERT(strlen(key->session) < RD_SESSION_MAX);
    pthread_mutex_lock(&i->lock);
    kept *k = find(i, key->client);
    if (k != NULL)
        unwanted = k->upload;
    else if (rd_grow(&i->all, &i->capacity, i->count + 1, sizeof *i->all, "updates", &ignored) == RD_OK)
        k = &i->all[i->count++];
    if (k != NULL) {
        unwanted = unwanted == upload ? NULL : unwanted;
        *k = (kept){.client = key->client, .round = key->round, .upload = upload};
        (void)snprintf(k->session, sizeof k->session, "%s", key->session);
    }
    pthread_mutex_unlock(&i->lock);
    rd_upload_free(unwanted);
}

uint64_t rd_interrupted_size(rd_interrupted *i, const rd_interrupted_key *key)
{
    pthread_mutex_lock(&i->lock);
    const kept *k = find_key(i, key);
    const uint64_t size = k != NULL ? rd_upload_size(k->upload) : 0;
    pthread_mutex_unlock(&i->lock);
    return size;
}

rd_upload *rd_interrupted_take(rd_interrupted *i, const rd_interrupted_key *key, uint64_t size)
{
    pthread_mutex_lock(&i->lock);
    kept *k = find_key(i, key);
    rd_upload *upload = k != NULL && rd_upload_size(k->upload) == size ? take_out(i, k) : NULL;
    pthread_mutex_unlock(&i->lock);
    return upload;
}

void rd_interrupted_drop(rd_interrupted *i, size_t client)
{
    pthread_mutex_lock(&i->lock);
    kept *k = find(i, client);
    rd_upload *upload = k != NULL ? take_out(i, k) : NULL;
    pthread_mutex_unlock(&i->lock);
    rd_upload_free(upload);
}

void rd_interrupted_sweep(rd_interrupted *i, bool (*wanted)(void *user, size_t client, uint64_t round), void *user)
{
    for (;;) {
        rd_upload *unwanted = NULL;
        pthread_mutex_lock(&i->lock);
        for (size_t at = 0; at < i->count && unwanted == NULL; at++)
            if (!wanted(user, i->all[at].client, i->all[at].round))
                unwanted = take_out(i, &i->all[at]);
        pthread_mutex_unlock(&i->lock);
        if (unwanted == NULL)
            return;
        rd_upload_free(unwanted);
    }
}
