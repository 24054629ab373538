/* work.c: see sim.h. Threads take jobs one by one: train, hand the update to the run's sum, take the next.
 * Nothing is allocated after the first round. Attackers that collude train first, so that they know what to
 * send. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/grow.h"
#include "core/random.h"
#include "ranks.h"
#include "run/parallel.h"
#include "sim.h"

void sim_time(const simulator *s, job *j)
{
    const rd_training *t = &s->config->training;
    uint64_t key = rd_rounds_client_key(s->rounds, j->client);
    double bytes = 4 * (double)rd_run_update_size(s->run);
    size_t rows = rd_partition_count(&s->dealt.partition, j->client);
    size_t held = rd_holdout_rows(s->config->evaluation.clients.holdout, rows);
    j->answers = true;
    j->arrival = s->clock;
    if (s->system == NULL)
        return;
    rd_timing timing = rd_system_timing(s->system, key, j->round, rows - held, t->epochs, bytes, bytes);
    j->answers = timing.answers;
    j->epochs = timing.epochs;
    j->arrival += timing.seconds;
}

/* ---- one client ---- */

/* This rank's? What a client keeps lies with one rank, whatever the cohort, and so does an update that waits for its
 * time to come. */
static bool is_mine(const simulator *s, const job *j, size_t number)
{
    bool by_client = s->keep != NULL || s->asynchronous;
    return (by_client ? j->client : number) % rd_rank_count() == rd_rank();
}

/* What the client kept in the last round that it took part in. Asynchronous rounds are gone through from the first on
 * when a run continues, so there may be something later. */
static rd_status recall(const simulator *s, const job *j, float *kept, bool *is_new, rd_error *err)
{
    rd_keep_found found;
    rd_status status = rd_keep_read(s->keep, j->client, j->round, RD_KEEP_NEWEST, kept, &found, err);
    *is_new = found != RD_KEEP_FOUND;
    if (status == RD_OK && found == RD_KEEP_LOST && !s->asynchronous)
        return rd_fail(err, RD_ERR_STATE,
                       "what client %zu kept is of a round after %llu: clients.keep is not of the same moment as the "
                       "rest of the state directory",
                       j->client + 1, (unsigned long long)j->round);
    return status;
}

/* Training and what an attacker makes of it, in update (room + kept): behind it lies what the client is to keep. */
static rd_status train(simulator *s, worker *w, job *j, float *update, rd_error *err)
{
    const rd_config *c = s->config;
    uint64_t key = rd_rounds_client_key(s->rounds, j->client);
    rd_status status = RD_OK;
    double started = rd_clock_seconds();
    rd_poison poison = {&c->simulation.attack, rd_run_model(s->run), key ^ (j->round * UINT64_C(0x9e3779b97f4a7c15))};
    rd_local_task task = {.training = &c->training,
                          .evaluation = &c->evaluation.clients,
                          .seed = c->seed,
                          .round = j->round,
                          .client_key = key,
                          .continual = &c->continual,
                          .packing = rd_run_packing(s->run),
                          .epochs = j->epochs,
                          .strategy = &c->strategy,
                          .personalisation = &c->personalisation,
                          .kept = update + s->room};
    rd_aggregate_down(rd_run_updates(s->run), task.down);
    if (j->attacks && rd_attack_poisons(&c->simulation.attack)) {
        task.poison = rd_attack_poison;
        task.poison_user = &poison;
    }
    const rd_row_set rows = {&s->dealt.data, rd_partition_rows(&s->dealt.partition, j->client, w->rows)};
    if (s->keep != NULL)
        RD_TRY(recall(s, j, task.kept, &task.is_new, err));
    RD_TRY(rd_local_round_run(w->trainer, &task, rows, j->global, update, &j->part.report, err));
    if (j->attacks)
        rd_attack_change(&c->simulation.attack, c->seed, j->round, key, update,
                         rd_model_tensors(rd_run_model(s->run), RD_TENSORS_TRAVELLING).elements);
    if (task.packing != NULL)
        rd_packing_pack(task.packing, update);
cleanup:
    j->part.report.seconds = rd_clock_seconds() - started;
    w->training += j->part.report.seconds;
    w->clients++;
    w->samples += j->part.report.samples * (j->epochs > 0 ? j->epochs : c->training.epochs);
    return status;
}

/* As in a deployment, only an update that counts moves what its client keeps. */
static rd_status add_update(simulator *s, worker *w, job *j, const float *update, const float *kept, rd_error *err)
{
    double started = rd_clock_seconds();
    rd_admission admission;
    rd_aggregate *updates = rd_run_updates(s->run);
    size_t n = rd_run_update_size(s->run);
    const rd_arrival arrival = {.key = rd_rounds_client_key(s->rounds, j->client),
                                .round = j->round,
                                .staleness = rd_rounds_staleness(s->rounds, j->client),
                                .report = &j->part.report,
                                .largest = rd_exact_largest(update, n)};
    j->part.largest = arrival.largest;
    rd_status status = RD_OK;
    RD_TRY(rd_aggregate_admit(updates, &arrival, &admission, err));
    rd_aggregate_add(updates, &admission, 0, update, n);
    RD_TRY(rd_aggregate_complete(updates, &admission, err));
    j->part.weight = admission.contribution.weight;
    if (s->keep != NULL)
        RD_TRY(rd_keep_write(s->keep, j->client, j->round, RD_KEEP_NEWEST, kept, err));
cleanup:
    w->adding += rd_clock_seconds() - started;
    return status;
}

/* A failure that is this client's own trouble: the round goes on without it. */
static rd_status own_trouble(job *j, rd_status status, const rd_error *err)
{
    if (status != RD_ERR_RANGE && status != RD_ERR_DATA)
        return status;
    (void)snprintf(j->part.reason, sizeof j->part.reason, "%.150s", err->message);
    memset(&j->part.report, 0, sizeof j->part.report);
    j->failed = true;
    return RD_OK;
}

static void be_idle(job *j)
{
    (void)snprintf(j->part.reason, sizeof j->part.reason, "%s", RD_CONTINUAL_IDLE);
    memset(&j->part.report, 0, sizeof j->part.report);
    j->failed = j->idle = true;
}

static rd_status serve(simulator *s, worker *w, job *j, rd_error *err)
{
    float *update = j->update != NULL ? j->update : w->update;
    rd_status status = j->trained ? RD_OK : train(s, w, j, update, err);
    if (status == RD_OK && !j->trained && j->part.report.samples == 0)
        be_idle(j);
    j->trained = true;
    if (status == RD_OK && s->add && !j->idle)
        status = add_update(s, w, j, update, update + s->room, err);
    j->part.seconds = s->system != NULL ? j->arrival - s->opened_clock : rd_clock_seconds() - s->opened_at;
    return own_trouble(j, status, err);
}

/* ---- many clients ---- */

static void show_progress(simulator *s)
{
    char label[64];
    double rounds = (double)s->config->rounds;
    double in_round = (double)atomic_load(&s->done) / (double)s->batch_count;
    uint64_t round = rd_rounds_current(s->rounds);
    (void)snprintf(label, sizeof label, "round %llu/%llu", (unsigned long long)round,
                   (unsigned long long)s->config->rounds);
    rd_progress_update(&s->progress, ((double)round - 1.0 + in_round) / rounds, label);
}

static void serve_some(void *user, unsigned thread)
{
    simulator *s = user;
    rd_error err;
    for (;;) {
        size_t next = atomic_fetch_add(&s->next, 1);
        if (next >= s->batch_count)
            return;
        rd_status status = serve(s, &s->workers[thread], s->batch[next], &err);
        if (status != RD_OK) {
            pthread_mutex_lock(&s->lock);
            if (s->failure == RD_OK) {
                s->failure = status;
                *s->err = err;
            }
            pthread_mutex_unlock(&s->lock);
            atomic_store(&s->next, s->batch_count);
            return;
        }
        atomic_fetch_add(&s->done, 1);
        if (thread == 0)
            show_progress(s);
    }
}

static rd_status serve_all(simulator *s, size_t count, bool add, rd_error *err)
{
    s->batch_count = count;
    s->add = add;
    s->err = err;
    atomic_store(&s->next, 0);
    atomic_store(&s->done, 0);
    if (count > 0)
        rd_parallel(s->options->threads, serve_some, s);
    return s->failure;
}

/* Colluding attackers train honestly, every rank all of them; then all have the same update. */
static rd_status collude(simulator *s, job **jobs, size_t count, rd_error *err)
{
    rd_status status = RD_OK;
    size_t attackers = 0, n = rd_run_update_size(s->run);
    const float **rows = malloc((count + 1) * sizeof *rows);
    float *crafted = malloc((n + 1) * sizeof *crafted), *all = NULL;
    for (size_t i = 0; i < count; i++)
        if (jobs[i]->attacks)
            s->batch[attackers++] = jobs[i];
    size_t place = s->room + s->kept;
    all = malloc((attackers * place + 1) * sizeof *all);
    if (rows == NULL || crafted == NULL || all == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the updates of %zu attackers", attackers);
    for (size_t i = 0; i < attackers; i++)
        s->batch[i]->update = all + i * place;
    RD_TRY(serve_all(s, attackers, false, err));
    size_t honest = 0;
    for (size_t i = 0; i < attackers; i++)
        if (!s->batch[i]->failed)
            rows[honest++] = s->batch[i]->update;
    if (honest > 0)
        rd_attack_craft(&s->config->simulation.attack, rows, honest, s->job_count, n, crafted);
    for (size_t i = 0; i < count && status == RD_OK; i++) {
        const float *kept = jobs[i]->attacks ? jobs[i]->update + s->room : NULL;
        jobs[i]->update = NULL;
        if (jobs[i]->attacks && !jobs[i]->failed && is_mine(s, jobs[i], i))
            status = own_trouble(jobs[i], add_update(s, &s->workers[0], jobs[i], crafted, kept, err), err);
        else if (jobs[i]->attacks && !jobs[i]->failed && s->keep != NULL) /* it trains here in the next round, too */
            status = rd_keep_write(s->keep, jobs[i]->client, jobs[i]->round, RD_KEEP_NEWEST, kept, err);
    }
cleanup:
    free(rows);
    free(crafted);
    free(all);
    return status;
}

rd_status sim_work(simulator *s, job **jobs, size_t count, bool add, rd_error *err)
{
    rd_status status = RD_OK;
    bool colludes = rd_attack_colludes(&s->config->simulation.attack);
    size_t mine = 0, ranks = rd_rank_count();
    RD_TRY(rd_grow(&s->batch, &s->batch_capacity, count, sizeof *s->batch, "clients' work", err));
    if (colludes && add)
        RD_TRY(collude(s, jobs, count, err));
    for (size_t i = 0; i < count; i++)
        if (is_mine(s, jobs[i], i) && !(colludes && add && jobs[i]->attacks))
            s->batch[mine++] = jobs[i];
    RD_TRY(serve_all(s, mine, add, err));
    if (ranks > 1) { /* of the others' jobs this rank knows nothing yet: all zeros */
        typedef struct outcome {
            bool failed, idle;
            rd_participation_record part;
        } outcome;
        outcome *all = calloc(count, sizeof *all);
        if (all == NULL)
            RD_THROW(RD_ERR_MEMORY, "no memory for the work of %zu clients", count);
        for (size_t i = 0; i < count; i++)
            if (is_mine(s, jobs[i], i)) {
                all[i].failed = jobs[i]->failed;
                all[i].idle = jobs[i]->idle;
                all[i].part = jobs[i]->part;
            }
        rd_ranks_unite(all, count * sizeof *all);
        for (size_t i = 0; i < count; i++) {
            jobs[i]->failed = all[i].failed;
            jobs[i]->idle = all[i].idle;
            jobs[i]->part = all[i].part;
            jobs[i]->trained = true;
        }
        free(all);
    }
cleanup:
    return status;
}

rd_status sim_add(simulator *s, job *j, rd_error *err)
{
    if (j->failed || !is_mine(s, j, j->client))
        return RD_OK;
    return own_trouble(j, add_update(s, &s->workers[0], j, j->update, j->update + s->room, err), err);
}

void sim_tell(simulator *s, const job *j)
{
    if (j->idle)
        rd_rounds_pass(s->rounds, j->client, j->round);
    else if (j->failed)
        rd_rounds_fail(s->rounds, j->client, j->round);
    if (j->failed)
        return;
    RD_ASSERT(rd_rounds_deliver(s->rounds, j->client, j->round, 0) == RD_VERDICT_ACCEPT);
    rd_rounds_delivered(s->rounds, j->client);
}

/* ---- between ranks ---- */

rd_status sim_unite(simulator *s, rd_error *err)
{
    size_t ranks = rd_rank_count(), mine = rd_rank();
    rd_aggregate *a = rd_run_updates(s->run);
    rd_status status = RD_OK;
    if (ranks == 1)
        return RD_OK;
    size_t size = rd_aggregate_totals_size(), n = rd_run_update_size(s->run);
    uint64_t *counts = calloc(ranks, sizeof *counts);
    char *totals = calloc(ranks, size);
    float *values = malloc((n + 1) * sizeof *values);
    if (counts == NULL || totals == NULL || values == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory to unite %zu ranks", ranks);
    counts[mine] = rd_aggregate_collected_count(a);
    rd_aggregate_get_totals(a, totals + mine * size);
    rd_ranks_unite(counts, ranks * sizeof *counts);
    rd_ranks_unite(totals, ranks * size);
    for (size_t r = 0; r < ranks; r++)
        if (r != mine)
            rd_aggregate_add_totals(a, totals + r * size);
    rd_ranks_add(rd_aggregate_sum(a));
    for (size_t r = 0; r < ranks; r++)
        for (size_t i = 0; i < counts[r] && status == RD_OK; i++) {
            struct {
                uint64_t key, weight;
            } head = {0, 0};
            if (r == mine)
                rd_aggregate_get_collected(a, i, &head.key, &head.weight, values);
            rd_ranks_broadcast(&head, sizeof head, r);
            rd_ranks_broadcast(values, n * sizeof *values, r);
            if (r != mine)
                status = rd_aggregate_add_collected(a, head.key, head.weight, values, err);
        }
cleanup:
    free(counts);
    free(totals);
    free(values);
    return status;
}
