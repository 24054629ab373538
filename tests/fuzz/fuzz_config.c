/* run.json: what is accepted is in range, and says the same when what clients get of it is read again, as clients
 * do. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "model/model.h"

static void check(int holds)
{
    if (!holds)
        abort();
}

static void holds(const rd_config *c)
{
    check(c->rounds >= 1 && c->name[0] != '\0' && c->evaluation.every >= 1);
    check(c->training.learning_rate >= 0.0f && isfinite(c->training.learning_rate));
    check(c->training.epochs >= 1 && c->training.momentum < 1.0f);
    check(c->cohort.fraction > 0.0 && c->cohort.fraction <= 1.0 && c->cohort.count >= 1);
    check(c->cohort.over_selection >= 1.0 && c->cohort.min_updates >= 1 && c->cohort.deadline_seconds > 0.0);
    check(c->evaluation.clients.holdout >= 0.0 && c->evaluation.clients.holdout < 1.0);
    check(cJSON_IsObject(c->model) && cJSON_IsObject(c->for_clients));
    /* Of "data", nothing but the schema goes out. */
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(c->for_clients, "data");
    check(data == NULL ||
          (data->child != NULL && data->child->next == NULL && strcmp(data->child->string, "schema") == 0));
    check((c->data.train.format == RD_SOURCE_NONE) == (c->data.train.path[0] == '\0'));
}

/* The wire carries a number to the last digits or two; words, whole numbers and switches are the same. */
static void again(const rd_config *c)
{
    rd_config copy;
    rd_error err = {RD_OK, ""};
    char *text = cJSON_PrintUnformatted(c->for_clients);
    if (text == NULL)
        return;
    check(rd_config_parse(text, strlen(text), "copy", NULL, &copy, &err) == RD_OK);
    check(copy.rounds == c->rounds && copy.evaluation.every == c->evaluation.every);
    check(strcmp(copy.name, c->name) == 0 && copy.strategy.kind == c->strategy.kind);
    check(copy.cohort.select == c->cohort.select && copy.cohort.count == c->cohort.count);
    check(copy.data.schema.column_count == c->data.schema.column_count &&
          copy.data.schema.scale == c->data.schema.scale);
    check(copy.training.epochs == c->training.epochs && copy.training.batch_size == c->training.batch_size);
    check(copy.evaluation.clients.train_loss == c->evaluation.clients.train_loss);
    rd_config_free(&copy);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_config c;
    rd_error err = {RD_OK, ""};
    char *json = malloc(count > 0 ? count : 1);
    if (json == NULL)
        return 0;
    if (count > 0)
        memcpy(json, bytes, count);
    if (rd_config_parse(json, count, "run.json", "folder", &c, &err) == RD_OK) {
        rd_model *m = NULL;
        holds(&c);
        again(&c);
        if (rd_model_create(c.model, &m, &err) == RD_OK)
            rd_model_free(m);
        rd_config_free(&c);
    } else {
        check((err.status == RD_ERR_CONFIG || err.status == RD_ERR_DATA) &&
              strncmp(err.message, "run.json: ", 10) == 0);
    }
    free(json);
    return 0;
}
