/* config.h: run.json, the one description of a run, read by the aggregator and the simulator.
 *
 * The JSON Schema is config.schema.json beside this file. An unknown key, a wrong type or an impossible value
 * is RD_ERR_CONFIG and names the key and what was expected: run.json: training.learning_rate: expected a
 * number above 0, found "0.1" (a string) Paths are taken relative to the folder of run.json (paths.h). */
#ifndef RONDO_CONFIG_CONFIG_H
#define RONDO_CONFIG_CONFIG_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "config/simulation_section.h"
#include "core/error.h"
#include "data/partition.h"
#include "data/schema.h"
#include "data/source.h"
#include "model/packing.h"
#include "round/round.h"
#include "round/strategy.h"
#include "train/local_round.h"

#define RD_RUN_NAME_MAX 64

/* run.json "initial": parameters to start from */
typedef struct rd_initial_config {
    char path[RD_SOURCE_PATH_MAX]; /* a safetensors file; empty: a random start */
    cJSON *map;                    /* names in the file -> names in the model, or null; NULL: they are the same */
    bool partial;                  /* the model may have tensors that the file lacks */
} rd_initial_config;

typedef enum rd_stopping_metric { RD_STOP_HOLDOUT_LOSS, RD_STOP_TEST_LOSS, RD_STOP_TEST_ACCURACY } rd_stopping_metric;

/* run.json "early_stopping": the run ends when the metric has not become better by more than min_delta in so
 * many rounds that measured it. */
typedef struct rd_early_stopping {
    rd_stopping_metric metric;
    uint64_t patience;
    double min_delta;
} rd_early_stopping;

/* run.json "evaluation": what is measured, and by whom */
typedef struct rd_evaluation_config {
    uint64_t every;               /* rounds between evaluations on data.test (1); the last round always is evaluated */
    unsigned scores;              /* "metrics", on data.test: bit 1 << rd_score */
    double target_accuracy;       /* the run ends when the test set reaches it; 0: never */
    rd_client_evaluation clients; /* "train_loss", "holdout": what clients measure */
} rd_evaluation_config;

/* run.json "data": the server's own, and in a simulation the clients', too */
typedef struct rd_data_config {
    bool given;                    /* it names files: this is the server's run.json, not what clients are told */
    rd_source test;                /* format RD_SOURCE_NONE: there is none; so with the other two */
    rd_source root;                /* samples that the server trains on itself (round/strategy.h) */
    rd_source train;               /* of a simulation: what is dealt to its clients ... */
    rd_partition_config partition; /* ... and how; default iid */
    rd_schema schema; /* "schema", and what the sources say where it is silent; the type of the label is the model's
                         after rd_config_load; owned by the config */
} rd_data_config;

/* A member a section. Everybody reads those of the first part, clients too; the server alone those of the second. */
typedef struct rd_config {
    char name[RD_RUN_NAME_MAX]; /* "name"; default "run" */
    uint64_t seed;              /* "seed"; default 1 */
    uint64_t rounds;            /* "rounds", 1 to 10^9; required */
    cJSON *model;               /* "model", owned by the config */
    rd_training training; /* "training"; learning_rate required where there are gradients; epochs 1, batch_size 32 */
    rd_strategy strategy; /* "strategy"; fedavg */
    rd_personalisation personalisation; /* "personalisation"; none */
    rd_continual continual;             /* "continual" */
    rd_evaluation_config evaluation;    /* "evaluation" */
    rd_data_config data;                /* "data" */

    rd_cohort_config cohort;          /* "cohort" */
    rd_early_stopping early_stopping; /* "early_stopping"; patience 0: never */
    rd_pruning pruning;               /* "pruning" */
    rd_initial_config initial;        /* "initial" */
    uint64_t keep_updates;            /* "keep_updates": updates of so many last rounds stay on disk, and the models
                                         before them */
    uint64_t keep_every;              /* "keep_every": model files of rounds that are multiples of it stay on disk; 0:
                                         only the latest ones */
    rd_simulation_config simulation;  /* "simulation"; for rondo-sim alone */

    cJSON *for_clients; /* run.json without "data" (but for its schema), "initial" and "simulation": what clients are
                       told at join; owned by the config */
    cJSON *setting;     /* what a simulation is of, beside that and its number of clients: "simulation",
                       "data.partition"; owned by the config */
} rd_config;

/* Reads and checks run.json, the model in it included. */
rd_status rd_config_load(const char *path, rd_config *out, rd_error *err) RD_MUST_CHECK;

/* The same from text, except that the "model" object is left to rd_model_create; whose ("run.json") starts
 * messages, folder resolves relative paths (NULL: leave them). */
rd_status rd_config_parse(const char *json, size_t size, const char *whose, const char *folder, rd_config *out,
                          rd_error *err) RD_MUST_CHECK;

/* What every key of run.json comes to, its default where it is not written: two files that settle to the same
 * tree are the same run. A section that is {} is as good as absent. "model" stands as it is written
 * (rd_model_same compares plans). The caller deletes *out. */
rd_status rd_config_settle(const cJSON *run, const char *whose, cJSON **out, rd_error *err) RD_MUST_CHECK;

void rd_config_free(rd_config *c);

#endif
