/* partition.h: who owns which rows, when one data set stands in for many clients.
 *
 *   iid        rows are shuffled and dealt out evenly (sizes differ by at most one)
 *   shards     rows are sorted by label, cut into clients * shards_per_client shards, and each client gets
 *              shards_per_client of them at random (McMahan et al. 2017, section 3). Where the rows do not
 *              divide evenly, shards differ by at most one row, so that every row is dealt.
 *   dirichlet  for each class, the proportions over clients are drawn from Dirichlet(alpha) (Yurochkin et al.
 *              2019; Hsu, Qi, Brown 2019 draw each client's proportions over classes instead). Every client
 *              gets at least min_rows rows: up to ten draws are tried; where none does (many clients, small
 *              alpha), the last one is topped up with rows of the largest clients.
 *   group      natural owners: LEAF users, or the values of a CSV column; client i is group i
 *   sample     every client holds `samples` different rows, drawn at random by a stream of its own; clients
 *              may share rows. Nothing is kept: a million clients cost no memory.
 *
 * Memory: 4 bytes a row and 8 a client, and up to three times that while dealing. The result depends on
 * (seed, scheme, dataset, clients) alone. */
#ifndef RONDO_DATA_PARTITION_H
#define RONDO_DATA_PARTITION_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "data/dataset.h"

typedef enum rd_partition_scheme {
    RD_PARTITION_IID = 0,
    RD_PARTITION_SHARDS,
    RD_PARTITION_DIRICHLET,
    RD_PARTITION_GROUP,
    RD_PARTITION_SAMPLE,
} rd_partition_scheme;

typedef struct rd_partition_config {
    rd_partition_scheme scheme;
    uint32_t shards_per_client; /* shards */
    double alpha;               /* dirichlet, > 0 */
    uint32_t min_rows;          /* dirichlet, at least 1 */
    uint32_t samples;           /* sample, at least 1 */
} rd_partition_config;

typedef struct rd_partition {
    size_t clients;
    uint32_t *rows;   /* (number of rows dealt) row numbers, client after client */
    size_t *start;    /* (clients + 1) client c owns rows[start[c] .. start[c + 1]); NULL: sample */
    uint32_t samples; /* sample */
    size_t all_rows;
    uint64_t seed;
} rd_partition;

/* clients > 0; for RD_PARTITION_GROUP, clients 0 means "as many as there are groups". Fails with
 * RD_ERR_DATA where there are fewer rows (or shards, or groups) than clients. */
rd_status rd_partition_create(const rd_partition_config *config, const rd_dataset *d, size_t clients, uint64_t seed,
                              rd_partition *out, rd_error *err) RD_MUST_CHECK;
size_t rd_partition_count(const rd_partition *p, size_t client); /* its rows */
size_t rd_partition_most_rows(const rd_partition *p);
/* buffer (rd_partition_most_rows) is for rows that are drawn now. */
rd_rows rd_partition_rows(const rd_partition *p, size_t client, uint32_t *buffer);
void rd_partition_free(rd_partition *p);

#endif
