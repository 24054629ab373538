/* client_sums.h: what the clients of a round have reported, weighted by samples, and what they count. The sums are
 * exact: no order of arrival is left in them, and what was added can be taken off again. */
#ifndef RONDO_RUN_CLIENT_SUMS_H
#define RONDO_RUN_CLIENT_SUMS_H

#include "core/exact_sum.h"
#include "round/strategy.h"
#include "store/store.h"
#include "train/local_round.h"

/* Begins as zero. */
typedef struct rd_client_sums {
    uint64_t samples, updates, weight;
    rd_exact_scalar running_loss;
    rd_exact_scalar train_loss, train_accuracy;
    rd_exact_scalar holdout_loss, holdout_accuracy;
    rd_exact_scalar personal_loss, personal_accuracy;
    rd_exact_scalar extra; /* of their contributions */
} rd_client_sums;

/* What a client tells. RD_ERR_RANGE: it is beyond what sums hold; then they are of no use any more. */
rd_status rd_client_sums_add_report(rd_client_sums *sums, const rd_report *report, rd_error *err) RD_MUST_CHECK;
/* What its update counts. RD_ERR_RANGE as above. */
rd_status rd_client_sums_add_weight(rd_client_sums *sums, const rd_strategy *s, const rd_contribution *c,
                                    rd_error *err) RD_MUST_CHECK;
/* Takes off what was added for this report. */
void rd_client_sums_remove_report(rd_client_sums *sums, const rd_report *report);
void rd_client_sums_add(rd_client_sums *into, const rd_client_sums *from);
/* Fills in the record's samples and means. */
void rd_client_sums_tell(const rd_client_sums *sums, rd_round_record *record);

#endif
