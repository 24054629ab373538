/* replay.c: see replay.h. Memory: what the run needs, and one update. */
#include "run/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/update.h"
#include "core/exact_sum.h"
#include "core/random.h"
#include "run/run_state.h"

rd_status rd_replay_open(rd_store *store, const rd_config *config, const rd_replay_round *r, rd_run **out,
                         rd_error *err)
{
    rd_status status = RD_OK;
    rd_run *run = NULL;
    const rd_run_options options = {.threads = 1};
    RD_TRY(rd_run_open(config, &options, &run, err));
    run->store = store;
    RD_TRY(rd_run_read_version(run, r->before, run->parameters, err));
    rd_run_be_version(run, r->before);
    if (rd_pruning_has_begun(&config->pruning, r->before))
        RD_TRY(rd_packings_renew(&run->packings, &config->pruning, run->model, run->parameters, err));
    RD_TRY(rd_run_read_companions(run, r->before, err));
    RD_TRY(rd_run_read_frozen(run, err));
    rd_aggregate_limit_weights(run->updates, r->weight_limit);
cleanup:
    if (run != NULL)
        run->store = NULL; /* it stays the caller's */
    if (status == RD_OK)
        *out = run;
    else
        rd_run_free(run);
    return status;
}

static rd_status lay_down(void *user, size_t first, const float *values, size_t count, rd_error *err)
{
    (void)err;
    memcpy((float *)user + first, values, count * sizeof *values);
    return RD_OK;
}

/* Reads an update as it came. */
static rd_status read_update(const rd_replay_update *u, rd_update_decoder *decoder, rd_report *report, rd_error *err)
{
    char piece[1 << 16];
    rd_status status = RD_OK;
    ssize_t got = 1;
    int fd = open(u->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", u->path, strerror(errno));
    while (got > 0) {
        got = read(fd, piece, sizeof piece);
        if (got < 0)
            RD_THROW(RD_ERR_IO, "%s: %s", u->path, strerror(errno));
        RD_TRY(rd_update_decoder_feed(decoder, piece, (size_t)got, err));
    }
    RD_TRY(rd_update_decoder_finish(decoder, report, err));
cleanup:
    close(fd);
    return status;
}

rd_status rd_replay_add(rd_run *run, const rd_replay_round *r, const rd_replay_update *u, rd_error *err)
{
    rd_status status = RD_OK;
    rd_report report;
    rd_admission admission;
    rd_update_decoder *decoder = NULL;
    const rd_tensor_table tensors = rd_run_update_tensors(run);
    float *values = malloc((tensors.elements + 1) * sizeof *values);
    if (values == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for an update of %zu parameters", tensors.elements);
    RD_TRY(rd_update_decoder_create(tensors, r->round, lay_down, values, &decoder, err));
    RD_TRY(read_update(u, decoder, &report, err));
    const rd_arrival arrival = {.key = rd_client_key(u->client),
                                .round = r->round,
                                .report = &report,
                                .largest = rd_exact_largest(values, tensors.elements)};
    RD_TRY(rd_aggregate_admit(run->updates, &arrival, &admission, err));
    rd_aggregate_add(run->updates, &admission, 0, values, tensors.elements);
    RD_TRY(rd_aggregate_complete(run->updates, &admission, err));
    if (admission.contribution.weight != u->weight)
        RD_THROW(RD_ERR_FORMAT, "it counts %" PRIu32 " in the sum, and counted %" PRIu32 " in the account",
                 admission.contribution.weight, u->weight);
cleanup:
    rd_update_decoder_free(decoder);
    free(values);
    return status;
}

rd_status rd_replay_finish(rd_run *run, const rd_replay_round *r, char sha256[RD_SHA256_HEX], rd_error *err)
{
    rd_round_record record = {0};
    rd_status status = RD_OK;
    RD_TRY(rd_run_average(run, r->round, true, (size_t)r->clients, &record, err));
    if (!record.aggregated)
        RD_THROW(RD_ERR_DATA, "round %" PRIu64 " comes to nothing: %s", r->round, record.abandoned);
    RD_TRY(rd_run_prune(run, r->round, err));
    rd_run_digest(run, sha256);
cleanup:
    return status;
}
