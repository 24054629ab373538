/* aggregator.c: an aggregator of a play: opened as a start does, driven as aggregator/driver.c drives it (a round is
 * published when it closes, and committed while the next one is open), and ended at any step, as by kill -9. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/messages.h"
#include "play.h"

/* Is this where it is killed? */
static bool dies_here(play *p)
{
    return !p->honest && play_chance(p, 40);
}

static void die(play *p)
{
    p->deaths++;
    play_stop_aggregator(p);
    play_start_aggregator(p);
}

/* ---- what was committed ---- */

static bool compare_round(const rd_round_record *r, void *user)
{
    play *p = user;
    const play_round *known = &p->history[r->round];
    if (r->round >= p->committed_rounds)
        play_complain(p, "round %d is recorded, and was never committed", (int)r->round);
    else if (r->aggregated != known->aggregated || r->samples != known->samples || r->counted != known->counted)
        play_complain(p, "round %d is recorded with %d updates of %d samples, and had %d of %d", (int)r->round,
                      (int)r->counted, (int)r->samples, (int)known->counted, (int)known->samples);
    else if (r->left_out != known->left_out)
        play_complain(p, "round %d is recorded with %d clients left out, and had %d", (int)r->round, (int)r->left_out,
                      (int)known->left_out);
    return !play_is_wrong(p);
}

static bool compare_part(const rd_participation_record *part, void *user)
{
    play *p = user;
    size_t i = 0;
    while (i < p->client_count && strcmp(p->clients[i].name, part->client) != 0)
        i++;
    const play_round *known = &p->history[part->round];
    const bool counted = part->status == RD_PART_COUNTED;
    if (i == p->client_count || known->has[i] != counted || (counted && known->weight[i] != part->weight))
        play_complain(p, "round %d records %s as %s with weight %u, which is not so", (int)part->round, part->client,
                      rd_participation_name(part->status), part->weight);
    else if (part->missed != known->missed[i])
        play_complain(p, "round %d records that %s has missed %u, and it had %u", (int)part->round, part->client,
                      part->missed, known->missed[i]);
    return !play_is_wrong(p);
}

/* The state directory says what was committed, and nothing else. */
static void compare_record(play *p)
{
    rd_error err;
    rd_store *store = rd_run_store(p->run);
    if (rd_run_next_round(p->run) != p->committed_rounds)
        play_complain(p, "the run goes on with round %d after %d committed ones", (int)rd_run_next_round(p->run),
                      (int)p->committed_rounds - 1);
    if (rd_store_rounds(store, 0, compare_round, p, &err) != RD_OK)
        play_complain(p, "%s", err.message);
    for (uint64_t round = 1; round < p->committed_rounds && !play_is_wrong(p); round++)
        if (rd_store_participations(store, round, compare_part, p, &err) != RD_OK)
            play_complain(p, "%s", err.message);
    if (rd_run_is_over(p->run) != p->over)
        play_complain(p, "after %d abandoned rounds the run %s over", (int)p->abandoned, p->over ? "is not" : "is");
}

/* The model, and what the server keeps beside it, bit for bit. */
static void compare_model(play *p, const char *when)
{
    const rd_aggregate *updates = rd_run_updates(p->run);
    const size_t kept = rd_aggregate_companion_table(updates).elements;
    if (memcmp(rd_run_parameters(p->run), p->sums.model.parameters, sizeof p->sums.model.parameters) != 0)
        play_complain(p, "%s: the model begins with %.9g, and is to with %.9g", when,
                      (double)rd_run_parameters(p->run)[0], (double)p->sums.model.parameters[0]);
    const float *found = rd_aggregate_companions(rd_run_updates(p->run));
    if (kept > SUMS_KEPT || (kept > 0 && memcmp(found, p->sums.model.kept, kept * sizeof *found) != 0))
        play_complain(p, "%s: what the server keeps is not what it is to be", when);
}

/* ---- life ---- */

void play_start_aggregator(play *p)
{
    rd_error err;
    const rd_run_options options = {.directory = p->directory, .threads = 1};
    if (rd_run_open(&p->config, &options, &p->run, &err) != RD_OK) {
        p->run = NULL;
        play_complain(p, "the run cannot be opened: %s", err.message);
        return;
    }
    if (p->committed_rounds == 0) {
        memcpy(p->committed.parameters, rd_run_parameters(p->run), sizeof p->committed.parameters);
        memcpy(p->committed.kept, p->sums.model.kept, sizeof p->committed.kept);
        p->history[p->committed_rounds++] = (play_round){.aggregated = true};
    }
    p->sums.model = p->committed;
    p->sums.count = 0;
    p->uncommitted = false;
    compare_model(p, "after a start");
    compare_record(p);
    sums_prepare(&p->sums, p->committed_rounds);
    const rd_config *c = &p->config;
    const rd_rounds_options rounds = {.cohort = &c->cohort,
                                      .steps = rd_round_steps,
                                      .seed = c->seed,
                                      .rounds = p->over ? p->committed_rounds - 1 : c->rounds,
                                      .first_round = rd_run_next_round(p->run)};
    account_open(&p->account, &rounds);
    const bool keeps = !rd_cohort_is_asynchronous(&c->cohort) &&
                       rd_client_kept_size(rd_run_model(p->run), &c->strategy, &c->personalisation) > 0;
    if (keeps && rd_recalled_load_counted(&p->counted, rd_run_store(p->run), &err) != RD_OK)
        play_complain(p, "%s", err.message);
    if (rd_recalled_load_missed(&p->missed, rd_run_store(p->run), &err) != RD_OK)
        play_complain(p, "%s", err.message);
    for (size_t i = 0; i < p->client_count; i++) {
        p->clients[i].joined = p->clients[i].adding = false;
        p->clients[i].given = p->clients[i].given_fingerprint = 0;
    }
}

void play_stop_aggregator(play *p)
{
    rd_error ignored;
    for (size_t i = 0; i < p->client_count; i++) /* the process takes with it what it has in hand */
        if (p->clients[i].adding)
            (void)!rd_aggregate_complete(rd_run_updates(p->run), &p->clients[i].admission, &ignored);
    account_close(&p->account);
    rd_run_free(p->run);
    rd_recalled_free(&p->counted);
    rd_recalled_free(&p->missed);
    p->counted = p->missed = (rd_recalled){0};
    p->run = NULL;
}

/* What a client keeps goes on from its last update that was committed, if any. */
void play_join(play *p, play_client *c)
{
    rd_error err;
    const size_t before = p->account.count;
    c->number = account_join(&p->account, c->name);
    c->joined = true;
    if (p->account.count == before)
        return;
    const rd_join join = {.samples = c->samples};
    const uint64_t counted = rd_recalled_of(&p->counted, c->name).round;
    const rd_recalled_client missed = rd_recalled_of(&p->missed, c->name);
    uint64_t known = 0, asked = 0;
    for (uint64_t r = 1; r < p->committed_rounds; r++) {
        if (p->history[r].has[c - p->clients])
            known = r;
        if (p->history[r].asked[c - p->clients])
            asked = r;
    }
    if (p->counted.count > 0 && counted != known)
        play_complain(p, "%s counted last in round %d, and not in %d", c->name, (int)known, (int)counted);
    account_set_counted(&p->account, c->number, counted);
    const unsigned missed_before = p->history[asked].missed[c - p->clients];
    if (missed.missed != missed_before || (missed_before > 0 && missed.round != asked))
        play_complain(p, "%s has missed %u up to round %d, and not %u up to %d", c->name, missed_before, (int)asked,
                      missed.missed, (int)missed.round);
    account_set_missed(&p->account, c->number, missed.missed, missed.round);
    if (rd_store_client(rd_run_store(p->run), c->name, &join, 0, &err) != RD_OK)
        play_complain(p, "%s", err.message);
}

/* ---- rounds ---- */

/* What one client may count follows from what the cohort has told. */
static void limit_weights(play *p, const rd_action *action)
{
    uint64_t samples[ACCOUNT_CLIENTS] = {0};
    for (size_t i = 0; i < action->cohort_size; i++)
        for (size_t k = 0; k < p->client_count; k++)
            if (p->clients[k].joined && p->clients[k].number == action->cohort[i])
                samples[i] = p->clients[k].samples;
    sums_limit_weights(&p->sums, samples, action->cohort_size, p->account.wanted);
    rd_run_limit_weights(p->run, samples, action->cohort_size, rd_rounds_missing(p->account.core));
}

static void commit(play *p)
{
    rd_error err;
    if (rd_run_commit(p->run, &p->record, p->parts, p->part_count, &err) != RD_OK) {
        play_complain(p, "%s", err.message);
        return;
    }
    p->uncommitted = false;
    p->committed = p->sums.model;
    p->history[p->committed_rounds++] = p->closed;
    p->abandoned = p->closed.aggregated ? 0 : p->abandoned + 1;
    p->over = p->over || p->abandoned >= p->config.cohort.max_abandoned;
}

/* What is recorded of the round, and what is known of it here. */
static void collect_record(play *p, const rd_action *action)
{
    p->record = (rd_round_record){.clock = NAN,
                                  .attack_success = NAN,
                                  .selected = action->cohort_size,
                                  .left_out = rd_rounds_left_out(p->account.core)};
    p->closed = (play_round){.counted = p->sums.count, .left_out = p->account.left_out};
    p->part_count = action->cohort_size;
    for (size_t i = 0; i < action->cohort_size; i++) {
        const size_t number = action->cohort[i];
        rd_participation_record *part = &p->parts[i];
        *part = (rd_participation_record){.round = action->round,
                                          .status = rd_rounds_participation(p->account.core, number),
                                          .missed = rd_rounds_missed(p->account.core, number)};
        (void)snprintf(part->client, sizeof part->client, "%s", rd_rounds_client_name(p->account.core, number));
        p->record.counted += part->status == RD_PART_COUNTED;
        p->record.late += part->status == RD_PART_LATE;
        p->record.failed += part->status == RD_PART_FAILED;
        for (size_t k = 0; k < p->client_count; k++) {
            if (strcmp(p->clients[k].name, part->client) != 0)
                continue;
            p->closed.asked[k] = true;
            p->closed.missed[k] = p->account.clients[number].missed;
            if (part->status == RD_PART_COUNTED) {
                part->report = p->clients[k].sent.report;
                part->weight = p->clients[k].admission.contribution.weight;
            }
        }
    }
    for (size_t k = 0; k < p->sums.count; k++) {
        const sums_update *u = &p->sums.updates[k];
        p->closed.samples += u->report.samples;
        p->closed.has[u->client] = true;
        p->closed.weight[u->client] = sums_weight(&p->sums, u);
    }
}

static void compare_sums(play *p, const rd_action *action)
{
    const double loss = sums_running_loss(&p->sums);
    if (p->record.samples != p->closed.samples || p->record.counted != p->closed.counted)
        play_complain(p, "round %d: %d updates of %d samples are recorded, and %d of %d are in the sum",
                      (int)action->round, (int)p->record.counted, (int)p->record.samples, (int)p->closed.counted,
                      (int)p->closed.samples);
    if (!(p->record.running_loss == loss || (isnan(p->record.running_loss) && isnan(loss))))
        play_complain(p, "round %d: a loss of %.17g is recorded, %.17g was told", (int)action->round,
                      p->record.running_loss, loss);
    p->closed.aggregated =
        action->aggregate && sums_step(&p->sums, p->account.count, action->round >= p->config.rounds);
    if (p->record.aggregated != p->closed.aggregated)
        play_complain(p, "round %d: %s (%s)", (int)action->round,
                      p->record.aggregated ? "a model was made of nothing" : "no model was made of its updates",
                      p->record.abandoned);
    compare_model(p, "after a round");
    p->sums.count = 0;
}

static void close_round(play *p, const rd_action *action)
{
    rd_error err;
    bool stop = false;
    if (dies_here(p)) {
        die(p);
        return;
    }
    collect_record(p, action);
    p->updates += p->sums.count;
    if (rd_run_average(p->run, action->round, action->aggregate, p->account.count, &p->record, &err) != RD_OK) {
        play_complain(p, "%s", err.message);
        return;
    }
    compare_sums(p, action);
    if (p->honest && p->honest_rounds++ >= 2 && !action->aggregate)
        play_complain(p, "round %d: all are honest and there, and too few are counted", (int)action->round);
    if (dies_here(p)) {
        die(p);
        return;
    }
    if (p->record.aggregated && rd_run_publish(p->run, action->round, &err) != RD_OK)
        play_complain(p, "%s", err.message);
    if (!p->record.aggregated)
        rd_run_name_outliers(&p->record, p->parts, p->part_count);
    p->uncommitted = true;
    if (dies_here(p)) {
        die(p);
        return;
    }
    if (action->round >= p->config.rounds || !p->record.aggregated) {
        commit(p);
        stop = rd_run_is_over(p->run);
    }
    if (dies_here(p)) {
        die(p);
        return;
    }
    if (!play_is_wrong(p) && rd_run_prepare(p->run, action->round + 1, &err) != RD_OK)
        play_complain(p, "%s", err.message);
    sums_prepare(&p->sums, action->round + 1);
    account_committed(&p->account, action->round, stop);
    p->since_closed = 0;
}

void play_carry_out(play *p)
{
    rd_error err;
    while (!play_is_wrong(p)) {
        /* The next round opens first, and may go on a while; it does not close before. */
        const uint64_t deaths = p->deaths;
        if (p->uncommitted && p->account.open && play_chance(p, 3))
            commit(p);
        if (p->uncommitted && p->account.open && account_taken(&p->account) > 0 && account_under_way(&p->account) == 0)
            commit(p);
        const rd_action action = account_next(&p->account);
        if (action.kind == RD_ACTION_NONE)
            return;
        if (p->uncommitted && (action.kind == RD_ACTION_CLOSE || action.kind == RD_ACTION_FINISH))
            commit(p);
        if (action.kind == RD_ACTION_OPEN)
            limit_weights(p, &action);
        if (action.kind == RD_ACTION_CLOSE)
            close_round(p, &action);
        if (action.kind == RD_ACTION_FINISH && rd_store_finish(rd_run_store(p->run), &err) != RD_OK)
            play_complain(p, "%s", err.message);
        if (p->deaths == deaths && p->uncommitted && dies_here(p))
            die(p);
    }
}
