/* attempts.c: see attempts.h. */
#include "attempts.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static void without_port(const char *address, char host[48])
{
    const char *end = strrchr(address, ':');
    (void)snprintf(host, 48, "%.*s", (int)(end != NULL ? end - address : 47), address);
}

bool rd_attempts_may(const rd_attempts *a, const char *address, double now)
{
    char host[48];
    without_port(address, host);
    for (size_t i = 0; i < RD_ATTEMPTS_ADDRESSES; i++)
        if (a->of[i].count > 0 && strcmp(a->of[i].address, host) == 0)
            return a->of[i].count < RD_ATTEMPTS_MOST || now >= a->of[i].began + RD_ATTEMPTS_SECONDS;
    return true;
}

void rd_attempts_failed(rd_attempts *a, const char *address, double now)
{
    char host[48];
    size_t at = 0;
    without_port(address, host);
    for (size_t i = 0; i < RD_ATTEMPTS_ADDRESSES; i++) {
        if (a->of[i].count > 0 && strcmp(a->of[i].address, host) == 0) {
            at = i;
            break;
        }
        if (a->of[i].count == 0 || (a->of[at].count > 0 && a->of[i].began < a->of[at].began))
            at = i;
    }
    if (a->of[at].count == 0 || strcmp(a->of[at].address, host) != 0 || now >= a->of[at].began + RD_ATTEMPTS_SECONDS) {
        (void)snprintf(a->of[at].address, sizeof a->of[at].address, "%s", host);
        a->of[at].began = now;
        a->of[at].count = 0;
    }
    a->of[at].count++;
}
