/* replay.c: `rondo-inspect replay`: a round computed once more from the model before it and the updates that were kept
 * (run.json "keep_updates"). What comes out must have the SHA-256 that the account has; else the first difference is
 * named: the client whose update is another one, or the tensor and its element. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/tensor_file.h"
#include "core/file.h"
#include "inspect.h"
#include "run/replay.h"

typedef struct replaying {
    rd_store *store;
    const char *without; /* a client whose update is left out; NULL: none */
    rd_replay_round round;
    cJSON *entry; /* of the account */
    bool aggregated;
    size_t taken;
} replaying;

/* Clients and weights are below 2^32; whatever else stands there is none. */
static uint32_t number_of(const cJSON *item)
{
    const bool fits = cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= (double)UINT32_MAX;
    return fits ? (uint32_t)item->valuedouble : 0;
}

static bool find_entry(const rd_account_line *line, void *user)
{
    replaying *r = user;
    cJSON *entry = cJSON_Parse(line->entry);
    const char *event = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "event"));
    const cJSON *round = cJSON_GetObjectItemCaseSensitive(entry, "round");
    if (event != NULL && strcmp(event, "round") == 0 && cJSON_IsNumber(round) &&
        round->valuedouble == (double)r->round.round) {
        cJSON_Delete(r->entry); /* of a round that was given up */
        r->entry = entry;
        return true;
    }
    cJSON_Delete(entry);
    return true;
}

static bool find_versions(const rd_round_record *record, void *user)
{
    replaying *r = user;
    if (record->round < r->round.round && record->aggregated)
        r->round.before = record->round;
    if (record->round == r->round.round)
        r->aggregated = record->aggregated;
    if (record->round == r->round.round)
        r->round.weight_limit = record->weight_limit;
    return record->round < r->round.round;
}

static rd_status find_round(replaying *r, rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(rd_store_rounds(r->store, 0, find_versions, r, err));
    RD_TRY(rd_store_account(r->store, 1, find_entry, r, err));
    if (r->entry == NULL)
        RD_THROW(RD_ERR_USAGE, "--round %" PRIu64 ": the account has no such round", r->round.round);
    if (!r->aggregated)
        RD_THROW(RD_ERR_STATE, "round %" PRIu64 " was abandoned: no model came out of it", r->round.round);
    const cJSON *clients = cJSON_GetObjectItemCaseSensitive(r->entry, "clients");
    r->round.clients = number_of(clients);
cleanup:
    return status;
}

static const char *text_at(const cJSON *item, int place)
{
    const char *text = cJSON_GetStringValue(cJSON_GetArrayItem(item, place));
    return text != NULL ? text : "";
}

/* Is the update there, and the one that the account has? */
static rd_status check_update(const replaying *r, const cJSON *item, char *path, size_t size, rd_error *err)
{
    char found[RD_SHA256_HEX];
    const char *client = text_at(item, 0);
    rd_store_update_path(r->store, r->round.round, client, path, size);
    if (access(path, F_OK) != 0)
        return rd_fail(err, RD_ERR_STATE,
                       "round %" PRIu64 ": the update of %s is not kept (%s); \"keep_updates\" in run.json says of how "
                       "many last rounds updates stay",
                       r->round.round, client, path);
    rd_status status = rd_file_sha256(path, found, err);
    if (status == RD_OK && strcmp(found, text_at(item, 3)) != 0)
        status =
            rd_fail(err, RD_ERR_FORMAT,
                    "round %" PRIu64 ": the update of %s is not the one that counted: %s has SHA-256 %.12s..., the "
                    "account %.12s...",
                    r->round.round, client, path, found, text_at(item, 3));
    return status;
}

/* All that counted and are not left out, before anything is computed. */
static rd_status check_updates(const replaying *r, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    const cJSON *item;
    bool left_out = false;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(r->entry, "counted"))
    {
        const bool wanted = r->without == NULL || strcmp(text_at(item, 0), r->without) != 0;
        rd_status status = wanted ? check_update(r, item, path, sizeof path, err) : RD_OK;
        if (status != RD_OK)
            return status;
        left_out = left_out || !wanted;
    }
    if (r->without != NULL && !left_out)
        return rd_fail(err, RD_ERR_USAGE, "--without %s: no update of this client counted in round %" PRIu64,
                       r->without, r->round.round);
    return RD_OK;
}

static rd_status take_updates(replaying *r, rd_run *run, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(r->entry, "counted"))
    {
        const char *client = text_at(item, 0);
        if (r->without != NULL && strcmp(client, r->without) == 0)
            continue;
        rd_store_update_path(r->store, r->round.round, client, path, sizeof path);
        const rd_replay_update update = {client, path, number_of(cJSON_GetArrayItem(item, 2))};
        rd_status status = rd_replay_add(run, &r->round, &update, err);
        if (status != RD_OK)
            return rd_fail_context(err, status, "round %" PRIu64 ": the update of %s", r->round.round, client);
        r->taken++;
    }
    return RD_OK;
}

/* The parameters of a version that travel. RD_ERR_IO: they are not retained. */
static rd_status read_version(const replaying *r, const rd_run *run, uint64_t version, float *out, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    rd_store_model_path(r->store, version, path, sizeof path);
    return rd_tensor_file_read(rd_model_tensors(rd_run_model(run), RD_TENSORS_TRAVELLING), path, out, err);
}

/* What came out is another model: where does it differ first? */
static rd_status name_difference(const replaying *r, const rd_run *run, const char *expected, const char *found,
                                 rd_error *err)
{
    rd_error ignored;
    const rd_tensor_table table = rd_model_tensors(rd_run_model(run), RD_TENSORS_TRAVELLING);
    const float *computed = rd_run_parameters(run);
    float *recorded = malloc((table.elements + 1) * sizeof *recorded);
    (void)rd_fail(err, RD_ERR_FORMAT, "round %" PRIu64 ": computed again it has SHA-256 %.12s..., recorded is %.12s...",
                  r->round.round, found, expected);
    if (recorded != NULL && read_version(r, run, r->round.round, recorded, &ignored) == RD_OK)
        for (size_t t = 0; t < table.count; t++) {
            const rd_tensor *tensor = &table.tensors[t];
            size_t i = tensor->offset;
            while (i < tensor->offset + tensor->count && memcmp(&computed[i], &recorded[i], sizeof *computed) == 0)
                i++;
            if (i == tensor->offset + tensor->count)
                continue;
            (void)rd_fail(err, RD_ERR_FORMAT,
                          "round %" PRIu64 ": computed again it has SHA-256 %.12s..., recorded is %.12s...; first "
                          "difference: tensor '%s', element %zu: computed %.9g, recorded %.9g",
                          r->round.round, found, expected, tensor->name, i - tensor->offset, (double)computed[i],
                          (double)recorded[i]);
            break;
        }
    free(recorded);
    return err->status;
}

static double distance(const float *a, const float *b, size_t count)
{
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(squares);
}

/* How much of the round's step was one client's? */
static rd_status tell_influence(const replaying *r, const rd_run *run, rd_error *err)
{
    rd_status status = RD_OK;
    const size_t n = rd_model_tensors(rd_run_model(run), RD_TENSORS_TRAVELLING).elements;
    float *before = malloc((n + 1) * sizeof *before), *after = malloc((n + 1) * sizeof *after);
    if (before == NULL || after == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for two models of %zu parameters", n);
    RD_TRY(read_version(r, run, r->round.before, before, err));
    RD_TRY(read_version(r, run, r->round.round, after, err));
    (void)printf("round %" PRIu64 " without %s: the model is %.6g away from the recorded one, which is %.6g away from "
                 "the one before it\n",
                 r->round.round, r->without, distance(rd_run_parameters(run), after, n), distance(after, before, n));
cleanup:
    free(before);
    free(after);
    return status;
}

static rd_status replay(replaying *r, const rd_config *config, rd_error *err)
{
    char found[RD_SHA256_HEX];
    rd_run *run = NULL;
    rd_status status = RD_OK;
    RD_TRY(find_round(r, err));
    RD_TRY(check_updates(r, err));
    RD_TRY(rd_replay_open(r->store, config, &r->round, &run, err));
    RD_TRY(take_updates(r, run, err));
    RD_TRY(rd_replay_finish(run, &r->round, found, err));
    const char *expected = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(r->entry, "model"));
    if (r->without != NULL)
        RD_TRY(tell_influence(r, run, err));
    else if (expected == NULL || strcmp(expected, found) != 0)
        RD_TRY(name_difference(r, run, expected != NULL ? expected : "", found, err));
    else
        (void)printf("round %" PRIu64 ": %zu updates on the model of round %" PRIu64
                     " make the model that is recorded\n%s\n",
                     r->round.round, r->taken, r->round.before, found);
cleanup:
    rd_run_free(run);
    return status;
}

rd_status inspect_replay(int argc, char **argv, rd_error *err)
{
    replaying r = {0};
    const char *directory = NULL;
    const rd_option options[] = {
        {.kind = RD_OPTION_COUNT,
         .name = "round",
         .placeholder = "N",
         .help = "the round to compute",
         .value = &r.round.round,
         .required = true,
         .min = 1,
         .max = 1e9},
        {.kind = RD_OPTION_TEXT,
         .name = "without",
         .placeholder = "NAME",
         .help = "leave the update of this client out, and tell how far that moves the model",
         .value = &r.without},
        {.kind = RD_OPTION_END},
    };
    const rd_command command = {
        .program = "rondo-inspect replay",
        .usage = "DIR --round N [options]",
        .summary = "Computes a round of the run in state directory DIR once more, from the model before it and the "
                   "updates that were kept (\"keep_updates\" in run.json), and compares what comes out with what was "
                   "recorded. Where it is another model, the first difference is named.",
        .options = options,
        .footer = INSPECT_EXIT_CODES,
    };
    rd_run_record record = {0};
    rd_config config = {0};
    rd_status status = inspect_parse(&command, argc, argv, "DIR, a state directory", &directory, err);
    if (status != RD_OK || directory == NULL)
        return status;
    RD_TRY(rd_store_open_reader(directory, &r.store, err));
    RD_TRY(rd_store_run(r.store, &record, err));
    RD_TRY(rd_config_parse(record.config_json, strlen(record.config_json), directory, NULL, &config, err));
    RD_TRY(replay(&r, &config, err));
cleanup:
    cJSON_Delete(r.entry);
    rd_config_free(&config);
    rd_run_record_free(&record);
    rd_store_close(r.store);
    return status;
}
