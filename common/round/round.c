/* round.c: the round core, see round.h. Events change the roster and a few counters; rd_rounds_next looks at
 * them and says what follows. That is the whole of it: whatever drives a run, the decisions are made here, in sync.c
 * and in async.c. */
#include "round/round.h"

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "round/state.h"

const char *rd_participation_name(rd_participation p)
{
    static const char *const names[] = {"none", "asked", "delivering", "answered", "counted", "late", "failed"};
    return (size_t)p < sizeof names / sizeof *names ? names[p] : "unknown";
}

static const rd_round_kind *kind_of(const rd_cohort_config *c)
{
    return rd_cohort_is_asynchronous(c) ? &rd_asynchronous : &rd_synchronous;
}

bool rd_cohort_is_asynchronous(const rd_cohort_config *c)
{
    return c->buffer_size > 0;
}

size_t rd_cohort_needed(const rd_cohort_config *c)
{
    return kind_of(c)->needed(c);
}

rd_status rd_rounds_create(const rd_rounds_options *options, rd_rounds **out, rd_error *err)
{
    rd_rounds *r = calloc(1, sizeof *r);
    if (r == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the round core");
    RD_ASSERT(options->steps[0] != NULL);
    RD_ASSERT(!rd_cohort_is_asynchronous(options->cohort) || options->steps[1] == NULL);
    r->kind = kind_of(options->cohort);
    r->config = *options->cohort;
    r->steps = options->steps;
    r->seed = options->seed;
    r->rounds = options->rounds;
    r->round = options->first_round;
    r->phase = options->first_round > options->rounds ? RD_PHASE_FINISHING : RD_PHASE_WAITING;
    rd_status status = r->kind->prepare(r, err);
    if (status == RD_OK)
        *out = r;
    else
        rd_rounds_free(r);
    return status;
}

void rd_rounds_free(rd_rounds *r)
{
    if (r == NULL)
        return;
    rd_roster_free(&r->roster);
    free(r->cohort);
    free(r->newly);
    free(r);
}

/* ---- for sync.c and async.c ---- */

void rd_rounds_collect(rd_rounds *r, size_t step, size_t wanted)
{
    r->step = step;
    r->wanted = wanted;
    r->asked = r->delivering = r->answers = 0;
    r->deadline_passed = false;
    r->phase = RD_PHASE_COLLECTING;
}

void rd_rounds_forget_cohort(rd_rounds *r)
{
    for (size_t i = 0; i < r->cohort_size; i++)
        if (r->roster.clients[r->cohort[i]].part != RD_PART_ASKED)
            r->roster.clients[r->cohort[i]].part = RD_PART_NONE;
    r->cohort_size = 0;
}

void rd_rounds_ask(rd_rounds *r, size_t client)
{
    rd_roster_client *c = &r->roster.clients[client];
    c->part = RD_PART_ASKED;
    c->asked_round = r->round;
    c->answered = 0;
    r->asked++;
}

void rd_rounds_give_up(rd_rounds *r, size_t client, bool gone)
{
    r->roster.clients[client].part = RD_PART_LATE;
    r->asked--;
    if (gone)
        rd_roster_set_available(&r->roster, client, false);
}

bool rd_rounds_has_quorum(const rd_rounds *r, size_t asked)
{
    const rd_step *step = r->steps[r->step];
    size_t least = step->quorum != NULL ? step->quorum(&r->config, asked) : (size_t)r->config.min_updates;
    return r->answers > 0 && r->answers >= least;
}

rd_action rd_rounds_close(rd_rounds *r, bool aggregate)
{
    r->phase = RD_PHASE_CLOSING;
    return (rd_action){.kind = RD_ACTION_CLOSE,
                       .round = r->round,
                       .aggregate = aggregate,
                       .cohort = r->cohort,
                       .cohort_size = r->cohort_size};
}

/* ---- events ---- */

/* Events and actions are worked on one at a time: two threads in here, or a callback that comes back, would leave counters
 * that agree with nobody. */
static void enter(rd_rounds *r)
{
    RD_ASSERT(!atomic_exchange(&r->inside, true));
}

static void leave(rd_rounds *r)
{
    atomic_store(&r->inside, false);
}

static rd_roster_client *client_of(const rd_rounds *r, size_t client)
{
    RD_ASSERT(client < r->roster.count);
    return &r->roster.clients[client];
}

rd_status rd_rounds_join(rd_rounds *r, const char *name, size_t *client, rd_error *err)
{
    enter(r);
    rd_status status = rd_roster_add(&r->roster, name, client, err);
    if (status == RD_OK)
        rd_roster_set_available(&r->roster, *client, true);
    leave(r);
    return status;
}

void rd_rounds_seen(rd_rounds *r, size_t client)
{
    rd_rounds_set_available(r, client, true);
}

void rd_rounds_set_available(rd_rounds *r, size_t client, bool available)
{
    enter(r);
    (void)client_of(r, client);
    rd_roster_set_available(&r->roster, client, available);
    leave(r);
}

void rd_rounds_leave(rd_rounds *r, size_t client)
{
    rd_rounds_fail(r, client, client_of(r, client)->asked_round);
    rd_rounds_set_available(r, client, false);
}

rd_verdict rd_rounds_may_deliver(const rd_rounds *r, size_t client, uint64_t round, size_t step)
{
    const rd_roster_client *c = client_of(r, client);
    const bool counted = round != 0 && round == c->last_counted && r->steps[step]->counts;
    if (counted || (c->answered > step && round == c->asked_round))
        return RD_VERDICT_DUPLICATE;
    return r->kind->may_deliver(r, c, round, step);
}

rd_verdict rd_rounds_deliver(rd_rounds *r, size_t client, uint64_t round, size_t step)
{
    enter(r);
    rd_verdict verdict = rd_rounds_may_deliver(r, client, round, step);
    if (verdict == RD_VERDICT_ACCEPT) {
        rd_roster_client *c = client_of(r, client);
        if (c->part == RD_PART_ASKED)
            r->asked--;
        c->part = RD_PART_DELIVERING;
        c->idle = false;
        r->delivering++;
    }
    leave(r);
    return verdict;
}

void rd_rounds_delivered(rd_rounds *r, size_t client)
{
    enter(r);
    rd_roster_client *c = client_of(r, client);
    RD_ASSERT(c->part == RD_PART_DELIVERING);
    const bool counts = r->steps[r->step]->counts;
    c->part = counts ? RD_PART_COUNTED : RD_PART_ANSWERED;
    if (counts)
        c->last_counted = c->asked_round;
    c->answered++;
    r->delivering--;
    r->answers++;
    r->kind->part_ended(r, client);
    leave(r);
}

void rd_rounds_unfit(rd_rounds *r, size_t client)
{
    enter(r);
    rd_roster_client *c = client_of(r, client);
    RD_ASSERT(c->part == RD_PART_DELIVERING);
    c->part = RD_PART_FAILED;
    r->delivering--;
    r->kind->part_ended(r, client);
    leave(r);
}

bool rd_rounds_awaits(const rd_rounds *r, size_t client, uint64_t round)
{
    const rd_roster_client *c = client_of(r, client);
    return c->part == RD_PART_ASKED && round == c->asked_round && r->kind->is_open(r, round);
}

static void fail(rd_rounds *r, size_t client, uint64_t round, bool idle)
{
    enter(r);
    if (rd_rounds_awaits(r, client, round)) {
        client_of(r, client)->part = RD_PART_FAILED;
        client_of(r, client)->idle = idle;
        r->asked--;
        r->kind->part_ended(r, client);
    }
    leave(r);
}

void rd_rounds_fail(rd_rounds *r, size_t client, uint64_t round)
{
    fail(r, client, round, false);
}

void rd_rounds_pass(rd_rounds *r, size_t client, uint64_t round)
{
    fail(r, client, round, true);
}

void rd_rounds_deadline(rd_rounds *r, uint64_t round)
{
    enter(r);
    if (r->phase == RD_PHASE_COLLECTING && round == r->round)
        r->deadline_passed = true;
    leave(r);
}

void rd_rounds_committed(rd_rounds *r, uint64_t round, bool stop)
{
    enter(r);
    RD_ASSERT(r->phase == RD_PHASE_CLOSING && round == r->round);
    r->round++;
    r->phase = stop || r->round > r->rounds ? RD_PHASE_FINISHING : RD_PHASE_WAITING;
    leave(r);
}

/* ---- actions ---- */

static rd_action next_action(rd_rounds *r)
{
    switch (r->phase) {
    case RD_PHASE_WAITING:
        return rd_rounds_has_enough(r) ? r->kind->open(r) : (rd_action){.kind = RD_ACTION_NONE};
    case RD_PHASE_COLLECTING:
        return r->kind->collect(r);
    case RD_PHASE_FINISHING:
        r->phase = RD_PHASE_FINISHED;
        return (rd_action){.kind = RD_ACTION_FINISH, .round = r->round - 1};
    case RD_PHASE_CLOSING:
    case RD_PHASE_FINISHED:
        break;
    }
    return (rd_action){.kind = RD_ACTION_NONE};
}

rd_action rd_rounds_next(rd_rounds *r)
{
    enter(r);
    rd_action action = next_action(r);
    leave(r);
    return action;
}

rd_assignment rd_rounds_assign(rd_rounds *r, size_t client)
{
    enter(r);
    rd_roster_client *c = client_of(r, client);
    RD_ASSERT(c->part == RD_PART_ASKED);
    r->kind->assigned(r, c);
    leave(r);
    return (rd_assignment){.round = c->asked_round, .step = r->steps[r->step]};
}

/* ---- questions ---- */

size_t rd_rounds_client_count(const rd_rounds *r)
{
    return r->roster.count;
}

const char *rd_rounds_client_name(const rd_rounds *r, size_t client)
{
    return client_of(r, client)->name;
}

uint64_t rd_rounds_client_key(const rd_rounds *r, size_t client)
{
    return client_of(r, client)->key;
}

size_t rd_rounds_find(const rd_rounds *r, const char *name)
{
    return rd_roster_find(&r->roster, name);
}

size_t rd_rounds_find_step(const rd_rounds *r, const char *name)
{
    for (size_t i = 0; r->steps[i] != NULL; i++)
        if (strcmp(r->steps[i]->name, name) == 0)
            return i;
    return SIZE_MAX;
}

uint64_t rd_rounds_current(const rd_rounds *r)
{
    return r->round;
}

bool rd_rounds_finished(const rd_rounds *r)
{
    return r->phase == RD_PHASE_FINISHING || r->phase == RD_PHASE_FINISHED;
}

bool rd_rounds_has_enough(const rd_rounds *r)
{
    return r->roster.available >= r->kind->needed(&r->config);
}

/* An update that is in the sum stays there, whatever its client does in later steps. */
rd_participation rd_rounds_participation(const rd_rounds *r, size_t client)
{
    const rd_roster_client *c = client_of(r, client);
    const bool ended = c->part == RD_PART_ANSWERED || c->part == RD_PART_LATE || c->part == RD_PART_FAILED;
    return ended && c->last_counted != 0 && c->last_counted == c->asked_round ? RD_PART_COUNTED : c->part;
}

bool rd_rounds_waiting(const rd_rounds *r)
{
    return r->phase == RD_PHASE_WAITING && !rd_rounds_has_enough(r);
}

size_t rd_rounds_available(const rd_rounds *r)
{
    return r->roster.available;
}

size_t rd_rounds_missing(const rd_rounds *r)
{
    return r->phase == RD_PHASE_COLLECTING && r->answers < r->wanted ? r->wanted - r->answers : 0;
}

uint64_t rd_rounds_staleness(const rd_rounds *r, size_t client)
{
    return r->round - client_of(r, client)->asked_round;
}

uint64_t rd_rounds_last_counted(const rd_rounds *r, size_t client)
{
    return client_of(r, client)->last_counted;
}

void rd_rounds_set_last_counted(rd_rounds *r, size_t client, uint64_t round)
{
    client_of(r, client)->last_counted = round;
}

unsigned rd_rounds_missed(const rd_rounds *r, size_t client)
{
    return client_of(r, client)->missed;
}

void rd_rounds_set_missed(rd_rounds *r, size_t client, unsigned missed, uint64_t last)
{
    rd_roster_client *c = client_of(r, client);
    c->missed = (uint8_t)(missed < UINT8_MAX ? missed : UINT8_MAX);
    c->asked_round = last;
}

size_t rd_rounds_left_out(const rd_rounds *r)
{
    return r->left_out;
}

size_t rd_rounds_asked_early(const rd_rounds *r)
{
    return r->early;
}

bool rd_rounds_has_task(const rd_rounds *r, size_t client)
{
    return rd_rounds_awaits(r, client, client_of(r, client)->asked_round);
}
