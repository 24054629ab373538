/* delivery.c: see delivery.h. */
#include "delivery.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/messages.h"
#include "codec/update.h"
#include "core/clock.h"
#include "core/crypto.h"
#include "say.h"

/* Bodies from here on have a digest, without which the aggregator keeps nothing of one that is cut off: smaller ones
 * are sent again as soon as asked for. */
#define CONTINUED_FROM (1u << 20)
#define DIGEST_ROOM (sizeof "sha-256=::" + RD_BASE64_ROOM(RD_SHA256_BYTES))

/* As Content-Digest says it (RFC 9530). */
static void digest_of(const rd_piece *header, const rd_piece *delta, char text[DIGEST_ROOM])
{
    rd_sha256 d;
    uint8_t bytes[RD_SHA256_BYTES];
    char base64[RD_BASE64_ROOM(RD_SHA256_BYTES)];
    rd_sha256_start(&d);
    rd_sha256_add(&d, header->bytes, header->count);
    rd_sha256_add(&d, delta->bytes, delta->count);
    rd_sha256_finish(&d, bytes);
    rd_base64_encode(bytes, sizeof bytes, base64, sizeof base64);
    (void)snprintf(text, DIGEST_ROOM, "sha-256=:%s:", base64);
}

rd_status rd_deliver(rd_global_model *g, const rd_task *task, float *delta, const rd_report *report, bool *taken,
                     rd_error *err)
{
    uint64_t round = task->round;
    char path[RD_TASK_PATH_MAX], digest[DIGEST_ROOM] = "", *header = NULL;
    rd_refusal refusal;
    size_t header_size;
    rd_response response;
    int counted = 0;
    *taken = false;
    double started = rd_clock_seconds();
    const rd_tensor_table sent = rd_global_model_update_tensors(g);
    if (g->packing != NULL)
        rd_packing_pack(g->packing, delta);
    rd_status status = rd_update_header(sent, round, report, &header, &header_size, err);
    if (status != RD_OK)
        return status;
    size_t size = sent.elements * sizeof *delta;
    rd_task_path(task, path);
    if (header_size + size >= CONTINUED_FROM)
        digest_of(&(rd_piece){header, header_size}, &(rd_piece){delta, size}, digest);
    rd_request request = {.method = "POST",
                          .path = path,
                          .content_type = "application/octet-stream",
                          .model = g->name,
                          .digest = digest[0] != '\0' ? digest : NULL,
                          .body = {{header, header_size}, {delta, size}}};
    status = rd_requester_ask(g->requester, &request, &response, err);
    free(header);
    if (status != RD_OK)
        return status;
    if (response.status == 200) {
        *taken = true;
        status = rd_receipt_parse(response.body, response.size, &round, &counted, err);
        if (status == RD_OK)
            rd_say(g->quiet, "round %" PRIu64 ": delivered %zu bytes in %.0f ms%s", round, header_size + size,
                   1000.0 * (rd_clock_seconds() - started), counted ? "" : " (it was counted before)");
        return status;
    }
    if (response.status == 401 || response.status == 403)
        return rd_requester_refused(&response, err);
    rd_refusal_parse(response.body, response.size, &refusal);
    if (strcmp(refusal.kind, "state") == 0)
        rd_global_model_forget(g);
    rd_say(g->quiet, "round %" PRIu64 ": the update was not taken (%d): %s", round, response.status, refusal.message);
    return RD_OK;
}
