/* measure.c: the steps "measure-1" and "measure-2", see step.h: what the aggregator asks of those who bring tables before
 * the first round. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"
#include "step.h"

rd_status rd_step_measure_answer(rd_participant *p, const rd_task *task, bool *taken, rd_error *err)
{
    rd_response response;
    char path[RD_TASK_PATH_MAX], now[RD_TASK_NAME_MAX], *json = NULL;
    rd_membership *m = &p->membership;
    rd_status status = RD_OK;
    *taken = true;
    RD_TRY(rd_membership_ask(m, err));
    const int step = rd_schema_step(&m->welcome.schema);
    (void)snprintf(now, sizeof now, "measure-%d", step);
    if (!p->samples.is_table || strcmp(now, task->name) != 0)
        return RD_OK; /* it has gone on meanwhile */
    RD_TRY(rd_samples_measure(&p->samples, &m->welcome.schema, step, &json, err));
    rd_task_path(task, path);
    RD_TRY(rd_requester_ask(
        p->requester,
        &(rd_request){
            .method = "POST", .path = path, .content_type = "application/json", .body = {{json, strlen(json)}}},
        &response, err));
    if (response.status == 204)
        rd_say(p->quiet, "told the aggregator %s over all rows, column by column",
               step == 1 ? "sums and extremes" : "sums of squared differences from the mean");
    else if (response.status != 409) /* too late is no fault */
        status = rd_requester_refused(&response, err);
cleanup:
    free(json);
    return status;
}
