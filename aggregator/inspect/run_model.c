/* run_model.c: see run_model.h. */
#include "run_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "codec/tensor_file.h"
#include "config/config.h"
#include "config/schema_section.h"
#include "store/store.h"

static rd_status plan(rd_store *store, run_model *out, rd_error *err)
{
    rd_run_record run = {0};
    rd_status status = rd_store_run(store, &run, err);
    if (status != RD_OK)
        return status;
    cJSON *config = cJSON_Parse(run.config_json);
    out->section = cJSON_DetachItemFromObjectCaseSensitive(config, "model");
    status = rd_model_create(out->section, &out->model, err);
    cJSON_Delete(config);
    rd_run_record_free(&run);
    return status;
}

static rd_status read_schema(rd_store *store, const char *directory, rd_schema *out, rd_error *err)
{
    char *text = NULL;
    rd_status status = rd_store_data_schema(store, &text, err);
    if (status == RD_OK && text != NULL)
        status = rd_schema_parse_text(text, directory, out, err);
    free(text);
    return status;
}

rd_status run_model_load_data(const run_model *m, const rd_source_options *options, bool optional_label,
                              rd_source *source, rd_dataset *out, rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(rd_source_from_options(options, source, err));
    if (source->format == RD_SOURCE_CSV && !m->schema.columns_known)
        RD_THROW(RD_ERR_STATE,
                 "%s: is a table, but what columns mean is not settled in this run yet (it is before round 1)",
                 source->path);
    RD_TRY(rd_source_load(source, m->model, &m->schema, optional_label, out, err));
    if (out->note != NULL)
        fprintf(stderr, "%s\n", out->note);
cleanup:
    return status;
}

rd_status run_model_load(const char *directory, uint64_t round, run_model *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_store *store = NULL;
    char path[RD_SOURCE_PATH_MAX];
    memset(out, 0, sizeof *out);
    RD_TRY(rd_store_open_reader(directory, &store, err));
    RD_TRY(plan(store, out, err));
    RD_TRY(read_schema(store, directory, &out->schema, err));
    out->round = round;
    if (round == UINT64_MAX)
        RD_TRY(rd_store_newest_model(store, &out->round, err));
    out->parameters = malloc(rd_model_parameter_count(out->model) * sizeof *out->parameters);
    if (out->parameters == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for %zu parameters", rd_model_parameter_count(out->model));
    rd_store_model_path(store, out->round, path, sizeof path);
    RD_TRY(rd_tensor_file_read(rd_model_tensors(out->model, RD_TENSORS_TRAVELLING), path, out->parameters, err));
    if (rd_model_tensors(out->model, RD_TENSORS_STAYING).elements > 0) {
        rd_store_frozen_path(store, path, sizeof path);
        RD_TRY(rd_tensor_file_read(rd_model_tensors(out->model, RD_TENSORS_STAYING), path, out->parameters, err));
    }
cleanup:
    rd_store_close(store);
    if (status != RD_OK)
        run_model_free(out);
    return status;
}

void run_model_free(run_model *m)
{
    cJSON_Delete(m->section);
    rd_model_free(m->model);
    free(m->parameters);
    rd_schema_free(&m->schema);
    memset(m, 0, sizeof *m);
}

bool inspect_names_a_plan(const char *path)
{
    struct stat info;
    size_t length = strlen(path);
    return (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) || (length > 5 && strcmp(path + length - 5, ".json") == 0);
}
