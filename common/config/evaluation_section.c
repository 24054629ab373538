/* evaluation_section.c: see evaluation_section.h. */
#include "config/evaluation_section.h"

#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static void read_scores(rd_fields *f, rd_evaluation_config *e)
{
    const cJSON *list = rd_fields_item(f, "metrics", false), *item;
    size_t i = 0;
    if (list != NULL && !cJSON_IsArray(list))
        rd_fields_fail(f, "metrics", "a list");
    cJSON_ArrayForEach(item, list)
    {
        size_t score = 0;
        while (score < RD_SCORES && !(cJSON_IsString(item) && strcmp(item->valuestring, rd_score_names[score]) == 0))
            score++;
        if (score == RD_SCORES)
            rd_fields_fail_at(f, "metrics", i, "top2 to top10, f1, auc, rmse, r2 or perplexity");
        else if ((e->scores >> score & 1u) != 0)
            rd_fields_fail_at(f, "metrics", i, "each metric once");
        else
            e->scores |= 1u << score;
        i++;
    }
}

rd_status rd_config_read_evaluation(rd_fields *top, rd_evaluation_config *e)
{
    rd_fields f = rd_fields_section(top, "evaluation", "evaluation");
    e->every = 1;
    rd_fields_count(&f, "every", 1, 1000000000, &e->every);
    rd_fields_number(&f, "target_accuracy", 0.0, 1.0, true, &e->target_accuracy);
    rd_fields_bool(&f, "train_loss", &e->clients.train_loss);
    read_scores(&f, e);
    rd_fields_number(&f, "holdout", 0.0, 0.9, false, &e->clients.holdout);
    return rd_fields_finish(&f);
}

rd_status rd_config_read_early_stopping(rd_fields *top, const rd_evaluation_config *e, rd_early_stopping *s)
{
    static const char *const metrics[] = {[RD_STOP_HOLDOUT_LOSS] = "holdout_loss",
                                          [RD_STOP_TEST_LOSS] = "test_loss",
                                          [RD_STOP_TEST_ACCURACY] = "test_accuracy"};
    rd_fields f = rd_fields_section(top, "early_stopping", "early_stopping");
    int metric = RD_STOP_HOLDOUT_LOSS;
    if (f.object == NULL)
        return f.status;
    rd_fields_require(&f, "metric");
    rd_fields_require(&f, "patience");
    rd_fields_choice(&f, "metric", metrics, COUNT_OF(metrics), &metric);
    rd_fields_count(&f, "patience", 1, 1000000000, &s->patience);
    rd_fields_number(&f, "min_delta", 0.0, 1e9, false, &s->min_delta);
    s->metric = (rd_stopping_metric)metric;
    if (metric == RD_STOP_HOLDOUT_LOSS && e->clients.holdout == 0.0)
        rd_fields_fail(&f, "metric",
                       "another metric, or evaluation.holdout above 0, without which there is no hold-out loss");
    return rd_fields_finish(&f);
}

rd_status rd_config_check_evaluation(const rd_evaluation_config *e, const rd_early_stopping *s, const rd_model *m,
                                     rd_error *err)
{
    rd_status status = RD_OK;
    if (s->patience > 0 && s->metric == RD_STOP_TEST_ACCURACY && !rd_model_classifies(m))
        RD_THROW(RD_ERR_CONFIG, "early_stopping.metric: test_accuracy needs a loss over classes, but the model's is %s",
                 rd_model_loss_name(m));
    for (unsigned i = 0; i < RD_SCORES; i++)
        if ((e->scores >> i & 1u) != 0)
            RD_TRY(rd_score_check((rd_score)i, m, err));
cleanup:
    return status;
}
