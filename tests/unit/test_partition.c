/* Who owns which rows: every row is dealt once, in the proportions that each scheme promises. */
#include <math.h>
#include <stdint.h>

#include "data/partition.h"
#include "data_files.h"

/* N rows whose labels go 0, 1, ..., classes - 1, 0, 1, ... */
static rd_dataset make_data(size_t rows, size_t classes)
{
    rd_dataset d = {.rows = rows, .features = 1, .rank = 1, .shape = {1}, .classes = classes};
    d.x_u8 = calloc(rows, 1);
    d.labels = malloc(rows * sizeof *d.labels);
    d.label_count = 1;
    for (size_t i = 0; i < rows; i++)
        d.labels[i] = (int32_t)(i % classes);
    return d;
}

static rd_partition deal(const rd_partition_config *config, const rd_dataset *d, size_t clients, uint64_t seed)
{
    rd_error err = {0};
    rd_partition p;
    cr_assert_eq(rd_partition_create(config, d, clients, seed, &p, &err), RD_OK, "%s", err.message);
    if (clients > 0)
        cr_assert_eq(p.clients, clients);
    return p;
}

static void expect_every_row_once(const rd_partition *p, size_t rows)
{
    char *seen = calloc(rows, 1);
    size_t dealt = 0;
    for (size_t c = 0; c < p->clients; c++) {
        rd_rows mine = rd_partition_rows(p, c, NULL);
        for (size_t i = 0; i < mine.count; i++) {
            cr_assert_lt(mine.index[i], rows);
            cr_assert_eq(seen[mine.index[i]]++, 0);
        }
        dealt += mine.count;
    }
    cr_assert_eq(dealt, rows);
    free(seen);
}

static bool same(const rd_partition *a, const rd_partition *b)
{
    return a->clients == b->clients && memcmp(a->start, b->start, (a->clients + 1) * sizeof *a->start) == 0 &&
           memcmp(a->rows, b->rows, a->start[a->clients] * sizeof *a->rows) == 0;
}

static const rd_partition_config iid = {.scheme = RD_PARTITION_IID};
static const rd_partition_config shards = {.scheme = RD_PARTITION_SHARDS, .shards_per_client = 2};

Test(partition, iid_sizes_differ_by_at_most_one)
{
    rd_dataset d = make_data(1003, 10);
    const size_t counts[] = {1, 7, 10, 1003};
    for (size_t k = 0; k < 4; k++) {
        rd_partition p = deal(&iid, &d, counts[k], 1);
        expect_every_row_once(&p, d.rows);
        for (size_t c = 0; c < p.clients; c++) /* the first clients have the rows that are left over */
            cr_assert_eq(rd_partition_rows(&p, c, NULL).count, 1003 / counts[k] + (c < 1003 % counts[k]));
        rd_partition_free(&p);
    }
    rd_dataset_free(&d);
}

/* A client's share of a shuffled deal is a draw without replacement: the label counts are hypergeometric,
 * mean 60 and variance 60 * 0.9 * (59400 / 59999) for 600 of 60,000 rows in 10 equal classes. */
Test(partition, iid_mixes_the_classes)
{
    rd_dataset d = make_data(60000, 10);
    rd_partition p = deal(&iid, &d, 100, 5);
    double squares = 0;
    for (size_t c = 0; c < 100; c++) {
        double count[10] = {0};
        rd_rows mine = rd_partition_rows(&p, c, NULL);
        for (size_t i = 0; i < mine.count; i++)
            count[d.labels[mine.index[i]]]++;
        for (int k = 0; k < 10; k++)
            squares += (count[k] - 60) * (count[k] - 60);
    }
    cr_assert_float_eq(squares / 1000, 60 * 0.9 * 59400 / 59999, 8);
    rd_partition_free(&p);
    rd_dataset_free(&d);
}

Test(partition, depends_on_the_seed_and_nothing_else)
{
    rd_dataset d = make_data(500, 5);
    const rd_partition_config configs[] = {
        iid, shards, {.scheme = RD_PARTITION_DIRICHLET, .alpha = 0.5, .min_rows = 1}};
    for (size_t k = 0; k < 3; k++) {
        rd_partition a = deal(&configs[k], &d, 20, 7), b = deal(&configs[k], &d, 20, 7);
        rd_partition c = deal(&configs[k], &d, 20, 8);
        cr_assert(same(&a, &b));
        cr_assert_not(same(&a, &c));
        rd_partition_free(&a);
        rd_partition_free(&b);
        rd_partition_free(&c);
    }
    rd_dataset_free(&d);
}

/* McMahan et al. 2017, section 3: 60,000 digits sorted by label, 200 shards of 300, two for each of 100
 * clients, so that most clients have examples of two digits only. */
Test(partition, shards_as_in_mcmahan_2017)
{
    rd_dataset d = make_data(60000, 10);
    rd_partition p = deal(&shards, &d, 100, 3);
    size_t with_two = 0;
    expect_every_row_once(&p, d.rows);
    for (size_t c = 0; c < 100; c++) {
        rd_rows mine = rd_partition_rows(&p, c, NULL);
        cr_assert_eq(mine.count, 600);
        for (size_t s = 0; s < 2; s++) {
            const uint32_t *shard = mine.index + 300 * s;
            /* 6,000 rows a class are 20 whole shards. Rows of one class keep their order: here class k has
             * rows k, k + 10, ..., and a shard begins at a multiple of 300 of them. */
            cr_assert_eq(shard[0] / 10 % 300, 0);
            for (size_t i = 1; i < 300; i++)
                cr_assert_eq(shard[i], shard[i - 1] + 10);
        }
        with_two += d.labels[mine.index[0]] != d.labels[mine.index[300]];
    }
    /* Two shards of one client have the same label with probability 19/199. */
    cr_assert(with_two >= 75 && with_two <= 100, "%zu", with_two);
    rd_partition_free(&p);
    rd_dataset_free(&d);
}

Test(partition, uneven_shards_deal_every_row)
{
    rd_dataset d = make_data(103, 3);
    rd_partition p = deal(&shards, &d, 10, 3); /* 20 shards of 5 or 6 rows */
    expect_every_row_once(&p, d.rows);
    for (size_t c = 0; c < 10; c++) {
        size_t n = rd_partition_rows(&p, c, NULL).count;
        cr_assert(n >= 10 && n <= 12, "%zu", n);
    }
    rd_partition_free(&p);
    rd_dataset_free(&d);
}

/* One share of Dirichlet(alpha) over K clients has the mean 1/K and the variance (K - 1) / (K^2 (K alpha +
 * 1)). */
Test(partition, dirichlet_shares_have_the_right_spread)
{
    const double alphas[] = {0.1, 0.5, 5};
    rd_dataset d = make_data(10000, 10);
    for (size_t k = 0; k < 3; k++) {
        const rd_partition_config config = {.scheme = RD_PARTITION_DIRICHLET, .alpha = alphas[k], .min_rows = 1};
        double squares = 0;
        for (uint64_t seed = 0; seed < 60; seed++) {
            double count[10][10] = {{0}};
            rd_partition p = deal(&config, &d, 10, seed);
            expect_every_row_once(&p, d.rows);
            for (size_t c = 0; c < 10; c++) {
                rd_rows mine = rd_partition_rows(&p, c, NULL);
                cr_assert_geq(mine.count, 1);
                for (size_t i = 0; i < mine.count; i++)
                    count[c][d.labels[mine.index[i]]]++;
            }
            for (int i = 0; i < 100; i++)
                squares += pow(count[i / 10][i % 10] / 1000 - 0.1, 2);
            rd_partition_free(&p);
        }
        const double variance = 9.0 / (100 * (10 * alphas[k] + 1));
        cr_assert(fabs(squares / 6000 / variance - 1) < 0.08, "alpha %g: %g, expected %g", alphas[k], squares / 6000,
                  variance);
    }
    rd_dataset_free(&d);
}

Test(partition, dirichlet_keeps_its_least_size)
{
    rd_dataset d = make_data(60000, 10);
    /* Ten draws may do for the first, never for the others; the last leaves no choice at all. */
    const struct {
        size_t clients;
        double alpha;
        uint32_t least;
    } cases[] = {{10, 0.5, 500}, {10000, 0.1, 2}, {1000, 1e-4, 10}, {10000, 0.5, 6}};
    for (size_t k = 0; k < 4; k++) {
        const rd_partition_config config = {
            .scheme = RD_PARTITION_DIRICHLET, .alpha = cases[k].alpha, .min_rows = cases[k].least};
        rd_partition p = deal(&config, &d, cases[k].clients, 1);
        expect_every_row_once(&p, d.rows);
        for (size_t c = 0; c < p.clients; c++)
            cr_assert_geq(rd_partition_rows(&p, c, NULL).count, cases[k].least);
        rd_partition_free(&p);
    }
    rd_dataset_free(&d);
}

Test(partition, groups_are_the_natural_owners)
{
    rd_dataset d = make_data(6, 2);
    d.group = malloc(6 * sizeof *d.group);
    memcpy(d.group, (int32_t[]){2, 0, 2, 1, 0, 2}, 6 * sizeof *d.group);
    d.group_count = 3;
    d.group_names = calloc(3, sizeof *d.group_names);
    const rd_partition_config config = {.scheme = RD_PARTITION_GROUP};
    rd_partition p = deal(&config, &d, 0, 1);
    cr_assert_eq(p.clients, 3);
    cr_assert_eq(memcmp(p.start, (size_t[]){0, 2, 3, 6}, 4 * sizeof *p.start), 0);
    cr_assert_eq(memcmp(p.rows, (uint32_t[]){1, 4, 3, 0, 2, 5}, 6 * sizeof *p.rows), 0);
    rd_partition_free(&p);

    p = deal(&config, &d, 2, 1); /* the first two owners; the third one's rows are not dealt */
    cr_assert_eq(memcmp(p.start, (size_t[]){0, 2, 3}, 3 * sizeof *p.start), 0);
    cr_assert_eq(memcmp(p.rows, (uint32_t[]){1, 4, 3}, 3 * sizeof *p.rows), 0);
    rd_partition_free(&p);

    expect_error(rd_partition_create(&config, &d, 4, 1, &p, why), RD_ERR_DATA,
                 "--clients: 4, but data.train has 3 groups");
    rd_dataset_free(&d);
}

Test(partition, what_cannot_be_dealt)
{
    rd_dataset d = make_data(10, 2);
    rd_partition p;
    const rd_partition_config group = {.scheme = RD_PARTITION_GROUP};
    const rd_partition_config no_shards = {.scheme = RD_PARTITION_SHARDS};
    const rd_partition_config no_alpha = {.scheme = RD_PARTITION_DIRICHLET, .alpha = NAN};
    const rd_partition_config many = {.scheme = RD_PARTITION_DIRICHLET, .alpha = 1, .min_rows = 3};
    expect_error(rd_partition_create(&iid, &d, 11, 1, &p, why), RD_ERR_DATA,
                 "--clients: 11, but data.train has 10 rows");
    expect_error(rd_partition_create(&iid, &d, 0, 1, &p, why), RD_ERR_DATA, "at least one is needed");
    expect_error(rd_partition_create(&shards, &d, 6, 1, &p, why), RD_ERR_DATA,
                 "6 clients with 2 shards each need 12 rows; the data have 10");
    expect_error(rd_partition_create(&no_shards, &d, 2, 1, &p, why), RD_ERR_CONFIG, "shards_per_client");
    expect_error(rd_partition_create(&no_alpha, &d, 2, 1, &p, why), RD_ERR_CONFIG,
                 "data.partition.alpha: expected a number above 0");
    expect_error(rd_partition_create(&many, &d, 4, 1, &p, why), RD_ERR_DATA,
                 "4 clients with at least 3 rows each need 12 rows; the data have 10");
    expect_error(rd_partition_create(&group, &d, 0, 1, &p, why), RD_ERR_DATA,
                 "group needs data that say whose rows are whose");
    free(d.labels);
    d.labels = NULL;
    expect_error(rd_partition_create(&shards, &d, 2, 1, &p, why), RD_ERR_DATA, "these data have numbers as labels");
    cr_assert_null(p.rows);
    rd_dataset_free(&d);
}

/* Drawn on demand: the same rows whenever asked, all different, and over many clients every row as often. */
Test(sample, draws_different_rows_for_a_million_clients)
{
    enum { ROWS = 50, K = 20, CLIENTS = 1000000, LOOKED_AT = 5000 };
    rd_dataset d = {.rows = ROWS};
    rd_partition p;
    rd_error err;
    uint32_t rows[K], again[K];
    int seen[ROWS] = {0};
    rd_partition_config config = {.scheme = RD_PARTITION_SAMPLE, .samples = K};
    cr_assert_eq(rd_partition_create(&config, &d, CLIENTS, 5, &p, &err), RD_OK, "%s", err.message);
    cr_assert_eq(rd_partition_most_rows(&p), K);
    for (size_t i = 0; i < LOOKED_AT; i++) {
        size_t client = i * (CLIENTS / LOOKED_AT);
        uint64_t mask = 0;
        rd_rows mine = rd_partition_rows(&p, client, rows);
        cr_assert_eq(mine.count, K);
        for (size_t j = 0; j < K; j++) {
            cr_assert_lt(rows[j], ROWS);
            mask |= UINT64_C(1) << rows[j];
            seen[rows[j]]++;
        }
        cr_assert_eq(__builtin_popcountll(mask), K, "client %zu has a row twice", client);
        (void)rd_partition_rows(&p, client, again);
        cr_assert_arr_eq(rows, again, sizeof rows);
    }
    for (size_t i = 0; i < ROWS; i++) /* 2000 expected, deviation sqrt(5000 * 0.4 * 0.6) = 34.6 */
        cr_expect(seen[i] > 1820 && seen[i] < 2180, "row %zu was drawn %d times", i, seen[i]);
    config.samples = ROWS + 1;
    cr_assert_eq(rd_partition_create(&config, &d, CLIENTS, 5, &p, &err), RD_ERR_DATA);
}
