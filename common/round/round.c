/* round.c: the round core, see round.h. Events change the roster and a few counters; rd_rounds_next looks at
 * them and says what follows. That is the whole of it: whatever drives a run, the decisions are made here. */
#include "round/round.h"

#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "round/roster.h"
#include "round/selection.h"

typedef enum phase {
    PHASE_WAITING,    /* for enough clients, or for nothing */
    PHASE_COLLECTING, /* a round is open */
    PHASE_CLOSING,    /* CLOSE was handed out, rd_rounds_committed is awaited */
    PHASE_FINISHING,  /* FINISH is the next action */
    PHASE_FINISHED,
} phase;

struct rd_rounds {
    rd_cohort_config config;
    uint64_t seed;
    uint64_t rounds; /* how many in all */
    uint64_t round;  /* being collected or closed, or next */
    phase phase;
    bool deadline_passed;

    rd_roster roster;
    size_t *cohort; /* (cohort_size, of cohort_capacity) of the current round; asynchronous: who ended its
                       part in it */
    size_t cohort_size, cohort_capacity;
    size_t *newly;     /* (concurrency) asynchronous: asked by the last action */
    uint64_t picks;    /* asynchronous: clients that were ever picked */
    size_t wanted;     /* updates that complete the round */
    size_t asked;      /* cohort members not heard from */
    size_t delivering; /* updates being folded in */
    size_t counted;    /* updates in the sum */
};

const char *rd_participation_name(rd_participation p)
{
    switch (p) {
    case RD_PART_NONE:
        return "none";
    case RD_PART_ASKED:
        return "asked";
    case RD_PART_DELIVERING:
        return "delivering";
    case RD_PART_COUNTED:
        return "counted";
    case RD_PART_LATE:
        return "late";
    case RD_PART_FAILED:
        return "failed";
    }
    return "unknown";
}

rd_status rd_rounds_create(const rd_cohort_config *config, uint64_t seed, uint64_t rounds, uint64_t first_round,
                           rd_rounds **out, rd_error *err)
{
    rd_rounds *r = calloc(1, sizeof *r);
    if (r == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the round core");
    r->config = *config;
    r->seed = seed;
    r->rounds = rounds;
    r->round = first_round;
    r->phase = first_round > rounds ? PHASE_FINISHING : PHASE_WAITING;
    if (config->buffer_size > 0) {
        r->newly = malloc(config->concurrency * sizeof *r->newly);
        r->cohort_capacity = (size_t)(config->buffer_size + config->concurrency);
        r->cohort = malloc(r->cohort_capacity * sizeof *r->cohort);
        if (r->newly == NULL || r->cohort == NULL) {
            rd_rounds_free(r);
            return rd_fail(err, RD_ERR_MEMORY, "no memory for strategy.concurrency %llu",
                           (unsigned long long)config->concurrency);
        }
    }
    *out = r;
    return RD_OK;
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

/* ---- events ---- */

rd_status rd_rounds_join(rd_rounds *r, const char *name, size_t *client, rd_error *err)
{
    rd_status status = rd_roster_add(&r->roster, name, client, err);
    if (status == RD_OK)
        rd_roster_set_available(&r->roster, *client, true);
    return status;
}

void rd_rounds_seen(rd_rounds *r, size_t client)
{
    rd_roster_set_available(&r->roster, client, true);
}

void rd_rounds_set_available(rd_rounds *r, size_t client, bool available)
{
    rd_roster_set_available(&r->roster, client, available);
}

void rd_rounds_leave(rd_rounds *r, size_t client)
{
    rd_rounds_fail(r, client, r->roster.clients[client].asked_round);
    rd_roster_set_available(&r->roster, client, false);
}

/* Asynchronous: rounds go on while a client trains. */
static rd_verdict may_deliver_late(const rd_rounds *r, const rd_roster_client *c, uint64_t round)
{
    if (round > r->round)
        return RD_VERDICT_FUTURE;
    if (c->part == RD_PART_DELIVERING)
        return RD_VERDICT_BUSY;
    if (c->part != RD_PART_ASKED || round != c->asked_round)
        return round < r->round ? RD_VERDICT_STALE : RD_VERDICT_NOT_SELECTED;
    if (r->round - round > r->config.most_staleness)
        return RD_VERDICT_STALE;
    return r->phase == PHASE_COLLECTING ? RD_VERDICT_ACCEPT : RD_VERDICT_BUSY;
}

rd_verdict rd_rounds_may_deliver(const rd_rounds *r, size_t client, uint64_t round)
{
    const rd_roster_client *c = &r->roster.clients[client];
    if (round != 0 && round == c->last_counted)
        return RD_VERDICT_DUPLICATE;
    if (r->config.buffer_size > 0)
        return may_deliver_late(r, c, round);
    if (round > r->round || (round == r->round && r->phase == PHASE_WAITING))
        return RD_VERDICT_FUTURE;
    if (round < r->round || r->phase != PHASE_COLLECTING)
        return RD_VERDICT_STALE;
    switch (c->part) {
    case RD_PART_ASKED:
    case RD_PART_FAILED: /* a client that sent something unusable may still send something better */
        return RD_VERDICT_ACCEPT;
    case RD_PART_DELIVERING:
        return RD_VERDICT_BUSY;
    default:
        return RD_VERDICT_NOT_SELECTED;
    }
}

rd_verdict rd_rounds_deliver(rd_rounds *r, size_t client, uint64_t round)
{
    rd_verdict verdict = rd_rounds_may_deliver(r, client, round);
    if (verdict == RD_VERDICT_ACCEPT) {
        rd_roster_client *c = &r->roster.clients[client];
        if (c->part == RD_PART_ASKED)
            r->asked--;
        c->part = RD_PART_DELIVERING;
        r->delivering++;
    }
    return verdict;
}

/* Asynchronous: the client had its part in the current round, which may not be the one that it was asked in.
 * At most all that train can end theirs before the round closes. */
static void end_part(rd_rounds *r, size_t client)
{
    if (r->config.buffer_size > 0 && r->cohort_size < r->cohort_capacity)
        r->cohort[r->cohort_size++] = client;
}

void rd_rounds_folded(rd_rounds *r, size_t client)
{
    rd_roster_client *c = &r->roster.clients[client];
    c->part = RD_PART_COUNTED;
    c->last_counted = c->asked_round;
    r->delivering--;
    r->counted++;
    end_part(r, client);
}

void rd_rounds_unfit(rd_rounds *r, size_t client)
{
    r->roster.clients[client].part = RD_PART_FAILED;
    r->delivering--;
    end_part(r, client);
}

void rd_rounds_fail(rd_rounds *r, size_t client, uint64_t round)
{
    rd_roster_client *c = &r->roster.clients[client];
    bool open = r->config.buffer_size > 0 || (r->phase == PHASE_COLLECTING && round == r->round);
    if (open && round == c->asked_round && c->part == RD_PART_ASKED) {
        c->part = RD_PART_FAILED;
        r->asked--;
        end_part(r, client);
    }
}

void rd_rounds_deadline(rd_rounds *r, uint64_t round)
{
    if (r->phase == PHASE_COLLECTING && round == r->round)
        r->deadline_passed = true;
}

void rd_rounds_committed(rd_rounds *r, uint64_t round, bool stop)
{
    if (r->phase != PHASE_CLOSING || round != r->round)
        return;
    r->round++;
    r->phase = stop || r->round > r->rounds ? PHASE_FINISHING : PHASE_WAITING;
}

/* ---- actions ---- */

/* Nobody has a part in the round any more but those who still train. */
static void forget_cohort(rd_rounds *r)
{
    for (size_t i = 0; i < r->cohort_size; i++)
        if (r->roster.clients[r->cohort[i]].part != RD_PART_ASKED)
            r->roster.clients[r->cohort[i]].part = RD_PART_NONE;
    r->cohort_size = 0;
}

/* Chooses the cohort of the current round among the available clients. False: no memory, so no round now. */
static bool choose_cohort(rd_rounds *r)
{
    rd_roster *roster = &r->roster;
    size_t wanted = rd_selection_wanted(&r->config, roster->available);
    size_t asked = rd_selection_asked(&r->config, wanted, roster->available);
    rd_selection_heap heap = {malloc(asked * sizeof *heap.kept), 0, asked};
    size_t *cohort = realloc(r->cohort, asked * sizeof *cohort);
    r->cohort = cohort != NULL ? cohort : r->cohort;
    if (heap.kept == NULL || cohort == NULL) {
        free(heap.kept);
        return false;
    }
    for (size_t i = 0; i < roster->count; i++)
        if (roster->clients[i].available)
            rd_selection_offer(&heap, r->seed, r->round, roster->clients[i].key, i);
    rd_selection_order(&heap);
    for (size_t i = 0; i < asked; i++)
        cohort[i] = heap.kept[i].client;
    r->cohort_size = r->asked = asked;
    r->wanted = wanted;
    free(heap.kept);
    return true;
}

bool rd_rounds_has_enough(const rd_rounds *r)
{
    return r->roster.available >= rd_rounds_needed(r);
}

static rd_action open_late(rd_rounds *r)
{
    forget_cohort(r);
    r->wanted = (size_t)r->config.buffer_size;
    r->counted = 0;
    r->deadline_passed = false;
    r->phase = PHASE_COLLECTING;
    return (rd_action){.kind = RD_ACTION_OPEN, .round = r->round, .cohort = r->cohort};
}

static rd_action open_round(rd_rounds *r)
{
    if (!rd_rounds_has_enough(r))
        return (rd_action){.kind = RD_ACTION_NONE};
    if (r->config.buffer_size > 0)
        return open_late(r);
    forget_cohort(r);
    if (!choose_cohort(r))
        return (rd_action){.kind = RD_ACTION_NONE};
    for (size_t i = 0; i < r->cohort_size; i++) {
        r->roster.clients[r->cohort[i]].part = RD_PART_ASKED;
        r->roster.clients[r->cohort[i]].asked_round = r->round;
    }
    r->delivering = r->counted = 0;
    r->deadline_passed = false;
    r->phase = PHASE_COLLECTING;
    return (rd_action){.kind = RD_ACTION_OPEN, .round = r->round, .cohort = r->cohort, .cohort_size = r->cohort_size};
}

static rd_action close_round(rd_rounds *r)
{
    bool complete = r->counted >= r->wanted || r->asked == 0;
    if (r->delivering > 0 || !(complete || r->deadline_passed))
        return (rd_action){.kind = RD_ACTION_NONE};
    for (size_t i = 0; i < r->cohort_size; i++) {
        size_t client = r->cohort[i];
        if (r->roster.clients[client].part != RD_PART_ASKED)
            continue;
        r->roster.clients[client].part = RD_PART_LATE;
        /* Whoever lets a deadline pass may be gone for good: it is asked again when it has been seen again.
         */
        if (!complete)
            rd_roster_set_available(&r->roster, client, false);
    }
    r->asked = 0;
    r->phase = PHASE_CLOSING;
    return (rd_action){.kind = RD_ACTION_CLOSE,
                       .round = r->round,
                       .aggregate = r->counted > 0 && r->counted >= r->config.min_updates,
                       .cohort = r->cohort,
                       .cohort_size = r->cohort_size};
}

/* ---- asynchronous rounds ---- */

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

static rd_action ask_more(rd_rounds *r)
{
    size_t count = 0, client;
    while (r->asked + r->delivering < r->config.concurrency && r->roster.available > 0 &&
           (client = pick_idle(r)) != SIZE_MAX) {
        r->roster.clients[client].part = RD_PART_ASKED;
        r->roster.clients[client].asked_round = r->round;
        r->asked++;
        r->newly[count++] = client;
    }
    return (rd_action){.kind = count > 0 ? RD_ACTION_ASK : RD_ACTION_NONE,
                       .round = r->round,
                       .cohort = r->newly,
                       .cohort_size = count};
}

/* Who was asked in an earlier round, and let this one's deadline pass, is given up. */
static void give_up(rd_rounds *r)
{
    for (size_t i = 0; i < r->roster.count && r->asked > 0; i++) {
        rd_roster_client *c = &r->roster.clients[i];
        if (c->part != RD_PART_ASKED || c->asked_round == r->round)
            continue;
        c->part = RD_PART_LATE;
        r->asked--;
        rd_roster_set_available(&r->roster, i, false);
        end_part(r, i);
    }
}

static rd_action next_late(rd_rounds *r)
{
    if (r->counted < r->wanted && !r->deadline_passed)
        return ask_more(r);
    if (r->delivering > 0)
        return (rd_action){.kind = RD_ACTION_NONE};
    if (r->deadline_passed)
        give_up(r);
    r->phase = PHASE_CLOSING;
    return (rd_action){.kind = RD_ACTION_CLOSE,
                       .round = r->round,
                       .aggregate = r->counted > 0 && r->counted >= r->config.min_updates,
                       .cohort = r->cohort,
                       .cohort_size = r->cohort_size};
}

rd_action rd_rounds_next(rd_rounds *r)
{
    switch (r->phase) {
    case PHASE_WAITING:
        return open_round(r);
    case PHASE_COLLECTING:
        return r->config.buffer_size > 0 ? next_late(r) : close_round(r);
    case PHASE_FINISHING:
        r->phase = PHASE_FINISHED;
        return (rd_action){.kind = RD_ACTION_FINISH, .round = r->round - 1};
    case PHASE_CLOSING:
    case PHASE_FINISHED:
        break;
    }
    return (rd_action){.kind = RD_ACTION_NONE};
}

/* ---- questions ---- */

size_t rd_rounds_client_count(const rd_rounds *r)
{
    return r->roster.count;
}

const char *rd_rounds_client_name(const rd_rounds *r, size_t client)
{
    return r->roster.clients[client].name;
}

uint64_t rd_rounds_client_key(const rd_rounds *r, size_t client)
{
    return r->roster.clients[client].key;
}

size_t rd_rounds_find(const rd_rounds *r, const char *name)
{
    return rd_roster_find(&r->roster, name);
}

uint64_t rd_rounds_current(const rd_rounds *r)
{
    return r->round;
}

bool rd_rounds_finished(const rd_rounds *r)
{
    return r->phase == PHASE_FINISHING || r->phase == PHASE_FINISHED;
}

rd_participation rd_rounds_participation(const rd_rounds *r, size_t client)
{
    return r->roster.clients[client].part;
}

bool rd_rounds_waiting(const rd_rounds *r)
{
    return r->phase == PHASE_WAITING && !rd_rounds_has_enough(r);
}

size_t rd_rounds_needed(const rd_rounds *r)
{
    return rd_selection_needed(&r->config);
}

size_t rd_rounds_available(const rd_rounds *r)
{
    return r->roster.available;
}

size_t rd_rounds_missing(const rd_rounds *r)
{
    return r->phase == PHASE_COLLECTING && r->counted < r->wanted ? r->wanted - r->counted : 0;
}

uint64_t rd_rounds_take_task(rd_rounds *r, size_t client)
{
    rd_roster_client *c = &r->roster.clients[client];
    if (r->config.buffer_size > 0)
        c->asked_round = r->round; /* it fetches the newest model, whenever it was picked */
    return c->asked_round;
}

uint64_t rd_rounds_staleness(const rd_rounds *r, size_t client)
{
    return r->round - r->roster.clients[client].asked_round;
}

uint64_t rd_rounds_last_counted(const rd_rounds *r, size_t client)
{
    return r->roster.clients[client].last_counted;
}

void rd_rounds_set_last_counted(rd_rounds *r, size_t client, uint64_t round)
{
    r->roster.clients[client].last_counted = round;
}

bool rd_rounds_has_task(const rd_rounds *r, size_t client)
{
    bool open = r->phase == PHASE_COLLECTING || r->config.buffer_size > 0;
    return open && r->roster.clients[client].part == RD_PART_ASKED;
}
