/* outcome.h: did the run come to anything? A round that aggregates nothing leaves the model as it was and the run goes
 * on, because clients may come back. A run that ends so, however, is no success, and must not look like one. */
#ifndef RONDO_RUN_OUTCOME_H
#define RONDO_RUN_OUTCOME_H

#include "config/config.h"
#include "core/error.h"
#include "run/stopping.h"
#include "store/store.h"

/* RD_ERR_IDLE where no round at all has aggregated anything, or none of the last tenth of them (at least 3), or the
 * run was given up; the message says what became of the clients of the last round. trouble: why a client failed in it, or
 * empty. */
rd_status rd_outcome_check(const rd_config *c, const rd_round_record *last, const rd_stopping *stopping,
                           const char *trouble, rd_error *err) RD_MUST_CHECK;

#endif
