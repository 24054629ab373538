/* seeds.c: see seeds.h. */
#include "seeds.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/file.h"
#include "ranks.h"
#include "store/store.h"

/* ---- Student's t ---- */

/* Probability between 0 and t, by Simpson's rule. */
static double half_share(double t, double degrees)
{
    enum { STEPS = 2000 };
    double log_constant = lgamma((degrees + 1) / 2) - lgamma(degrees / 2) - log(degrees * acos(-1.0)) / 2,
           sum = 0;
    for (int i = 0; i <= STEPS; i++) {
        double x = t * i / STEPS, weight = i == 0 || i == STEPS ? 1 : i % 2 == 1 ? 4 : 2;
        sum += weight * exp(log_constant - (degrees + 1) / 2 * log1p(x * x / degrees));
    }
    return sum * t / (3 * STEPS);
}

double rd_student_t(uint64_t degrees)
{
    double low = 0, high = 20;
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (half_share(middle, (double)degrees) < 0.475)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

/* ---- results ---- */

typedef enum figure { LAST_LOSS, LAST_ACCURACY, BEST_ACCURACY, LAST_HOLDOUT, FIGURES } figure;
static const char *const titles[] = {"test loss", "test accuracy", "best accuracy", "hold-out loss"};

typedef struct result {
    uint64_t rounds;
    double figure[FIGURES];
} result;

static bool look(const rd_round_record *r, void *user)
{
    result *out = user;
    out->rounds = r->round;
    if (r->test.samples > 0) {
        out->figure[LAST_LOSS] = r->test.loss;
        out->figure[LAST_ACCURACY] = r->test.accuracy;
        out->figure[BEST_ACCURACY] = fmax(out->figure[BEST_ACCURACY], r->test.accuracy); /* NaN gives way */
    }
    if (r->holdout.samples > 0)
        out->figure[LAST_HOLDOUT] = r->holdout.loss;
    return true;
}

static rd_status read_result(const char *directory, result *out, rd_error *err)
{
    rd_store *store = NULL;
    *out = (result){0, {NAN, NAN, NAN, NAN}};
    rd_status status = rd_store_open_reader(directory, &store, err);
    if (status == RD_OK)
        status = rd_store_rounds(store, 0, look, out, err);
    rd_store_close(store);
    return status;
}

static void print_line(const char *name, const double *values, uint64_t rounds)
{
    printf("%-8s", name);
    for (size_t f = 0; f < FIGURES; f++)
        if (isnan(values[f]))
            printf("  %13s", "-");
        else
            printf("  %13.4f", values[f]);
    if (rounds > 0)
        printf("  %6llu", (unsigned long long)rounds);
    printf("\n");
}

static void print_table(const result *results, uint64_t first, uint64_t count)
{
    double mean[FIGURES], half[FIGURES];
    char name[32];
    printf("\n%-8s", "seed");
    for (size_t f = 0; f < FIGURES; f++)
        printf("  %13s", titles[f]);
    printf("  rounds\n");
    for (uint64_t i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "%llu", (unsigned long long)(first + i));
        print_line(name, results[i].figure, results[i].rounds);
    }
    for (size_t f = 0; f < FIGURES; f++) {
        double sum = 0, squares = 0, n = (double)count;
        for (uint64_t i = 0; i < count; i++)
            sum += results[i].figure[f];
        mean[f] = sum / n;
        for (uint64_t i = 0; i < count; i++)
            squares += (results[i].figure[f] - mean[f]) * (results[i].figure[f] - mean[f]);
        half[f] = count > 1 ? rd_student_t(count - 1) * sqrt(squares / (n - 1) / n) : NAN;
    }
    print_line("mean", mean, 0);
    print_line("+-95 %", half, 0);
}

/* ---- runs ---- */

static rd_status set_seed(rd_config *config, uint64_t seed, rd_error *err)
{
    config->seed = seed;
    cJSON_DeleteItemFromObjectCaseSensitive(config->shared, "seed");
    return cJSON_AddNumberToObject(config->shared, "seed", (double)seed) != NULL
               ? RD_OK
               : rd_fail(err, RD_ERR_MEMORY, "no memory for a seed");
}

rd_status rd_seeds(rd_config *config, const rd_sim_options *options, uint64_t seeds, bool *interrupted,
                   rd_error *err)
{
    uint64_t first = config->seed;
    rd_status status = RD_OK;
    result *results = calloc(seeds, sizeof *results);
    if (results == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the results of %llu seeds",
                       (unsigned long long)seeds);
    RD_TRY(rd_make_directory(options->directory, err));
    for (uint64_t i = 0; i < seeds && !*interrupted; i++) {
        char directory[RD_SOURCE_PATH_MAX];
        rd_sim_options mine = *options;
        (void)snprintf(directory, sizeof directory, "%s/seed-%llu", options->directory,
                       (unsigned long long)(first + i));
        mine.directory = directory;
        RD_TRY(set_seed(config, first + i, err));
        if (!mine.quiet && rd_rank() == 0)
            printf("seed %llu\n", (unsigned long long)(first + i));
        RD_TRY(rd_simulate(config, &mine, interrupted, err));
        if (rd_rank() == 0)
            RD_TRY(read_result(directory, &results[i], err));
    }
    if (!*interrupted && rd_rank() == 0)
        print_table(results, first, seeds);
cleanup:
    free(results);
    return status;
}
