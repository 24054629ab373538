/* record_line.h: what is known of a round, as one line for people: "round 3/10  test loss 0.5123  accuracy 81.20 %  5/5
 * clients  1.3 s". */
#ifndef RONDO_RUN_RECORD_LINE_H
#define RONDO_RUN_RECORD_LINE_H

#include "round/round.h"
#include "store/store.h"

void rd_record_line(const rd_round_record *record, uint64_t rounds, char *text, size_t size);
/* Of the clients that had more samples than one may count in this round: "; counted as 40: bob (1000 samples)", behind
 * what text holds. */
void rd_record_add_limited(const rd_round_record *record, const rd_participation_record *parts, size_t count,
                           char *text, size_t size);
/* Of the clients that missed this round: "; left out of next rounds: bob (2)", and of those that were asked all the same:
 * "; asked 1 that should be left out, as too few others are there". Behind what text holds. */
void rd_record_add_backoff(const rd_cohort_config *cohort, const rd_round_record *record,
                           const rd_participation_record *parts, size_t count, char *text, size_t size);

#endif
