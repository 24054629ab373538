/* account.c: see account.h. What happens to the rounds, and what must be so at any time. */
#include "account_state.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"

/* ---- what is not so ---- */

void account_complain(account *a, const char *format, ...)
{
    va_list arguments;
    if (a->wrong[0] != '\0')
        return; /* what comes after the first may only follow from it */
    va_start(arguments, format);
    (void)vsnprintf(a->wrong, sizeof a->wrong, format, arguments);
    va_end(arguments);
}

void account_same(account *a, const char *what, uint64_t found, uint64_t expected)
{
    if (found != expected)
        account_complain(a, "round %d: %s: expected %lld, found %lld", (int)a->round, what, (long long)expected,
                         (long long)found);
}

void account_same_of(account *a, size_t client, const char *what, uint64_t found, uint64_t expected)
{
    if (found != expected)
        account_complain(a, "round %d: %s of %s: expected %lld, found %lld", (int)a->round, what,
                         a->clients[client].name, (long long)expected, (long long)found);
}

/* ---- counts, each taken anew ---- */

bool account_is_asynchronous(const account *a)
{
    return a->cohort.buffer_size > 0;
}

size_t account_there(const account *a)
{
    size_t count = 0;
    for (size_t i = 0; i < a->count; i++)
        count += a->clients[i].there;
    return count;
}

size_t account_still_asked(const account *a)
{
    size_t count = 0;
    for (size_t i = 0; i < a->count; i++)
        count += a->clients[i].asked;
    return count;
}

size_t account_under_way(const account *a)
{
    size_t count = 0;
    for (size_t i = 0; i < a->count; i++)
        count += a->clients[i].delivering;
    return count;
}

size_t account_taken(const account *a)
{
    size_t count = 0;
    for (size_t i = 0; i < a->count; i++)
        count += a->clients[i].taken;
    return count;
}

/* In hundredths, which is what the cohorts of tests are written in: no rounding of halves. */
size_t account_hundredths(double x)
{
    return (size_t)lround(100 * x);
}

size_t account_wanted_of(const rd_cohort_config *c, size_t available)
{
    size_t wanted = available;
    if (c->select == RD_SELECT_FRACTION)
        wanted = (2 * account_hundredths(c->fraction) * available + 100) / 200;
    if (c->select == RD_SELECT_COUNT)
        wanted = (size_t)c->count;
    wanted = wanted > 0 ? wanted : 1;
    return wanted < available ? wanted : available;
}

/* The smallest number with which a round can come to enough updates; none is enough beyond all clients there are. */
size_t account_needed(const account *a)
{
    const rd_cohort_config *c = &a->cohort;
    for (size_t n = c->min_clients > 0 ? (size_t)c->min_clients : 1; n <= ACCOUNT_CLIENTS; n++)
        if ((account_is_asynchronous(a) ? c->buffer_size : account_wanted_of(c, n)) >= c->min_updates)
            return n;
    return SIZE_MAX;
}

size_t account_least_answers(const account *a)
{
    size_t asked = 0;
    if (a->steps[a->step]->quorum == NULL)
        return a->cohort.min_updates > 0 ? (size_t)a->cohort.min_updates : 1;
    for (size_t i = 0; i < a->count; i++)
        asked += a->clients[i].in_step;
    const size_t least = a->steps[a->step]->quorum(&a->cohort, asked);
    return least > 0 ? least : 1;
}

/* ---- what must be so at any time ---- */

rd_participation account_part_of(const account_client *c)
{
    return c->delivering                              ? RD_PART_DELIVERING
           : c->asked                                 ? RD_PART_ASKED
           : !c->takes_part                           ? RD_PART_NONE
           : c->counted != 0 && c->counted == c->task ? RD_PART_COUNTED
           : c->late                                  ? RD_PART_LATE
           : c->failed                                ? RD_PART_FAILED
                                                      : RD_PART_ANSWERED;
}

bool account_has_task(const account *a, size_t client)
{
    return a->clients[client].asked;
}

void account_compare(account *a)
{
    const size_t taken = account_taken(a);
    for (size_t i = 0; i < a->count; i++) {
        const account_client *c = &a->clients[i];
        if (a->open || a->closing || c->asked)
            account_same_of(a, i, "the participation", rd_rounds_participation(a->core, i), account_part_of(c));
        account_same_of(a, i, "a task", rd_rounds_has_task(a->core, i), c->asked);
        account_same_of(a, i, "the last counted round", rd_rounds_last_counted(a->core, i), c->counted);
        account_same_of(a, i, "the missed rounds", rd_rounds_missed(a->core, i), c->missed);
        account_same_of(a, i, "the staleness", rd_rounds_staleness(a->core, i), a->round - c->task);
    }
    account_same(a, "the round", rd_rounds_current(a->core), a->round);
    account_same(a, "clients that are there", rd_rounds_available(a->core), account_there(a));
    account_same(a, "enough are there", rd_rounds_has_enough(a->core), account_there(a) >= account_needed(a));
    account_same(a, "answers that are missing", rd_rounds_missing(a->core),
                 a->open && taken < a->wanted ? a->wanted - taken : 0);
    account_same(a, "clients that are left out", rd_rounds_left_out(a->core), a->left_out);
    account_same(a, "clients that are asked early", rd_rounds_asked_early(a->core), a->early);
    account_same(a, "finished", rd_rounds_finished(a->core), a->finishing || a->finished);
    account_same(a, "waiting", rd_rounds_waiting(a->core),
                 !(a->open || a->closing || a->finishing || a->finished) && account_there(a) < account_needed(a));
}

/* ---- life ---- */

void account_open(account *a, const rd_rounds_options *options)
{
    rd_error err;
    *a = (account){.cohort = *options->cohort,
                   .steps = options->steps,
                   .seed = options->seed,
                   .rounds = options->rounds,
                   .round = options->first_round,
                   .finishing = options->first_round > options->rounds};
    if (rd_rounds_create(options, &a->core, &err) != RD_OK)
        abort();
    account_compare(a);
}

void account_close(account *a)
{
    rd_rounds_free(a->core);
    a->core = NULL;
}

/* ---- events ---- */

size_t account_join(account *a, const char *name)
{
    rd_error err;
    size_t expected = 0, client;
    while (expected < a->count && strcmp(a->clients[expected].name, name) != 0)
        expected++;
    if (expected == ACCOUNT_CLIENTS || rd_rounds_join(a->core, name, &client, &err) != RD_OK)
        abort();
    account_same(a, "the number of one who joins", client, expected);
    if (expected == a->count) {
        account_client *c = &a->clients[a->count++];
        *c = (account_client){.key = rd_client_key(name)};
        (void)snprintf(c->name, sizeof c->name, "%s", name);
    }
    a->clients[expected].there = true;
    account_compare(a);
    return expected;
}

void account_set_counted(account *a, size_t client, uint64_t round)
{
    a->clients[client].counted = round;
    rd_rounds_set_last_counted(a->core, client, round);
    account_compare(a);
}

void account_set_missed(account *a, size_t client, unsigned missed, uint64_t round)
{
    a->clients[client].missed = missed;
    a->clients[client].task = round;
    rd_rounds_set_missed(a->core, client, missed, round);
    account_compare(a);
}

void account_seen(account *a, size_t client)
{
    a->clients[client].there = true;
    rd_rounds_seen(a->core, client);
    account_compare(a);
}

/* The client has had its part. */
void account_end_part(account *a, size_t client)
{
    if (!account_is_asynchronous(a))
        return; /* it is in the cohort, and stays there */
    a->clients[client].takes_part = true;
    a->part[a->part_count++] = client;
}

static void fail(account *a, size_t client, uint64_t round, bool idle)
{
    account_client *c = &a->clients[client];
    if (!c->asked || round != c->task)
        return;
    c->asked = false;
    c->failed = true;
    c->idle = idle;
    account_end_part(a, client);
}

void account_fail(account *a, size_t client, uint64_t round)
{
    account_same_of(a, client, "an answer that is waited for", rd_rounds_awaits(a->core, client, round),
                    a->clients[client].asked && round == a->clients[client].task);
    fail(a, client, round, false);
    rd_rounds_fail(a->core, client, round);
    account_compare(a);
}

void account_pass(account *a, size_t client, uint64_t round)
{
    fail(a, client, round, true);
    rd_rounds_pass(a->core, client, round);
    account_compare(a);
}

void account_leave(account *a, size_t client)
{
    fail(a, client, a->clients[client].task, false);
    a->clients[client].there = false;
    rd_rounds_leave(a->core, client);
    account_compare(a);
}

void account_deadline(account *a, uint64_t round)
{
    a->deadline_passed = a->deadline_passed || (a->open && round == a->round);
    rd_rounds_deadline(a->core, round);
    account_compare(a);
}

/* Rounds that wait: an answer is taken in the step that is open, from who was asked in it, once. */
static rd_verdict verdict_of_waiting(const account *a, const account_client *c, uint64_t round, size_t step)
{
    const bool before = !(a->open || a->closing || a->finishing || a->finished);
    if (round > a->round || (round == a->round && before))
        return RD_VERDICT_FUTURE;
    if (round < a->round || !a->open || step < a->step)
        return RD_VERDICT_STALE;
    if (step > a->step)
        return RD_VERDICT_FUTURE;
    if (c->delivering)
        return RD_VERDICT_BUSY;
    return c->asked || (c->failed && c->in_step) ? RD_VERDICT_ACCEPT : RD_VERDICT_NOT_SELECTED;
}

/* Rounds that go on: from who was asked, for the model that it was given, unless that is too old. */
static rd_verdict verdict_of_going_on(const account *a, const account_client *c, uint64_t round)
{
    if (round > a->round)
        return RD_VERDICT_FUTURE;
    if (c->delivering)
        return RD_VERDICT_BUSY;
    if (!c->asked || round != c->task)
        return round < a->round ? RD_VERDICT_STALE : RD_VERDICT_NOT_SELECTED;
    if (a->round > round + a->cohort.most_staleness)
        return RD_VERDICT_STALE;
    return a->open ? RD_VERDICT_ACCEPT : RD_VERDICT_BUSY;
}

static rd_verdict verdict_of(const account *a, size_t client, uint64_t round, size_t step)
{
    const account_client *c = &a->clients[client];
    if (round != 0 && round == c->counted && a->steps[step]->counts)
        return RD_VERDICT_DUPLICATE;
    if (round == c->task && step < c->answered)
        return RD_VERDICT_DUPLICATE;
    return account_is_asynchronous(a) ? verdict_of_going_on(a, c, round) : verdict_of_waiting(a, c, round, step);
}

rd_verdict account_may_deliver(account *a, size_t client, uint64_t round, size_t step)
{
    const rd_verdict verdict = rd_rounds_may_deliver(a->core, client, round, step);
    account_same_of(a, client, "the verdict on an answer", verdict, verdict_of(a, client, round, step));
    return verdict;
}

rd_verdict account_deliver(account *a, size_t client, uint64_t round, size_t step)
{
    account_client *c = &a->clients[client];
    const rd_verdict expected = verdict_of(a, client, round, step);
    const rd_verdict verdict = rd_rounds_deliver(a->core, client, round, step);
    account_same_of(a, client, "the verdict on a whole answer", verdict, expected);
    if (expected == RD_VERDICT_ACCEPT) {
        c->asked = c->failed = c->idle = false;
        c->delivering = true;
    }
    account_compare(a);
    return verdict;
}

void account_delivered(account *a, size_t client)
{
    account_client *c = &a->clients[client];
    c->delivering = false;
    c->taken = true;
    c->answered++;
    if (a->steps[a->step]->counts)
        c->counted = c->task;
    account_end_part(a, client);
    rd_rounds_delivered(a->core, client);
    account_compare(a);
}

void account_unfit(account *a, size_t client)
{
    a->clients[client].delivering = false;
    a->clients[client].failed = true;
    account_end_part(a, client);
    rd_rounds_unfit(a->core, client);
    account_compare(a);
}

void account_committed(account *a, uint64_t round, bool stop)
{
    a->closing = false;
    a->round++;
    a->finishing = stop || a->round > a->rounds;
    rd_rounds_committed(a->core, round, stop);
    account_compare(a);
}
