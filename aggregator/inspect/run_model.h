/* run_model.h: the model of a run, from its state directory. */
#ifndef RONDO_INSPECT_RUN_MODEL_H
#define RONDO_INSPECT_RUN_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "data/source_options.h"
#include "export.h"
#include "model/model.h"

typedef struct run_model {
    cJSON *section; /* "model" of its run.json */
    rd_model *model;
    float *parameters; /* all, frozen ones included */
    uint64_t round;    /* that made them */
    rd_schema schema;  /* of tables; columns_known false: not settled yet */
} run_model;

/* round: UINT64_MAX for the newest there is. */
rd_status run_model_load(const char *directory, uint64_t round, run_model *out, rd_error *err) RD_MUST_CHECK;
void run_model_free(run_model *m);

/* Loads samples as the run reads them. optional_label: rows to predict on may have none. */
rd_status run_model_load_data(const run_model *m, const rd_source_options *options, bool optional_label,
                              rd_source *source, rd_dataset *out, rd_error *err) RD_MUST_CHECK;

/* Is path a state directory or a run.json, and no model file? */
bool inspect_names_a_plan(const char *path);
/* Prints the layers of the model that path describes (layers.c). */
rd_status inspect_layers(export_kind kind, const char *path, rd_error *err) RD_MUST_CHECK;

#endif
