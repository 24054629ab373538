/* gate.c: see gate.h. */
#include "gate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "allow.h"
#include "credentials/crl.h"

struct rd_gate {
    rd_gate_files files;
    rd_members *members;
    pthread_rwlock_t lock; /* guards what follows */
    rd_allow allow;
    rd_crl *crl;
};

rd_status rd_gate_open(const rd_gate_files *files, rd_members *members, rd_gate **out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_gate *g = calloc(1, sizeof *g);
    *out = NULL;
    if (g == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the lists of clients");
    (void)pthread_rwlock_init(&g->lock, NULL);
    g->files = *files;
    g->members = members;
    if (files->allow != NULL)
        RD_TRY(rd_allow_load(files->allow, &g->allow, err));
    if (files->crl != NULL)
        RD_TRY(rd_crl_load(files->crl, files->ca, &g->crl, err));
    *out = g;
    g = NULL;
cleanup:
    rd_gate_close(g);
    return status;
}

void rd_gate_close(rd_gate *g)
{
    if (g == NULL)
        return;
    rd_allow_free(&g->allow);
    rd_crl_free(g->crl);
    (void)pthread_rwlock_destroy(&g->lock);
    free(g);
}

static bool is_in_crl(rd_gate *g, const rd_peer *peer)
{
    (void)pthread_rwlock_rdlock(&g->lock);
    const bool found = g->crl != NULL && rd_crl_has(g->crl, peer);
    (void)pthread_rwlock_unlock(&g->lock);
    return found;
}

bool rd_gate_is_revoked(rd_gate *g, const rd_peer *peer, bool own)
{
    return is_in_crl(g, peer) || (own && rd_members_refuse(g->members, peer) != NULL);
}

const char *rd_gate_refuse(rd_gate *g, const rd_peer *peer)
{
    if (is_in_crl(g, peer))
        return "this client's certificate was revoked by its authority";
    const char *why = rd_members_refuse(g->members, peer);
    if (why != NULL)
        return why;
    (void)pthread_rwlock_rdlock(&g->lock);
    const bool listed = g->files.allow == NULL || rd_allow_has(&g->allow, peer->name);
    (void)pthread_rwlock_unlock(&g->lock);
    if (!listed)
        return "this client is not in the aggregator's list of allowed clients";
    rd_members_note_use(g->members, peer);
    return NULL;
}

static void reload_allow(rd_gate *g, rd_gate_listener listener, void *user)
{
    char line[RD_ERROR_MESSAGE_MAX + 64];
    rd_allow list;
    rd_error err;
    if (rd_allow_load(g->files.allow, &list, &err) != RD_OK) {
        (void)snprintf(line, sizeof line, "%s; the list as it was stays in force", err.message);
        listener(user, false, line);
        return;
    }
    (void)pthread_rwlock_wrlock(&g->lock);
    rd_allow before = g->allow;
    g->allow = list;
    (void)pthread_rwlock_unlock(&g->lock);
    rd_allow_free(&before);
    (void)snprintf(line, sizeof line, "%s read again: %zu client%s may take part", g->files.allow, list.count,
                   list.count == 1 ? "" : "s");
    listener(user, true, line);
}

static void reload_crl(rd_gate *g, rd_gate_listener listener, void *user)
{
    char line[RD_ERROR_MESSAGE_MAX + 64];
    rd_crl *list;
    rd_error err;
    if (rd_crl_load(g->files.crl, g->files.ca, &list, &err) != RD_OK) {
        (void)snprintf(line, sizeof line, "%s; the list as it was stays in force", err.message);
        listener(user, false, line);
        return;
    }
    const size_t count = rd_crl_count(list);
    (void)pthread_rwlock_wrlock(&g->lock);
    rd_crl *before = g->crl;
    g->crl = list;
    (void)pthread_rwlock_unlock(&g->lock);
    rd_crl_free(before);
    (void)snprintf(line, sizeof line, "%s read again: %zu certificate%s revoked", g->files.crl, count,
                   count == 1 ? " is" : "s are");
    listener(user, true, line);
}

void rd_gate_reload(rd_gate *g, rd_gate_listener listener, void *user)
{
    if (g->files.allow != NULL)
        reload_allow(g, listener, user);
    if (g->files.crl != NULL)
        reload_crl(g, listener, user);
}

double rd_gate_crl_ends(rd_gate *g)
{
    (void)pthread_rwlock_rdlock(&g->lock);
    const double ends = g->crl != NULL ? rd_crl_next_update(g->crl) : 0.0;
    (void)pthread_rwlock_unlock(&g->lock);
    return ends;
}
