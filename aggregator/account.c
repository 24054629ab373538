/* account.c: see account.h. */
#include "account.h"

#include <inttypes.h>
#include <stdio.h>

void rd_account_init(rd_account *a)
{
    *a = (rd_account){.lock = PTHREAD_MUTEX_INITIALIZER, .allowed = RD_ACCOUNT_BURST};
}

void rd_account_destroy(rd_account *a)
{
    pthread_mutex_destroy(&a->lock);
}

bool rd_account_add(rd_account *a, double now, const char *event, const char *client, const char *why)
{
    pthread_mutex_lock(&a->lock);
    if (a->at > 0.0 && now > a->at)
        a->allowed += now - a->at;
    a->at = now;
    if (a->allowed > RD_ACCOUNT_BURST)
        a->allowed = RD_ACCOUNT_BURST;
    const bool taken = a->allowed >= 1.0 && a->count < RD_ACCOUNT_BURST;
    if (taken) {
        rd_account_item *item = &a->items[(a->first + a->count++) % RD_ACCOUNT_BURST];
        (void)snprintf(item->event, sizeof item->event, "%s", event);
        (void)snprintf(item->client, sizeof item->client, "%s", client);
        (void)snprintf(item->why, sizeof item->why, "%s", why);
        a->allowed -= 1.0;
    } else if (a->excess++ == 0) {
        a->excess_at = now;
    }
    pthread_mutex_unlock(&a->lock);
    return taken;
}

bool rd_account_take(rd_account *a, double now, rd_account_item *out)
{
    const double minute = 60.0;
    pthread_mutex_lock(&a->lock);
    const bool any = a->count > 0, excess = a->excess > 0 && now >= a->excess_at + minute;
    if (any) {
        *out = a->items[a->first];
        a->first = (a->first + 1) % RD_ACCOUNT_BURST;
        a->count--;
    } else if (excess) {
        *out = (rd_account_item){.event = "unwritten"};
        (void)snprintf(out->why, sizeof out->why, "%" PRIu64 " more, which came too fast", a->excess);
        a->excess = 0;
    }
    pthread_mutex_unlock(&a->lock);
    return any || excess;
}
