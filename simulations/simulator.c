/* simulator.c: see simulator.h. The loop asks the round core what comes next. To open a round, threads take
 * clients from the cohort one by one: train, hand the delta to the run's exact sum, take the next. Nothing is
 * kept per client but its row numbers, and nothing is allocated after the first round. */
#include "simulator.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/signals.h"
#include "data/source.h"
#include "progress.h"
#include "round/round.h"
#include "run/parallel.h"
#include "run/run.h"
#include "train/local_round.h"

typedef struct simulator {
    const rd_config *config;
    const rd_sim_options *options;
    rd_dataset data;
    rd_partition partition;
    rd_run *run;
    rd_rounds *rounds;
    rd_trainer **trainers; /* (threads) */
    float **deltas;        /* (threads) of the model's size */
    rd_progress progress;
    int signals;

    /* The round that is open. */
    const rd_action *action;
    rd_participation_record *parts; /* (cohort_size) */
    double opened_at;
    atomic_size_t next, done; /* members of the cohort taken, finished */
    pthread_mutex_t lock;     /* guards rounds and failure */
    rd_status failure;
    rd_error *err;
} simulator;

void rd_sim_client_name(size_t i, char name[RD_SIM_CLIENT_NAME_MAX])
{
    (void)snprintf(name, RD_SIM_CLIENT_NAME_MAX, "client-%zu", i + 1);
}

rd_status rd_sim_deal(const rd_config *config, size_t clients, rd_dataset *data, rd_partition *partition,
                      rd_error *err)
{
    if (config->train.format == RD_SOURCE_NONE)
        return rd_fail(err, RD_ERR_CONFIG,
                       "data.train is missing: it says what the simulated clients train on");
    rd_model *model = NULL;
    rd_status status = rd_model_create(config->model, &model, err);
    if (status == RD_OK)
        status = rd_source_load(&config->train, model, data, err);
    rd_model_free(model);
    if (status == RD_OK)
        status = rd_partition_create(&config->partition, data, clients, config->seed, partition, err);
    return status;
}

/* ---- a round ---- */

/* What one client does, from the global model to the sum. */
static rd_status serve_client(simulator *s, unsigned thread, size_t member, rd_error *err)
{
    size_t client = s->action->cohort[member];
    uint64_t round = s->action->round;
    rd_participation_record *part = &s->parts[member];
    double started = rd_progress_clock();
    rd_local_task task = {.training = &s->config->training,
                          .evaluation = &s->config->client_evaluation,
                          .seed = s->config->seed,
                          .round = round,
                          .client_key = rd_rounds_client_key(s->rounds, client),
                          .continual = &s->config->continual,
                          .packing = rd_run_packing(s->run),
                          .proximal = s->config->strategy.proximal,
                          .control = rd_run_control(s->run),
                          .personalisation = &s->config->personalisation};
    rd_intake intake;
    rd_status status =
        rd_local_round_run(s->trainers[thread], &task, &s->data, rd_partition_rows(&s->partition, client),
                           rd_run_parameters(s->run), s->deltas[thread], &part->report, err);
    part->report.seconds = rd_progress_clock() - started;
    if (status == RD_OK)
        status = rd_run_admit(s->run, task.client_key, round, 0, &part->report, &intake, err);
    if (status == RD_ERR_RANGE ||
        status == RD_ERR_DATA) { /* this client's own trouble: the round goes on without it */
        (void)snprintf(part->reason, sizeof part->reason, "%.150s", err->message);
        memset(&part->report, 0, sizeof part->report);
        pthread_mutex_lock(&s->lock);
        rd_rounds_fail(s->rounds, client, round);
        pthread_mutex_unlock(&s->lock);
        return RD_OK;
    }
    if (status != RD_OK)
        return status;
    pthread_mutex_lock(&s->lock);
    (void)rd_rounds_deliver(s->rounds, client, round);
    pthread_mutex_unlock(&s->lock);
    if (task.packing != NULL)
        rd_packing_pack(task.packing, s->deltas[thread]);
    rd_run_fold(s->run, &intake, 0, s->deltas[thread], rd_run_update_size(s->run));
    rd_run_folded(s->run, &intake);
    part->seconds = rd_progress_clock() - s->opened_at;
    pthread_mutex_lock(&s->lock);
    rd_rounds_folded(s->rounds, client);
    pthread_mutex_unlock(&s->lock);
    return RD_OK;
}

static void show_progress(simulator *s)
{
    char label[64];
    double rounds = (double)s->config->rounds;
    double in_round = (double)atomic_load(&s->done) / (double)s->action->cohort_size;
    (void)snprintf(label, sizeof label, "round %llu/%llu", (unsigned long long)s->action->round,
                   (unsigned long long)s->config->rounds);
    rd_progress_update(&s->progress, ((double)s->action->round - 1.0 + in_round) / rounds, label);
}

static void serve_some(void *user, unsigned thread)
{
    simulator *s = user;
    rd_error err;
    for (;;) {
        size_t member = atomic_fetch_add(&s->next, 1);
        if (member >= s->action->cohort_size)
            return;
        rd_status status = serve_client(s, thread, member, &err);
        if (status != RD_OK) {
            pthread_mutex_lock(&s->lock);
            if (s->failure == RD_OK) {
                s->failure = status;
                *s->err = err;
            }
            pthread_mutex_unlock(&s->lock);
            atomic_store(&s->next, s->action->cohort_size);
            return;
        }
        atomic_fetch_add(&s->done, 1);
        if (thread == 0)
            show_progress(s);
    }
}

static rd_status open_round(simulator *s, const rd_action *action, rd_error *err)
{
    rd_participation_record *parts = realloc(s->parts, action->cohort_size * sizeof *parts);
    if (parts == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the records of %zu clients", action->cohort_size);
    s->parts = parts;
    memset(parts, 0, action->cohort_size * sizeof *parts);
    for (size_t i = 0; i < action->cohort_size; i++) {
        parts[i].round = action->round;
        (void)snprintf(parts[i].client, sizeof parts[i].client, "%s",
                       rd_rounds_client_name(s->rounds, action->cohort[i]));
    }
    s->action = action;
    s->opened_at = rd_progress_clock();
    s->err = err;
    atomic_store(&s->next, 0);
    atomic_store(&s->done, 0);
    rd_parallel(s->options->threads, serve_some, s);
    return s->failure;
}

static rd_status close_round(simulator *s, const rd_action *action, rd_error *err)
{
    rd_round_record record = {.selected = action->cohort_size};
    for (size_t i = 0; i < action->cohort_size; i++) {
        s->parts[i].status = rd_rounds_participation(s->rounds, action->cohort[i]);
        record.counted += s->parts[i].status == RD_PART_COUNTED;
        record.failed += s->parts[i].status == RD_PART_FAILED;
    }
    rd_status status = rd_run_average(s->run, action->round, action->aggregate, s->partition.clients, &record, err);
    if (status == RD_OK && action->aggregate)
        status = rd_run_save_model(s->run, action->round, err);
    record.seconds = rd_progress_clock() - s->opened_at;
    if (status == RD_OK)
        status = rd_run_commit(s->run, &record, s->parts, action->cohort_size, err);
    if (status != RD_OK)
        return status;
    rd_rounds_committed(s->rounds, action->round, rd_run_is_over(s->run));
    if (!s->options->quiet) {
        char line[512];
        rd_round_record_line(&record, s->config->rounds, line, sizeof line);
        rd_progress_clear(&s->progress);
        printf("%s\n", line);
        fflush(stdout);
        for (size_t i = 0, named = 0; i < action->cohort_size && named < 3; i++)
            if (s->parts[i].reason[0] != '\0' && ++named)
                printf("  %s failed: %s\n", s->parts[i].client, s->parts[i].reason);
    }
    return RD_OK;
}

/* ---- the whole ---- */

/* What finish has to say, for people and for scripts that compare runs. */
static rd_status finish(simulator *s, rd_error *err)
{
    const rd_round_record *last = rd_run_last_record(s->run);
    rd_progress_clear(&s->progress);
    char reason[300];
    rd_run_reason(s->run, reason, sizeof reason);
    if (!s->options->quiet)
        printf("finished after round %llu; model SHA-256 %s\n", (unsigned long long)last->round,
               last->model_sha256);
    if (!s->options->quiet && reason[0] != '\0')
        printf("%s\n", reason);
    return rd_run_store(s->run) == NULL ? RD_OK : rd_store_finish(rd_run_store(s->run), err);
}

static rd_status loop(simulator *s, bool *interrupted, rd_error *err)
{
    rd_status status = RD_OK;
    while (status == RD_OK) {
        rd_action action = rd_rounds_next(s->rounds);
        if (action.kind == RD_ACTION_OPEN && rd_signals_arrived(s->signals, 0)) {
            *interrupted = true;
            return RD_OK;
        }
        if (action.kind == RD_ACTION_FINISH)
            return finish(s, err);
        if (action.kind == RD_ACTION_NONE)
            return rd_fail(err, RD_ERR_CONFIG,
                           "cohort.min_clients is %llu, but only %zu clients are simulated",
                           (unsigned long long)s->config->cohort.min_clients, s->partition.clients);
        status = action.kind == RD_ACTION_OPEN ? open_round(s, &action, err) : close_round(s, &action, err);
    }
    return status;
}

/* Everybody joins: the core's client i is the partition's client i. */
static rd_status enroll_clients(simulator *s, rd_error *err)
{
    rd_join join = {.protocol = RD_PROTOCOL_VERSION};
    char name[RD_SIM_CLIENT_NAME_MAX];
    size_t number;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(join.software, sizeof join.software, "rondo-sim %s", RONDO_VERSION);
    rd_store *store = rd_run_store(s->run);
    rd_status status = store != NULL ? rd_store_batch_begin(store, err) : RD_OK;
    for (size_t i = 0; i < s->partition.clients && status == RD_OK; i++) {
        rd_sim_client_name(i, name);
        join.samples = rd_partition_rows(&s->partition, i).count;
        status = rd_rounds_join(s->rounds, name, &number, err);
        if (status == RD_OK && store != NULL)
            status = rd_store_client(store, name, &join, (double)now.tv_sec, err);
    }
    return status == RD_OK && store != NULL ? rd_store_batch_end(store, err) : status;
}

static rd_status prepare(simulator *s, rd_error *err)
{
    const rd_config *c = s->config;
    unsigned threads = s->options->threads;
    size_t most_rows = 0;
    rd_status status = rd_sim_deal(c, s->options->clients, &s->data, &s->partition, err);
    if (status == RD_OK)
        status = rd_run_open(c, s->options->directory, threads, &s->run, err);
    if (status == RD_OK)
        status = rd_data_check(rd_run_model(s->run), &s->data, "data.train", err);
    if (status == RD_OK)
        status = rd_rounds_create(&c->cohort, c->seed,
                                  rd_run_is_over(s->run) ? rd_run_next_round(s->run) - 1 : c->rounds,
                                  rd_run_next_round(s->run), &s->rounds, err);
    if (status == RD_OK)
        status = enroll_clients(s, err);
    if (status != RD_OK)
        return status;
    for (size_t i = 0; i < s->partition.clients; i++)
        if (rd_partition_rows(&s->partition, i).count > most_rows)
            most_rows = rd_partition_rows(&s->partition, i).count;
    status = rd_trainer_check_memory(rd_run_model(s->run), &c->training, most_rows, threads, err);
    if (status != RD_OK)
        return status;
    s->trainers = calloc(threads, sizeof(rd_trainer *));
    s->deltas = calloc(threads, sizeof(float *));
    if (s->trainers == NULL || s->deltas == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %u threads", threads);
    for (unsigned i = 0; i < threads && status == RD_OK; i++) {
        s->deltas[i] = malloc(rd_local_round_room(rd_run_model(s->run), c->strategy.kind == RD_SCAFFOLD) * sizeof(float));
        if (s->deltas[i] == NULL)
            return rd_fail(err, RD_ERR_MEMORY, "no memory for the deltas of %u threads", threads);
        status = rd_trainer_create(rd_run_model(s->run), &c->training, most_rows, &s->trainers[i], err);
    }
    return status;
}

static void release(simulator *s)
{
    for (unsigned i = 0; i < s->options->threads; i++) {
        if (s->trainers != NULL)
            rd_trainer_free(s->trainers[i]);
        if (s->deltas != NULL)
            free(s->deltas[i]);
    }
    free(s->trainers);
    free(s->deltas);
    free(s->parts);
    rd_rounds_free(s->rounds);
    rd_run_free(s->run);
    rd_partition_free(&s->partition);
    rd_dataset_free(&s->data);
    pthread_mutex_destroy(&s->lock);
    rd_signals_close(s->signals);
}

rd_status rd_simulate(const rd_config *config, const rd_sim_options *options, bool *interrupted,
                      rd_error *err)
{
    simulator s = {.config = config, .options = options, .lock = PTHREAD_MUTEX_INITIALIZER};
    s.signals = rd_signals_open();
    rd_status status = prepare(&s, err);
    if (status == RD_OK) {
        uint64_t done = rd_run_next_round(s.run) - 1;
        if (!options->quiet) {
            printf("run '%s': %zu clients, %u thread%s, %zu parameters, %zu training samples\n", config->name,
                   s.partition.clients, options->threads, options->threads == 1 ? "" : "s",
                   rd_model_parameter_count(rd_run_model(s.run)), s.data.rows);
            if (done > 0)
                printf("continuing after round %llu of %s\n", (unsigned long long)done, options->directory);
        }
        rd_progress_start(&s.progress, !options->quiet, (double)done / (double)config->rounds);
        status = loop(&s, interrupted, err);
    }
    rd_progress_clear(&s.progress);
    release(&s);
    return status;
}
