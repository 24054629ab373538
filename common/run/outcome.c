/* outcome.c: see outcome.h. */
#include "run/outcome.h"

#include <stdio.h>
#include <string.h>

/* Rounds at the end of a run of so many that must not all be without an aggregation. */
static uint64_t most_idle(uint64_t rounds)
{
    uint64_t tenth = (rounds + 9) / 10;
    return tenth > 3 ? tenth : 3;
}

/* "of 5 clients 1 delivered (cohort.min_updates is 2), 4 were late (cohort.deadline_seconds is 1)" */
static void say_what_happened(const rd_config *c, const rd_round_record *r, const char *trouble, char *text,
                              size_t size)
{
    char late[96] = "", failed[224] = "", why[224] = "";
    if (r->abandoned[0] != '\0')
        (void)snprintf(why, sizeof why, ": %.200s", r->abandoned);
    if (r->late > 0)
        (void)snprintf(late, sizeof late, ", %llu did not answer in time (cohort.deadline_seconds is %g)",
                       (unsigned long long)r->late, c->cohort.deadline_seconds);
    if (r->failed > 0)
        (void)snprintf(failed, sizeof failed, ", %llu failed%s%.160s%s", (unsigned long long)r->failed,
                       trouble[0] != '\0' ? " (" : "", trouble, trouble[0] != '\0' ? ")" : "");
    (void)snprintf(text, size, "of %llu clients %llu delivered (cohort.min_updates is %llu)%s%s%s",
                   (unsigned long long)r->selected, (unsigned long long)r->counted,
                   (unsigned long long)c->cohort.min_updates, late, failed, why);
}

rd_status rd_outcome_check(const rd_config *c, const rd_round_record *last, const rd_stopping *stopping,
                           const char *trouble, rd_error *err)
{
    char what[640];
    const uint64_t changed = stopping->changed, idle = last->round - changed;
    if (stopping->given_up) {
        say_what_happened(c, last, trouble, what, sizeof what);
        return rd_fail(err, RD_ERR_IDLE,
                       "the run was given up after round %llu: its last %llu rounds were abandoned (a larger "
                       "cohort.max_abandoned continues it). In the last, %s",
                       (unsigned long long)last->round, (unsigned long long)stopping->abandoned, what);
    }
    if (last->round == 0 || (changed > 0 && idle < most_idle(last->round)))
        return RD_OK;
    say_what_happened(c, last, trouble, what, sizeof what);
    if (changed == 0)
        return rd_fail(err, RD_ERR_IDLE,
                       "the run is over, but none of its %llu rounds aggregated anything: the model is the "
                       "initial one. In "
                       "the last, %s",
                       (unsigned long long)last->round, what);
    return rd_fail(err, RD_ERR_IDLE,
                   "the run is over, but its last %llu rounds aggregated nothing: the model is that of round "
                   "%llu. In the "
                   "last, %s",
                   (unsigned long long)idle, (unsigned long long)changed, what);
}
