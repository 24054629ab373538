/* predict.c: `rondo-inspect predict`: what a run's model says of each sample of a data file. */
#include <stdio.h>
#include <string.h>

#include "data/source.h"
#include "inspect.h"
#include "model/loss.h"
#include "run_model.h"
#include "train/local_round.h"

/* As a field of CSV. */
static void print_field(const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        printf("%s", text);
        return;
    }
    putchar('"');
    for (; *text != '\0'; text++)
        printf(*text == '"' ? "\"\"" : "%c", *text);
    putchar('"');
}

/* "sample,position,class,output_0,..." with only those columns that the model has. */
static void print_heading(const run_model *run)
{
    const rd_model *m = run->model;
    printf("sample%s%s", rd_model_predictions(m) > 1 ? ",position" : "", rd_model_classifies(m) ? ",class" : "");
    for (size_t o = 0; o < rd_model_output_size(m); o++)
        printf(",output_%zu", o);
    printf("\n");
}

static void print_batch(const run_model *run, const float *y, size_t first, size_t B)
{
    const rd_model *m = run->model;
    size_t O = rd_model_output_size(m), positions = rd_model_predictions(m);
    const rd_column *label = &run->schema.label;
    for (size_t i = 0; i < B * positions; i++, y += O) {
        printf("%zu", first + i / positions);
        if (positions > 1)
            printf(",%zu", i % positions);
        if (rd_model_classifies(m)) {
            char name[256];
            rd_schema_class_name(&run->schema, rd_loss_class(rd_model_loss(m), y, O), name, sizeof name);
            putchar(',');
            print_field(name);
        }
        for (size_t o = 0; o < O; o++)
            printf(",%.9g", rd_model_classifies(m) ? (double)y[o] : rd_column_unscale(label, (double)y[o]));
        printf("\n");
    }
}

static rd_status predict(const run_model *run, const rd_dataset *d, rd_error *err)
{
    rd_workspace *w;
    size_t batch = rd_evaluation_batch(run->model);
    uint32_t pick[256];
    rd_status status = rd_workspace_create(run->model, batch, &w, err);
    if (status != RD_OK)
        return status;
    print_heading(run);
    for (size_t done = 0; done < d->rows; done += batch) {
        size_t B = d->rows - done < batch ? d->rows - done : batch;
        for (size_t i = 0; i < B; i++)
            pick[i] = (uint32_t)(done + i);
        rd_dataset_gather(d, rd_dataset_all_rows(d), pick, B, rd_workspace_x(w), NULL, NULL);
        print_batch(run, rd_model_forward(run->model, run->parameters, w, B, NULL), done, B);
    }
    rd_workspace_free(w);
    return RD_OK;
}

rd_status inspect_predict(int argc, char **argv, rd_error *err)
{
    const char *directory = NULL;
    rd_source_options from = {0};
    uint64_t round = UINT64_MAX;
    const rd_option options[] = {
        RD_SOURCE_OPTIONS(&from, true, "samples, in any format that a client takes; a label may be missing"),
        {.kind = RD_OPTION_COUNT,
         .name = "round",
         .placeholder = "R",
         .help = "the model of this round; default: the newest",
         .value = &round,
         .max = 1e9},
        {.kind = RD_OPTION_END},
    };
    const rd_command command = {
        .program = "rondo-inspect predict",
        .usage = "DIR --data FILE [options]",
        .summary = "Prints, as CSV, what a run's model puts out for each sample: the class by its name, if it has "
                   "classes, and the outputs "
                   "themselves (logits, or numbers in the units of the label), with as many digits as it takes to read "
                   "the same float back.",
        .options = options,
        .footer = INSPECT_EXIT_CODES,
    };
    run_model run = {0};
    rd_source source;
    rd_dataset data = {0};
    rd_status status = inspect_parse(&command, argc, argv, "DIR, a state directory", &directory, err);
    if (status != RD_OK || directory == NULL)
        return status;
    RD_TRY(run_model_load(directory, round, &run, err));
    RD_TRY(run_model_load_data(&run, &from, true, &source, &data, err));
    RD_TRY(rd_data_check_features(run.model, &data, source.path, err));
    RD_TRY(predict(&run, &data, err));
cleanup:
    rd_dataset_free(&data);
    run_model_free(&run);
    return status;
}
