/* call.h: one request under way, and the answers that it may get. */
#ifndef RONDO_AGGREGATOR_CALL_H
#define RONDO_AGGREGATOR_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "https/server.h"
#include "routes.h"

typedef struct rd_route rd_route;
typedef struct rd_step_bytes rd_step_bytes;

typedef struct rd_call {
    rd_routes *routes;
    rd_exchange *x;
    const rd_route *route;
    size_t client;             /* SIZE_MAX: it has not joined */
    uint64_t number;           /* of the round or version in the path */
    const rd_step_bytes *step; /* in whose step it answers; NULL: it is another request */
    bool answered;
    char *body; /* (body_size) of small requests */
    size_t body_size, body_capacity;
    void *state; /* the step's own (step_bytes.h); NULL: none */
} rd_call;

#define RD_PACE_LINE 40 /* of an answer's head, with its end */
/* Write when the client is to come again, as pace.h has it for all that are there now, and return the line:
 * "Retry-After: 2", and "Rondo-Return: 100" for when it has lost the aggregator. */
const char *rd_retry_line(rd_routes *routes, rd_pace_reason why, char line[RD_PACE_LINE]);
const char *rd_return_line(const rd_routes *routes, char line[RD_PACE_LINE]);

/* The body so far; never NULL. */
const char *rd_call_body(const rd_call *c);

/* json: free()d; NULL: no memory, which is answered with 503. headers: lines, each with its end. */
void rd_call_json(rd_call *c, int status, const char *headers, char *json);
/* 204, or whatever has no body. */
void rd_call_empty(rd_call *c, int status, const char *headers);
/* {"error": kind, "message": message}; 503 and 507 say when to try again. */
void rd_call_refuse(rd_call *c, int status, const char *kind, const char *message);
/* The same, with the status that goes with the failure. */
void rd_call_refuse_error(rd_call *c, const rd_error *err);

#endif
