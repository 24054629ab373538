/* training_section.c: see training_section.h. */
#include "config/training_section.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "model/counting.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static rd_status read_schedule(rd_fields *training, rd_schedule *s)
{
    static const char *const kinds[] = {[RD_SCHEDULE_CONSTANT] = "constant",
                                        [RD_SCHEDULE_EXPONENTIAL] = "exponential",
                                        [RD_SCHEDULE_STEP] = "step",
                                        [RD_SCHEDULE_COSINE] = "cosine"};
    rd_fields f = rd_fields_section(training, "schedule", "training.schedule");
    int kind = RD_SCHEDULE_CONSTANT;
    rd_fields_choice(&f, "type", kinds, COUNT_OF(kinds), &kind);
    bool decays = kind == RD_SCHEDULE_EXPONENTIAL || kind == RD_SCHEDULE_STEP;
    rd_fields_only(&f, "decay", decays, "with \"type\": \"exponential\" or \"step\"");
    rd_fields_only(&f, "every", kind == RD_SCHEDULE_STEP, "with \"type\": \"step\"");
    rd_fields_only(&f, "final", kind == RD_SCHEDULE_COSINE, "with \"type\": \"cosine\"");
    if (decays)
        rd_fields_require(&f, "decay");
    if (kind == RD_SCHEDULE_STEP)
        rd_fields_require(&f, "every");
    *s = (rd_schedule){.kind = (rd_schedule_kind)kind, .decay = 1, .every = 1};
    rd_fields_number(&f, "decay", 0.0, 1.0, true, &s->decay);
    rd_fields_count(&f, "every", 1, 1000000000, &s->every);
    rd_fields_number(&f, "final", 0.0, 1.0, false, &s->final);
    rd_fields_count(&f, "warmup_rounds", 0, 1000000000, &s->warmup);
    return rd_fields_finish(&f);
}

static void read_skips(rd_fields *f, rd_training *t)
{
    const cJSON *list = rd_fields_item(f, "weight_decay_skips", false), *item;
    if (list == NULL)
        return;
    bool good = cJSON_IsArray(list) && cJSON_GetArraySize(list) <= RD_DECAY_SKIPS;
    cJSON_ArrayForEach(item, list) good =
        good && cJSON_IsString(item) && strlen(item->valuestring) < RD_TENSOR_NAME_MAX;
    if (!good) {
        rd_fields_fail(f, "weight_decay_skips", "a list of at most 8 names of tensors, which may hold * and ?");
        return;
    }
    cJSON_ArrayForEach(item, list)(void)
        snprintf(t->decay_skips[t->decay_skip_count++], RD_TENSOR_NAME_MAX, "%s", item->valuestring);
}

/* What only some optimizers know. */
static void read_optimizer(rd_fields *f, rd_training *t)
{
    static const char *const names[] = {[RD_OPTIMIZER_SGD] = "sgd",
                                        [RD_OPTIMIZER_ADAM] = "adam",
                                        [RD_OPTIMIZER_ADAMW] = "adamw",
                                        [RD_OPTIMIZER_ADAGRAD] = "adagrad",
                                        [RD_OPTIMIZER_RMSPROP] = "rmsprop"};
    int kind = RD_OPTIMIZER_SGD;
    rd_fields_choice(f, "optimizer", names, COUNT_OF(names), &kind);
    t->optimizer = (rd_optimizer_kind)kind;
    bool adam = kind == RD_OPTIMIZER_ADAM || kind == RD_OPTIMIZER_ADAMW, sgd = kind == RD_OPTIMIZER_SGD;
    double momentum = 0.0, beta1 = 0.9, beta2 = 0.999, alpha = 0.99,
           epsilon = kind == RD_OPTIMIZER_ADAGRAD ? 1e-10 : 1e-8;
    rd_fields_only(f, "momentum", sgd || kind == RD_OPTIMIZER_RMSPROP, "with \"optimizer\": \"sgd\" or \"rmsprop\"");
    rd_fields_only(f, "nesterov", sgd, "with \"optimizer\": \"sgd\"");
    rd_fields_only(f, "beta1", adam, "with \"optimizer\": \"adam\" or \"adamw\"");
    rd_fields_only(f, "beta2", adam, "with \"optimizer\": \"adam\" or \"adamw\"");
    rd_fields_only(f, "alpha", kind == RD_OPTIMIZER_RMSPROP, "with \"optimizer\": \"rmsprop\"");
    rd_fields_only(f, "epsilon", !sgd, "with another \"optimizer\" than \"sgd\"");
    rd_fields_number(f, "momentum", 0.0, 0.999999, false, &momentum);
    rd_fields_bool(f, "nesterov", &t->nesterov);
    rd_fields_number(f, "beta1", 0.0, 0.999999, false, &beta1);
    rd_fields_number(f, "beta2", 0.0, 0.999999, false, &beta2);
    rd_fields_number(f, "alpha", 0.0, 0.999999, false, &alpha);
    rd_fields_number(f, "epsilon", 0.0, 1.0, true, &epsilon);
    if (t->nesterov && momentum == 0.0)
        rd_fields_fail(f, "nesterov", "momentum above 0 beside it");
    t->momentum = (float)momentum;
    t->beta1 = (float)beta1;
    t->beta2 = (float)beta2;
    t->alpha = (float)alpha;
    t->epsilon = (float)epsilon;
}

rd_status rd_config_read_training(rd_fields *top, rd_training *t)
{
    rd_fields f = rd_fields_section(top, "training", "training");
    double rate = 0.0, weight_decay = 0.0, clip = 0.0;
    uint64_t epochs = 1, batch = 32;
    *t = (rd_training){.epochs = 1};
    rd_fields_number(&f, "learning_rate", 0.0, 1e6, true, &rate);
    rd_fields_count(&f, "epochs", 1, 1000000, &epochs);
    rd_fields_count(&f, "batch_size", 0, 1000000, &batch);
    rd_fields_number(&f, "weight_decay", 0.0, 1e6, false, &weight_decay);
    rd_fields_number(&f, "clip_norm", 0.0, 1e9, true, &clip);
    read_optimizer(&f, t);
    read_skips(&f, t);
    /* An empty list asks for nothing. */
    rd_fields_only(&f, "weight_decay_skips", weight_decay > 0.0 || t->decay_skip_count == 0,
                   "with \"weight_decay\" above 0");
    t->epochs = (uint32_t)epochs;
    t->batch_size = (uint32_t)batch;
    t->learning_rate = (float)rate;
    t->weight_decay = (float)weight_decay;
    t->clip_norm = (float)clip;
    rd_status status = f.status;
    if (status == RD_OK)
        status = read_schedule(&f, &t->schedule);
    return status == RD_OK ? rd_fields_finish(&f) : status;
}

static rd_status check_decay_skips(const rd_training *t, const rd_model *m, rd_error *err)
{
    const rd_tensor_table table = rd_model_tensors(m, RD_TENSORS_ALL);
    for (size_t i = 0; i < t->decay_skip_count; i++) {
        bool found = false;
        for (size_t k = 0; k < table.count && !found; k++)
            found = fnmatch(t->decay_skips[i], table.tensors[k].name, 0) == 0;
        if (!found)
            return rd_fail(err, RD_ERR_CONFIG,
                           "training.weight_decay_skips[%zu]: no tensor of the model is called \"%s\"; the "
                           "first is '%s'",
                           i, t->decay_skips[i], table.tensors[0].name);
    }
    return RD_OK;
}

rd_status rd_config_check_training(const rd_training *t, const rd_model *m, rd_error *err)
{
    if (!rd_model_counts(m) && t->learning_rate == 0.0f)
        return rd_fail(err, RD_ERR_CONFIG, "training.learning_rate is missing");
    if (t->batch_size == 1 && rd_model_least_rows(m) > 1)
        return rd_fail(err, RD_ERR_CONFIG,
                       "training.batch_size: one row says nothing of how features vary, which the model's batch norm "
                       "is to learn; expected 2 or more, or 0, found 1");
    return check_decay_skips(t, m, err);
}
