/* data_section.c: see data_section.h. */
#include "config/data_section.h"

#include <stdio.h>
#include <string.h>

#include "config/schema_section.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* true and false, where neither may be said. */
static rd_tristate read_tristate(rd_fields *f, const char *key)
{
    bool value = false;
    rd_fields_bool(f, key, &value);
    return !rd_fields_has(f, key) ? RD_UNSAID : value ? RD_YES : RD_NO;
}

static void read_character(rd_fields *f, const char *key, const char *expected, char *out)
{
    char text[8] = "";
    rd_fields_text(f, key, text, sizeof text);
    if (text[0] != '\0' && text[1] != '\0')
        rd_fields_fail(f, key, expected);
    if (text[0] != '\0')
        *out = text[0];
}

/* The keys that only CSV knows. */
static void read_csv_keys(rd_fields *f, rd_source *s)
{
    static const char *const keys[] = {"label_column", "group_column", "header",    "separator",
                                       "decimal",      "standardise",  "regression"};
    bool allowed = s->format == RD_SOURCE_CSV || s->format == RD_SOURCE_NONE;
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        rd_fields_only(f, keys[i], allowed, "for \"format\": \"csv\"");
    rd_fields_text(f, "label_column", s->label_column, sizeof s->label_column);
    rd_fields_text(f, "group_column", s->group_column, sizeof s->group_column);
    s->heading = read_tristate(f, "header");
    rd_fields_bool(f, "standardise", &s->standardise);
    s->regression = read_tristate(f, "regression");
    read_character(f, "separator", "one character", &s->separator);
    read_character(f, "decimal", "'.' or ','", &s->decimal);
    if (s->decimal != '\0' && s->decimal != '.' && s->decimal != ',')
        rd_fields_fail(f, "decimal", "'.' or ','");
    if (s->decimal != '\0' && s->decimal == s->separator)
        rd_fields_fail(f, "decimal", "another character than the separator");
}

/* The keys that only a text knows. */
static void read_text_keys(rd_fields *f, rd_source *s)
{
    static const char *const keys[] = {"group", "part", "test_share", "stride"};
    static const char *const groups[] = {"none", "speaker"};
    static const char *const parts[] = {[RD_TEXT_ALL] = "all", [RD_TEXT_TRAIN] = "train", [RD_TEXT_TEST] = "test"};
    int group = 0, part = RD_TEXT_ALL;
    uint64_t stride = 0;
    bool allowed = s->format == RD_SOURCE_TEXT || s->format == RD_SOURCE_NONE;
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        rd_fields_only(f, keys[i], allowed, "for \"format\": \"text\"");
    rd_fields_choice(f, "group", groups, COUNT_OF(groups), &group);
    rd_fields_choice(f, "part", parts, COUNT_OF(parts), &part);
    rd_fields_only(f, "test_share", part != RD_TEXT_ALL, "with \"part\": \"train\" or \"test\"");
    rd_fields_number(f, "test_share", 0.0, 0.9, true, &s->text.test_share);
    rd_fields_count(f, "stride", 1, 1000000, &stride);
    s->text.speakers = group == 1;
    s->text.part = (rd_text_part)part;
    s->text.stride = (size_t)stride;
}

/* Data that are made up have no path. */
static rd_status read_synthetic(rd_fields *f, rd_source *s)
{
    static const char *const parts[] = {"all", "train", "test"};
    char format[16] = "";
    int part = RD_SYNTHETIC_ALL;
    s->format = RD_SOURCE_SYNTHETIC;
    s->synthetic = (rd_synthetic){.seed = 1};
    rd_fields_text(f, "format", format, sizeof format);
    rd_fields_require(f, "clients");
    rd_fields_count(f, "clients", 1, 100000, &s->synthetic.clients);
    rd_fields_bool(f, "iid", &s->synthetic.iid);
    for (size_t i = 0; i < 2; i++) {
        rd_fields_only(f, i == 0 ? "alpha" : "beta", !s->synthetic.iid, "without \"iid\": true");
        if (!s->synthetic.iid)
            rd_fields_require(f, i == 0 ? "alpha" : "beta");
        rd_fields_number(f, i == 0 ? "alpha" : "beta", 0.0, 100.0, false,
                         i == 0 ? &s->synthetic.alpha : &s->synthetic.beta);
    }
    rd_fields_count(f, "seed", 0, UINT64_C(1) << 53, &s->synthetic.seed);
    rd_fields_choice(f, "part", parts, COUNT_OF(parts), &part);
    s->synthetic.part = (rd_synthetic_part)part;
    return rd_fields_finish(f);
}

static rd_status read_source(rd_fields *data, const char *name, const char *path, rd_source *s)
{
    static const char *const formats[] = {[RD_SOURCE_NONE] = "none",
                                          [RD_SOURCE_IDX] = "idx",
                                          [RD_SOURCE_CSV] = "csv",
                                          [RD_SOURCE_LEAF] = "leaf",
                                          [RD_SOURCE_SAFETENSORS] = "safetensors",
                                          [RD_SOURCE_TEXT] = "text",
                                          [RD_SOURCE_SYNTHETIC] = "synthetic"};
    rd_fields f = rd_fields_section(data, name, path);
    char file[RD_SOURCE_PATH_MAX] = "", labels[RD_SOURCE_PATH_MAX] = "";
    int format = RD_SOURCE_NONE;
    if (f.object == NULL)
        return f.status;
    const char *format_name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(f.object, "format"));
    if (format_name != NULL && strcmp(format_name, "synthetic") == 0)
        return read_synthetic(&f, s);
    rd_fields_require(&f, "path");
    rd_fields_text(&f, "path", file, sizeof file);
    rd_fields_text(&f, "labels", labels, sizeof labels);
    rd_fields_choice(&f, "format", formats + 1, COUNT_OF(formats) - 1, &format);
    bool given = rd_fields_has(&f, "format");
    if (file[0] == '\0') {
        read_csv_keys(&f, s); /* what is wrong is the path, not they */
        read_text_keys(&f, s);
        return rd_fields_finish(&f);
    }
    if (f.status != RD_OK)
        return f.status;
    rd_status status = rd_source_from_path(file, s, f.err);
    if (status != RD_OK)
        return rd_fail_context(f.err, status, "%s: %s", f.whose, path);
    if (given)
        s->format = (rd_source_format)(format + 1);
    rd_fields_only(&f, "labels", s->format == RD_SOURCE_IDX, "for \"format\": \"idx\"");
    if (labels[0] != '\0')
        memcpy(s->labels_path, labels, sizeof labels);
    read_csv_keys(&f, s);
    read_text_keys(&f, s);
    return rd_fields_finish(&f);
}

static rd_status read_partition(rd_fields *data, rd_partition_config *p)
{
    static const char *const schemes[] = {[RD_PARTITION_IID] = "iid",
                                          [RD_PARTITION_SHARDS] = "shards",
                                          [RD_PARTITION_DIRICHLET] = "dirichlet",
                                          [RD_PARTITION_GROUP] = "group",
                                          [RD_PARTITION_SAMPLE] = "sample"};
    rd_fields f = rd_fields_section(data, "partition", "data.partition");
    int scheme = RD_PARTITION_IID;
    uint64_t shards = 2, min_rows = 1;
    p->alpha = 0.5;
    rd_fields_choice(&f, "scheme", schemes, COUNT_OF(schemes), &scheme);
    rd_fields_only(&f, "shards_per_client", scheme == RD_PARTITION_SHARDS, "with \"scheme\": \"shards\"");
    rd_fields_only(&f, "alpha", scheme == RD_PARTITION_DIRICHLET, "with \"scheme\": \"dirichlet\"");
    rd_fields_only(&f, "min_rows", scheme == RD_PARTITION_DIRICHLET, "with \"scheme\": \"dirichlet\"");
    rd_fields_count(&f, "shards_per_client", 1, 1000000, &shards);
    rd_fields_number(&f, "alpha", 0.0, 1e9, true, &p->alpha);
    rd_fields_count(&f, "min_rows", 1, 1000000, &min_rows);
    uint64_t samples = 0;
    rd_fields_only(&f, "samples", scheme == RD_PARTITION_SAMPLE, "with \"scheme\": \"sample\"");
    if (scheme == RD_PARTITION_SAMPLE)
        rd_fields_require(&f, "samples");
    rd_fields_count(&f, "samples", 1, 100000, &samples);
    p->samples = (uint32_t)samples;
    p->scheme = (rd_partition_scheme)scheme;
    p->shards_per_client = (uint32_t)shards;
    p->min_rows = (uint32_t)min_rows;
    return rd_fields_finish(&f);
}

/* What the sources say of their columns, where "schema" says nothing. */
static rd_status complete_schema(rd_fields *f, rd_data_config *d)
{
    const rd_source *sources[] = {&d->test, &d->train, &d->root};
    static const char *const names[] = {"test", "train", "root"};
    rd_schema *s = &d->schema;
    rd_status status = RD_OK;
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        if (sources[i]->standardise && (s->scale == RD_SCALE_NONE || s->scale == RD_SCALE_MINMAX))
            return rd_fail(f->err, RD_ERR_CONFIG, "%s: data.%s.standardise: data.schema.scale says otherwise", f->whose,
                           names[i]);
        if (sources[i]->standardise)
            s->scale = RD_SCALE_STANDARD;
        if (s->label.name == NULL && sources[i]->label_column[0] != '\0')
            RD_TRY(rd_schema_set_text(&s->label.name, sources[i]->label_column, f->err));
        if (s->group == NULL && sources[i]->group_column[0] != '\0')
            RD_TRY(rd_schema_set_text(&s->group, sources[i]->group_column, f->err));
    }
cleanup:
    return status;
}

rd_status rd_config_read_data(rd_fields *top, rd_data_config *d)
{
    rd_fields f = rd_fields_section(top, "data", "data");
    rd_status status = f.status;
    RD_TRY(status);
    RD_TRY(rd_config_read_schema(&f, &d->schema));
    RD_TRY(read_source(&f, "train", "data.train", &d->train));
    RD_TRY(read_source(&f, "test", "data.test", &d->test));
    RD_TRY(read_source(&f, "root", "data.root", &d->root));
    RD_TRY(read_partition(&f, &d->partition));
    RD_TRY(rd_fields_finish(&f));
    RD_TRY(complete_schema(&f, d));
    d->given = rd_fields_has(&f, "train") || rd_fields_has(&f, "test") || rd_fields_has(&f, "root");
cleanup:
    return status;
}

rd_status rd_config_settle_label(rd_data_config *d, const rd_model *m, rd_error *err)
{
    const bool real = !rd_model_classifies(m) && rd_model_loss(m) != RD_LOSS_INERTIA;
    const rd_column_type type = real ? RD_COLUMN_NUMBER : RD_COLUMN_CATEGORY;
    const rd_source *sources[] = {&d->train, &d->test, &d->root};
    for (size_t i = 0; i < COUNT_OF(sources); i++)
        if (sources[i]->regression == (real ? RD_NO : RD_YES))
            return rd_fail(err, RD_ERR_CONFIG, "data.%s.regression: the model's loss is %s, which predicts %s",
                           i == 0   ? "train"
                           : i == 1 ? "test"
                                    : "root",
                           rd_model_loss_name(m), real ? "a number" : "classes");
    if (d->schema.label.type != RD_COLUMN_OPEN && d->schema.label.type != type)
        return rd_fail(err, RD_ERR_CONFIG, "data.schema.label: %s, but the model's loss is %s, which predicts %s",
                       real ? "classes" : "a target", rd_model_loss_name(m), real ? "a number" : "classes");
    d->schema.label.type = type;
    return RD_OK;
}

rd_status rd_config_read_initial(rd_fields *top, rd_initial_config *c)
{
    rd_fields f = rd_fields_section(top, "initial", "initial");
    const cJSON *item;
    if (f.object == NULL)
        return f.status;
    rd_fields_require(&f, "path");
    rd_fields_text(&f, "path", c->path, sizeof c->path);
    const cJSON *map = rd_fields_item(&f, "map", true);
    cJSON_ArrayForEach(item, map)
    {
        if (!cJSON_IsString(item) && !cJSON_IsNull(item))
            rd_fields_fail(&f, "map", "names of the model's tensors, or null, as values");
    }
    rd_fields_bool(&f, "partial", &c->partial);
    if (f.status != RD_OK)
        return f.status;
    c->map = map != NULL ? cJSON_Duplicate(map, true) : NULL;
    if (map != NULL && c->map == NULL)
        return rd_fail(f.err, RD_ERR_MEMORY, "%s: no memory for the configuration", f.whose);
    return rd_fields_finish(&f);
}
