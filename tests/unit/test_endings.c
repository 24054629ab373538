/* When it is said that a certificate or a list ends, and in which words; days by hand. */
#include <criterion/criterion.h>

#include "credentials/endings.h"

Test(endings, they_are_told_once_a_day_from_30_days_on)
{
    const double day = 86400, ends = 1000 * day; /* 1972-09-27 */
    char line[RD_ENDINGS_LINE];
    rd_endings e = {{0}};
    cr_expect_not(rd_endings_is_due(&e, RD_ENDING_CRL, 0, 5, line), "it never ends");
    cr_expect_not(rd_endings_is_due(&e, RD_ENDING_CERTIFICATE, ends, ends - 30 * day - 1, line));
    cr_assert(rd_endings_is_due(&e, RD_ENDING_CERTIFICATE, ends, ends - 30 * day, line));
    cr_expect_str_eq(line, "ends in 30 days (1972-09-27 00:00 UTC)");
    cr_expect_not(rd_endings_is_due(&e, RD_ENDING_CERTIFICATE, ends, ends - 30 * day, line));
    cr_expect_not(rd_endings_is_due(&e, RD_ENDING_CERTIFICATE, ends, ends - 29 * day - 1, line));
    cr_assert(rd_endings_is_due(&e, RD_ENDING_CRL, ends + 3661, ends - 29 * day, line), "of another kind");
    cr_expect_str_eq(line, "ends in 29 days (1972-09-27 01:01 UTC)");
    cr_assert(rd_endings_is_due(&e, RD_ENDING_CERTIFICATE, ends, ends - 29 * day, line));
    cr_expect_str_eq(line, "ends in 29 days (1972-09-27 00:00 UTC)");
    cr_assert(rd_endings_is_due(&e, RD_ENDING_CERTIFICATE, ends, ends - 29 * day - 5, line), "the clock was set back");
    e = (rd_endings){{0}};
    cr_assert(rd_endings_is_due(&e, RD_ENDING_CERTIFICATE, ends, ends - 1.4 * day, line));
    cr_expect_str_eq(line, "ends in 1 day (1972-09-27 00:00 UTC)");
    e = (rd_endings){{0}};
    cr_assert(rd_endings_is_due(&e, RD_ENDING_CERTIFICATE, ends, ends - 0.4 * day, line));
    cr_expect_str_eq(line, "ends in 0 days (1972-09-27 00:00 UTC)");
    e = (rd_endings){{0}};
    cr_assert(rd_endings_is_due(&e, RD_ENDING_CERTIFICATE, ends, ends - 0.5 * day, line));
    cr_expect_str_eq(line, "ends in 0 days (1972-09-27 00:00 UTC)"); /* halves to even */
    e = (rd_endings){{0}};
    cr_assert(rd_endings_is_due(&e, RD_ENDING_CERTIFICATE, ends, ends, line));
    cr_expect_str_eq(line, "ends in 0 days (1972-09-27 00:00 UTC)");
    e = (rd_endings){{0}};
    cr_assert(rd_endings_is_due(&e, RD_ENDING_CERTIFICATE, ends, ends + 1, line));
    cr_expect_str_eq(line, "has ended (1972-09-27 00:00 UTC)");
}
