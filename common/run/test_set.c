/* test_set.c: see test_set.h. */
#include "run/test_set.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "data/source.h"
#include "run/parallel.h"

static rd_status load(rd_test_set *t, const rd_source *source, const rd_schema *schema, rd_error *err)
{
    const rd_training evaluation_only = {.batch_size = 1};
    rd_status status = RD_OK;
    RD_TRY(rd_source_load(source, t->model, schema, false, &t->data, err));
    RD_TRY(rd_data_check(t->model, &t->data, "data.test", err));
    RD_TRY(rd_score_check_rows(t->scores, &t->data, "data.test", err));
    t->trainers = calloc(t->threads, sizeof(rd_trainer *));
    if (rd_scores_need_rows(t->scores)) {
        t->by_row = malloc(t->data.rows * sizeof *t->by_row);
        if (t->by_row == NULL)
            RD_THROW(RD_ERR_MEMORY, "no memory for the scores of %zu samples", t->data.rows);
    }
    if (t->trainers == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for %u evaluation threads", t->threads);
    for (unsigned i = 0; i < t->threads; i++)
        RD_TRY(rd_trainer_create(t->model, &evaluation_only, 1, &t->trainers[i], err));
cleanup:
    return status;
}

/* What the configuration asks for that needs a test set; NULL: nothing. */
static const char *needed_for(const rd_config *c)
{
    if (c->early_stopping.patience > 0 && c->early_stopping.metric != RD_STOP_HOLDOUT_LOSS)
        return "early_stopping.metric";
    return c->evaluation.target_accuracy > 0.0 ? "evaluation.target_accuracy"
           : c->evaluation.scores != 0         ? "evaluation.metrics"
                                               : NULL;
}

rd_status rd_test_set_open(const rd_config *c, const rd_model *m, const rd_schema *schema, unsigned threads,
                           rd_test_set *out, rd_error *err)
{
    out->model = m;
    out->scores = c->evaluation.scores;
    out->threads = threads;
    rd_status status = c->data.test.format != RD_SOURCE_NONE ? load(out, &c->data.test, schema, err) : RD_OK;
    if (status == RD_OK && out->data.rows == 0 && needed_for(c) != NULL)
        return rd_fail(err, RD_ERR_CONFIG, "%s needs data.test to be measured on", needed_for(c));
    return status;
}

typedef struct evaluation_job {
    rd_test_set *set;
    const float *parameters;
    atomic_size_t next; /* first row nobody has taken */
    pthread_mutex_t lock;
    rd_evaluation sums;
    rd_status status;
    rd_error *err;
} evaluation_job;

static void evaluate_some(void *user, unsigned thread)
{
    evaluation_job *job = user;
    rd_test_set *t = job->set;
    const size_t rows_at_a_time = 2 * rd_evaluation_batch(t->model);
    const rd_row_set all = rd_dataset_all(&t->data);
    rd_evaluation sums = {.scores = {.wanted = t->scores, .by_row = t->by_row}};
    rd_error error;
    rd_status status = RD_OK;
    for (;;) {
        size_t first = atomic_fetch_add(&job->next, rows_at_a_time);
        if (first >= t->data.rows || status != RD_OK)
            break;
        size_t count = t->data.rows - first < rows_at_a_time ? t->data.rows - first : rows_at_a_time;
        status = rd_evaluate(t->trainers[thread], job->parameters, all, first, count, &sums, &error);
    }
    pthread_mutex_lock(&job->lock);
    rd_evaluation_merge(&job->sums, &sums);
    if (status != RD_OK && job->status == RD_OK) {
        job->status = status;
        *job->err = error;
    }
    pthread_mutex_unlock(&job->lock);
}

rd_status rd_test_set_evaluate(rd_test_set *t, const float *parameters, rd_metrics *out, rd_scores *scores,
                               rd_error *err)
{
    evaluation_job job = {.set = t, .parameters = parameters, .lock = PTHREAD_MUTEX_INITIALIZER, .err = err};
    job.sums.scores.wanted = t->scores;
    job.sums.scores.by_row = t->by_row;
    rd_parallel(t->threads, evaluate_some, &job);
    pthread_mutex_destroy(&job.lock);
    if (job.status != RD_OK)
        return job.status;
    *out = rd_evaluation_metrics(&job.sums, t->model);
    return rd_score_finish(&job.sums.scores, &t->data, out->samples, scores, err);
}

void rd_test_set_free(rd_test_set *t)
{
    for (unsigned i = 0; t->trainers != NULL && i < t->threads; i++)
        rd_trainer_free(t->trainers[i]);
    free(t->trainers);
    free(t->by_row);
    rd_dataset_free(&t->data);
}
