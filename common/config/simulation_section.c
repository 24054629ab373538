/* simulation_section.c: see simulation_section.h. */
#include "config/simulation_section.h"

#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

const char *const rd_device_field_names[] = {[RD_DEVICE_SECONDS_PER_SAMPLE] = "seconds_per_sample",
                                             [RD_DEVICE_DOWNLOAD] = "download_bytes_per_second",
                                             [RD_DEVICE_UPLOAD] = "upload_bytes_per_second",
                                             [RD_DEVICE_LATENCY] = "latency_seconds",
                                             [RD_DEVICE_AVAILABILITY] = "availability",
                                             [RD_DEVICE_DROPOUT] = "dropout"};

/* A number alone is short for this. */
static void settle_constant(rd_fields *system, const char *key, double value)
{
    cJSON *object = system->settled != NULL ? cJSON_CreateObject() : NULL;
    if (object != NULL && cJSON_AddStringToObject(object, "distribution", "constant") != NULL &&
        cJSON_AddNumberToObject(object, "value", value) != NULL) {
        rd_fields_settle(system, key, object);
        return;
    }
    cJSON_Delete(object);
    if (system->settled != NULL)
        rd_fields_settle(system, key, NULL);
}

const double rd_device_most[] = {[RD_DEVICE_SECONDS_PER_SAMPLE] = 1e7,
                                 [RD_DEVICE_DOWNLOAD] = 1e15,
                                 [RD_DEVICE_UPLOAD] = 1e15,
                                 [RD_DEVICE_LATENCY] = 1e7,
                                 [RD_DEVICE_AVAILABILITY] = 1,
                                 [RD_DEVICE_DROPOUT] = 1};

/* With some parameters a draw leaves the numbers of a computer, or means nothing: exp(1e15), u^(-1e9). */
#define LEAST_SCALE 1e-9
#define MOST_SIGMA 10.0
#define LEAST_SHAPE 0.1
#define MOST_SHAPE 1e6

static bool is_share(rd_device_field field)
{
    return field == RD_DEVICE_AVAILABILITY || field == RD_DEVICE_DROPOUT;
}

/* One value for all clients. Nobody ever there, or nobody who ever answers, is no simulation. */
static void read_constant(rd_fields *f, const char *key, rd_device_field field, double *out)
{
    double most = field == RD_DEVICE_DROPOUT ? 0.999999 : rd_device_most[field];
    rd_fields_number(f, key, 0.0, most, field == RD_DEVICE_AVAILABILITY, out);
}

static rd_status read_distribution(rd_fields *system, rd_device_field field, rd_distribution *d)
{
    const char *key = rd_device_field_names[field];
    static const char *const kinds[] = {"constant", "uniform", "exponential", "lognormal", "pareto"};
    static const char *const names[][2] = {
        {"value", NULL}, {"from", "to"}, {"mean", NULL}, {"median", "sigma"}, {"minimum", "shape"}};
    const cJSON *item = rd_fields_item(system, key, false);
    char path[96];
    int kind = 0;
    if (item == NULL || system->status != RD_OK) {
        settle_constant(system, key, d->a);
        return system->status;
    }
    if (cJSON_IsNumber(item)) {
        *d = (rd_distribution){.kind = RD_DISTRIBUTION_CONSTANT, .given = true};
        read_constant(system, key, field, &d->a);
        settle_constant(system, key, d->a);
        return system->status;
    }
    (void)snprintf(path, sizeof path, "simulation.system.%s", key);
    rd_fields f = rd_fields_section(system, key, path);
    rd_fields_require(&f, "distribution");
    rd_fields_choice(&f, "distribution", kinds, COUNT_OF(kinds), &kind);
    *d = (rd_distribution){.kind = (rd_distribution_kind)kind, .given = true};
    double most = rd_device_most[field];
    bool positive = d->kind == RD_DISTRIBUTION_LOGNORMAL || d->kind == RD_DISTRIBUTION_PARETO;
    if (is_share(field) && kind != RD_DISTRIBUTION_CONSTANT && kind != RD_DISTRIBUTION_UNIFORM)
        rd_fields_fail(&f, "distribution", "\"constant\" or \"uniform\", as a share is at most 1");
    rd_fields_require(&f, names[kind][0]);
    if (kind == RD_DISTRIBUTION_CONSTANT)
        read_constant(&f, names[kind][0], field, &d->a);
    else
        rd_fields_number(&f, names[kind][0], positive ? LEAST_SCALE : 0.0, most, false, &d->a);
    if (names[kind][1] != NULL)
        rd_fields_require(&f, names[kind][1]);
    if (kind == RD_DISTRIBUTION_UNIFORM)
        rd_fields_number(&f, names[kind][1], 0.0, most, field == RD_DEVICE_AVAILABILITY, &d->b);
    if (kind == RD_DISTRIBUTION_LOGNORMAL)
        rd_fields_number(&f, names[kind][1], 0.0, MOST_SIGMA, false, &d->b);
    if (kind == RD_DISTRIBUTION_PARETO)
        rd_fields_number(&f, names[kind][1], LEAST_SHAPE, MOST_SHAPE, false, &d->b);
    if (d->kind == RD_DISTRIBUTION_UNIFORM && f.status == RD_OK && f.missing == NULL && d->b < d->a)
        rd_fields_fail(&f, "to", "no less than \"from\"");
    return rd_fields_finish(&f);
}

static rd_status read_partial(rd_fields *system, rd_system_config *c)
{
    rd_fields f = rd_fields_section(system, "partial_work", "simulation.system.partial_work");
    c->least_epochs = 1;
    if (f.object == NULL)
        return f.status;
    rd_fields_require(&f, "fraction");
    rd_fields_number(&f, "fraction", 0.0, 1.0, false, &c->partial_work);
    rd_fields_count(&f, "least_epochs", 1, 1000000, &c->least_epochs);
    rd_fields_bool(&f, "drop", &c->drop_partial);
    if (c->partial_work == 0.0)
        rd_fields_settle_nothing(&f);
    return rd_fields_finish(&f);
}

static rd_status read_system(rd_fields *simulation, rd_system_config *c)
{
    rd_fields f = rd_fields_section(simulation, "system", "simulation.system");
    rd_status status = RD_OK;
    c->device[RD_DEVICE_AVAILABILITY].a = 1;
    c->slot_seconds = RD_SLOT_SECONDS;
    c->given = f.object != NULL;
    for (size_t i = 0; i < RD_DEVICE_FIELDS && status == RD_OK; i++)
        status = read_distribution(&f, (rd_device_field)i, &c->device[i]);
    if (status != RD_OK)
        return status;
    rd_fields_number(&f, "slot_seconds", 1e-3, 1e9, false, &c->slot_seconds);
    rd_fields_text(&f, "trace", c->trace, sizeof c->trace);
    status = read_partial(&f, c);
    if (!c->given)
        rd_fields_settle_nothing(&f);
    return status == RD_OK ? rd_fields_finish(&f) : status;
}

static rd_status read_attack(rd_fields *simulation, rd_attack_config *a)
{
    static const char *const kinds[] = {"none",          "sign_flip", "gaussian", "label_flip", "little_is_enough",
                                        "inner_product", "backdoor"};
    rd_fields f = rd_fields_section(simulation, "attack", "simulation.attack");
    int kind = RD_ATTACK_NONE;
    *a = (rd_attack_config){.scale = 1, .deviation = 1, .epsilon = 0.5, .size = 3, .value = 1, .share = 0.5};
    if (f.object == NULL)
        return f.status;
    rd_fields_require(&f, "type");
    rd_fields_require(&f, "fraction");
    rd_fields_choice(&f, "type", kinds, COUNT_OF(kinds), &kind);
    a->kind = (rd_attack_kind)kind;
    bool backdoor = kind == RD_ATTACK_BACKDOOR;
    static const char *const backdoor_keys[] = {"target", "size", "value", "share"};
    rd_fields_only(&f, "scale", kind == RD_ATTACK_SIGN_FLIP || backdoor,
                   "with \"type\": \"sign_flip\" or \"backdoor\"");
    rd_fields_only(&f, "deviation", kind == RD_ATTACK_GAUSSIAN, "with \"type\": \"gaussian\"");
    rd_fields_only(&f, "z", kind == RD_ATTACK_LITTLE_IS_ENOUGH, "with \"type\": \"little_is_enough\"");
    rd_fields_only(&f, "epsilon", kind == RD_ATTACK_INNER_PRODUCT, "with \"type\": \"inner_product\"");
    for (size_t i = 0; i < COUNT_OF(backdoor_keys); i++)
        rd_fields_only(&f, backdoor_keys[i], backdoor, "with \"type\": \"backdoor\"");
    rd_fields_number(&f, "fraction", 0.0, 1.0, false, &a->fraction);
    if (kind == RD_ATTACK_NONE && a->fraction > 0)
        rd_fields_fail(&f, "fraction", "0 with \"type\": \"none\"");
    rd_fields_number(&f, "scale", 0.0, 1e6, true, &a->scale);
    rd_fields_number(&f, "deviation", 0.0, 1e6, true, &a->deviation);
    rd_fields_number(&f, "z", 0.0, 100.0, true, &a->z);
    rd_fields_number(&f, "epsilon", 0.0, 1e6, true, &a->epsilon);
    rd_fields_count(&f, "target", 0, 1000000, &a->target);
    rd_fields_count(&f, "size", 1, 100000, &a->size);
    rd_fields_number(&f, "value", -1e6, 1e6, false, &a->value);
    rd_fields_number(&f, "share", 0.0, 1.0, true, &a->share);
    if (kind == RD_ATTACK_NONE)
        rd_fields_settle_nothing(&f);
    return rd_fields_finish(&f);
}

rd_status rd_config_read_simulation(rd_fields *top, rd_simulation_config *c)
{
    rd_fields f = rd_fields_section(top, "simulation", "simulation");
    rd_status status = read_system(&f, &c->system);
    if (status == RD_OK)
        status = read_attack(&f, &c->attack);
    return status == RD_OK ? rd_fields_finish(&f) : status;
}
