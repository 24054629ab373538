/* call.c: see call.h. */
#include "call.h"

#include <stdlib.h>
#include <string.h>

#include "codec/messages.h"

#define JSON_TYPE "application/json"

const char *rd_call_body(const rd_call *c)
{
    return c->body != NULL ? c->body : "";
}

void rd_call_json(rd_call *c, int status, const char *headers, char *json)
{
    static const char no_memory[] = "{\"error\": \"memory\", \"message\": \"the aggregator is short of memory\"}";
    c->answered = true;
    if (json == NULL)
        rd_exchange_reply(c->x, 503, JSON_TYPE, "Retry-After: 5\r\n", no_memory, sizeof no_memory - 1);
    else
        rd_exchange_reply(c->x, status, JSON_TYPE, headers, json, strlen(json));
    free(json);
}

void rd_call_empty(rd_call *c, int status, const char *headers)
{
    c->answered = true;
    rd_exchange_reply(c->x, status, NULL, headers, NULL, 0);
}

void rd_call_refuse(rd_call *c, int status, const char *kind, const char *message)
{
    bool passing = status == 503 || status == 507;
    rd_call_json(c, status, passing ? "Retry-After: 2\r\n" : "", rd_refusal_write(kind, message));
}

void rd_call_refuse_error(rd_call *c, const rd_error *err)
{
    int status = 400;
    if (err->status == RD_ERR_RANGE)
        status = 422;
    else if (err->status == RD_ERR_STATE)
        status = 409;
    else if (err->status == RD_ERR_IO)
        status = 507;
    else if (err->status == RD_ERR_MEMORY)
        status = 503;
    rd_call_refuse(c, status, rd_status_name(err->status), err->message);
}
