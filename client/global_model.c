/* global_model.c: see global_model.h. */
#include "global_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/messages.h"
#include "codec/tensor_stream.h"
#include "say.h"
#include "train/companions.h"

static rd_status make_room(rd_global_model *g, const rd_strategy *strategy, rd_error *err)
{
    const size_t n = g->travelling.elements;
    float *places[RD_COMPANIONS_MAX];
    g->parameters = malloc((n + g->staying.elements) * sizeof *g->parameters);
    if (g->down.count > 0)
        g->fetched = malloc(g->down.elements * sizeof *g->fetched);
    if (g->parameters == NULL || (g->down.count > 0 && g->fetched == NULL))
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu parameters", n + g->staying.elements);
    rd_companions_place(strategy, RD_GOES_DOWN, g->fetched != NULL ? g->fetched + n : NULL, n, places);
    for (size_t i = 0; i < RD_COMPANIONS_MAX; i++)
        g->companions[i] = places[i];
    return RD_OK;
}

rd_status rd_global_model_open(rd_requester *r, rd_tensor_table travelling, rd_tensor_table staying,
                               const rd_strategy *strategy, rd_global_model *out, rd_error *err)
{
    rd_status status = RD_OK;
    *out = (rd_global_model){.requester = r, .travelling = travelling, .staying = staying, .version = RD_NO_VERSION};
    RD_TRY(rd_companions_wire_table(travelling, strategy, RD_GOES_DOWN, &out->down, err));
    RD_TRY(rd_companions_wire_table(travelling, strategy, RD_GOES_UP, &out->up, err));
    RD_TRY(make_room(out, strategy, err));
cleanup:
    if (status != RD_OK)
        rd_global_model_close(out);
    return status;
}

void rd_global_model_close(rd_global_model *g)
{
    rd_packing_free(g->packing);
    rd_tensor_table_free(&g->down);
    rd_tensor_table_free(&g->up);
    free(g->fetched);
    free(g->parameters);
    memset(g, 0, sizeof *g);
}

void rd_global_model_forget(rd_global_model *g)
{
    g->version = RD_NO_VERSION;
}

rd_tensor_table rd_global_model_update_tensors(const rd_global_model *g)
{
    return g->packing != NULL ? g->packing->update : g->up.count > 0 ? g->up : g->travelling;
}

/* ---- downloads ---- */

typedef struct download {
    rd_tensor_stream *stream;
    float *into;
    rd_tensor_table tensors;
} download;

static rd_status put(void *user, size_t first, const float *values, size_t count, rd_error *err)
{
    download *d = user;
    (void)err;
    memcpy(d->into + first, values, count * sizeof *values);
    return RD_OK;
}

static rd_status feed(void *user, const void *bytes, size_t count, rd_error *err)
{
    download *d = user;
    if (d->stream == NULL) {
        rd_tensor_sink sink = {.on_values = put, .user = d};
        rd_status status = rd_tensor_stream_create(d->tensors, &sink, &d->stream, err);
        if (status != RD_OK)
            return status;
    }
    return rd_tensor_stream_feed(d->stream, bytes, count, err);
}

static void start_download_again(void *user)
{
    download *d = user;
    rd_tensor_stream_free(d->stream);
    d->stream = NULL;
}

/* Asks for tensors of a model and leaves them in a vector. */
static rd_status fetch_tensors(rd_global_model *g, const char *path, rd_tensor_table tensors, float *into,
                               rd_response *response, rd_error *err)
{
    download d = {.into = into, .tensors = tensors};
    rd_request request = {.method = "GET", .path = path, .take = feed, .restart = start_download_again, .user = &d};
    rd_status status = rd_requester_ask(g->requester, &request, response, err);
    if (status == RD_OK && response->status == 200)
        status =
            d.stream != NULL ? rd_tensor_stream_finish(d.stream, err) : rd_fail(err, RD_ERR_FORMAT, "it came empty");
    rd_tensor_stream_free(d.stream);
    if (status != RD_ERR_FORMAT && status != RD_ERR_RANGE)
        return status;
    return rd_fail_context(err, RD_ERR_FORMAT, "%s, as the aggregator sent it", path);
}

/* What is frozen comes once. */
static rd_status fetch_frozen(rd_global_model *g, rd_error *err)
{
    rd_response response;
    if (g->has_staying || g->staying.elements == 0)
        return RD_OK;
    rd_status status = RD_OK;
    RD_TRY(fetch_tensors(g, "/v1/frozen", g->staying, g->parameters, &response, err));
    if (response.status != 200)
        RD_TRY(rd_requester_refused(&response, err));
    g->has_staying = true;
    rd_say(g->quiet, "fetched the frozen part of the model: %zu parameters", g->staying.elements);
cleanup:
    return status;
}

/* Asks for a pruned model, what remains and where it belongs, and unpacks it. */
static rd_status fetch_packed(rd_global_model *g, const char *path, size_t remaining, rd_response *response,
                              rd_error *err)
{
    size_t all = g->travelling.elements;
    rd_tensor_table packed = {0};
    float *body = NULL;
    rd_status status = RD_OK;
    if (remaining > all)
        return rd_fail(err, RD_ERR_FORMAT, "the aggregator keeps %zu of %zu parameters", remaining, all);
    RD_TRY(rd_packing_table(remaining, all, &packed, err));
    body = malloc(packed.elements * sizeof *body);
    if (body == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for %zu parameters", packed.elements);
    RD_TRY(fetch_tensors(g, path, packed, body, response, err));
    if (response->status == 200)
        RD_TRY(rd_packing_read(body, remaining, all, g->parameters, &g->packing, err));
cleanup:
    free(body);
    rd_tensor_table_free(&packed);
    return status;
}

/* The strategy's companions come with the parameters. */
static rd_status fetch_with_companions(rd_global_model *g, const char *path, rd_response *response, rd_error *err)
{
    rd_status status = fetch_tensors(g, path, g->down, g->fetched, response, err);
    if (status == RD_OK && response->status == 200)
        memcpy(g->parameters, g->fetched, g->travelling.elements * sizeof *g->parameters);
    return status;
}

rd_status rd_global_model_fetch(rd_global_model *g, uint64_t version, uint64_t remaining, uint64_t *bytes,
                                rd_error *err)
{
    char path[64];
    rd_refusal refusal;
    rd_response response;
    *bytes = 0;
    if (g->version == version)
        return RD_OK;
    g->version = RD_NO_VERSION;
    rd_packing_free(g->packing);
    g->packing = NULL;
    (void)snprintf(path, sizeof path, "/v1/model/%" PRIu64, version);
    rd_status status = fetch_frozen(g, err);
    if (status == RD_OK)
        status = remaining > 0       ? fetch_packed(g, path, (size_t)remaining, &response, err)
                 : g->down.count > 0 ? fetch_with_companions(g, path, &response, err)
                                     : fetch_tensors(g, path, g->travelling, g->parameters, &response, err);
    if (status != RD_OK)
        return status;
    if (response.status == 404) {
        rd_refusal_parse(response.body, response.size, &refusal);
        rd_say(g->quiet, "the model to train is gone: %s", refusal.message);
        return RD_OK;
    }
    if (response.status != 200)
        return rd_requester_refused(&response, err);
    *bytes = response.received;
    g->version = version;
    (void)snprintf(g->name, sizeof g->name, "%s", response.etag);
    return RD_OK;
}
