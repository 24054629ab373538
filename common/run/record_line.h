/* record_line.h: what is known of a round, as one line for people: "round 3/10  test loss 0.5123  accuracy 81.20 %  5/5
 * clients  1.3 s". */
#ifndef RONDO_RUN_RECORD_LINE_H
#define RONDO_RUN_RECORD_LINE_H

#include "store/store.h"

void rd_record_line(const rd_round_record *record, uint64_t rounds, char *text, size_t size);
/* Of the clients that had more samples than one may count in this round: "; counted as 40: bob (1000 samples)", behind
 * what text holds. */
void rd_record_add_limited(const rd_round_record *record, const rd_participation_record *parts, size_t count,
                           char *text, size_t size);

#endif
