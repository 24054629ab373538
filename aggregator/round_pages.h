/* round_pages.h: what GET /v1/rounds answers, from the state directory. */
#ifndef RONDO_AGGREGATOR_ROUND_PAGES_H
#define RONDO_AGGREGATOR_ROUND_PAGES_H

#include <stdint.h>

#include "core/error.h"

#define RD_ROUND_PAGE_TAG 48 /* bytes of an ETag, quotes and end of string included */

typedef struct rd_round_pages rd_round_pages;

/* state_directory stays the caller's. */
rd_status rd_round_pages_create(const char *state_directory, rd_round_pages **out, rd_error *err) RD_MUST_CHECK;
void rd_round_pages_free(rd_round_pages *p); /* NULL: nothing */

typedef struct rd_round_page {
    int fd;        /* the caller's to close */
    uint64_t size; /* bytes in it: a JSON array */
    char tag[RD_ROUND_PAGE_TAG];
} rd_round_page;

/* Which rounds are wanted, and how many this process had committed: when they were asked for, and now. */
typedef struct rd_round_query {
    uint64_t from, commits_then, commits_now;
} rd_round_query;

/* The records of rounds from `from` on, at least as they were when they were asked for: an answer that was made since is
 * given again. One thread at a time. */
rd_status rd_round_pages_get(rd_round_pages *p, const rd_round_query *query, rd_round_page *out,
                             rd_error *err) RD_MUST_CHECK;

#endif
