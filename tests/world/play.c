/* play.c: see play.h. What happens in a run, event by event, and how it comes to its end. */
#include "play.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "run/claims.h"

enum {
    MOST_EVENTS = 12000,  /* after so many everybody is honest */
    BORED = 30,           /* events a client, without the end of a round: its deadline passes */
    PATIENCE = 6 * BORED, /* so many: the round has no end */
};

void play_complain(play *p, const char *format, ...)
{
    va_list arguments;
    if (p->wrong[0] != '\0')
        return;
    va_start(arguments, format);
    (void)vsnprintf(p->wrong, sizeof p->wrong, format, arguments);
    va_end(arguments);
}

bool play_is_wrong(const play *p)
{
    return p->wrong[0] != '\0' || p->account.wrong[0] != '\0';
}

bool play_chance(play *p, unsigned of)
{
    return rd_random_below(&p->random, of) == 0;
}

/* ---- training ---- */

/* Quarters and 1024ths: sums of them are exact in doubles, too. */
static float element(play *p)
{
    return ((float)rd_random_below(&p->random, 1024) - 511.5f) / 1024;
}

static void train(play *p, play_client *c)
{
    sums_update *u = &c->update;
    rd_report *r = &u->report;
    *u = (sums_update){.client = (size_t)(c - p->clients), .key = rd_client_key(c->name)};
    for (size_t i = 0; i < SUMS_UPDATE; i++)
        u->values[i] = element(p);
    r->samples = 1 + rd_random_below(&p->random, (uint32_t)c->samples);
    r->steps =
        1 + rd_random_below(&p->random, p->config.training.batch_size == 0 ? 1 : (uint32_t)(r->samples + 9) / 10);
    r->running_loss = 0.25 * rd_random_below(&p->random, 32);
    r->before = (rd_metrics){.samples = r->samples, .loss = 0.25 * rd_random_below(&p->random, 32), .accuracy = 0.5};
    c->trained = c->has_update = true;
}

/* What a client tells that is not so, or that nobody can use. */
static void lie(play *p, const play_client *c, sums_update *u)
{
    /* Where an update is weighed when it is whole, it may turn out only then to be too large. */
    const bool seen_whole = p->config.strategy.kind->collects == RD_COLLECTS_EACH;
    switch (seen_whole && play_chance(p, 2) ? 4 : rd_random_below(&p->random, 9)) {
    case 0:
        u->report.samples = c->samples + 1 + rd_random_below(&p->random, 1u << 30);
        break;
    case 1:
        u->report.steps = 1u << 20;
        break;
    case 2:
        u->values[rd_random_below(&p->random, SUMS_ELEMENTS)] = NAN;
        break;
    case 3:
        u->values[rd_random_below(&p->random, SUMS_ELEMENTS)] = 0x1p23f;
        break;
    case 4: /* which may enter the sum */
        u->report.before.loss = 0.25;
        u->values[rd_random_below(&p->random, SUMS_ELEMENTS)] = 0x1.8p22f;
        break;
    case 5:
        u->report.samples = u->report.steps = u->report.before.samples = 0;
        break;
    case 6:
        u->report.before.loss = -1;
        break;
    case 7:
        u->report.running_loss = INFINITY;
        break;
    default:
        u->report.steps = 0;
    }
}

/* ---- delivering: as aggregator/train_bytes.c and events.c do ---- */

static bool may_claim(const play *p, const play_client *c, const rd_report *r)
{
    const uint64_t batch = p->config.training.batch_size, batches = batch == 0 ? 1 : (r->samples + batch - 1) / batch;
    return r->samples <= c->samples && r->before.samples <= c->samples &&
           r->steps <= p->config.training.epochs * batches;
}

static bool is_of_the_right_model(const play *p, const play_client *c)
{
    if (rd_cohort_is_asynchronous(&p->config.cohort))
        return c->model == c->given && c->fingerprint == c->given_fingerprint;
    return c->model == rd_run_model_version(p->run) && c->fingerprint == rd_run_model_fingerprint(p->run);
}

/* The gate has let it in, or has not. */
static void admit(play *p, play_client *c, uint64_t round)
{
    rd_error err;
    sums_update *u = &c->sent;
    const size_t values = rd_run_update_size(p->run);
    u->staleness = rd_rounds_staleness(p->account.core, c->number);
    memset(u->values + values, 0, (SUMS_UPDATE - values) * sizeof *u->values);
    const rd_arrival arrival = {.key = u->key,
                                .round = round,
                                .staleness = u->staleness,
                                .report = &u->report,
                                .largest = rd_exact_largest(u->values, values)};
    if (rd_aggregate_admit(rd_run_updates(p->run), &arrival, &c->admission, &err) != RD_OK) {
        if (sums_can_use(&p->sums, u))
            play_complain(p, "round %d: a good update of %s is refused: %s", (int)round, c->name, err.message);
        account_fail(&p->account, c->number, round);
        return;
    }
    if (account_deliver(&p->account, c->number, round, 0) != RD_VERDICT_ACCEPT)
        play_complain(p, "round %d: what %s may deliver is not taken", (int)round, c->name);
    c->adding = true;
    c->added = 0;
}

static void deliver(play *p, play_client *c, uint64_t round, const sums_update *u)
{
    rd_error err;
    account_seen(&p->account, c->number);
    if (account_may_deliver(&p->account, c->number, round, 0) != RD_VERDICT_ACCEPT || !is_of_the_right_model(p, c))
        return;
    const bool told = rd_claims_check_report(&p->config, c->samples, &u->report, &err) == RD_OK;
    if (told != may_claim(p, c, &u->report))
        play_complain(p, "round %d: what %s tells of itself is %s", (int)round, c->name, told ? "believed" : "refused");
    if (!told) {
        account_fail(&p->account, c->number, round);
        return;
    }
    c->sent = *u;
    admit(p, c, round);
}

/* A part of the update more goes into the sum; behind the last one it counts. */
static void add(play *p, play_client *c)
{
    rd_error err;
    const size_t values = rd_run_update_size(p->run);
    if (c->added < values) {
        const size_t rest = values - c->added, count = rest < 4 ? rest : 4;
        rd_aggregate_add(rd_run_updates(p->run), &c->admission, c->added, c->sent.values + c->added, count);
        c->added += count;
        return;
    }
    const bool fit = rd_aggregate_complete(rd_run_updates(p->run), &c->admission, &err) == RD_OK;
    c->adding = false;
    if (fit != sums_can_use(&p->sums, &c->sent))
        play_complain(p, "an update of %s is %s", c->name, fit ? "taken, and is of no use" : err.message);
    if (fit && p->sums.count < ACCOUNT_CLIENTS) {
        p->sums.updates[p->sums.count++] = c->sent;
        account_delivered(&p->account, c->number);
    } else {
        account_unfit(&p->account, c->number);
    }
}

/* ---- clients ---- */

static void ask_for_work(play *p, play_client *c)
{
    account_seen(&p->account, c->number);
    if (!account_has_task(&p->account, c->number))
        return;
    c->given = rd_run_model_version(p->run);
    c->given_fingerprint = rd_run_model_fingerprint(p->run);
    c->round = account_assign(&p->account, c->number).round;
    c->model = c->given;
    c->fingerprint = c->given_fingerprint;
    c->has_work = true;
    c->trained = false;
    c->patience = rd_random_below(&p->random, !p->honest && play_chance(p, 10) ? 60 : 4);
}

static void answer(play *p, play_client *c)
{
    sums_update said = c->update;
    uint64_t round = c->round;
    c->has_work = c->trained = false;
    if (!p->honest && play_chance(p, 6))
        lie(p, c, &said);
    if (!p->honest && play_chance(p, 12))
        round = round + 2 - rd_random_below(&p->random, 5);
    if (!p->honest && play_chance(p, 30)) {
        if (play_chance(p, 4))
            account_pass(&p->account, c->number, round);
        else
            account_fail(&p->account, c->number, round);
        return;
    }
    deliver(p, c, round, &said);
}

/* Its process ends, with a word or without, or its machine sleeps. */
static void go(play *p, play_client *c)
{
    if (c->joined && play_chance(p, 2))
        account_leave(&p->account, c->number);
    c->here = false;
    c->has_update = c->has_update && play_chance(p, 2);
    c->has_work = c->trained = c->has_work && play_chance(p, 4);
}

static void client_moves(play *p, play_client *c)
{
    if (c->adding && (p->honest || !play_chance(p, 3))) {
        add(p, c);
        if (!c->adding && !p->honest && play_chance(p, 50))
            go(p, c);
        return;
    }
    if (!c->here) {
        c->here = p->honest || play_chance(p, 6);
        return;
    }
    if (!p->honest && play_chance(p, 40)) {
        go(p, c);
        return;
    }
    if (!c->joined) {
        play_join(p, c);
        return;
    }
    if (!p->honest && c->has_update && play_chance(p, 8)) /* once more, whatever became of it */
        deliver(p, c, c->round, &c->update);
    else if (!c->has_work)
        ask_for_work(p, c);
    else if (c->patience > 0)
        c->patience--;
    else if (!c->trained)
        train(p, c);
    else
        answer(p, c);
}

/* ---- the whole ---- */

static void happen(play *p)
{
    const uint64_t bored = BORED * p->client_count;
    p->event++;
    p->since_closed++;
    if (!p->honest && play_chance(p, 250)) {
        p->deaths++;
        play_stop_aggregator(p);
        play_start_aggregator(p);
    } else if (!p->honest && play_chance(p, 150)) {
        account_deadline(&p->account, p->account.round + 1 - rd_random_below(&p->random, 3));
    } else if (p->since_closed % bored == 0) {
        account_deadline(&p->account, p->account.round);
    } else {
        client_moves(p, &p->clients[rd_random_below(&p->random, (uint32_t)p->client_count)]);
    }
    if (!play_is_wrong(p))
        play_carry_out(p);
    if (p->honest && p->since_closed > PATIENCE * p->client_count && !p->account.finished)
        play_complain(p, "round %d: all are honest and there, and it has no end", (int)p->account.round);
}

void play_through(play *p, const play_setting *setting, uint64_t seed, const char *directory)
{
    p->directory = directory;
    p->client_count = setting->clients;
    for (size_t i = 0; i < p->client_count; i++) {
        play_client *c = &p->clients[i];
        (void)snprintf(c->name, sizeof c->name, "c%u-%x", (unsigned)i & 0xff, (unsigned)(seed & 0xffff));
        c->samples = play_chance(p, 5) ? SUMS_MOST_SAMPLES : 10 + rd_random_below(&p->random, 60);
    }
    play_start_aggregator(p);
    while (!play_is_wrong(p) && !p->account.finished) {
        if (!p->honest && (p->account.round > PLAY_ROUNDS * 3 / 4 || p->event >= MOST_EVENTS)) {
            p->honest = true;
            p->since_closed = 0;
        }
        happen(p);
    }
    if (p->run == NULL)
        return;
    if (!play_is_wrong(p)) { /* and what is left behind is right, too */
        play_stop_aggregator(p);
        play_start_aggregator(p);
        if (!play_is_wrong(p) && account_next(&p->account).kind != RD_ACTION_FINISH)
            play_complain(p, "a run that is over begins another round");
    }
    if (p->wrong[0] == '\0' && p->account.wrong[0] != '\0')
        play_complain(p, "%s", p->account.wrong);
    if (p->run != NULL)
        play_stop_aggregator(p);
}
