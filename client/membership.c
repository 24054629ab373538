/* membership.c: see membership.h. */
#include "membership.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rondo/version.h"
#include "say.h"

#define JSON_TYPE "application/json"

void rd_membership_free(rd_membership *m)
{
    rd_welcome_free(&m->welcome);
}

/* Sends a request that is answered with what the run is, and takes the answer in. */
static rd_status hear_of_run(rd_membership *m, const rd_request *request, rd_error *err)
{
    rd_response response;
    rd_welcome welcome;
    rd_status status = RD_OK;
    RD_TRY(rd_requester_ask(m->requester, request, &response, err));
    if (response.status != 200)
        RD_TRY(rd_requester_refused(&response, err));
    RD_TRY(rd_welcome_parse(response.body, response.size, &welcome, err));
    if (m->welcome.run_id[0] == '\0') {
        m->welcome = welcome;
        return RD_OK;
    }
    if (strcmp(welcome.run_id, m->welcome.run_id) != 0) {
        status =
            rd_fail(err, RD_ERR_REFUSED, "the aggregator now serves another run (%s, was %s); start the client again",
                    welcome.run_id, m->welcome.run_id);
    } else if (!m->fixed) { /* the model stays; what columns mean becomes known */
        rd_schema known = m->welcome.schema;
        m->welcome.schema = welcome.schema;
        m->welcome.settled = welcome.settled;
        welcome.schema = known;
    }
    rd_welcome_free(&welcome);
cleanup:
    return status;
}

rd_status rd_membership_ask(rd_membership *m, rd_error *err)
{
    return hear_of_run(m, &(rd_request){.method = "GET", .path = "/v1/run"}, err);
}

bool rd_membership_can_settle(const rd_membership *m)
{
    return rd_samples_can_settle(m->samples, &m->welcome.schema, m->welcome.settled);
}

rd_status rd_membership_join(rd_membership *m, rd_error *err)
{
    rd_status status = RD_OK;
    rd_join_data data = {0};
    rd_join message = {.protocol = RD_PROTOCOL_VERSION};
    char *json = NULL;
    if (!m->fixed)
        RD_TRY(rd_samples_describe(m->samples, &m->welcome.schema, m->welcome.settled, &data, err));
    message.samples = rd_samples_count(m->samples);
    (void)snprintf(message.software, sizeof message.software, "rondo-client %s", RONDO_VERSION);
    json = rd_join_write(&message, &data);
    if (json == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory to join");
    RD_TRY(hear_of_run(
        m,
        &(rd_request){.method = "POST", .path = "/v1/join", .content_type = JSON_TYPE, .body = {{json, strlen(json)}}},
        err));
    if (data.is_table && !m->joined) {
        rd_say(m->quiet, "%s: told the aggregator of its %zu columns and %zu classes, of no row",
               m->samples->source->path, data.table.column_count, data.table.label.words.count);
        if (!rd_membership_can_settle(m))
            rd_say(m->quiet, "joined run %.12s as %s; what columns mean is settled when enough clients are there",
                   m->welcome.run_id, m->welcome.client);
    }
    m->joined = true;
cleanup:
    rd_join_data_free(&data);
    free(json);
    return status;
}

static const rd_request leave = {.method = "POST", .path = "/v1/leave", .content_type = JSON_TYPE};

rd_status rd_membership_pass(rd_membership *m, const rd_leave *why, rd_error *err)
{
    rd_response response;
    char *json = rd_leave_write(why);
    if (json == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory to tell why this client cannot train");
    rd_request request = leave;
    request.body[0].bytes = json;
    request.body[0].count = strlen(json);
    rd_status status = rd_requester_ask(m->requester, &request, &response, err);
    free(json);
    return status;
}

void rd_membership_leave(rd_membership *m)
{
    rd_error ignored;
    rd_response response;
    if (rd_requester_last_word(m->requester, &leave, &response, &ignored) == RD_OK && response.status == 204)
        rd_say(m->quiet, "left the run");
}
