/* record_line.c: see record_line.h. */
#include "run/record_line.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
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

#define MOST_NAMED 3

/* Behind what text holds, as far as there is room. */
static void append(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t size, const char *format, ...)
{
    const size_t at = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + at, size - at, format, arguments);
    va_end(arguments);
}

void rd_record_add_limited(const rd_round_record *record, const rd_participation_record *parts, size_t count,
                           char *text, size_t size)
{
    size_t all = 0;
    for (size_t i = 0; record->weight_limit > 0 && i < count; i++) {
        const rd_participation_record *p = &parts[i];
        if (p->status != RD_PART_COUNTED || p->report.samples <= record->weight_limit || all++ >= MOST_NAMED)
            continue;
        if (all == 1)
            append(text, size, "; counted as %" PRIu64 ": ", record->weight_limit);
        append(text, size, "%s%s (%" PRIu64 " samples)", all == 1 ? "" : ", ", p->client, p->report.samples);
    }
    if (all > MOST_NAMED)
        append(text, size, " and %zu more", all - MOST_NAMED);
}

void rd_record_add_backoff(const rd_cohort_config *cohort, const rd_round_record *record,
                           const rd_participation_record *parts, size_t count, char *text, size_t size)
{
    size_t all = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t rounds = rd_backoff_rounds(parts[i].missed, cohort->max_backoff);
        if (rounds == 0 || all++ >= MOST_NAMED)
            continue;
        append(text, size, "%s%s (%" PRIu64 ")", all == 1 ? "; left out of next rounds: " : ", ", parts[i].client,
               rounds);
    }
    if (all > MOST_NAMED)
        append(text, size, " and %zu more", all - MOST_NAMED);
    if (record->early > 0)
        append(text, size, "; asked %" PRIu64 " that should be left out, as too few others are there", record->early);
}
