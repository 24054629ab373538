/* claims.c: see claims.h. */
#include "run/claims.h"

#include <inttypes.h>

rd_status rd_claims_check_join(const rd_config *c, uint64_t samples, rd_error *err)
{
    if (samples <= c->cohort.max_samples)
        return RD_OK;
    return rd_fail(err, RD_ERR_RANGE, "samples: expected at most %" PRIu64 " (cohort.max_samples), found %" PRIu64,
                   c->cohort.max_samples, samples);
}

/* No client trains on more mini-batches than its samples make. */
static uint64_t most_steps(const rd_training *t, uint64_t samples)
{
    const uint64_t batches = t->batch_size == 0 ? 1 : (samples + t->batch_size - 1) / t->batch_size;
    return t->epochs * batches;
}

rd_status rd_claims_check_report(const rd_config *c, uint64_t joined, const rd_report *report, rd_error *err)
{
    const struct {
        const char *key;
        uint64_t found;
    } counts[] = {{"samples", report->samples},
                  {"before_samples", report->before.samples},
                  {"holdout_samples", report->holdout.samples},
                  {"personal_samples", report->personal.samples}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].found > joined)
            return rd_fail(err, RD_ERR_RANGE,
                           "metadata '%s': expected at most %" PRIu64
                           ", the samples that the client joined with, found %" PRIu64,
                           counts[i].key, joined, counts[i].found);
    const uint64_t steps = most_steps(&c->training, report->samples);
    if (report->steps > steps)
        return rd_fail(err, RD_ERR_RANGE,
                       "metadata 'steps': expected at most %" PRIu64 " with %" PRIu64
                       " samples, training.epochs %u and training.batch_size %u, found %" PRIu64,
                       steps, report->samples, c->training.epochs, c->training.batch_size, report->steps);
    return RD_OK;
}
