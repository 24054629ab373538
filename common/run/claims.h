/* claims.h: what a client says of itself, which nobody can look up, within the bounds of what is known of it. */
#ifndef RONDO_RUN_CLAIMS_H
#define RONDO_RUN_CLAIMS_H

#include "config/config.h"
#include "core/error.h"
#include "train/local_round.h"

/* When it joins. RD_ERR_RANGE: more samples than cohort.max_samples. */
rd_status rd_claims_check_join(const rd_config *c, uint64_t samples, rd_error *err) RD_MUST_CHECK;
/* joined: the samples that it joined with. RD_ERR_RANGE names the value that is larger than these allow. */
rd_status rd_claims_check_report(const rd_config *c, uint64_t joined, const rd_report *report,
                                 rd_error *err) RD_MUST_CHECK;

#endif
