/* account_state.h: the inside of the account, for its two files: what happens (account.c) and what is to come next
 * (account_actions.c). */
#ifndef RONDO_TESTS_WORLD_ACCOUNT_STATE_H
#define RONDO_TESTS_WORLD_ACCOUNT_STATE_H

#include "account.h"

/* The first thing that is not so. */
void account_complain(account *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void account_same(account *a, const char *what, uint64_t found, uint64_t expected);
void account_same_of(account *a, size_t client, const char *what, uint64_t found, uint64_t expected);
/* Everything that can be asked of the core. */
void account_compare(account *a);

bool account_is_asynchronous(const account *a);
size_t account_there(const account *a);       /* clients that may be selected */
size_t account_still_asked(const account *a); /* that have a task */
/* In hundredths, which is what the cohorts of tests are written in: no rounding of halves. */
size_t account_hundredths(double x);
/* Updates that a round wants of so many clients; clients that it needs to begin; answers that its open step needs. */
size_t account_wanted_of(const rd_cohort_config *c, size_t available);
size_t account_needed(const account *a);
size_t account_least_answers(const account *a);

rd_participation account_part_of(const account_client *c);
/* The client has had its part. */
void account_end_part(account *a, size_t client);

#endif
