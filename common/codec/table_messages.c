/* table_messages.c: see table_messages.h. */
#include "codec/table_messages.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/json_print.h"
#include "config/schema_section.h"
#include "core/grow.h"
#include "format/foreign.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define MOST UINT64_C(9007199254740992) /* 2^53 */
#define NAME_MAX_HERE 1024

static const char *const types[] = {
    [RD_COLUMN_OPEN] = "missing", [RD_COLUMN_NUMBER] = "number", [RD_COLUMN_CATEGORY] = "category"};

/* ---- descriptions ---- */

static bool add_column(cJSON *to, const rd_column_description *c, const char *words)
{
    return to != NULL && (c->name == NULL || cJSON_AddStringToObject(to, "name", c->name) != NULL) &&
           (c->missing == 0 || cJSON_AddNumberToObject(to, "missing", (double)c->missing) != NULL) &&
           (c->words.count == 0 || rd_words_add_json(to, words, &c->words));
}

/* So that a table of a thousand unnamed numbers is described in a line. */
static bool alike(const rd_column_description *a, const rd_column_description *b)
{
    return a->name == NULL && b->name == NULL && a->type == b->type && a->type != RD_COLUMN_CATEGORY &&
           a->missing == b->missing;
}

cJSON *rd_description_json(const rd_description *d)
{
    cJSON *json = cJSON_CreateObject(), *columns = cJSON_AddArrayToObject(json, "columns");
    bool whole = columns != NULL && cJSON_AddNumberToObject(json, "rows", (double)d->rows) != NULL &&
                 (!d->numbered || cJSON_AddBoolToObject(json, "numbered", true) != NULL);
    size_t same;
    for (size_t i = 0; i < d->column_count && whole; i += same) {
        cJSON *column = cJSON_CreateObject();
        for (same = 1; i + same < d->column_count && alike(&d->columns[i], &d->columns[i + same]);)
            same++;
        whole = cJSON_AddItemToArray(columns, column) &&
                cJSON_AddStringToObject(column, "type", types[d->columns[i].type]) != NULL &&
                add_column(column, &d->columns[i], "words") &&
                (same == 1 || cJSON_AddNumberToObject(column, "count", (double)same) != NULL);
    }
    whole = whole && add_column(cJSON_AddObjectToObject(json, "label"), &d->label, "classes");
    if (whole)
        return json;
    cJSON_Delete(json);
    return NULL;
}

static void read_words(rd_fields *f, const char *key, rd_names *out)
{
    const cJSON *list = rd_fields_item(f, key, false), *item;
    int32_t ignored;
    if (list != NULL && (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > RD_WORDS_MOST))
        rd_fields_fail(f, key, "a list of at most 10000 words");
    cJSON_ArrayForEach(item, list)
    {
        if (f->status == RD_OK && !cJSON_IsString(item))
            rd_fields_fail(f, key, "a list of words");
        if (f->status == RD_OK)
            f->status = rd_names_add(out, item->valuestring, &ignored, f->err);
    }
}

static void read_column(rd_fields *f, const char *words, rd_column_description *c)
{
    char name[NAME_MAX_HERE] = "";
    rd_fields_text(f, "name", name, sizeof name);
    rd_fields_count(f, "missing", 0, MOST, &c->missing);
    read_words(f, words, &c->words);
    if (f->status == RD_OK && name[0] != '\0')
        f->status = rd_schema_set_text(&c->name, name, f->err);
    (void)rd_fields_required(f);
}

/* Takes c over, count times; more than once it owns nothing. */
static rd_status add_columns(rd_description *d, size_t *capacity, const rd_column_description *c, size_t count,
                             rd_error *err)
{
    if (d->column_count + count > RD_COLUMNS_MOST)
        return rd_fail(err, RD_ERR_FORMAT, "table.columns: more than %d columns", RD_COLUMNS_MOST);
    rd_status status = rd_grow(&d->columns, capacity, d->column_count + count, sizeof *d->columns, "columns", err);
    for (size_t i = 0; i < count && status == RD_OK; i++)
        d->columns[d->column_count++] = *c;
    return status;
}

rd_status rd_description_read(rd_fields *parent, rd_description *out)
{
    rd_status status = RD_OK;
    rd_description d = {0};
    size_t i = 0, capacity = 0;
    memset(out, 0, sizeof *out);
    rd_fields f = rd_fields_section(parent, "table", "table");
    const cJSON *columns = rd_fields_item(&f, "columns", false), *item;
    rd_fields_require(&f, "columns");
    rd_fields_require(&f, "rows");
    rd_fields_count(&f, "rows", 1, MOST, &d.rows);
    rd_fields_bool(&f, "numbered", &d.numbered);
    if (!cJSON_IsArray(columns) || cJSON_GetArraySize(columns) < 1 || cJSON_GetArraySize(columns) > RD_COLUMNS_MOST)
        rd_fields_fail(&f, "columns", "a list of columns");
    RD_TRY(rd_fields_required(&f));
    cJSON_ArrayForEach(item, columns)
    {
        char path[40];
        int type = 0;
        uint64_t count = 1;
        rd_column_description c = {0};
        (void)snprintf(path, sizeof path, "table.columns[%zu]", i++);
        rd_fields c_fields = {.object = item, .whose = f.whose, .path = path, .err = f.err};
        if (!cJSON_IsObject(item))
            rd_fields_fail_at(&f, "columns", i - 1, "an object");
        RD_TRY(f.status);
        rd_fields_require(&c_fields, "type");
        rd_fields_choice(&c_fields, "type", types, COUNT_OF(types), &type);
        rd_fields_count(&c_fields, "count", 1, RD_COLUMNS_MOST, &count);
        c.type = (rd_column_type)type;
        read_column(&c_fields, "words", &c);
        if (c_fields.status == RD_OK && count > 1 && (c.name != NULL || c.type == RD_COLUMN_CATEGORY))
            rd_fields_fail(&c_fields, "count", "1 of a column with a name or with words");
        if (c_fields.status == RD_OK && d.column_count > 0 && (c.name == NULL) != (d.columns[0].name == NULL))
            rd_fields_fail(&c_fields, "name", "all columns with a name, or none of them");
        status = c_fields.status;
        if (status == RD_OK)
            status = add_columns(&d, &capacity, &c, (size_t)count, parent->err);
        if (status != RD_OK) {
            free(c.name);
            rd_names_free(&c.words);
            goto cleanup;
        }
    }
    rd_fields label = rd_fields_section(&f, "label", "table.label");
    if (label.object != NULL)
        read_column(&label, "classes", &d.label);
    RD_TRY(label.status);
    *out = d;
    memset(&d, 0, sizeof d);
cleanup:
    rd_description_free(&d);
    parent->status = status;
    return status;
}

/* ---- sums ---- */

char *rd_statistics_write(const rd_statistics *s, const rd_schema *schema, int step)
{
    cJSON *json = cJSON_CreateObject(), *columns = cJSON_AddArrayToObject(json, "columns");
    bool whole = columns != NULL;
    for (size_t i = 0; i < s->count && whole; i++) {
        const rd_column_statistics *c = &s->columns[i];
        char sum[RD_EXACT_DOUBLE_TEXT_MAX];
        cJSON *column = rd_schema_measures(schema, i, step) ? cJSON_CreateObject() : cJSON_CreateNull();
        whole = cJSON_AddItemToArray(columns, column);
        if (!whole || cJSON_IsNull(column))
            continue;
        rd_exact_double_write(&c->sum, sum);
        whole = cJSON_AddNumberToObject(column, "count", (double)c->count) != NULL &&
                cJSON_AddStringToObject(column, "sum", sum) != NULL &&
                (step == 2 || c->count == 0 ||
                 (cJSON_AddNumberToObject(column, "least", c->least) != NULL &&
                  cJSON_AddNumberToObject(column, "largest", c->largest) != NULL));
    }
    char *text = whole ? rd_json_print(json) : NULL;
    cJSON_Delete(json);
    return text;
}

static void read_sums(rd_fields *f, int step, rd_column_statistics *c)
{
    char sum[RD_EXACT_DOUBLE_TEXT_MAX] = "";
    rd_fields_require(f, "count");
    rd_fields_require(f, "sum");
    rd_fields_count(f, "count", 0, MOST, &c->count);
    rd_fields_text(f, "sum", sum, sizeof sum);
    if (f->status == RD_OK && sum[0] != '\0')
        f->status = rd_exact_double_read(sum, &c->sum, f->err);
    if (step == 1 && c->count > 0) {
        rd_fields_require(f, "least");
        rd_fields_require(f, "largest");
        rd_fields_number(f, "least", -1e150, 1e150, false, &c->least);
        rd_fields_number(f, "largest", -1e150, 1e150, false, &c->largest);
        /* What lies between its extremes has its mean there, but for the rounding of this one division. */
        const double mean = rd_exact_double_value(&c->sum) / (double)c->count,
                     slack = 1e-12 * (fabs(c->least) + fabs(c->largest));
        if (f->status == RD_OK && f->missing == NULL && !(mean >= c->least - slack && mean <= c->largest + slack))
            rd_fields_fail(f, "sum", "a sum that count, least and largest allow");
    }
    if (step == 2 && f->status == RD_OK && rd_exact_double_value(&c->sum) < 0)
        rd_fields_fail(f, "sum", "a sum of squares");
    (void)rd_fields_required(f);
}

rd_status rd_statistics_parse(const char *json, size_t size, const rd_schema *schema, int step, rd_statistics *out,
                              rd_error *err)
{
    rd_status status = RD_OK;
    rd_statistics s = {0};
    rd_foreign_fault fault;
    size_t i = 0;
    memset(out, 0, sizeof *out);
    cJSON *root = rd_foreign_json(json, size, &fault);
    const cJSON *columns = cJSON_GetObjectItemCaseSensitive(root, "columns"), *item;
    if (!cJSON_IsArray(columns) || (size_t)cJSON_GetArraySize(columns) != schema->column_count + 1)
        RD_THROW(RD_ERR_FORMAT, "columns: a list of %zu was expected, the schema's columns and the label behind them",
                 schema->column_count + 1);
    RD_TRY(rd_statistics_create(schema, &s, err));
    cJSON_ArrayForEach(item, columns)
    {
        char path[40];
        (void)snprintf(path, sizeof path, "columns[%zu]", i);
        rd_fields f = {.object = item, .whose = "body", .path = path, .err = err};
        if (cJSON_IsObject(item) != rd_schema_measures(schema, i, step))
            RD_THROW(RD_ERR_FORMAT, "%s: %s", path,
                     cJSON_IsObject(item) ? "null was expected: this column is not measured in this step"
                                          : "an object was expected: this column is measured in this step");
        if (cJSON_IsObject(item))
            read_sums(&f, step, &s.columns[i]);
        RD_TRY(f.status == RD_ERR_CONFIG ? (err->status = RD_ERR_FORMAT) : f.status);
        i++;
    }
    *out = s;
    memset(&s, 0, sizeof s);
cleanup:
    rd_statistics_free(&s);
    cJSON_Delete(root);
    if (status != RD_OK)
        rd_foreign_plain(err->message);
    return status;
}
