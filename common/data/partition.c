/* partition.c: see partition.h.
 *
 * Every scheme ends in the same shape: an array of row numbers, client after client, and where each client's
 * part starts. IID and shards lay that array out directly; Dirichlet and groups first decide an owner for
 * every row and then sort rows by owner (a counting sort, so a client's rows stand in rising order). */
#include "data/partition.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/random.h"

#define NOBODY UINT32_MAX
#define DIRICHLET_DRAWS 10

static void count_up(uint32_t *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        items[i] = (uint32_t)i;
}

/* ---- iid ---- */

static void deal_iid(rd_random *random, size_t rows, rd_partition *p)
{
    count_up(p->rows, rows);
    rd_random_shuffle(random, p->rows, rows);
    const size_t each = rows / p->clients, left = rows % p->clients;
    for (size_t c = 0; c <= p->clients; c++)
        p->start[c] = c * each + (c < left ? c : left);
}

/* ---- by label ---- */

static int by_key(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Row numbers by rising label; rows of one label keep their order, as the row number is part of the key. */
static rd_status sort_by_label(const rd_dataset *d, uint32_t *order, rd_error *err)
{
    uint64_t *key = malloc(d->rows * sizeof *key);
    if (key == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory to sort %zu rows", d->rows);
    for (size_t i = 0; i < d->rows; i++)
        key[i] = (uint64_t)d->labels[i] << 32 | i;
    qsort(key, d->rows, sizeof *key, by_key);
    for (size_t i = 0; i < d->rows; i++)
        order[i] = (uint32_t)key[i];
    free(key);
    return RD_OK;
}

/* Shard s of S is [s N / S, (s + 1) N / S) of the sorted rows: sizes differ by at most one, and are equal
 * where S divides N. */
static rd_status deal_shards(const rd_dataset *d, uint32_t per_client, rd_random *random, rd_partition *p,
                             rd_error *err)
{
    rd_status status = RD_OK;
    const uint64_t N = d->rows, S = (uint64_t)p->clients * per_client;
    uint32_t *shard = NULL, *order = NULL;
    size_t at = 0;
    if (S > N)
        return rd_fail(err, RD_ERR_DATA,
                       "data.partition.shards_per_client: %zu clients with %u shards each need %llu rows; the data "
                       "have %llu",
                       p->clients, per_client, (unsigned long long)S, (unsigned long long)N);
    shard = malloc(S * sizeof *shard);
    order = malloc(N * sizeof *order);
    if (shard == NULL || order == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for %llu shards", (unsigned long long)S);
    RD_TRY(sort_by_label(d, order, err));
    count_up(shard, S);
    rd_random_shuffle(random, shard, S);
    for (size_t c = 0; c < p->clients; c++) {
        p->start[c] = at;
        for (size_t i = 0; i < per_client; i++) {
            const uint64_t s = shard[c * per_client + i], begin = s * N / S, end = (s + 1) * N / S;
            memcpy(p->rows + at, order + begin, (end - begin) * sizeof *order);
            at += end - begin;
        }
    }
    p->start[p->clients] = at;
cleanup:
    free(shard);
    free(order);
    return status;
}

/* ---- from owners to rows ---- */

/* Lays rows out by owner[row], in rising order within a client; rows of NOBODY are not dealt. */
static void deal_by_owner(const uint32_t *owner, size_t rows, rd_partition *p)
{
    memset(p->start, 0, (p->clients + 1) * sizeof *p->start);
    for (size_t i = 0; i < rows; i++)
        if (owner[i] != NOBODY)
            p->start[owner[i] + 1]++;
    for (size_t c = 0; c < p->clients; c++)
        p->start[c + 1] += p->start[c];
    /* start[c] serves as client c's cursor and ends up where client c + 1 begins; then it is moved back. */
    for (size_t i = 0; i < rows; i++)
        if (owner[i] != NOBODY)
            p->rows[p->start[owner[i]]++] = (uint32_t)i;
    for (size_t c = p->clients; c > 0; c--)
        p->start[c] = p->start[c - 1];
    p->start[0] = 0;
}

/* ---- dirichlet ---- */

typedef struct dirichlet {
    double alpha;
    size_t rows, clients;
    const int32_t *labels;
    rd_random *random;
    uint32_t *order; /* (rows) by label */
    uint32_t *owner; /* (rows) */
    uint32_t *size;  /* (clients) rows owned */
    double *share;   /* (clients) of the class at hand */
} dirichlet;

/* One draw from Dirichlet(alpha, ..., alpha): independent Gamma(alpha) variables over their sum. Where all of
 * them underflow (tiny alpha), the limit for alpha -> 0 stands in: one client gets everything. */
static void draw_shares(dirichlet *s)
{
    double sum = 0;
    for (size_t c = 0; c < s->clients; c++)
        sum += s->share[c] = rd_random_gamma(s->random, s->alpha);
    if (sum > 0) {
        for (size_t c = 0; c < s->clients; c++)
            s->share[c] /= sum;
    } else {
        s->share[rd_random_below(s->random, (uint32_t)s->clients)] = 1;
    }
}

/* Deals out every class anew. Returns the size of the smallest client. */
static size_t draw_owners(dirichlet *s)
{
    size_t smallest = SIZE_MAX;
    memset(s->size, 0, s->clients * sizeof *s->size);
    for (size_t begin = 0, end; begin < s->rows; begin = end) {
        end = begin + 1;
        while (end < s->rows && s->labels[s->order[end]] == s->labels[s->order[begin]])
            end++;
        const size_t n = end - begin;
        rd_random_shuffle(s->random, s->order + begin, n);
        draw_shares(s);
        double up_to = 0;
        size_t dealt = 0;
        for (size_t c = 0; c < s->clients && dealt < n; c++) {
            up_to += s->share[c];
            size_t until = (size_t)(up_to * (double)n + 0.5);
            if (until > n || c + 1 == s->clients)
                until = n; /* the shares add up to 1 but for rounding */
            for (; dealt < until; dealt++, s->size[c]++)
                s->owner[s->order[begin + dealt]] = (uint32_t)c;
        }
    }
    for (size_t c = 0; c < s->clients; c++)
        if (s->size[c] < smallest)
            smallest = s->size[c];
    return smallest;
}

/* The size down to which the largest clients must give, so that what they give covers `missing` rows. */
static uint32_t giving_level(const dirichlet *s, uint32_t least, uint64_t missing)
{
    uint32_t low = least, high = (uint32_t)s->rows; /* low: always enough */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t given = 0;
        for (size_t c = 0; c < s->clients; c++)
            given += s->size[c] > middle ? s->size[c] - middle : 0;
        if (given >= missing)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Gives every client that has too few rows some of the largest clients' rows, taken in random order. */
static void top_up(dirichlet *s, uint32_t least)
{
    uint64_t missing = 0;
    for (size_t c = 0; c < s->clients; c++)
        missing += s->size[c] < least ? least - s->size[c] : 0;
    const uint32_t level = giving_level(s, least, missing);
    size_t poor = 0;
    count_up(s->order, s->rows);
    rd_random_shuffle(s->random, s->order, s->rows);
    for (size_t i = 0; i < s->rows && missing > 0; i++) {
        uint32_t *owner = &s->owner[s->order[i]];
        if (s->size[*owner] <= level)
            continue;
        while (s->size[poor] >= least)
            poor++;
        s->size[*owner]--;
        *owner = (uint32_t)poor;
        s->size[poor]++;
        missing--;
    }
}

static rd_status deal_dirichlet(const rd_dataset *d, double alpha, uint32_t least, rd_random *random, rd_partition *p,
                                rd_error *err)
{
    rd_status status = RD_OK;
    dirichlet s = {.alpha = alpha, .rows = d->rows, .clients = p->clients, .labels = d->labels, .random = random};
    if ((uint64_t)p->clients * least > d->rows)
        return rd_fail(err, RD_ERR_DATA,
                       "data.partition.min_rows: %zu clients with at least %u row%s each need %llu rows; the data have "
                       "%zu",
                       p->clients, least, least == 1 ? "" : "s", (unsigned long long)p->clients * least, d->rows);
    s.order = malloc(s.rows * sizeof *s.order);
    s.owner = malloc(s.rows * sizeof *s.owner);
    s.size = malloc(s.clients * sizeof *s.size);
    s.share = malloc(s.clients * sizeof *s.share);
    if (s.order == NULL || s.owner == NULL || s.size == NULL || s.share == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory to deal %zu rows to %zu clients", s.rows, s.clients);
    RD_TRY(sort_by_label(d, s.order, err));
    size_t smallest = 0;
    for (int draw = 0; draw < DIRICHLET_DRAWS && smallest < least; draw++)
        smallest = draw_owners(&s);
    if (smallest < least)
        top_up(&s, least);
    deal_by_owner(s.owner, s.rows, p);
cleanup:
    free(s.order);
    free(s.owner);
    free(s.size);
    free(s.share);
    return status;
}

/* ---- groups ---- */

static rd_status deal_groups(const rd_dataset *d, rd_partition *p, rd_error *err)
{
    uint32_t *owner = malloc(d->rows * sizeof *owner);
    if (owner == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory to deal %zu rows", d->rows);
    for (size_t i = 0; i < d->rows; i++)
        owner[i] = (size_t)d->group[i] < p->clients ? (uint32_t)d->group[i] : NOBODY;
    deal_by_owner(owner, d->rows, p);
    free(owner);
    return RD_OK;
}

/* ---- all of them ---- */

static rd_status check(const rd_partition_config *config, const rd_dataset *d, size_t clients, rd_error *err)
{
    const bool by_label = config->scheme == RD_PARTITION_SHARDS || config->scheme == RD_PARTITION_DIRICHLET;
    if (by_label && d->labels == NULL)
        return rd_fail(err, RD_ERR_DATA,
                       "data.partition.scheme: shards and dirichlet go by class, but these data have numbers as "
                       "labels");
    if (config->scheme == RD_PARTITION_GROUP && d->group == NULL)
        return rd_fail(
            err, RD_ERR_DATA,
            "data.partition.scheme: group needs data that say whose rows are whose (data.train.group_column, "
            "or LEAF users)");
    if (config->scheme == RD_PARTITION_GROUP && clients > d->group_count)
        return rd_fail(err, RD_ERR_DATA, "--clients: %zu, but data.train has %zu group%s, and a client is one", clients,
                       d->group_count, d->group_count == 1 ? "" : "s");
    if (clients == 0)
        return rd_fail(err, RD_ERR_DATA, "--clients: at least one is needed");
    if (config->scheme == RD_PARTITION_SAMPLE && (config->samples == 0 || config->samples > d->rows))
        return rd_fail(err, RD_ERR_DATA, "data.partition.samples: expected 1 to %zu, the rows of data.train, found %u",
                       d->rows, config->samples);
    if (clients > d->rows && config->scheme != RD_PARTITION_SAMPLE)
        return rd_fail(err, RD_ERR_DATA, "--clients: %zu, but data.train has %zu rows, and each client needs one",
                       clients, d->rows);
    if (config->scheme == RD_PARTITION_SHARDS && config->shards_per_client == 0)
        return rd_fail(err, RD_ERR_CONFIG, "data.partition.shards_per_client: expected at least 1, found 0");
    if (config->scheme == RD_PARTITION_DIRICHLET && !(config->alpha > 0))
        return rd_fail(err, RD_ERR_CONFIG, "data.partition.alpha: expected a number above 0, found %g", config->alpha);
    return RD_OK;
}

rd_status rd_partition_create(const rd_partition_config *config, const rd_dataset *d, size_t clients, uint64_t seed,
                              rd_partition *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_random random = rd_random_stream(seed, RD_PURPOSE_PARTITION, 0, 0);
    rd_partition p = {.clients = clients};
    memset(out, 0, sizeof *out);
    if (config->scheme == RD_PARTITION_GROUP && clients == 0)
        p.clients = d->group_count;
    RD_TRY(check(config, d, p.clients, err));
    if (config->scheme == RD_PARTITION_SAMPLE) {
        *out = (rd_partition){.clients = clients, .samples = config->samples, .all_rows = d->rows, .seed = seed};
        return RD_OK;
    }
    p.rows = malloc(d->rows * sizeof *p.rows);
    p.start = malloc((p.clients + 1) * sizeof *p.start);
    if (p.rows == NULL || p.start == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory to deal %zu rows to %zu clients", d->rows, p.clients);
    switch (config->scheme) {
    case RD_PARTITION_IID:
        deal_iid(&random, d->rows, &p);
        break;
    case RD_PARTITION_SHARDS:
        RD_TRY(deal_shards(d, config->shards_per_client, &random, &p, err));
        break;
    case RD_PARTITION_DIRICHLET:
        RD_TRY(deal_dirichlet(d, config->alpha, config->min_rows > 0 ? config->min_rows : 1, &random, &p, err));
        break;
    case RD_PARTITION_GROUP:
        RD_TRY(deal_groups(d, &p, err));
        break;
    case RD_PARTITION_SAMPLE:
        break;
    }
    *out = p;
    memset(&p, 0, sizeof p);
cleanup:
    rd_partition_free(&p);
    return status;
}

size_t rd_partition_count(const rd_partition *p, size_t client)
{
    RD_ASSERT(client < p->clients);
    return p->start == NULL ? p->samples : p->start[client + 1] - p->start[client];
}

size_t rd_partition_most_rows(const rd_partition *p)
{
    size_t most = p->samples;
    for (size_t i = 0; i < p->clients && p->start != NULL; i++)
        most = rd_partition_count(p, i) > most ? rd_partition_count(p, i) : most;
    return most;
}

/* `samples` different rows (Floyd's algorithm, Bentley and Floyd 1987). */
static void draw_rows(const rd_partition *p, size_t client, uint32_t *rows)
{
    rd_random random = rd_random_stream(p->seed, RD_PURPOSE_PARTITION, 1, client);
    for (size_t i = 0; i < p->samples; i++) {
        uint32_t last = (uint32_t)(p->all_rows - p->samples + i), row = rd_random_below(&random, last + 1);
        for (size_t j = 0; j < i; j++)
            if (rows[j] == row) {
                row = last;
                break;
            }
        rows[i] = row;
    }
}

rd_rows rd_partition_rows(const rd_partition *p, size_t client, uint32_t *buffer)
{
    RD_ASSERT(client < p->clients);
    if (p->start == NULL) {
        draw_rows(p, client, buffer);
        return (rd_rows){buffer, p->samples};
    }
    return (rd_rows){p->rows + p->start[client], rd_partition_count(p, client)};
}

void rd_partition_free(rd_partition *p)
{
    free(p->rows);
    free(p->start);
    memset(p, 0, sizeof *p);
}
