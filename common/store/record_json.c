/* record_json.c: see record_json.h. */
#include "store/record_json.h"

#include <math.h>

static void add_number(cJSON *object, const char *key, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, key, value);
    else
        cJSON_AddNullToObject(object, key);
}

static void add_metrics(cJSON *object, const char *key, const rd_metrics *m)
{
    if (m->samples == 0) {
        cJSON_AddNullToObject(object, key);
        return;
    }
    cJSON *inner = cJSON_AddObjectToObject(object, key);
    add_number(inner, "loss", m->loss);
    add_number(inner, "accuracy", m->accuracy);
    cJSON_AddNumberToObject(inner, "samples", (double)m->samples);
}

cJSON *rd_round_record_json(const rd_round_record *r)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "round", (double)r->round);
    cJSON_AddBoolToObject(object, "aggregated", r->aggregated);
    if (r->abandoned[0] != '\0')
        cJSON_AddStringToObject(object, "abandoned", r->abandoned);
    else
        cJSON_AddNullToObject(object, "abandoned");
    add_metrics(object, "test", &r->test);
    cJSON *test = cJSON_GetObjectItemCaseSensitive(object, "test");
    for (size_t i = 0; i < RD_SCORES; i++)
        if (!isnan(r->scores.value[i]))
            add_number(test, rd_score_names[i], r->scores.value[i]);
    add_metrics(object, "train", &r->train);
    add_metrics(object, "holdout", &r->holdout);
    add_number(object, "gap", r->gap);
    add_number(object, "running_loss", r->running_loss);
    add_metrics(object, "personal", &r->personal);
    if (isnan(r->spread.mean)) {
        cJSON_AddNullToObject(object, "spread");
    } else {
        cJSON *spread = cJSON_AddObjectToObject(object, "spread");
        add_number(spread, "mean", r->spread.mean);
        add_number(spread, "deviation", r->spread.deviation);
        add_number(spread, "worst", r->spread.worst);
    }
    add_number(object, "clock", r->clock);
    add_number(object, "attack_success", r->attack_success);
    cJSON_AddNumberToObject(object, "selected", (double)r->selected);
    cJSON_AddNumberToObject(object, "counted", (double)r->counted);
    cJSON_AddNumberToObject(object, "late", (double)r->late);
    cJSON_AddNumberToObject(object, "failed", (double)r->failed);
    cJSON_AddNumberToObject(object, "samples", (double)r->samples);
    cJSON_AddNumberToObject(object, "weight_limit", (double)r->weight_limit);
    cJSON_AddNumberToObject(object, "left_out", (double)r->left_out);
    add_number(object, "update_norm", r->update_norm);
    cJSON_AddNumberToObject(object, "bytes_in", (double)r->bytes_in);
    cJSON_AddNumberToObject(object, "bytes_out", (double)r->bytes_out);
    add_number(object, "seconds", r->seconds);
    add_number(object, "finished_at", r->finished_at);
    cJSON_AddStringToObject(object, "model_sha256", r->model_sha256);
    return object;
}
