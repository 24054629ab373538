/* account.h: what happens at the door of a run, on its way into its account (store/store.h, rd_store_note): who left, who
 * was refused and why. Told by many threads, written by one. Strangers cannot fill a disk with it: beyond a burst of
 * RD_ACCOUNT_BURST entries there is one a second, and of those in excess the number is written, once a minute. */
#ifndef RONDO_AGGREGATOR_ACCOUNT_H
#define RONDO_AGGREGATOR_ACCOUNT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RD_ACCOUNT_BURST 64

typedef struct rd_account_item {
    char event[16]; /* "enrolled", "renewed", "token", "revoked", "left", "refused", "unwritten" */
    char client[128];
    char why[300];
} rd_account_item;

typedef struct rd_account {
    pthread_mutex_t lock;
    rd_account_item items[RD_ACCOUNT_BURST]; /* a ring */
    size_t first, count;
    double allowed, at; /* entries that may still come, as of then (rd_clock_seconds) */
    uint64_t excess;    /* that were not taken ... */
    double excess_at;   /* ... since then */
} rd_account;

void rd_account_init(rd_account *a);
void rd_account_destroy(rd_account *a);
/* From any thread. now: rd_clock_seconds. False: it is one too many, and counted. */
bool rd_account_add(rd_account *a, double now, const char *event, const char *client, const char *why);
/* The next one to be written; false: there is none. now INFINITY: the end, so what is in excess is due. */
bool rd_account_take(rd_account *a, double now, rd_account_item *out);

#endif
