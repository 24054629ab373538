/* own_training.c: see own_training.h. */
#include "run/own_training.h"

#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "data/source.h"

rd_status rd_own_training_open(const rd_config *c, const rd_model *m, const rd_schema *schema, rd_own_training *out,
                               rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(rd_source_load(&c->data.root, m, schema, false, &out->data, err));
    RD_TRY(rd_data_check(m, &out->data, "data.root", err));
    RD_TRY(rd_trainer_create(m, &c->training, out->data.rows, &out->trainer, err));
    out->delta = malloc(rd_local_round_room(m, NULL) * sizeof *out->delta);
    if (out->delta == NULL)
        status = rd_fail(err, RD_ERR_MEMORY, "no memory for the server's own training");
cleanup:
    return status;
}

rd_status rd_own_training_run(rd_own_training *r, const rd_config *c, uint64_t round, const float *parameters,
                              rd_error *err)
{
    rd_client_evaluation nothing = {0};
    rd_report report;
    rd_local_task task = {.training = &c->training,
                          .evaluation = &nothing,
                          .seed = c->seed,
                          .round = round,
                          .client_key = rd_client_key("server")};
    rd_status status =
        rd_local_round_run(r->trainer, &task, rd_dataset_all(&r->data), parameters, r->delta, &report, err);
    return status == RD_OK ? RD_OK : rd_fail_context(err, status, "the server's training on data.root");
}

void rd_own_training_free(rd_own_training *r)
{
    rd_dataset_free(&r->data);
    rd_trainer_free(r->trainer);
    free(r->delta);
    memset(r, 0, sizeof *r);
}
