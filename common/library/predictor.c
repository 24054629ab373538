/* predictor.c: rondo/predictor.h: an exported model file, read back into a plan, its parameters and a schema. */
#include "rondo/predictor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/tensor_file.h"
#include "config/schema_section.h"
#include "core/error.h"
#include "data/encode.h"
#include "format/safetensors.h"
#include "model/loss.h"
#include "model/model.h"
#include "train/local_round.h"

struct rd_predictor {
    rd_model *model;
    float *parameters;
    rd_schema schema; /* without columns: not a model of tables */
    rd_workspace *workspace;
    size_t batch; /* samples that the workspace has room for */
};

/* The plan and the schema out of the metadata. */
static rd_status read_metadata(rd_predictor *p, const char *path, rd_error *err)
{
    rd_status status = RD_OK;
    rd_safetensors file = {0};
    int fd = -1;
    cJSON *section = NULL;
    RD_TRY(rd_safetensors_open(path, &file, &fd, err));
    const char *model = rd_safetensors_metadata(&file, "model"), *schema = rd_safetensors_metadata(&file, "schema");
    if (model == NULL || (section = cJSON_Parse(model)) == NULL)
        RD_THROW(RD_ERR_FORMAT, "%s: has no layers in its metadata; expected a file of rondo-inspect export", path);
    if ((status = rd_model_create(section, &p->model, err)) != RD_OK)
        RD_TRY(rd_fail_context(err, RD_ERR_FORMAT, "%s", path));
    if (schema != NULL)
        RD_TRY(rd_schema_parse_text(schema, path, &p->schema, err));
cleanup:
    cJSON_Delete(section);
    if (fd >= 0)
        close(fd);
    rd_safetensors_free(&file);
    return status;
}

rd_status rd_predictor_open(const char *path, rd_predictor **out, rd_error *err)
{
    err = err != NULL ? err : &(rd_error){0};
    rd_status status = RD_OK;
    rd_predictor *p = calloc(1, sizeof *p);
    if (p == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory", path);
    RD_TRY(read_metadata(p, path, err));
    size_t count = rd_model_parameter_count(p->model);
    p->parameters = malloc(count * sizeof *p->parameters);
    if (p->parameters == NULL)
        RD_THROW(RD_ERR_MEMORY, "%s: no memory for %zu parameters", path, count);
    RD_TRY(rd_tensor_file_read(rd_model_tensors(p->model, RD_TENSORS_ALL), path, p->parameters, err));
    p->batch = rd_evaluation_batch(p->model);
    RD_TRY(rd_workspace_create(p->model, p->batch, &p->workspace, err));
    *out = p;
    p = NULL;
cleanup:
    rd_predictor_close(p);
    return status;
}

void rd_predictor_close(rd_predictor *p)
{
    if (p == NULL)
        return;
    rd_workspace_free(p->workspace);
    rd_schema_free(&p->schema);
    free(p->parameters);
    rd_model_free(p->model);
    free(p);
}

size_t rd_predictor_inputs(const rd_predictor *p)
{
    return rd_model_input_size(p->model);
}

size_t rd_predictor_outputs(const rd_predictor *p)
{
    return rd_model_output_size(p->model) * rd_model_predictions(p->model);
}

rd_status rd_predictor_read_table(const rd_predictor *p, const char *text, size_t size, float **x, size_t *rows,
                                  rd_error *err)
{
    err = err != NULL ? err : &(rd_error){0};
    rd_status status = RD_OK;
    rd_source source = {.format = RD_SOURCE_CSV, .path = "table", .heading = RD_YES};
    rd_table table = {0};
    rd_table_roles roles;
    rd_dataset data = {0};
    if (p->schema.column_count == 0)
        return rd_fail(err, RD_ERR_STATE, "the model was not trained on tables, so there are no columns to read");
    char *copy = malloc(size + 1);
    if (copy == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "table: no memory for %zu bytes", size);
    memcpy(copy, text, size);
    RD_TRY(rd_table_parse(copy, size, &source, &table, err));
    RD_TRY(rd_table_settle_roles(&table, &source, &p->schema, true, &roles, err));
    RD_TRY(rd_table_encode(&table, &roles, &p->schema, true, &data, err));
    RD_TRY(rd_data_check_features(p->model, &data, "table", err));
    *rows = data.rows;
    *x = data.x_f32;
    data.x_f32 = NULL;
cleanup:
    rd_dataset_free(&data);
    rd_table_free(&table);
    return status;
}

/* Can the model read these samples? A token that is none would be read as an index. */
static rd_status check_input(const rd_predictor *p, const float *x, size_t rows, rd_error *err)
{
    size_t D = rd_predictor_inputs(p), vocabulary = rd_model_input(p->model)->vocabulary;
    for (size_t i = 0; i < rows * D; i++) {
        if (!isfinite(x[i]))
            return rd_fail(err, RD_ERR_DATA, "sample %zu: number %zu is not finite", i / D, i % D);
        if (vocabulary > 0 && !(x[i] >= 0 && (double)x[i] < (double)vocabulary && x[i] == truncf(x[i])))
            return rd_fail(err, RD_ERR_DATA, "sample %zu: expected a token from 0 to %zu, found %g", i / D,
                           vocabulary - 1, (double)x[i]);
    }
    return RD_OK;
}

rd_status rd_predictor_run(rd_predictor *p, const float *x, size_t rows, float *y, rd_error *err)
{
    err = err != NULL ? err : &(rd_error){0};
    size_t D = rd_predictor_inputs(p), Y = rd_predictor_outputs(p);
    bool unscale = !rd_model_classifies(p->model) && p->schema.column_count > 0;
    rd_status status = check_input(p, x, rows, err);
    if (status != RD_OK)
        return status;
    for (size_t done = 0; done < rows; done += p->batch) {
        size_t B = rows - done < p->batch ? rows - done : p->batch;
        memcpy(rd_workspace_x(p->workspace), x + done * D, B * D * sizeof *x);
        const float *outputs = rd_model_forward(p->model, p->parameters, p->workspace, B, NULL);
        for (size_t i = 0; i < B * Y; i++)
            y[done * Y + i] = unscale ? (float)rd_column_unscale(&p->schema.label, (double)outputs[i]) : outputs[i];
    }
    return RD_OK;
}

size_t rd_predictor_classes(const rd_predictor *p)
{
    return rd_model_classifies(p->model) ? rd_model_class_count(p->model) : 0;
}

size_t rd_predictor_class(const rd_predictor *p, const float *y)
{
    return rd_loss_class(rd_model_loss(p->model), y, rd_model_output_size(p->model));
}

void rd_predictor_class_name(const rd_predictor *p, size_t class_number, char *name, size_t size)
{
    rd_schema_class_name(&p->schema, class_number, name, size);
}
