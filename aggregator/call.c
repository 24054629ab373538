/* call.c: see call.h. */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/messages.h"

#define JSON_TYPE "application/json"

const char *rd_retry_line(rd_routes *routes, rd_pace_reason why, char line[RD_PACE_LINE])
{
    const unsigned seconds = rd_pace_retry(&routes->pace, why, rd_driver_present(routes->driver));
    (void)snprintf(line, RD_PACE_LINE, "Retry-After: %u\r\n", seconds);
    return line;
}

const char *rd_return_line(const rd_routes *routes, char line[RD_PACE_LINE])
{
    const unsigned seconds = rd_pace_return(&routes->pace, rd_driver_present(routes->driver));
    (void)snprintf(line, RD_PACE_LINE, "Rondo-Return: %u\r\n", seconds);
    return line;
}

const char *rd_call_body(const rd_call *c)
{
    return c->body != NULL ? c->body : "";
}

void rd_call_json(rd_call *c, int status, const char *headers, char *json)
{
    static const char no_memory[] = "{\"error\": \"memory\", \"message\": \"the aggregator is short of memory\"}";
    char line[RD_PACE_LINE];
    c->answered = true;
    if (json == NULL)
        rd_exchange_reply(c->x, 503, JSON_TYPE, rd_retry_line(c->routes, RD_PACE_SHORTAGE, line), no_memory,
                          sizeof no_memory - 1);
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
    char line[RD_PACE_LINE] = "";
    if (status == 503 || status == 507)
        (void)rd_retry_line(c->routes, status == 503 ? RD_PACE_BUSY : RD_PACE_SHORTAGE, line);
    rd_call_json(c, status, line, rd_refusal_write(kind, message));
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
