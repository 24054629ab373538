/* sync.c: rounds that wait for their cohort, see round.h. */
#include <math.h>
#include <stdlib.h>

#include "core/grow.h"
#include "round/backoff.h"
#include "round/selection.h"
#include "round/state.h"

static rd_status prepare(rd_rounds *r, rd_error *err)
{
    (void)r, (void)err;
    return RD_OK;
}

/* Is the client left out of the current round, as long as enough others are there? */
static bool backs_off(const rd_rounds *r, const rd_roster_client *c)
{
    return c->missed > 0 && r->round <= c->asked_round + rd_backoff_rounds(c->missed, r->config.max_backoff);
}

/* Offers the available clients that back off, or those that do not. */
static void offer_those(const rd_rounds *r, bool back_off, rd_selection_heap *heap)
{
    const rd_roster *roster = &r->roster;
    for (size_t i = 0; i < roster->count; i++)
        if (roster->clients[i].available && backs_off(r, &roster->clients[i]) == back_off)
            rd_selection_offer(heap, r->seed, r->round, roster->clients[i].key, i);
}

static size_t count_ready(const rd_rounds *r)
{
    size_t ready = 0;
    for (size_t i = 0; i < r->roster.count; i++)
        ready += r->roster.clients[i].available && !backs_off(r, &r->roster.clients[i]);
    return ready;
}

/* Chooses the cohort of the current round among the available clients. Those that back off are candidates only where
 * a round could not begin without: as many as it lacks, by the same draw. False: no memory, so no round now. */
static bool choose_cohort(rd_rounds *r)
{
    const size_t ready = count_ready(r), needed = rd_selection_needed(&r->config);
    const size_t early = ready < needed ? needed - ready : 0, candidates = ready + early;
    size_t wanted = rd_selection_wanted(&r->config, candidates);
    size_t asked = rd_selection_asked(&r->config, wanted, candidates);
    rd_selection_heap heap = {malloc(asked * sizeof *heap.chosen), 0, asked};
    rd_selection_heap others = {malloc((early + 1) * sizeof *others.chosen), 0, early};
    rd_error ignored;
    if (heap.chosen == NULL || others.chosen == NULL ||
        rd_grow(&r->cohort, &r->cohort_capacity, asked, sizeof *r->cohort, "clients", &ignored) != RD_OK) {
        free(heap.chosen);
        free(others.chosen);
        return false;
    }
    offer_those(r, false, &heap);
    if (early > 0)
        offer_those(r, true, &others);
    for (size_t i = 0; i < others.count; i++)
        rd_selection_offer(&heap, r->seed, r->round, others.chosen[i].key, others.chosen[i].client);
    rd_selection_order(&heap);
    r->early = early;
    r->left_out = r->roster.available - candidates;
    for (size_t i = 0; i < asked; i++)
        r->cohort[i] = heap.chosen[i].client;
    r->cohort_size = asked;
    rd_rounds_collect(r, 0, wanted);
    free(heap.chosen);
    free(others.chosen);
    return true;
}

static rd_action open_round(rd_rounds *r)
{
    rd_rounds_forget_cohort(r);
    if (!choose_cohort(r))
        return (rd_action){.kind = RD_ACTION_NONE};
    for (size_t i = 0; i < r->cohort_size; i++)
        rd_rounds_ask(r, r->cohort[i]);
    return (rd_action){.kind = RD_ACTION_OPEN, .round = r->round, .cohort = r->cohort, .cohort_size = r->cohort_size};
}

/* Of the clients of the open step: how many were asked in it. */
static size_t asked_in_step(const rd_rounds *r)
{
    size_t asked = 0;
    for (size_t i = 0; i < r->cohort_size; i++)
        asked += r->roster.clients[r->cohort[i]].answered >= r->step;
    return asked;
}

/* All who have answered are asked again, and all of them are wanted. */
static rd_action open_next_step(rd_rounds *r)
{
    rd_rounds_collect(r, r->step + 1, r->answers);
    for (size_t i = 0; i < r->cohort_size; i++) {
        rd_roster_client *c = &r->roster.clients[r->cohort[i]];
        if (c->answered < r->step)
            continue;
        c->part = RD_PART_ASKED;
        r->asked++;
    }
    return (rd_action){.kind = RD_ACTION_STEP, .round = r->round, .cohort = r->cohort, .cohort_size = r->cohort_size};
}

static void miss(rd_roster_client *c)
{
    if (c->missed < UINT8_MAX)
        c->missed++;
}

/* Who was late has been noted when it was given up; who was not needed any more, or had
 * nothing to do, has done nothing wrong, nor anything to be trusted for. Where nobody answers, the fault is not one client's. */
static void note_missed(rd_rounds *r)
{
    for (size_t i = 0; i < r->cohort_size; i++) {
        rd_roster_client *c = &r->roster.clients[r->cohort[i]];
        if (c->part == RD_PART_FAILED && r->answers > 0 && !c->idle)
            miss(c);
        else if (c->part != RD_PART_FAILED && c->part != RD_PART_LATE)
            c->missed = 0;
    }
}

static rd_action collect(rd_rounds *r)
{
    bool complete = r->answers >= r->wanted || r->asked == 0;
    if (r->delivering > 0 || !(complete || r->deadline_passed))
        return (rd_action){.kind = RD_ACTION_NONE};
    /* Whoever lets a deadline pass may be gone for good: it is asked again when it has been seen again. */
    for (size_t i = 0; i < r->cohort_size; i++)
        if (r->roster.clients[r->cohort[i]].part == RD_PART_ASKED) {
            rd_rounds_give_up(r, r->cohort[i], !complete);
            if (!complete && r->answers > 0)
                miss(&r->roster.clients[r->cohort[i]]);
        }
    bool enough = rd_rounds_has_quorum(r, asked_in_step(r));
    if (enough && r->steps[r->step + 1] != NULL)
        return open_next_step(r);
    note_missed(r);
    return rd_rounds_close(r, enough);
}

static rd_verdict may_deliver(const rd_rounds *r, const rd_roster_client *c, uint64_t round, size_t step)
{
    if (round > r->round || (round == r->round && r->phase == RD_PHASE_WAITING))
        return RD_VERDICT_FUTURE;
    if (round < r->round || r->phase != RD_PHASE_COLLECTING || step < r->step)
        return RD_VERDICT_STALE;
    if (step > r->step)
        return RD_VERDICT_FUTURE;
    switch (c->part) {
    case RD_PART_ASKED:
        return RD_VERDICT_ACCEPT;
    case RD_PART_FAILED: /* a client that sent something unusable may still send something better, in the same step */
        return c->answered == step ? RD_VERDICT_ACCEPT : RD_VERDICT_NOT_SELECTED;
    case RD_PART_DELIVERING:
        return RD_VERDICT_BUSY;
    default:
        return RD_VERDICT_NOT_SELECTED;
    }
}

static bool is_open(const rd_rounds *r, uint64_t round)
{
    return r->phase == RD_PHASE_COLLECTING && round == r->round;
}

static void part_ended(rd_rounds *r, size_t client)
{
    (void)r, (void)client; /* the cohort stays as it is until the next one is chosen */
}

static void assigned(rd_rounds *r, rd_roster_client *c)
{
    (void)r, (void)c; /* it was asked for this round, and no other */
}

const rd_round_kind rd_synchronous = {.needed = rd_selection_needed,
                                      .prepare = prepare,
                                      .open = open_round,
                                      .collect = collect,
                                      .may_deliver = may_deliver,
                                      .is_open = is_open,
                                      .part_ended = part_ended,
                                      .assigned = assigned};
