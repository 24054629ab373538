/* round_pages.c: see round_pages.h. Reading a thousand records out of SQLite and writing them as JSON takes 50 ms, so an
 * answer is made once for all who have asked for the same by then, and given until another round is committed; one that is
 * full stays right for ever, because records do not change.
 *
 * An answer is a file in memory. So those who take it slowly share it, and cost a descriptor each and no copy. */
#include "round_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/json_print.h"
#include "core/crypto.h"
#include "store/record_json.h"
#include "store/store.h"

#define MOST_ROUNDS 1000u /* records in one answer */
#define PAGES 8u          /* answers that are remembered: about 600 KB each */

typedef struct page {
    bool known;
    uint64_t from, commits, used; /* used: the larger, the later */
    bool full;
    rd_round_page file;
} page;

struct rd_round_pages {
    const char *state_directory;
    uint64_t clock;
    page pages[PAGES];
};

rd_status rd_round_pages_create(const char *state_directory, rd_round_pages **out, rd_error *err)
{
    rd_round_pages *p = calloc(1, sizeof *p);
    if (p == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for answers of rounds");
    p->state_directory = state_directory;
    *out = p;
    return RD_OK;
}

void rd_round_pages_free(rd_round_pages *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < PAGES; i++)
        if (p->pages[i].known)
            close(p->pages[i].file.fd);
    free(p);
}

/* ---- making a page ---- */

typedef struct round_list {
    cJSON *array;
    size_t count;
    bool whole; /* memory was found for all of them */
} round_list;

static bool add_round(const rd_round_record *record, void *user)
{
    round_list *list = user;
    list->whole = cJSON_AddItemToArray(list->array, rd_round_record_json(record));
    return ++list->count < MOST_ROUNDS && list->whole;
}

static rd_status list_rounds(const rd_round_pages *p, uint64_t from, round_list *list, rd_error *err)
{
    rd_status status = RD_OK;
    rd_store *reader = NULL;
    RD_TRY(rd_store_open_reader(p->state_directory, &reader, err));
    RD_TRY(rd_store_rounds(reader, from, add_round, list, err));
cleanup:
    rd_store_close(reader);
    return status;
}

/* text in a file in memory, named after its SHA-256. */
static rd_status write_page(const char *text, rd_round_page *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_sha256 digest;
    char hex[RD_SHA256_HEX];
    out->size = strlen(text);
    rd_sha256_start(&digest);
    rd_sha256_add(&digest, text, out->size);
    rd_sha256_finish_hex(&digest, hex);
    (void)snprintf(out->tag, sizeof out->tag, "\"%.32s\"", hex);
    out->fd = memfd_create("rounds", MFD_CLOEXEC);
    if (out->fd < 0)
        return rd_fail(err, RD_ERR_MEMORY, "no file in memory for an answer: %s", strerror(errno));
    for (uint64_t at = 0; at < out->size;) {
        ssize_t n = write(out->fd, text + at, out->size - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            RD_THROW(RD_ERR_MEMORY, "no room in memory for an answer: %s", strerror(errno));
        at += (uint64_t)n;
    }
cleanup:
    if (status != RD_OK)
        close(out->fd);
    return status;
}

static rd_status make_page(const rd_round_pages *p, uint64_t from, page *made, rd_error *err)
{
    rd_status status = RD_OK;
    char *text = NULL;
    round_list list = {.array = cJSON_CreateArray(), .whole = true};
    RD_TRY(list_rounds(p, from, &list, err));
    text = list.whole ? rd_json_print(list.array) : NULL;
    if (text == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the records of %zu rounds", list.count);
    RD_TRY(write_page(text, &made->file, err));
    made->full = list.count == MOST_ROUNDS;
    made->from = from;
    made->known = true;
cleanup:
    free(text);
    cJSON_Delete(list.array);
    return status;
}

/* ---- finding one ---- */

/* The page that begins at `from`, or the one that was asked for longest ago. */
static page *find_place(rd_round_pages *p, uint64_t from)
{
    page *oldest = &p->pages[0];
    for (size_t i = 0; i < PAGES; i++) {
        page *candidate = &p->pages[i];
        if (candidate->known && candidate->from == from)
            return candidate;
        if (candidate->used < oldest->used)
            oldest = candidate;
    }
    return oldest;
}

rd_status rd_round_pages_get(rd_round_pages *p, const rd_round_query *query, rd_round_page *out, rd_error *err)
{
    page *place = find_place(p, query->from), made = {.commits = query->commits_now};
    const bool right =
        place->known && place->from == query->from && (place->full || place->commits >= query->commits_then);
    if (!right) {
        rd_status status = make_page(p, query->from, &made, err);
        if (status != RD_OK)
            return status;
        if (place->known)
            close(place->file.fd);
        *place = made;
    }
    place->used = ++p->clock;
    *out = place->file;
    out->fd = fcntl(place->file.fd, F_DUPFD_CLOEXEC, 0);
    if (out->fd < 0)
        return rd_fail(err, RD_ERR_MEMORY, "an answer cannot be opened now: %s", strerror(errno));
    return RD_OK;
}
