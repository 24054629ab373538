/* publish.c: what a version consists of, as files of the state directory: the model that travels, what clients fetch in
 * its place, what the server keeps; and what is frozen, once for all versions. */
#include "run/run_state.h"

#include <stdlib.h>
#include <string.h>

#include "codec/tensor_file.h"
#include "core/fingerprint.h"
#include "train/companions.h"

void rd_run_be_version(rd_run *run, uint64_t version)
{
    run->version = version;
    run->fingerprint = rd_fingerprint(run->parameters, rd_model_tensors(run->model, RD_TENSORS_TRAVELLING).elements *
                                                           sizeof *run->parameters);
}

/* What clients fetch of a pruned model. */
static rd_status save_packed(rd_run *run, uint64_t round, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    float *body = malloc(run->packings.current->download.elements * sizeof *body);
    if (body == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a pruned model");
    rd_packing_write(run->packings.current, run->parameters, body);
    rd_store_packed_path(run->store, round, path, sizeof path);
    rd_status status = rd_tensor_file_write(run->packings.current->download, body, round, path, err);
    free(body);
    return status;
}

/* What clients fetch where companions go down. */
static rd_status save_down(rd_run *run, uint64_t round, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    const float *down[RD_COMPANIONS_MAX];
    size_t n = rd_model_tensors(run->model, RD_TENSORS_TRAVELLING).elements, at = n;
    float *body = malloc(run->down.elements * sizeof *body);
    if (body == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu parameters", run->down.elements);
    memcpy(body, run->parameters, n * sizeof *body);
    rd_aggregate_down(run->updates, down);
    for (size_t i = 0; i < RD_COMPANIONS_MAX; i++)
        if (down[i] != NULL) {
            memcpy(body + at, down[i], n * sizeof *body);
            at += n;
        }
    rd_store_packed_path(run->store, round, path, sizeof path);
    rd_status status = rd_tensor_file_write(run->down, body, round, path, err);
    free(body);
    return status;
}

/* Everything that the next round, or a run that continues, needs beside the model itself. */
static rd_status save_beside(rd_run *run, uint64_t round, rd_error *err)
{
    rd_status status = RD_OK;
    char path[RD_SOURCE_PATH_MAX];
    const rd_tensor_table companions = rd_aggregate_companion_table(run->updates);
    if (run->packings.current != NULL)
        RD_TRY(save_packed(run, round, err));
    if (run->down.count > 0)
        RD_TRY(save_down(run, round, err));
    if (companions.count > 0) {
        rd_store_server_path(run->store, round, path, sizeof path);
        RD_TRY(rd_tensor_file_write(companions, rd_aggregate_companions(run->updates), round, path, err));
    }
cleanup:
    return status;
}

rd_status rd_run_publish(rd_run *run, uint64_t round, rd_error *err)
{
    rd_status status = RD_OK;
    char path[RD_SOURCE_PATH_MAX];
    if (run->store != NULL) {
        rd_store_model_path(run->store, round, path, sizeof path);
        RD_TRY(rd_tensor_file_write(rd_model_tensors(run->model, RD_TENSORS_TRAVELLING), run->parameters, round, path,
                                    err));
        RD_TRY(save_beside(run, round, err));
    }
    rd_run_be_version(run, round);
cleanup:
    return status;
}

rd_status rd_run_read_version(rd_run *run, uint64_t version, float *parameters, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    if (run->store == NULL)
        return RD_OK; /* another process reads it */
    rd_store_model_path(run->store, version, path, sizeof path);
    return rd_tensor_file_read(rd_model_tensors(run->model, RD_TENSORS_TRAVELLING), path, parameters, err);
}

rd_status rd_run_read_companions(rd_run *run, uint64_t version, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    const rd_tensor_table companions = rd_aggregate_companion_table(run->updates);
    if (companions.count == 0)
        return RD_OK;
    rd_store_server_path(run->store, version, path, sizeof path);
    return rd_tensor_file_read(companions, path, rd_aggregate_companions(run->updates), err);
}

rd_status rd_run_write_frozen(rd_run *run, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    const rd_tensor_table frozen = rd_model_tensors(run->model, RD_TENSORS_STAYING);
    if (run->store == NULL || frozen.elements == 0)
        return RD_OK;
    rd_store_frozen_path(run->store, path, sizeof path);
    return rd_tensor_file_write(frozen, run->parameters, 0, path, err);
}

rd_status rd_run_read_frozen(rd_run *run, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    const rd_tensor_table frozen = rd_model_tensors(run->model, RD_TENSORS_STAYING);
    if (frozen.elements == 0)
        return RD_OK;
    rd_store_frozen_path(run->store, path, sizeof path);
    return rd_tensor_file_read(frozen, path, run->parameters, err);
}
