/* endings.h: certificates end, and a run may go on for longer. Whoever can renew them is told when there are 30 days left, at
 * the start and then once a day. */
#ifndef RONDO_CREDENTIALS_ENDINGS_H
#define RONDO_CREDENTIALS_ENDINGS_H

#include <stdbool.h>

#define RD_ENDINGS_LINE 96
#define RD_DATE_MAX 32

typedef enum rd_ending { RD_ENDING_CERTIFICATE, RD_ENDING_CRL, RD_ENDING_KINDS } rd_ending;

typedef struct rd_endings {
    double told_at[RD_ENDING_KINDS]; /* 0: not yet */
} rd_endings;

/* Is it time to say that something of this kind ends? Then line is "ends in 3 days (2026-12-01 12:00 UTC)". ends and now: seconds
 * since 1970; ends 0: it never does. */
bool rd_endings_is_due(rd_endings *e, rd_ending kind, double ends, double now, char line[RD_ENDINGS_LINE]);
/* "2026-12-01 12:00 UTC"; returns text. */
const char *rd_date_write(double seconds, char text[RD_DATE_MAX]);

#endif
