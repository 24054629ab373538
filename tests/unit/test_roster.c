/* The roster where memory runs out: the i-th allocation fails, for every i, and the roster stays whole. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long left = -1; /* allocations until one fails; -1: none does */

static int runs_out(void)
{
    return left >= 0 && left-- == 0;
}

static void *failing_calloc(size_t n, size_t size)
{
    return runs_out() ? NULL : calloc(n, size);
}

static void *failing_realloc(void *old, size_t size)
{
    return runs_out() ? NULL : realloc(old, size);
}

static char *failing_strdup(const char *text)
{
    return runs_out() ? NULL : strdup(text);
}

#undef strdup
#define calloc failing_calloc
#define realloc failing_realloc
#define strdup failing_strdup
#include "../../common/core/grow.c"
#include "../../common/round/roster.c"
#undef calloc
#undef realloc
#undef strdup

enum { CLIENTS = 100 };

static const char *name_of(int i)
{
    static char name[24];
    (void)snprintf(name, sizeof name, "client-%d", i);
    return name;
}

Test(roster, stays_whole_whichever_allocation_fails)
{
    for (long fails = 0; fails < 2 * CLIENTS; fails++) {
        rd_roster r = {0};
        rd_error err;
        size_t number;
        int refused = 0;
        left = fails;
        for (int i = 0; i < CLIENTS; i++) {
            rd_status status = rd_roster_add(&r, name_of(i), &number, &err);
            cr_assert(status == RD_OK || status == RD_ERR_MEMORY);
            if (status != RD_OK) {
                cr_assert(strstr(err.message, "no memory") != NULL);
                refused++;
                i--; /* the same client tries again */
            }
        }
        cr_assert_eq(refused, left < 0 ? 1 : 0, "allocation %ld", fails);
        left = -1;
        cr_assert_eq(r.count, CLIENTS);
        for (int i = 0; i < CLIENTS; i++)
            cr_assert_eq(rd_roster_find(&r, name_of(i)), (size_t)i);
        rd_roster_free(&r);
    }
}
