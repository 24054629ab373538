/* once.c: see once.h. */
#include "once.h"

#include <stdlib.h>
#include <string.h>

#include "request.h"

#define MOST_SECONDS 60.0

rd_status rd_ask_once(const rd_transport_options *given, const char *path, const char *json, char **body, size_t *size,
                      rd_error *err)
{
    rd_status status = RD_OK;
    rd_transport *transport = NULL;
    rd_response response;
    rd_transport_options options = *given;
    options.signals = -1;
    options.most_seconds = MOST_SECONDS;
    const rd_request request = {.method = json != NULL ? "POST" : "GET",
                                .path = path,
                                .content_type = json != NULL ? "application/json" : NULL,
                                .body = {{json, json != NULL ? strlen(json) : 0}}};
    *body = NULL;
    RD_TRY(rd_transport_create(&options, &transport, err));
    RD_TRY(rd_transport_request(transport, &request, &response, err));
    if (response.status != 200 && response.status != 204) {
        status = rd_requester_refused(&response, err);
        goto cleanup;
    }
    *size = response.size;
    *body = malloc(response.size + 1);
    if (*body == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for an answer");
    memcpy(*body, response.body, response.size);
cleanup:
    rd_transport_free(transport);
    return status;
}
