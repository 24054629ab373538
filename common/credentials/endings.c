/* endings.c: see endings.h. */
#include "credentials/endings.h"

#include <stdio.h>
#include <time.h>

#define DAY 86400.0
#define WARN_DAYS 30.0

const char *rd_date_write(double seconds, char text[RD_DATE_MAX])
{
    const time_t when = (time_t)seconds;
    struct tm parts;
    if (gmtime_r(&when, &parts) == NULL || strftime(text, RD_DATE_MAX, "%Y-%m-%d %H:%M UTC", &parts) == 0)
        (void)snprintf(text, RD_DATE_MAX, "?");
    return text;
}

bool rd_endings_is_due(rd_endings *e, rd_ending kind, double ends, double now, char line[RD_ENDINGS_LINE])
{
    char date[RD_DATE_MAX];
    if (ends == 0.0 || ends - now > WARN_DAYS * DAY)
        return false;
    if (e->told_at[kind] != 0.0 && now >= e->told_at[kind] && now < e->told_at[kind] + DAY)
        return false;
    e->told_at[kind] = now;
    const double days = (ends - now) / DAY;
    if (days < 0.0)
        (void)snprintf(line, RD_ENDINGS_LINE, "has ended (%s)", rd_date_write(ends, date));
    else
        (void)snprintf(line, RD_ENDINGS_LINE, "ends in %.0f day%s (%s)", days, days > 0.5 && days < 1.5 ? "" : "s",
                       rd_date_write(ends, date));
    return true;
}
