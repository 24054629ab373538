/* synchronous.c: see sim.h. When a round opens, it is known at once when each update will arrive, on the simulated clock;
 * so only those are trained that the round will wait for. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/grow.h"
#include "sim.h"

static int by_arrival(const void *a, const void *b)
{
    const job *x = a, *y = b;
    if (x->answers != y->answers)
        return x->answers ? -1 : 1;
    if (x->answers && x->arrival != y->arrival)
        return x->arrival < y->arrival ? -1 : 1;
    return x->client < y->client ? -1 : x->client > y->client;
}

static rd_status make_jobs(simulator *s, const rd_action *action, rd_error *err)
{
    rd_status status = rd_grow(&s->jobs, &s->job_capacity, action->cohort_size, sizeof *s->jobs, "clients' work", err);
    if (status != RD_OK)
        return status;
    s->job_count = action->cohort_size;
    for (size_t i = 0; i < s->job_count; i++) {
        job *j = &s->jobs[i];
        *j = (job){.client = action->cohort[i], .round = action->round, .global = rd_run_parameters(s->run)};
        j->part.round = action->round;
        j->attacks = rd_attack_is_attacker(&s->config->simulation.attack, s->config->seed, j->client,
                                           s->dealt.partition.clients);
        (void)snprintf(j->part.client, sizeof j->part.client, "%s", rd_rounds_client_name(s->rounds, j->client));
        sim_time(s, j);
    }
    /* Without simulated time the cohort is served in the order of the core: of more than are wanted, its
     * first. */
    if (s->system != NULL)
        qsort(s->jobs, s->job_count, sizeof *s->jobs, by_arrival);
    return RD_OK;
}

/* What a client may count follows from the rows of all of them, with which they would join. */
static rd_status limit_weights(simulator *s, const rd_action *action, rd_error *err)
{
    uint64_t *rows = malloc((action->cohort_size + 1) * sizeof *rows);
    if (rows == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for what %zu clients count", action->cohort_size);
    for (size_t i = 0; i < action->cohort_size; i++)
        rows[i] = rd_partition_count(&s->dealt.partition, action->cohort[i]);
    rd_run_limit_weights(s->run, rows, action->cohort_size, rd_rounds_missing(s->rounds));
    free(rows);
    return RD_OK;
}

/* Serves the cohort until the core closes the round. */
static rd_status serve_round(simulator *s, const rd_action *action, rd_action *closing, rd_error *err)
{
    double deadline = s->clock + s->config->cohort.deadline_seconds;
    size_t next = 0;
    rd_status status = RD_OK;
    s->opened_at = rd_clock_seconds();
    s->opened_clock = s->clock;
    RD_TRY(make_jobs(s, action, err));
    RD_TRY(limit_weights(s, action, err));
    job **wave = malloc(s->job_count * sizeof *wave);
    if (wave == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the work of %zu clients", s->job_count);
    while (status == RD_OK && (*closing = rd_rounds_next(s->rounds)).kind == RD_ACTION_NONE) {
        size_t count = 0, missing = rd_rounds_missing(s->rounds);
        for (; next < s->job_count && count < missing; next++) {
            if (!s->jobs[next].answers || (s->system != NULL && s->jobs[next].arrival > deadline))
                break; /* they come last */
            wave[count++] = &s->jobs[next];
        }
        if (count == 0) {
            s->clock = deadline;
            rd_rounds_deadline(s->rounds, action->round);
            continue;
        }
        status = sim_work(s, wave, count, true, err);
        for (size_t i = 0; i < count && status == RD_OK; i++) {
            sim_tell(s, wave[i]);
            s->clock = s->system != NULL ? wave[i]->arrival : s->clock;
        }
    }
    free(wave);
cleanup:
    return status;
}

/* Whether a client that did not answer is there again is a question to the system model, not to the last
 * round. */
static void come_and_go(simulator *s)
{
    for (size_t i = 0; i < s->dealt.partition.clients; i++)
        rd_rounds_set_available(s->rounds, i,
                                s->system == NULL ||
                                    rd_system_available(s->system, rd_rounds_client_key(s->rounds, i), s->clock));
}

static rd_status close_round(simulator *s, const rd_action *action, rd_error *err)
{
    rd_participation_record *parts = malloc((s->job_count + 1) * sizeof *parts);
    if (parts == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the records of %zu clients", s->job_count);
    for (size_t i = 0; i < s->job_count; i++) {
        parts[i] = s->jobs[i].part;
        parts[i].status = rd_rounds_participation(s->rounds, s->jobs[i].client);
        parts[i].missed = rd_rounds_missed(s->rounds, s->jobs[i].client);
    }
    rd_status status = sim_close(s, action, parts, err);
    free(parts);
    if (s->system != NULL)
        come_and_go(s);
    return status;
}

/* Time passes until enough clients are there; not for ever, and of a million clients, each of whom draws in every slot,
 * not for as long as of ten. */
static rd_status wait_for_clients(simulator *s, rd_error *err)
{
    const size_t most_draws = 200000000, few = 1000, many = 100000;
    size_t slots = most_draws / s->dealt.partition.clients, needed = rd_cohort_needed(&s->config->cohort);
    double slot_seconds = s->config->simulation.system.slot_seconds;
    slots = slots < few ? few : slots > many ? many : slots;
    if (s->system == NULL) /* everybody is there */
        return rd_fail(err, RD_ERR_MEMORY, "no memory to choose a cohort");
    for (size_t i = 0; i < slots && rd_rounds_available(s->rounds) < needed; i++) {
        s->clock = (floor(s->clock / slot_seconds) + 1) * slot_seconds;
        come_and_go(s);
    }
    if (rd_rounds_available(s->rounds) >= needed)
        return RD_OK;
    return rd_fail(err, RD_ERR_CONFIG,
                   "simulation.system.availability: in %zu slots of %g s never %zu of the %zu clients were there at a "
                   "time, as cohort.%s demands",
                   slots, slot_seconds, needed, s->dealt.partition.clients,
                   needed > s->config->cohort.min_clients ? "min_updates" : "min_clients");
}

/* Ends before a round that is not wanted any more. */
rd_status sim_synchronous_rounds(simulator *s, bool *interrupted, rd_error *err)
{
    rd_status status = RD_OK;
    if (s->system != NULL)
        come_and_go(s);
    while (status == RD_OK && !rd_rounds_finished(s->rounds)) {
        rd_action closing, action = rd_rounds_next(s->rounds);
        if (action.kind == RD_ACTION_NONE) {
            status = wait_for_clients(s, err);
            continue;
        }
        *interrupted = sim_told_to_stop(s);
        if (*interrupted)
            break;
        status = serve_round(s, &action, &closing, err);
        if (status == RD_OK)
            status = close_round(s, &closing, err);
    }
    return status;
}
