/* layers.c: `rondo-inspect model DIR`: a model layer by layer. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config/config.h"
#include "inspect.h"
#include "run_model.h"
#include "store/store.h"
#include "table.h"

enum { NAME, TYPE, SHAPE, COUNT, TRAINED, FROZEN, FLOPS, MEMORY, COLUMNS };

static const table_column columns[COLUMNS] = {
    [NAME] = {"layer", true},
    [TYPE] = {"type", true},
    [SHAPE] = {"comes out", true},
    [COUNT] = {"parameters", false},
    [TRAINED] = {"trained", false},
    [FROZEN] = {"not trained", false},
    [FLOPS] = {"FLOPs a sample", false},
    [MEMORY] = {"bytes a sample", false},
};

static const char *const csv_columns[] = {"layer", "type", "shape", "parameters", "trained", "flops", "bytes", NULL};

static void fill_row(const rd_layer_info *l, table_row *row)
{
    char shape[RD_SHAPE_TEXT_MAX];
    memset(row, 0, sizeof *row);
    rd_shape_text(&l->out, shape);
    table_text(row->cell[NAME], l->name);
    table_text(row->cell[TYPE], l->type);
    table_text(row->cell[SHAPE], shape);
    table_count_if_any(row->cell[COUNT], l->parameters);
    table_count_if_any(row->cell[TRAINED], l->trained);
    table_count_if_any(row->cell[FROZEN], l->parameters - l->trained);
    table_count_if_any(row->cell[FLOPS], l->flops);
    table_count(row->cell[MEMORY], l->activation_bytes);
}

static cJSON *layer_json(const rd_layer_info *l)
{
    char shape[RD_SHAPE_TEXT_MAX];
    cJSON *object = cJSON_CreateObject();
    rd_shape_text(&l->out, shape);
    cJSON_AddStringToObject(object, "layer", l->name);
    cJSON_AddStringToObject(object, "type", l->type);
    cJSON_AddStringToObject(object, "shape", shape);
    cJSON_AddNumberToObject(object, "parameters", (double)l->parameters);
    cJSON_AddNumberToObject(object, "trained", (double)l->trained);
    cJSON_AddNumberToObject(object, "flops", (double)l->flops);
    cJSON_AddNumberToObject(object, "bytes", (double)l->activation_bytes);
    return object;
}

static void print_totals(const rd_model *m)
{
    char all[TABLE_CELL], trained[TABLE_CELL], travel[TABLE_CELL], flops[TABLE_CELL], step[TABLE_CELL],
        memory[TABLE_CELL], in[RD_SHAPE_TEXT_MAX];
    size_t bytes = 0, count = 0;
    for (size_t i = 0; i < rd_model_layer_count(m); i++) {
        rd_layer_info l = rd_model_layer_info(m, i);
        bytes += l.activation_bytes;
        count += l.trained;
    }
    table_count(all, rd_model_parameter_count(m));
    table_count(trained, count);
    table_count(travel, 4 * rd_model_tensors(m, RD_TENSORS_TRAVELLING).elements);
    table_count(flops, rd_model_forward_flops(m));
    table_count(step, 3 * rd_model_forward_flops(m));
    table_count(memory, bytes);
    rd_shape_text(rd_model_input(m), in);
    (void)printf("\ninput %s, loss %s\n", in, rd_model_loss_name(m));
    (void)printf("total: %s parameters, %s of them trained; %s bytes travel each way in a round\n", all, trained,
                 travel);
    (void)printf("a sample: %s FLOPs forward, about %s in training (three times that), %s bytes of activations\n",
                 flops, step, memory);
}

static rd_status print_layers(export_kind kind, const rd_model *m, rd_error *err)
{
    table t = {.columns = columns, .count = COLUMNS};
    table_row row;
    for (size_t i = 0; i < rd_model_layer_count(m); i++) {
        rd_layer_info l = rd_model_layer_info(m, i);
        fill_row(&l, &row);
        table_measure(&t, &row);
    }
    if (kind == EXPORT_TABLE)
        table_print_heading(&t);
    if (kind == EXPORT_CSV)
        export_csv_heading(csv_columns);
    for (size_t i = 0; i < rd_model_layer_count(m); i++) {
        rd_layer_info l = rd_model_layer_info(m, i);
        fill_row(&l, &row);
        if (kind == EXPORT_TABLE)
            table_print(&t, &row);
        else if (!export_record(kind, csv_columns, layer_json(&l)))
            return rd_fail(err, RD_ERR_MEMORY, "no memory to print layer '%s'", l.name);
    }
    if (kind == EXPORT_TABLE)
        print_totals(m);
    return RD_OK;
}

rd_status inspect_layers(export_kind kind, const char *path, rd_error *err)
{
    struct stat info;
    rd_model *m = NULL;
    rd_config config = {0};
    run_model run = {0};
    rd_status status = RD_OK;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        RD_TRY(run_model_load(path, UINT64_MAX, &run, err));
    } else {
        RD_TRY(rd_config_load(path, &config, err));
        RD_TRY(rd_model_create(config.model, &m, err));
    }
    RD_TRY(print_layers(kind, m != NULL ? m : run.model, err));
cleanup:
    rd_model_free(m);
    rd_config_free(&config);
    run_model_free(&run);
    return status;
}
