/* account_actions.c: see account.h. What is to come next. */
#include "account_state.h"
#include "core/random.h"

static void ask(account *a, size_t client)
{
    account_client *c = &a->clients[client];
    c->asked = true;
    c->in_step = true;
    c->late = c->failed = c->idle = false;
    c->task = a->round;
    c->answered = 0;
}

/* After one round that it missed a client is left out of one, after two of two, then of 4, 8, ... */
static bool backs_off(const account *a, const account_client *c)
{
    uint64_t rounds = c->missed > 0 ? 1 : 0;
    for (unsigned i = 1; i < c->missed && rounds < a->cohort.max_backoff; i++)
        rounds *= 2;
    rounds = rounds < a->cohort.max_backoff ? rounds : a->cohort.max_backoff;
    return rounds > 0 && a->round - c->task <= rounds;
}

/* Who may be asked: all that are there and do not back off; and where the round needs more, of the others those with the
 * smallest draws. */
static void find_candidates(account *a, const uint64_t *draws, bool *candidate)
{
    size_t count = 0;
    for (size_t i = 0; i < a->count; i++) {
        candidate[i] = a->clients[i].there && !backs_off(a, &a->clients[i]);
        count += candidate[i];
    }
    for (a->early = 0; count < account_needed(a); a->early++, count++) {
        size_t next = a->count;
        for (size_t i = 0; i < a->count; i++)
            if (a->clients[i].there && !candidate[i] && (next == a->count || draws[i] < draws[next]))
                next = i;
        candidate[next] = true;
    }
    a->left_out = account_there(a) - count;
}

/* Who is asked: of the candidates those with the smallest draws. */
static void choose(account *a)
{
    const size_t over = account_hundredths(a->cohort.over_selection);
    uint64_t draws[ACCOUNT_CLIENTS];
    bool candidate[ACCOUNT_CLIENTS];
    for (size_t i = 0; i < a->count; i++) {
        rd_random stream = rd_random_stream(a->seed, RD_PURPOSE_SELECT, a->round, a->clients[i].key);
        draws[i] = rd_random_u64(&stream);
    }
    find_candidates(a, draws, candidate);
    const size_t candidates = account_there(a) - a->left_out;
    a->wanted = account_wanted_of(&a->cohort, candidates);
    size_t asked = (a->wanted * over + 99) / 100;
    asked = asked < candidates ? asked : candidates;
    for (size_t i = 0; i < a->count; i++) {
        size_t smaller = 0;
        for (size_t j = 0; j < a->count; j++)
            smaller += candidate[j] && draws[j] < draws[i];
        if (!candidate[i] || smaller >= asked)
            continue;
        ask(a, i);
        a->clients[i].takes_part = true;
        a->part[a->part_count++] = i;
    }
}

static void begin_step(account *a, size_t step)
{
    a->step = step;
    a->deadline_passed = false;
    for (size_t i = 0; i < a->count; i++) {
        account_client *c = &a->clients[i];
        c->in_step = step > 0 && c->taken;
        if (c->in_step) {
            c->asked = true;
            c->late = c->failed = false;
        }
    }
    a->wanted = account_taken(a);
    for (size_t i = 0; i < a->count; i++)
        a->clients[i].taken = false;
}

static void begin_round(account *a)
{
    a->open = true;
    a->part_count = 0;
    for (size_t i = 0; i < a->count; i++) {
        account_client *c = &a->clients[i];
        c->takes_part = c->taken = false;
        c->failed = c->late = false;
    }
    begin_step(a, 0);
    if (account_is_asynchronous(a))
        a->wanted = (size_t)a->cohort.buffer_size;
    else
        choose(a);
}

static size_t idle(const account *a)
{
    size_t count = 0;
    for (size_t i = 0; i < a->count; i++)
        count += a->clients[i].there && account_part_of(&a->clients[i]) == RD_PART_NONE;
    return count;
}

static size_t asks_more(const account *a)
{
    const size_t busy = account_still_asked(a) + account_under_way(a), free = idle(a);
    const size_t room = busy < a->cohort.concurrency ? (size_t)a->cohort.concurrency - busy : 0;
    return room < free ? room : free;
}

/* Where nobody answers, it is no one client's fault. */
static void miss(const account *a, account_client *c)
{
    if (account_taken(a) > 0 && c->missed < 255)
        c->missed++;
}

/* Whoever has not answered when it is over: of a deadline it is asked again when it has been seen again. */
static void give_up(account *a, bool gone)
{
    for (size_t i = 0; i < a->count; i++) {
        account_client *c = &a->clients[i];
        if (!c->asked || (account_is_asynchronous(a) && c->task == a->round))
            continue;
        c->asked = false;
        c->late = true;
        c->there = c->there && !gone;
        if (!account_is_asynchronous(a) && gone)
            miss(a, c);
        account_end_part(a, i);
    }
}

/* A round that waited is over, and has left nobody who could still answer. */
static void settle_missed(account *a)
{
    for (size_t i = 0; i < a->count; i++) {
        account_client *c = &a->clients[i];
        if (!c->takes_part || c->late)
            continue;
        if (!c->failed)
            c->missed = 0;
        else if (!c->idle)
            miss(a, c);
    }
}

/* What is to come next, and with CLOSE whether it aggregates. */
static rd_action_kind expected_kind(const account *a, bool *aggregate)
{
    const size_t taken = account_taken(a), under_way = account_under_way(a);
    const bool quorum = taken >= account_least_answers(a);
    *aggregate = quorum;
    if (a->finishing)
        return RD_ACTION_FINISH;
    if (a->closing || a->finished)
        return RD_ACTION_NONE;
    if (!a->open)
        return account_there(a) >= account_needed(a) ? RD_ACTION_OPEN : RD_ACTION_NONE;
    if (account_is_asynchronous(a) && taken < a->wanted && !a->deadline_passed)
        return asks_more(a) > 0 ? RD_ACTION_ASK : RD_ACTION_NONE;
    const bool complete = taken >= a->wanted || (!account_is_asynchronous(a) && account_still_asked(a) == 0);
    if (under_way > 0 || !(complete || a->deadline_passed))
        return RD_ACTION_NONE;
    return quorum && a->steps[a->step + 1] != NULL ? RD_ACTION_STEP : RD_ACTION_CLOSE;
}

static void compare_cohort(account *a, const rd_action *action)
{
    bool found[ACCOUNT_CLIENTS] = {false};
    account_same(a, "clients of the round", action->cohort_size, a->part_count);
    for (size_t i = 0; i < action->cohort_size && a->wrong[0] == '\0'; i++) {
        const size_t client = action->cohort[i];
        if (client >= a->count || found[client] || !a->clients[client].takes_part)
            account_complain(a, "round %d: client %zu is not one of the round's, or twice", (int)a->round, client);
        else if (account_is_asynchronous(a) && client != a->part[i])
            account_complain(a, "round %d: the parts of the round are not in the order of their ends", (int)a->round);
        else if (!account_is_asynchronous(a) && i > 0 &&
                 a->clients[action->cohort[i - 1]].key >= a->clients[client].key)
            account_complain(a, "round %d: its clients are not in the order of their keys", (int)a->round);
        if (client < a->count)
            found[client] = true;
    }
}

static void take_asked(account *a, const rd_action *action)
{
    account_same(a, "clients that are asked", action->cohort_size, asks_more(a));
    for (size_t i = 0; i < action->cohort_size && a->wrong[0] == '\0'; i++) {
        const size_t client = action->cohort[i];
        if (client >= a->count || !a->clients[client].there || account_part_of(&a->clients[client]) != RD_PART_NONE)
            account_complain(a, "round %d: client %zu is asked, and is not idle", (int)a->round, client);
        else
            ask(a, client);
    }
}

rd_action account_next(account *a)
{
    bool aggregate;
    const rd_action_kind expected = expected_kind(a, &aggregate);
    const rd_action action = rd_rounds_next(a->core);
    account_same(a, "the next action", action.kind, expected);
    if (action.kind != expected)
        return action;
    if (expected != RD_ACTION_NONE && expected != RD_ACTION_FINISH)
        account_same(a, "the round of an action", action.round, a->round);
    const bool complete = account_taken(a) >= a->wanted || (!account_is_asynchronous(a) && account_still_asked(a) == 0);
    switch (expected) {
    case RD_ACTION_OPEN:
        begin_round(a);
        compare_cohort(a, &action);
        break;
    case RD_ACTION_ASK:
        take_asked(a, &action);
        break;
    case RD_ACTION_STEP:
        give_up(a, !complete);
        begin_step(a, a->step + 1);
        compare_cohort(a, &action);
        break;
    case RD_ACTION_CLOSE:
        if (!account_is_asynchronous(a) || a->deadline_passed)
            give_up(a, account_is_asynchronous(a) || !complete);
        if (!account_is_asynchronous(a))
            settle_missed(a);
        a->open = false;
        a->closing = true;
        account_same(a, "whether it aggregates", action.aggregate, aggregate);
        compare_cohort(a, &action);
        break;
    case RD_ACTION_FINISH:
        account_same(a, "the last round", action.round, a->round - 1);
        a->finishing = false;
        a->finished = true;
        break;
    case RD_ACTION_NONE:
        break;
    }
    account_compare(a);
    return action;
}

rd_assignment account_assign(account *a, size_t client)
{
    account_client *c = &a->clients[client];
    if (account_is_asynchronous(a))
        c->task = a->round; /* it is given the newest model, whenever it was picked */
    const rd_assignment assigned = rd_rounds_assign(a->core, client);
    account_same_of(a, client, "the round of the task", assigned.round, c->task);
    if (assigned.step != a->steps[a->step])
        account_complain(a, "round %d: the task of %s is of step %s", (int)a->round, c->name, assigned.step->name);
    account_compare(a);
    return assigned;
}
