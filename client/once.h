/* once.h: a command's request to the aggregator: asked once, answered or not, and no run behind it. */
#ifndef RONDO_CLIENT_ONCE_H
#define RONDO_CLIENT_ONCE_H

#include <stddef.h>

#include "core/error.h"
#include "transport.h"

/* POST with that JSON, or GET where it is NULL, on a connection of its own. *body: (*size) of the answer, free(). It may take a
 * minute, whatever options say. RD_ERR_REFUSED: what the aggregator said, or as rd_transport_request. */
rd_status rd_ask_once(const rd_transport_options *options, const char *path, const char *json, char **body,
                      size_t *size, rd_error *err) RD_MUST_CHECK;

#endif
