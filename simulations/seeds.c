/* seeds.c: see seeds.h. */
#include "seeds.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/confidence.h"
#include "core/file.h"
#include "ranks.h"
#include "store/store.h"

/* ---- results ---- */

typedef enum figure { LAST_LOSS, LAST_ACCURACY, BEST_ACCURACY, LAST_HOLDOUT, LAST_RUNNING, FIGURES } figure;
static const char *const titles[] = {"test loss", "test accuracy", "best accuracy", "hold-out loss", "clients' loss"};

typedef struct result {
    uint64_t rounds;
    double figure[FIGURES];
} result;

static bool read_round(const rd_round_record *r, void *user)
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
    if (!isnan(r->running_loss))
        out->figure[LAST_RUNNING] = r->running_loss;
    return true;
}

static rd_status read_result(const char *directory, result *out, rd_error *err)
{
    rd_store *store = NULL;
    *out = (result){0, {NAN, NAN, NAN, NAN, NAN}};
    rd_status status = rd_store_open_reader(directory, &store, err);
    if (status == RD_OK)
        status = rd_store_rounds(store, 0, read_round, out, err);
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

/* values: room for count */
static void print_table(const result *results, uint64_t first, uint64_t count, double *values)
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
    double t = count > 1 ? rd_student_t(count - 1) : NAN;
    for (size_t f = 0; f < FIGURES; f++) {
        for (uint64_t i = 0; i < count; i++)
            values[i] = results[i].figure[f];
        half[f] = rd_confidence_half_width(values, count, t, &mean[f]);
    }
    print_line("mean", mean, 0);
    print_line("+-95 %", half, 0);
}

/* ---- runs ---- */

static rd_status set_seed(rd_config *config, uint64_t seed, rd_error *err)
{
    config->seed = seed;
    cJSON_DeleteItemFromObjectCaseSensitive(config->for_clients, "seed");
    return cJSON_AddNumberToObject(config->for_clients, "seed", (double)seed) != NULL
               ? RD_OK
               : rd_fail(err, RD_ERR_MEMORY, "no memory for a seed");
}

rd_status rd_seeds(rd_config *config, const rd_sim_options *options, uint64_t seeds, bool *interrupted, rd_error *err)
{
    uint64_t first = config->seed;
    rd_error first_idle;
    rd_status status = RD_OK, idle = RD_OK;
    result *results = calloc(seeds, sizeof *results);
    double *values = malloc(seeds * sizeof *values);
    if (results == NULL || values == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the results of %llu seeds", (unsigned long long)seeds);
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
        status = rd_simulate(config, &mine, interrupted, err);
        if (status == RD_ERR_IDLE && idle == RD_OK) /* of the others the table can still tell */
            idle = rd_fail(&first_idle, status, "seed %llu: %.400s", (unsigned long long)(first + i), err->message);
        if (status != RD_OK && status != RD_ERR_IDLE)
            goto cleanup;
        status = RD_OK;
        if (rd_rank() == 0)
            RD_TRY(read_result(directory, &results[i], err));
    }
    if (!*interrupted && rd_rank() == 0)
        print_table(results, first, seeds, values);
    if (idle != RD_OK && !*interrupted)
        status = rd_fail(err, idle, "%s", first_idle.message);
cleanup:
    free(results);
    free(values);
    return status;
}
