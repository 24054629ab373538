/* record_line.c: see record_line.h. */
#include "run/record_line.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "round/backoff.h"

static size_t print(char *text, size_t size, size_t at, const char *format, double value)
{
    if (at >= size)
        return at;
    int written = snprintf(text + at, size - at, format, value);
    return written < 0 ? at : at + (size_t)written;
}

void rd_record_line(const rd_round_record *record, uint64_t rounds, char *text, size_t size)
{
    int written =
        snprintf(text, size, "round %llu/%llu", (unsigned long long)record->round, (unsigned long long)rounds);
    size_t at = written < 0 ? 0 : (size_t)written;
    if (record->test.samples > 0) {
        at = print(text, size, at, "  test loss %.4f", record->test.loss);
        if (!isnan(record->test.accuracy))
            at = print(text, size, at, "  accuracy %.2f %%", 100.0 * record->test.accuracy);
    }
    for (size_t i = 0; i < RD_SCORES && record->test.samples > 0; i++)
        if (!isnan(record->scores.value[i]) && at < size) {
            int length = snprintf(text + at, size - at, "  %s %.4f", rd_score_names[i], record->scores.value[i]);
            at += length > 0 ? (size_t)length : 0;
        }
    if (record->train.samples > 0)
        at = print(text, size, at, "  train loss %.4f", record->train.loss);
    if (record->holdout.samples > 0)
        at = print(text, size, at, "  hold-out loss %.4f", record->holdout.loss);
    if (!isnan(record->gap))
        at = print(text, size, at, "  gap %+.4f", record->gap);
    if (!isnan(record->running_loss) && record->round > 0)
        at = print(text, size, at, "  clients' loss %.4f", record->running_loss);
    if (record->round > 0 && at < size)
        (void)snprintf(text + at, size - at, "  %llu/%llu clients%s%s%s  %.3g s", (unsigned long long)record->counted,
                       (unsigned long long)record->selected, record->aggregated ? "" : " (",
                       record->aggregated             ? ""
                       : record->abandoned[0] != '\0' ? record->abandoned
                                                      : "too few",
                       record->aggregated ? "" : ": model kept)", record->seconds);
}

void rd_record_add_limited(const rd_round_record *record, const rd_participation_record *parts, size_t count,
                           char *text, size_t size)
{
    enum { MOST_NAMED = 3 };
    size_t at = strlen(text), named = 0, all = 0;
    for (size_t i = 0; record->weight_limit > 0 && i < count; i++) {
        const rd_participation_record *p = &parts[i];
        if (p->status != RD_PART_COUNTED || p->report.samples <= record->weight_limit || all++ >= MOST_NAMED ||
            at >= size)
            continue;
        int written = named++ == 0 ? snprintf(text + at, size - at, "; counted as %" PRIu64 ": ", record->weight_limit)
                                   : snprintf(text + at, size - at, ", ");
        at += written > 0 ? (size_t)written : 0;
        written =
            at < size ? snprintf(text + at, size - at, "%s (%" PRIu64 " samples)", p->client, p->report.samples) : 0;
        at += written > 0 ? (size_t)written : 0;
    }
    if (all > named && at < size)
        (void)snprintf(text + at, size - at, " and %zu more", all - named);
}

void rd_record_add_backoff(const rd_cohort_config *cohort, const rd_round_record *record,
                           const rd_participation_record *parts, size_t count, char *text, size_t size)
{
    enum { MOST_NAMED = 3 };
    size_t at = strlen(text), all = 0;
    for (size_t i = 0; i < count && at < size; i++) {
        const uint64_t rounds = rd_backoff_rounds(parts[i].missed, cohort->max_backoff);
        if (rounds == 0 || all++ >= MOST_NAMED)
            continue;
        int written = snprintf(text + at, size - at, "%s%s (%" PRIu64 ")",
                               all == 1 ? "; left out of next rounds: " : ", ", parts[i].client, rounds);
        at += written > 0 ? (size_t)written : 0;
    }
    if (all > MOST_NAMED && at < size)
        at += (size_t)snprintf(text + at, size - at, " and %zu more", all - MOST_NAMED);
    if (record->early > 0 && at < size)
        (void)snprintf(text + at, size - at, "; asked %" PRIu64 " that should be left out, as too few others are there",
                       record->early);
}
