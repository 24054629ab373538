/* built_in.c: the learner that trains Rondo's own models on the samples (train/local_round.h), and keeps between rounds
 * what strategies and personalisation ask for (train/keep.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/signals.h"
#include "learner.h"
#include "say.h"
#include "train/keep.h"

typedef struct built_in {
    const rd_welcome *welcome;
    const rd_learner_options *options;
    const rd_samples *samples;
    rd_model *model;
    rd_trainer *trainer;
    float *delta;  /* (rd_local_round_room) */
    rd_keep *keep; /* what the client keeps between rounds; NULL: nothing */
    float *kept;   /* the same, of the round in progress */
    double started; /* when training in it began, by rd_clock_seconds */
} built_in;

/* Opens what was kept in this run, or begins it. */
static rd_status open_keep(built_in *b, size_t floats, rd_error *err)
{
    char what[128], note[RD_KEEP_NOTE_MAX];
    const rd_config *c = &b->welcome->config;
    (void)snprintf(what, sizeof what, "%s%s", c->strategy.kind->name,
                   c->personalisation.method == RD_PERSONAL_DITTO ? ", ditto" : "");
    /* Round N is committed before N + 1 closes, and so before anybody trains for N + 2: who has trained for N + 1 may
     * be asked for N again, which begins with what N - 1 has left. */
    const rd_keep_options keep = {.path = b->options->keep,
                                  .run = b->welcome->run_id,
                                  .client = b->welcome->client,
                                  .what = what,
                                  .clients = 1,
                                  .floats = floats,
                                  .rounds = 2,
                                  .alone = b->options->keep != NULL,
                                  .memory_limit = SIZE_MAX};
    rd_status status = RD_OK;
    if (keep.path != NULL) {
        RD_TRY(rd_keep_set_aside(&keep, note, err));
        if (note[0] != '\0')
            rd_say(b->options->quiet, "%s", note);
    }
    RD_TRY(rd_keep_open(&keep, &b->keep, err));
cleanup:
    if (status == RD_ERR_STATE)
        return rd_fail(err, RD_ERR_CONFIG, "--keep %s", strdupa(err->message));
    return status;
}

/* Leaves in b->kept what this client kept when its update last counted. */
static rd_status recall(built_in *b, const rd_task *task, bool *is_new, rd_error *err)
{
    rd_keep_found found;
    uint64_t counted = task->counted == RD_COUNTED_UNKNOWN ? RD_KEEP_NEWEST : task->counted;
    rd_status status = rd_keep_read(b->keep, 0, task->round, counted, b->kept, &found, err);
    *is_new = found != RD_KEEP_FOUND;
    if (status == RD_OK && found == RD_KEEP_LOST)
        rd_say(b->options->quiet,
               "round %" PRIu64 ": what this client kept%s%s is not there any more, and is begun anew", task->round,
               b->options->keep != NULL ? " in " : ", without --keep,",
               b->options->keep != NULL ? b->options->keep : "");
    return status;
}

static rd_status write_down(const built_in *b, uint64_t round, uint64_t counted, rd_error *err)
{
    rd_status status = rd_keep_write(b->keep, 0, round, counted, b->kept, err);
    return status == RD_OK ? rd_keep_sync(b->keep, err) : status;
}

/* The rows that were read are not all trained on. */
static void say_joined(const built_in *b, size_t parameters)
{
    const rd_config *c = &b->welcome->config;
    size_t rows = b->samples->data.rows, held = rd_holdout_rows(c->evaluation.clients.holdout, rows);
    char out[48] = "", tasks[64] = "";
    if (held > 0)
        (void)snprintf(out, sizeof out, " of %zu, %zu held out", rows, held);
    if (c->continual.task_count > 0)
        (void)snprintf(tasks, sizeof tasks, ", in a round those of its task (continual)");
    rd_say(b->options->quiet, "joined run %.12s as %s: %zu samples%s%s, %zu parameters", b->welcome->run_id,
           b->welcome->client, rows - held, out, tasks, parameters);
}

static rd_status prepare_keep(built_in *b, rd_error *err)
{
    size_t floats = rd_client_kept_size(b->model, &b->welcome->config.strategy, &b->welcome->config.personalisation);
    if (floats == 0) {
        if (b->options->keep != NULL)
            rd_say(b->options->quiet, "--keep %s is not used: in this run clients keep nothing between rounds",
                   b->options->keep);
        return RD_OK;
    }
    b->kept = malloc(floats * sizeof *b->kept);
    if (b->kept == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu numbers to keep between rounds", floats);
    return open_keep(b, floats, err);
}

/* ---- a learner ---- */

static void built_in_close(void *learner)
{
    built_in *b = learner;
    if (b == NULL)
        return;
    rd_trainer_free(b->trainer);
    rd_keep_close(b->keep);
    free(b->kept);
    free(b->delta);
    rd_model_free(b->model);
    free(b);
}

static rd_status built_in_open(const rd_welcome *welcome, const rd_learner_options *options, void **out, rd_error *err)
{
    built_in *b = calloc(1, sizeof *b);
    if (b == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory to train");
    b->welcome = welcome;
    b->options = options;
    rd_status status = rd_model_create(welcome->config.model, &b->model, err);
    if (status != RD_OK) {
        built_in_close(b);
        return rd_fail_context(err, status, "the aggregator's configuration");
    }
    *out = b;
    return RD_OK;
}

static rd_status built_in_prepare(void *learner, rd_samples *samples, rd_error *err)
{
    built_in *b = learner;
    rd_status status = RD_OK;
    const size_t n = rd_model_parameter_count(b->model);
    RD_TRY(rd_samples_settle(samples, &b->welcome->schema, b->model, err));
    b->samples = samples;
    if (samples->data.note != NULL)
        rd_say(b->options->quiet, "%s", samples->data.note);
    RD_TRY(rd_data_check(b->model, &samples->data, samples->source->path, err));
    RD_TRY(rd_trainer_create(b->model, &b->welcome->config.training, samples->data.rows, &b->trainer, err));
    b->delta = malloc(rd_local_round_room(b->model, &b->welcome->config.strategy) * sizeof *b->delta);
    if (b->delta == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for two times %zu parameters", n);
    RD_TRY(prepare_keep(b, err));
    say_joined(b, n);
cleanup:
    return status;
}

static const rd_model *built_in_model(const void *learner)
{
    return ((const built_in *)learner)->model;
}

static rd_tensor_table built_in_tensors(const void *learner, rd_tensor_set set)
{
    return rd_model_tensors(((const built_in *)learner)->model, set);
}

static bool must_stop(void *user)
{
    const built_in *b = user;
    return rd_signals_arrived(b->options->signals, 0) || rd_clock_seconds() > b->started + b->options->most_seconds;
}

static rd_status built_in_train(void *learner, const rd_task *task, const rd_global_model *global, float **delta,
                                rd_report *report, rd_error *err)
{
    built_in *b = learner;
    const rd_config *c = &b->welcome->config;
    rd_local_task work = {.training = &c->training,
                          .evaluation = &c->evaluation.clients,
                          .seed = c->seed,
                          .round = task->round,
                          .client_key = rd_client_key(b->welcome->client),
                          .continual = &c->continual,
                          .packing = global->packing,
                          .strategy = &c->strategy,
                          .personalisation = &c->personalisation,
                          .kept = b->kept,
                          .stop = must_stop,
                          .stop_user = b};
    rd_status status = RD_OK;
    memcpy(work.down, global->companions, sizeof work.down);
    if (b->keep != NULL)
        RD_TRY(recall(b, task, &work.is_new, err));
    b->started = rd_clock_seconds();
    RD_TRY(rd_local_round_run(b->trainer, &work, rd_dataset_all(&b->samples->data), global->parameters, b->delta,
                              report, err));
    if (report->samples == 0)
        goto cleanup;
    report->seconds = rd_clock_seconds() - b->started;
    *delta = b->delta;
    /* Only an update that counts moves what the client keeps. Whether this one did is told with the next task, so it is
     * kept before it is sent: whoever is killed in between, or loses power, has not lost it. */
    if (b->keep != NULL && task->counted != RD_COUNTED_UNKNOWN)
        status = write_down(b, task->round, task->counted, err);
cleanup:
    return status;
}

static rd_status built_in_delivered(void *learner, const rd_task *task, rd_error *err)
{
    const built_in *b = learner;
    if (b->keep == NULL || task->counted != RD_COUNTED_UNKNOWN)
        return RD_OK;
    return write_down(b, task->round, RD_KEEP_NEWEST, err);
}

const rd_learner_type rd_built_in_learner = {
    .open = built_in_open,
    .prepare = built_in_prepare,
    .model = built_in_model,
    .tensors = built_in_tensors,
    .train = built_in_train,
    .delivered = built_in_delivered,
    .close = built_in_close,
};
