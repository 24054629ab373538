/* record_line.h: what is known of a round, as one line for people: "round 3/10  test loss 0.5123  accuracy 81.20 %  5/5
 * clients  1.3 s". */
#ifndef RONDO_RUN_RECORD_LINE_H
#define RONDO_RUN_RECORD_LINE_H

#include "store/store.h"

void rd_record_line(const rd_round_record *record, uint64_t rounds, char *text, size_t size);

#endif
