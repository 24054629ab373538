/* async.c: rounds that go on while clients train, see round.h. Their one step has no end of its own: whoever has
 * delivered is replaced by another, and every buffer_size updates close a round. */
#include <stdlib.h>

#include "core/assert.h"
#include "core/grow.h"
#include "core/random.h"
#include "round/state.h"

/* Whoever is there delivers as often as it takes. */
static size_t needed(const rd_cohort_config *c)
{
    if (c->min_updates > c->buffer_size)
        return SIZE_MAX;
    return c->min_clients > 0 ? (size_t)c->min_clients : 1;
}

static rd_status prepare(rd_rounds *r, rd_error *err)
{
    r->newly = malloc(r->config.concurrency * sizeof *r->newly);
    if (r->newly == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for strategy.concurrency %llu",
                       (unsigned long long)r->config.concurrency);
    return RD_OK;
}

/* Clients that train and answers that are taken in belong to no round: only what is counted begins anew. */
static rd_action open_round(rd_rounds *r)
{
    size_t asked = r->asked, delivering = r->delivering;
    rd_rounds_forget_cohort(r);
    rd_rounds_collect(r, 0, (size_t)r->config.buffer_size);
    r->asked = asked;
    r->delivering = delivering;
    return (rd_action){.kind = RD_ACTION_OPEN, .round = r->round, .cohort = r->cohort};
}

/* An available client that has nothing to do, at random; SIZE_MAX: there is none. */
static size_t pick_idle(rd_rounds *r)
{
    size_t count = r->roster.count, start = 0;
    rd_random random = rd_random_stream(r->seed, RD_PURPOSE_SELECT, ++r->picks, 0);
    for (int attempt = 0; attempt < 32; attempt++) {
        start = rd_random_below(&random, (uint32_t)count);
        if (r->roster.clients[start].available && r->roster.clients[start].part == RD_PART_NONE)
            return start;
    }
    for (size_t i = 0; i < count; i++) { /* most are busy: the next one from there on */
        const rd_roster_client *c = &r->roster.clients[(start + i) % count];
        if (c->available && c->part == RD_PART_NONE)
            return (start + i) % count;
    }
    return SIZE_MAX;
}

/* Everybody who is asked will have a part in some round: there must be room for it in any. */
static bool has_room(rd_rounds *r)
{
    rd_error ignored;
    const size_t needed = r->cohort_size + r->asked + r->delivering + 1;
    return rd_grow(&r->cohort, &r->cohort_capacity, needed, sizeof *r->cohort, "clients", &ignored) == RD_OK;
}

static rd_action ask_more(rd_rounds *r)
{
    size_t count = 0, client;
    while (r->asked + r->delivering < r->config.concurrency && r->roster.available > 0 && has_room(r) &&
           (client = pick_idle(r)) != SIZE_MAX) {
        rd_rounds_ask(r, client);
        r->newly[count++] = client;
    }
    return (rd_action){.kind = count > 0 ? RD_ACTION_ASK : RD_ACTION_NONE,
                       .round = r->round,
                       .cohort = r->newly,
                       .cohort_size = count};
}

/* The client had its part in the current round, which may not be the one that it was asked in. */
static void part_ended(rd_rounds *r, size_t client)
{
    RD_ASSERT(r->cohort_size < r->cohort_capacity);
    r->cohort[r->cohort_size++] = client;
}

/* Who was asked in an earlier round, and let this one's deadline pass, is given up. */
static void give_up_old(rd_rounds *r)
{
    for (size_t i = 0; i < r->roster.count && r->asked > 0; i++) {
        const rd_roster_client *c = &r->roster.clients[i];
        if (c->part != RD_PART_ASKED || c->asked_round == r->round)
            continue;
        rd_rounds_give_up(r, i, true);
        part_ended(r, i);
    }
}

static rd_action collect(rd_rounds *r)
{
    if (r->answers < r->wanted && !r->deadline_passed)
        return ask_more(r);
    if (r->delivering > 0)
        return (rd_action){.kind = RD_ACTION_NONE};
    if (r->deadline_passed)
        give_up_old(r);
    return rd_rounds_close(r, rd_rounds_has_quorum(r, r->wanted));
}

static rd_verdict may_deliver(const rd_rounds *r, const rd_roster_client *c, uint64_t round, size_t step)
{
    (void)step; /* there is one */
    if (round > r->round)
        return RD_VERDICT_FUTURE;
    if (c->part == RD_PART_DELIVERING)
        return RD_VERDICT_BUSY;
    if (c->part != RD_PART_ASKED || round != c->asked_round)
        return round < r->round ? RD_VERDICT_STALE : RD_VERDICT_NOT_SELECTED;
    if (r->round - round > r->config.most_staleness)
        return RD_VERDICT_STALE;
    return r->phase == RD_PHASE_COLLECTING ? RD_VERDICT_ACCEPT : RD_VERDICT_BUSY;
}

static bool is_open(const rd_rounds *r, uint64_t round)
{
    (void)r, (void)round; /* rounds go on while a client trains */
    return true;
}

/* It fetches the newest model, whenever it was picked. */
static void assigned(rd_rounds *r, rd_roster_client *c)
{
    c->asked_round = r->round;
}

const rd_round_kind rd_asynchronous = {.needed = needed,
                                       .prepare = prepare,
                                       .open = open_round,
                                       .collect = collect,
                                       .may_deliver = may_deliver,
                                       .is_open = is_open,
                                       .part_ended = part_ended,
                                       .assigned = assigned};
