/* usage.h: how many of the rows that were read are used, and for what. Whoever reads "100 rows" takes them for trained on;
 * groups without a client, hold-out rows and classes that no task has are not. */
#ifndef RONDO_SIMULATIONS_USAGE_H
#define RONDO_SIMULATIONS_USAGE_H

#include <stddef.h>

#include "config/config.h"
#include "data/dataset.h"
#include "data/partition.h"

typedef struct sim_usage {
    size_t read;    /* rows of data.train */
    size_t dealt;   /* that belong to a client; "sample": how many all clients hold together, which may share them */
    size_t held;    /* of those, held out */
    size_t no_task; /* of those dealt, of a class that is in no task; "sample": not counted */
    size_t most;    /* of one client */
    size_t groups, clients, clients_without_holdout;
    bool grouped, drawn; /* the schemes "group" and "sample" */
} sim_usage;

sim_usage sim_usage_of(const rd_config *c, const rd_dataset *data, const rd_partition *partition);

/* "100 rows; 3 of 5 groups are clients, so 40 rows are not used; 6 are held out; 54 are trained on". Without training (a
 * partition that is only written): up to what is dealt. */
void sim_usage_line(const sim_usage *u, bool training, char *text, size_t size);

/* RD_ERR_CONFIG where evaluation.holdout holds nothing out of anybody, or a client has more rows than cohort.max_samples. */
rd_status sim_usage_check(const rd_config *c, const sim_usage *u, rd_error *err) RD_MUST_CHECK;

#endif
