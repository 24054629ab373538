/* asynchronous.c: see sim.h. Asynchronous rounds, on the simulated clock. Whoever is asked starts at once
 * from the newest model, and its update arrives when its device is done; every arrival makes room for another
 * client. When an update arrives does not depend on what is in it, so those that come next are trained side
 * by side, ahead of their time, and taken in one after the other.
 *
 * A run that continues goes through the arrivals of its past rounds again without training: that tells who
 * was at work when it stopped, since when, and from which model. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/grow.h"
#include "ranks.h"
#include "sim.h"

/* A model from which somebody still trains. */
typedef struct version {
    struct version *next;
    uint64_t round; /* in which it was the newest */
    float values[];
} version;

typedef struct queue {
    simulator *s;
    job **jobs; /* (count) of those that train, in no order */
    size_t count, capacity;
    version *versions;
    bool past;                      /* rounds that a former process has committed */
    rd_participation_record *parts; /* (part_count) of the open round */
    size_t part_count, part_capacity;
} queue;

/* ---- models ---- */

static rd_status parameters_of(queue *q, uint64_t round, const float **out, rd_error *err)
{
    simulator *s = q->s;
    size_t all = rd_model_parameter_count(rd_run_model(s->run));
    for (version *v = q->versions; v != NULL; v = v->next)
        if (v->round == round) {
            *out = v->values;
            return RD_OK;
        }
    version *v = malloc(sizeof *v + all * sizeof(float));
    if (v == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for another version of the model");
    v->round = round;
    v->next = q->versions;
    q->versions = v;
    memcpy(v->values, rd_run_parameters(s->run), all * sizeof(float));
    *out = v->values;
    /* After a restart the newest model is not that of an earlier round. */
    rd_status status =
        round == rd_rounds_current(s->rounds) ? RD_OK : rd_run_read_version(s->run, round - 1, v->values, err);
    rd_ranks_broadcast(v->values, all * sizeof(float), 0);
    return status;
}

static void forget_versions(queue *q)
{
    for (version **at = &q->versions; *at != NULL;) {
        version *v = *at;
        bool used = false;
        for (size_t i = 0; i < q->count && !used; i++)
            used = q->jobs[i]->round == v->round && !q->jobs[i]->trained;
        if (used) {
            at = &v->next;
        } else {
            *at = v->next;
            free(v);
        }
    }
}

/* ---- who trains ---- */

static rd_status start_jobs(queue *q, const rd_action *action, rd_error *err)
{
    simulator *s = q->s;
    rd_status status =
        rd_grow(&q->jobs, &q->capacity, q->count + action->cohort_size, sizeof *q->jobs, "clients at work", err);
    if (status != RD_OK)
        return status;
    for (size_t i = 0; i < action->cohort_size; i++) {
        job *j = calloc(1, sizeof *j);
        if (j == NULL)
            return rd_fail(err, RD_ERR_MEMORY, "no memory for a client at work");
        j->client = action->cohort[i];
        j->round = action->round;
        j->attacks = rd_attack_is_attacker(&s->config->simulation.attack, s->config->seed, j->client,
                                           s->dealt.partition.clients);
        sim_time(s, j);
        q->jobs[q->count++] = j;
    }
    return RD_OK;
}

static void end_job(queue *q, size_t at)
{
    free(q->jobs[at]->update);
    free(q->jobs[at]);
    q->jobs[at] = q->jobs[--q->count];
}

/* Who does not answer frees its place when it would have. */
static size_t first_to_arrive(const queue *q)
{
    size_t first = 0;
    for (size_t i = 1; i < q->count; i++) {
        const job *a = q->jobs[i], *b = q->jobs[first];
        if (a->arrival < b->arrival || (a->arrival == b->arrival && a->client < b->client))
            first = i;
    }
    return first;
}

static bool is_stale(const queue *q, const job *j)
{
    return rd_rounds_current(q->s->rounds) - j->round > q->s->config->cohort.most_staleness;
}

/* ---- arrivals ---- */

static int sooner(const void *a, const void *b)
{
    const job *x = *(job *const *)a, *y = *(job *const *)b;
    if (x->arrival != y->arrival)
        return x->arrival < y->arrival ? -1 : 1;
    return x->client < y->client ? -1 : x->client > y->client;
}

/* Trains the job, and with it others that come next, as many as there are threads in all ranks. */
static rd_status train_ahead(queue *q, rd_error *err)
{
    simulator *s = q->s;
    rd_status status = RD_OK;
    size_t count = 0, most = (size_t)s->options->threads * rd_rank_count();
    job **jobs = malloc(q->count * sizeof *jobs);
    if (jobs == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu clients at work", q->count);
    for (size_t i = 0; i < q->count; i++)
        if (!q->jobs[i]->trained && q->jobs[i]->answers && !is_stale(q, q->jobs[i]))
            jobs[count++] = q->jobs[i];
    qsort(jobs, count, sizeof *jobs, sooner);
    count = count < most ? count : most;
    for (size_t i = 0; i < count; i++) {
        job *j = jobs[i];
        RD_TRY(parameters_of(q, j->round, &j->global, err));
        j->update = malloc((s->room + s->kept + 1) * sizeof *j->update);
        if (j->update == NULL)
            RD_THROW(RD_ERR_MEMORY, "no memory for the updates of %zu clients", count);
        (void)snprintf(j->part.client, sizeof j->part.client, "%s", rd_rounds_client_name(s->rounds, j->client));
    }
    RD_TRY(sim_work(s, jobs, count, false, err));
cleanup:
    free(jobs);
    return status;
}

static rd_status note_part(queue *q, const job *j, rd_participation participation, rd_error *err)
{
    rd_status status = rd_grow(&q->parts, &q->part_capacity, q->part_count + 1, sizeof *q->parts, "records", err);
    if (status != RD_OK)
        return status;
    rd_participation_record *part = &q->parts[q->part_count++];
    *part = j->part;
    part->round = rd_rounds_current(q->s->rounds);
    part->status = participation;
    (void)snprintf(part->client, sizeof part->client, "%s", rd_rounds_client_name(q->s->rounds, j->client));
    part->seconds = j->arrival - q->s->opened_clock;
    return RD_OK;
}

/* The next update arrives, or is given up. */
static rd_status arrive(queue *q, rd_error *err)
{
    simulator *s = q->s;
    rd_status status = RD_OK;
    if (q->count == 0) { /* all have had their part in this round, and not enough of them delivered */
        s->clock = fmax(s->clock, s->opened_clock + s->config->cohort.deadline_seconds);
        rd_rounds_deadline(s->rounds, rd_rounds_current(s->rounds));
        return RD_OK;
    }
    size_t at = first_to_arrive(q);
    job *j = q->jobs[at];
    bool comes = j->answers && !is_stale(q, j);
    if (comes && !q->past && !j->trained)
        RD_TRY(train_ahead(q, err));
    if (comes && !q->past)
        RD_TRY(sim_add(s, j, err));
    s->clock = fmax(s->clock, j->arrival);
    if (!comes) {
        (void)snprintf(j->part.reason, sizeof j->part.reason, "%s", j->answers ? "too stale" : "dropped out");
        j->failed = true;
    }
    sim_tell(s, j);
    status = note_part(q, j, rd_rounds_participation(s->rounds, j->client), err);
    end_job(q, at);
cleanup:
    return status;
}

/* ---- rounds ---- */

static rd_status close_round(queue *q, const rd_action *action, rd_error *err)
{
    rd_status status = RD_OK;
    if (q->past)
        rd_rounds_committed(q->s->rounds, action->round, false);
    else
        status = sim_close(q->s, action, q->parts, err);
    q->part_count = 0;
    q->past = q->past && rd_rounds_current(q->s->rounds) < rd_run_next_round(q->s->run);
    forget_versions(q);
    return status;
}

/* Carries out one decision of the core. */
static rd_status carry_out(queue *q, const rd_action *action, bool *interrupted, rd_error *err)
{
    simulator *s = q->s;
    switch (action->kind) {
    case RD_ACTION_OPEN:
        s->opened_at = rd_clock_seconds();
        s->opened_clock = s->clock;
        *interrupted = !q->past && sim_told_to_stop(s);
        break;
    case RD_ACTION_ASK:
        return start_jobs(q, action, err);
    case RD_ACTION_CLOSE:
        return close_round(q, action, err);
    case RD_ACTION_NONE:
        return arrive(q, err);
    case RD_ACTION_STEP: /* there is one step */
    case RD_ACTION_FINISH:
        break;
    }
    return RD_OK;
}

rd_status sim_asynchronous_rounds(simulator *s, bool *interrupted, rd_error *err)
{
    queue q = {.s = s, .past = rd_run_next_round(s->run) > 1};
    rd_status status = RD_OK;
    s->clock = 0;
    while (status == RD_OK && !*interrupted && !rd_rounds_finished(s->rounds)) {
        rd_action action = rd_rounds_next(s->rounds);
        status = carry_out(&q, &action, interrupted, err);
    }
    while (q.count > 0)
        end_job(&q, q.count - 1);
    forget_versions(&q);
    free(q.jobs);
    free(q.parts);
    return status;
}
