/* settling.c: see settling.h. */
#include "settling.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/table_messages.h"

struct rd_settling {
    const rd_config *config;
    rd_run *run; /* not owned */
    pthread_mutex_t lock;
    rd_agreement *agreement;
    bool done;           /* the run knows */
    int announced;       /* the step that clients were asked for last */
    char notes[600];     /* what the agreement left out */
    rd_error trouble;    /* why there is no schema; status RD_OK: nothing is wrong */
    bool trouble_is_new; /* it has not been reported */
    bool hopeless;       /* with those who are there now there is no schema: who comes or goes may change that */
};

rd_status rd_settling_open(const rd_config *config, const char *directory, unsigned threads, rd_settling **out,
                           rd_run **run, rd_error *err)
{
    rd_status status = RD_OK;
    rd_model *model = NULL;
    rd_settling *s = calloc(1, sizeof *s);
    if (s == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory to settle what columns mean");
    s->config = config;
    pthread_mutex_init(&s->lock, NULL);
    RD_TRY(rd_model_create(config->model, &model, err));
    RD_TRY(rd_agreement_create(config, model, &s->agreement, err));
    const rd_schema *given = rd_agreement_is_settled(s->agreement) ? rd_agreement_schema(s->agreement) : NULL;
    const rd_run_options options = {.schema = given, .directory = directory, .threads = threads};
    RD_TRY(rd_run_open(config, &options, &s->run, err));
    const rd_schema *known = rd_run_schema(s->run);
    if (known != NULL && given == NULL) {
        rd_agreement_free(s->agreement);
        s->agreement = NULL;
        RD_TRY(rd_agreement_create_settled(config, known, &s->agreement, err));
    }
    s->done = known != NULL;
    *run = s->run;
    *out = s;
    s = NULL;
cleanup:
    rd_model_free(model);
    if (s != NULL)
        rd_run_free(s->run);
    rd_settling_free(s);
    return status;
}

void rd_settling_free(rd_settling *s)
{
    if (s == NULL)
        return;
    rd_agreement_free(s->agreement);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* With the lock held: keeps what went wrong for the driver to tell. */
static void note_trouble(rd_settling *s, const rd_error *err)
{
    s->trouble_is_new = s->trouble_is_new || strcmp(s->trouble.message, err->message) != 0;
    s->trouble = *err;
    s->hopeless = true;
}

/* ---- from the network ---- */

rd_status rd_settling_join(rd_settling *s, const char *client, rd_join_data *data, rd_error *err)
{
    rd_status status = RD_OK;
    pthread_mutex_lock(&s->lock);
    if (data->has_schema)
        status = rd_agreement_bring(s->agreement, client, &data->schema, err);
    if (status == RD_OK && data->is_table)
        status = rd_agreement_join(s->agreement, client, &data->table, err);
    s->hopeless = s->hopeless && status != RD_OK;
    pthread_mutex_unlock(&s->lock);
    return status;
}

void rd_settling_leave(rd_settling *s, const char *client)
{
    rd_error err;
    pthread_mutex_lock(&s->lock);
    s->hopeless = false;
    if (!s->done && rd_agreement_leave(s->agreement, client, &err) != RD_OK)
        note_trouble(s, &err);
    pthread_mutex_unlock(&s->lock);
}

rd_status rd_settling_measured(rd_settling *s, const char *client, uint64_t step, const char *json, size_t size,
                               rd_error *err)
{
    rd_statistics measured = {0};
    rd_status status = RD_OK;
    pthread_mutex_lock(&s->lock);
    if (rd_agreement_asks(s->agreement, client) != (int)step)
        status = rd_fail(err, RD_ERR_STATE, "step %llu is not asked of this client now", (unsigned long long)step);
    if (status == RD_OK)
        status = rd_statistics_parse(json, size, rd_agreement_schema(s->agreement), (int)step, &measured, err);
    rd_error trouble;
    if (status == RD_OK && rd_agreement_measured(s->agreement, client, (int)step, &measured, &trouble) != RD_OK)
        note_trouble(s, &trouble); /* nothing that this client could mend */
    pthread_mutex_unlock(&s->lock);
    rd_statistics_free(&measured);
    return status;
}

void rd_settling_deadline(rd_settling *s, char *missing, size_t size)
{
    rd_error err;
    missing[0] = '\0';
    pthread_mutex_lock(&s->lock);
    if (!s->done && rd_agreement_deadline(s->agreement, missing, size, &err) != RD_OK)
        note_trouble(s, &err);
    pthread_mutex_unlock(&s->lock);
}

bool rd_settling_is_done(rd_settling *s)
{
    pthread_mutex_lock(&s->lock);
    bool done = s->done;
    pthread_mutex_unlock(&s->lock);
    return done;
}

int rd_settling_asks(rd_settling *s, const char *client)
{
    pthread_mutex_lock(&s->lock);
    int step = s->done ? 0 : rd_agreement_asks(s->agreement, client);
    pthread_mutex_unlock(&s->lock);
    return step;
}

char *rd_settling_welcome(rd_settling *s, const char *run_id, const char *client)
{
    pthread_mutex_lock(&s->lock);
    char *text = rd_welcome_write(run_id, client, s->config, rd_agreement_schema(s->agreement),
                                  rd_agreement_is_settled(s->agreement));
    pthread_mutex_unlock(&s->lock);
    return text;
}

/* ---- from the driver ---- */

/* "settled: 3 features of 2 columns; classes a, b, c" */
static void describe(const rd_schema *schema, const char *notes, char *text, size_t size)
{
    size_t at = 0;
    if (schema->column_count == 0) {
        text[0] = '\0';
        return;
    }
    int written = snprintf(text, size, "settled what the tables' %zu columns mean: %zu features", schema->column_count,
                           rd_schema_features(schema));
    at += written > 0 ? (size_t)written : 0;
    for (size_t i = 0; !schema->numbered && i < schema->label.words.count && i < 8 && at < size; i++) {
        written = snprintf(text + at, size - at, "%s%.40s", i == 0 ? ", classes " : ", ", schema->label.words.name[i]);
        at += written > 0 ? (size_t)written : 0;
    }
    if (notes[0] != '\0' && at < size)
        (void)snprintf(text + at, size - at, "; %s", notes);
}

/* With the lock held: what the run is to know next. */
static rd_settling_news next_news(rd_settling *s, bool enough, char *text, size_t size)
{
    rd_error err;
    if (!rd_agreement_has_begun(s->agreement) && enough && !s->hopeless) {
        s->announced = 0;
        if (rd_agreement_begin(s->agreement, s->notes, sizeof s->notes, &err) != RD_OK)
            note_trouble(s, &err);
    }
    if (rd_agreement_is_settled(s->agreement))
        return RD_SETTLING_DONE;
    if (s->trouble_is_new) {
        s->trouble_is_new = false;
        (void)snprintf(text, size, "%s", s->trouble.message);
        return RD_SETTLING_STUCK;
    }
    const int step = rd_agreement_has_begun(s->agreement) ? rd_schema_step(rd_agreement_schema(s->agreement)) : 0;
    const bool next = step > 0 && step != s->announced;
    s->announced = step;
    return next ? RD_SETTLING_MEASURE : RD_SETTLING_NONE;
}

rd_status rd_settling_advance(rd_settling *s, bool enough, rd_settling_news *news, char *text, size_t size,
                              rd_error *err)
{
    rd_schema settled = {0};
    rd_status status = RD_OK;
    pthread_mutex_lock(&s->lock);
    if (s->done)
        *news = rd_agreement_was_extended(s->agreement) ? RD_SETTLING_DONE : RD_SETTLING_NONE;
    else
        *news = next_news(s, enough, text, size);
    if (*news == RD_SETTLING_DONE)
        status = rd_schema_copy(rd_agreement_schema(s->agreement), &settled, err);
    pthread_mutex_unlock(&s->lock);
    if (*news != RD_SETTLING_DONE || status != RD_OK)
        return status;
    /* Reads the test set: not under the lock. Nothing changes an agreement that is settled. */
    status = rd_run_settle(s->run, &settled, err);
    describe(&settled, s->notes, text, size);
    rd_schema_free(&settled);
    return status;
}

rd_status rd_settling_keep(rd_settling *s, rd_error *err)
{
    rd_status status = rd_run_keep_schema(s->run, err);
    if (status != RD_OK)
        return status;
    pthread_mutex_lock(&s->lock);
    s->done = true;
    pthread_mutex_unlock(&s->lock);
    return RD_OK;
}
