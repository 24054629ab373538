/* exchange.h: the server's own way to answer a request; the application's are in server.h. */
#ifndef RONDO_HTTPS_EXCHANGE_H
#define RONDO_HTTPS_EXCHANGE_H

#include "https/connection_state.h"

/* Puts an answer into the output; decides c->keep_alive. Where there is no memory, c->broken is set. Nothing is sent:
 * that is done when the application's callback is back. */
void rd_exchange_put(rd_connection *c, int status, const char *content_type, const char *headers, const void *body,
                     size_t count);

#endif
