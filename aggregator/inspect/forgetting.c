/* forgetting.c: `rondo-inspect forgetting`: of a run over tasks, the accuracy on every task after every task,
 * and how much of it was lost again (Chaudhry et al. 2018, section 3: for each task but the last, the best
 * accuracy that it ever had minus the one at the end, and the mean of these). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "codec/messages.h"
#include "config/config.h"
#include "data/source.h"
#include "inspect.h"
#include "model/loss.h"
#include "run_model.h"
#include "store/store.h"
#include "train/local_round.h"

typedef struct study {
    const char *directory;
    rd_config config;
    rd_dataset data;
    double accuracy[RD_CONTINUAL_TASKS][RD_CONTINUAL_TASKS]; /* after task, on task */
} study;

static rd_status read_config(study *s, rd_error *err)
{
    rd_store *store = NULL;
    rd_run_record run = {0};
    rd_status status = RD_OK;
    RD_TRY(rd_store_open_reader(s->directory, &store, err));
    RD_TRY(rd_store_run(store, &run, err));
    RD_TRY(rd_config_parse(run.config_json, strlen(run.config_json), s->directory, NULL, &s->config, err));
    if (s->config.continual.task_count == 0)
        status = rd_fail(err, RD_ERR_CONFIG, "%s: the run has no tasks (run.json \"continual\")", s->directory);
    else if (run.rounds_done < s->config.continual.rounds_per_task)
        status = rd_fail(err, RD_ERR_STATE, "%s: the first task has not ended yet", s->directory);
cleanup:
    rd_run_record_free(&run);
    rd_store_close(store);
    return status;
}

/* Accuracy of one model on the rows of each task. */
static rd_status measure(const study *s, const run_model *run, double accuracy[RD_CONTINUAL_TASKS], rd_error *err)
{
    rd_workspace *w;
    size_t batch = rd_evaluation_batch(run->model), O = rd_model_output_size(run->model);
    uint64_t right[RD_CONTINUAL_TASKS + 1] = {0}, all[RD_CONTINUAL_TASKS + 1] = {0};
    rd_status status = rd_workspace_create(run->model, batch, &w, err);
    if (status != RD_OK)
        return status;
    for (size_t done = 0; done < s->data.rows; done += batch) {
        size_t B = s->data.rows - done < batch ? s->data.rows - done : batch;
        uint32_t pick[256];
        for (size_t i = 0; i < B; i++)
            pick[i] = (uint32_t)(done + i);
        rd_dataset_gather(&s->data, rd_dataset_all_rows(&s->data), pick, B, rd_workspace_x(w), NULL, NULL);
        const float *y = rd_model_forward(run->model, run->parameters, w, B, NULL);
        for (size_t i = 0; i < B; i++) {
            int32_t label = s->data.labels[done + i];
            size_t task = rd_continual_task_of(&s->config.continual, label);
            all[task]++;
            right[task] += rd_loss_class(rd_model_loss(run->model), y + i * O, O) == (size_t)label;
        }
    }
    for (size_t t = 0; t < s->config.continual.task_count; t++)
        accuracy[t] = all[t] > 0 ? (double)right[t] / (double)all[t] : NAN;
    rd_workspace_free(w);
    return RD_OK;
}

/* A task of which the data have no row is not measured, and no part of the mean. */
static void print_study(const study *s, size_t ended)
{
    size_t tasks = s->config.continual.task_count, measured = 0;
    double sum = 0;
    printf("accuracy on     ");
    for (size_t t = 0; t < tasks; t++)
        printf("  task %-2zu", t + 1);
    printf("\n");
    for (size_t after = 0; after < ended; after++) {
        printf("after task %-5zu", after + 1);
        for (size_t t = 0; t < tasks; t++)
            if (isnan(s->accuracy[after][t]))
                printf("  %8s", "-");
            else
                printf("  %6.2f %%", 100 * s->accuracy[after][t]);
        printf("\n");
    }
    for (size_t t = 0; t + 1 < ended; t++) {
        double best = 0;
        if (isnan(s->accuracy[t][t]))
            continue;
        measured++;
        for (size_t after = t; after + 1 < ended; after++)
            best = fmax(best, s->accuracy[after][t]);
        sum += best - s->accuracy[ended - 1][t];
    }
    if (measured > 0)
        printf("\nmean forgetting over %zu task%s: %.2f points\n", measured, measured == 1 ? "" : "s",
               100 * sum / (double)measured);
}

/* The model at the end of a task, on all tasks. The samples are read with the first model. */
static rd_status measure_after(study *s, size_t task, run_model *run, const rd_source_options *from, rd_error *err)
{
    rd_status status = RD_OK;
    rd_source source;
    if (task == 0) {
        RD_TRY(run_model_load_data(run, from, false, &source, &s->data, err));
        RD_TRY(rd_data_check(run->model, &s->data, source.path, err));
    }
    RD_TRY(measure(s, run, s->accuracy[task], err));
cleanup:
    return status;
}

static rd_status investigate(study *s, const rd_source_options *from, rd_error *err)
{
    rd_status status = RD_OK;
    size_t ended = 0;
    RD_TRY(read_config(s, err));
    for (size_t task = 0; task < s->config.continual.task_count; task++) {
        run_model run = {0};
        status = run_model_load(s->directory, (task + 1) * s->config.continual.rounds_per_task, &run, err);
        if (status != RD_OK && task > 0)
            break; /* the run has come so far */
        if (status != RD_OK)
            RD_TRY(rd_fail_context(err, status,
                                   "the model at the end of task 1 (keep_every: %llu in run.json keeps those)",
                                   (unsigned long long)s->config.continual.rounds_per_task));
        status = measure_after(s, task, &run, from, err);
        run_model_free(&run);
        RD_TRY(status);
        ended = task + 1;
    }
    print_study(s, ended);
    status = RD_OK;
cleanup:
    return status;
}

rd_status inspect_forgetting(int argc, char **argv, rd_error *err)
{
    rd_source_options from = {0};
    const rd_option options[] = {
        RD_SOURCE_OPTIONS(&from, true, "samples for testing, of all classes"),
        {.kind = RD_OPTION_END},
    };
    const rd_command command = {
        .program = "rondo-inspect forgetting",
        .usage = "DIR --data FILE",
        .summary = "Of a run over tasks that come one after another (run.json \"continual\"), prints the "
                   "accuracy on every task after "
                   "every task, and the mean forgetting.",
        .options = options,
        .footer = INSPECT_EXIT_CODES,
    };
    study s = {0};
    rd_status status = inspect_parse(&command, argc, argv, "DIR, a state directory", &s.directory, err);
    if (status != RD_OK || s.directory == NULL)
        return status;
    status = investigate(&s, &from, err);
    rd_dataset_free(&s.data);
    rd_config_free(&s.config);
    return status;
}
