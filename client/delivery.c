/* delivery.c: see delivery.h. */
#include "delivery.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "codec/messages.h"
#include "codec/update.h"
#include "core/clock.h"
#include "say.h"

rd_status rd_deliver(rd_global_model *g, const rd_task *task, float *delta, const rd_report *report, bool *taken,
                     rd_error *err)
{
    uint64_t round = task->round;
    char path[RD_TASK_PATH_MAX], *header = NULL;
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
    rd_request request = {.method = "POST",
                          .path = path,
                          .content_type = "application/octet-stream",
                          .model = g->name,
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
