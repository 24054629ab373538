/* simulation_section.h: run.json "simulation": what only rondo-sim looks at. Devices and a network that are not there,
 * with a clock of their own, and attackers. For config.c. */
#ifndef RONDO_CONFIG_SIMULATION_SECTION_H
#define RONDO_CONFIG_SIMULATION_SECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "config/fields.h"
#include "core/error.h"

/* A number, or {"distribution": ...}. */
typedef enum rd_distribution_kind {
    RD_DISTRIBUTION_CONSTANT,    /* value */
    RD_DISTRIBUTION_UNIFORM,     /* from, to */
    RD_DISTRIBUTION_EXPONENTIAL, /* mean */
    RD_DISTRIBUTION_LOGNORMAL,   /* median, sigma: exp(N(ln median, sigma^2)) */
    RD_DISTRIBUTION_PARETO,      /* minimum, shape */
} rd_distribution_kind;
typedef struct rd_distribution {
    rd_distribution_kind kind;
    double a, b; /* in the order of the names above */
    bool given;  /* in run.json, not left to its default */
} rd_distribution;

/* What a device is drawn from, once for each client; also the columns of a trace. */
typedef enum rd_device_field {
    RD_DEVICE_SECONDS_PER_SAMPLE,
    RD_DEVICE_DOWNLOAD, /* bytes a second; 0: nothing is waited for */
    RD_DEVICE_UPLOAD,
    RD_DEVICE_LATENCY,      /* seconds, one way */
    RD_DEVICE_AVAILABILITY, /* share of slots in which it can be selected */
    RD_DEVICE_DROPOUT,      /* share of its rounds in which it never answers */
    RD_DEVICE_FIELDS
} rd_device_field;
extern const char *const rd_device_field_names[];
/* The largest value of each, in run.json and in a trace; the smallest is 0. */
extern const double rd_device_most[];

#define RD_SLOT_SECONDS 3600.0 /* the default */

typedef struct rd_system_config {
    bool given;
    rd_distribution device[RD_DEVICE_FIELDS];
    double slot_seconds; /* availability is drawn anew for each slot of simulated time */
    char trace[1024];    /* CSV with a heading of the names above: a device a row; empty: none */
    double partial_work; /* share of the cohort that runs fewer epochs than it should (Li et al. 2020, section 5.2) */
    uint64_t least_epochs;
    bool drop_partial; /* it is dropped instead, as FedAvg does there */
} rd_system_config;

typedef enum rd_attack_kind {
    RD_ATTACK_NONE,
    RD_ATTACK_SIGN_FLIP,
    RD_ATTACK_GAUSSIAN,
    RD_ATTACK_LABEL_FLIP,
    RD_ATTACK_LITTLE_IS_ENOUGH,
    RD_ATTACK_INNER_PRODUCT,
    RD_ATTACK_BACKDOOR,
} rd_attack_kind;

typedef struct rd_attack_config {
    rd_attack_kind kind;
    double fraction;  /* of all clients */
    double scale;     /* sign_flip: delta <- -scale delta; backdoor: delta <- scale delta */
    double deviation; /* gaussian: delta <- N(0, deviation^2) */
    double z;         /* little_is_enough; 0: from the numbers of clients and attackers */
    double epsilon;   /* inner_product */
    uint64_t target;  /* backdoor: the class that a trigger stands for */
    uint64_t size;    /* backdoor: side of the trigger, or features of it */
    double value;     /* backdoor: of the trigger's features */
    double share;     /* backdoor: of an attacker's samples that carry it */
} rd_attack_config;

typedef struct rd_simulation_config {
    rd_system_config system;
    rd_attack_config attack;
} rd_simulation_config;

/* The trace's path has been resolved (paths.h). */
rd_status rd_config_read_simulation(rd_fields *top, rd_simulation_config *c) RD_MUST_CHECK;

#endif
