/* space.h: which keys of run.json a search may change, and how (space.json):
 *
 *     { "method": "bayesian", "trials": 20, "objective": "test_loss", "seed": 1,
 *       "keys": { "training.learning_rate": { "from": 0.001, "to": 1, "scale": "log" },
 *                 "training.epochs":        { "from": 1, "to": 10, "whole": true },
 *                 "model.layers[0].units":  { "values": [32, 64, 128] } } }
 *
 * A point of the space has a number in [0, 1] for each key. search.schema.json says the same for editors. */
#ifndef RONDO_SIMULATIONS_SEARCH_SPACE_H
#define RONDO_SIMULATIONS_SEARCH_SPACE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define SEARCH_KEYS 16
#define SEARCH_VALUES 16 /* in a list of values */
#define SEARCH_FEATURES (SEARCH_KEYS * SEARCH_VALUES)

typedef enum search_method { SEARCH_GRID, SEARCH_RANDOM, SEARCH_BAYESIAN } search_method;
typedef enum search_objective {
    SEARCH_TEST_LOSS,
    SEARCH_TEST_ACCURACY,
    SEARCH_HOLDOUT_LOSS,
    SEARCH_TRAIN_LOSS
} search_objective;
extern const char *const search_objective_names[];

typedef struct search_key {
    const char *path;    /* into the JSON */
    const cJSON *values; /* a list to choose from; NULL: a range */
    double from, to;
    bool log, whole;
    size_t steps; /* of a range, for a grid */
} search_key;

typedef struct search_space {
    cJSON *json; /* what decides the sequence of trials: without "trials", with the method in force */
    search_method method;
    search_objective objective;
    uint64_t trials, seed;
    search_key keys[SEARCH_KEYS];
    size_t key_count;
} search_space;

/* method (NULL) and trials (0) come from the command line, and go before those of the file.
 * RD_ERR_CONFIG names the key and what was expected; RD_ERR_USAGE the option. */
rd_status search_space_load(const char *path, const char *method, uint64_t trials, search_space *out,
                            rd_error *err) RD_MUST_CHECK;
void search_space_free(search_space *s);

void search_space_grid_point(const search_space *s, uint64_t number, double point[SEARCH_KEYS]);
/* The value of key k at this point, as JSON of the caller's. */
cJSON *search_space_value(const search_space *s, size_t k, double u);
/* Numbers by which points are compared, the same for points with the same values: a range and a list of
 * numbers give one, a list of other values one for each of them. Returns how many. */
size_t search_space_features(const search_space *s, const double point[SEARCH_KEYS], double features[SEARCH_FEATURES]);

/* Puts the value of key k at u into run.json. RD_ERR_CONFIG: there is no such place ("model.layers[3]"). */
rd_status search_space_put(const search_space *s, size_t k, double u, cJSON *run, rd_error *err) RD_MUST_CHECK;

#endif
