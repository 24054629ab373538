/* sessions.c: see sessions.h. A connection's tag is the number of its client and the number of the session, so that
 * the connections of a session that was replaced are not taken for those of its successor. */
#include "sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/grow.h"

typedef struct session {
    char name[RD_SESSION_MAX], refused[RD_SESSION_MAX]; /* whose it is, and who was last refused */
    char address[64];                                   /* from where the last request came */
    uint32_t number;      /* of the session among those of this client; 0: nobody has joined */
    uint32_t connections; /* that are open */
} session;

struct rd_sessions {
    session *clients; /* (count) */
    size_t count;
    size_t present; /* clients with an open connection */
};

rd_status rd_sessions_create(rd_sessions **out, rd_error *err)
{
    *out = calloc(1, sizeof **out);
    return *out != NULL ? RD_OK : rd_fail(err, RD_ERR_MEMORY, "no memory for the clients' sessions");
}

void rd_sessions_free(rd_sessions *s)
{
    if (s == NULL)
        return;
    free(s->clients);
    free(s);
}

static rd_status reserve(rd_sessions *s, size_t client, rd_error *err)
{
    size_t before = s->count;
    rd_status status = rd_grow(&s->clients, &s->count, client + 1, sizeof *s->clients, "clients' sessions", err);
    if (s->count > before)
        memset(s->clients + before, 0, (s->count - before) * sizeof *s->clients);
    return status;
}

static uint64_t tag_of(size_t client, uint32_t number)
{
    return (uint64_t)client << 32 | number;
}

/* The connection is one of this session's from now on. */
static void attach(rd_sessions *s, size_t client, const rd_caller *caller)
{
    session *c = &s->clients[client];
    uint64_t tag = tag_of(client, c->number);
    (void)snprintf(c->address, sizeof c->address, "%s", caller->address);
    if (*caller->tag == tag)
        return;
    rd_sessions_closed(s, *caller->tag); /* it was another one's */
    *caller->tag = tag;
    s->present += c->connections++ == 0;
}

rd_status rd_sessions_join(rd_sessions *s, size_t client, const rd_caller *caller, bool *first, rd_error *err)
{
    rd_status status = reserve(s, client, err);
    if (status != RD_OK)
        return status;
    session *c = &s->clients[client];
    bool same = c->number > 0 && strcmp(c->name, caller->session) == 0;
    /* A connection that joins anew is not in the way of its own program. */
    bool there = c->connections > (*caller->tag == tag_of(client, c->number));
    *first = false;
    if (c->number > 0 && !same && there) {
        *first = strcmp(c->refused, caller->session) != 0 || c->refused[0] == '\0';
        (void)snprintf(c->refused, sizeof c->refused, "%s", caller->session);
        return rd_fail(err, RD_ERR_REFUSED, "another client with this certificate is in the run, from %s", c->address);
    }
    if (!same) {
        c->number++;
        s->present -= c->connections > 0;
        c->connections = 0;
        (void)snprintf(c->name, sizeof c->name, "%s", caller->session);
    }
    attach(s, client, caller);
    return RD_OK;
}

rd_status rd_sessions_request(rd_sessions *s, size_t client, const rd_caller *caller, rd_error *err)
{
    const session *c = client < s->count ? &s->clients[client] : NULL;
    if (c == NULL || c->number == 0)
        return RD_OK;
    if (strcmp(c->name, caller->session) != 0)
        return rd_fail(err, RD_ERR_REFUSED, "another client with this certificate has joined, from %s", c->address);
    attach(s, client, caller);
    return RD_OK;
}

void rd_sessions_closed(rd_sessions *s, uint64_t tag)
{
    size_t client = (size_t)(tag >> 32);
    if ((uint32_t)tag == 0 || client >= s->count)
        return;
    session *c = &s->clients[client];
    if (c->number == (uint32_t)tag && c->connections > 0)
        s->present -= --c->connections == 0;
}

size_t rd_sessions_present(const rd_sessions *s)
{
    return s->present;
}
