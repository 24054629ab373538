/* schema_section.c: see schema_section.h. Reading and writing stand side by side, word by word. */
#include "config/schema_section.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/json_print.h"
#include "data/describe.h"
#include "format/foreign.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define NAME_MAX_HERE 1024

static const char *const types[] = {[RD_COLUMN_OPEN] = "open",
                                    [RD_COLUMN_NUMBER] = "number",
                                    [RD_COLUMN_CATEGORY] = "category",
                                    [RD_COLUMN_IGNORED] = "ignored"};
static const char *const scales[] = {
    [RD_SCALE_OPEN] = "open", [RD_SCALE_NONE] = "none", [RD_SCALE_STANDARD] = "standard", [RD_SCALE_MINMAX] = "minmax"};
static const char *const rules[] = {
    [RD_MISSING_OPEN] = "open", [RD_MISSING_REFUSE] = "refuse",     [RD_MISSING_CONSTANT] = "constant",
    [RD_MISSING_MEAN] = "mean", [RD_MISSING_CATEGORY] = "category", [RD_MISSING_LEAVE_OUT] = "leave_out"};
static const char *const encodings[] = {[RD_ENCODING_ONE_HOT] = "one_hot", [RD_ENCODING_TOKEN] = "token"};

/* ---- reading ---- */

/* Index of a word behind the first ("open", which nobody writes); 0: none of them. */
static int find_word(const cJSON *item, const char *const *words, int count)
{
    const char *text = cJSON_GetStringValue(item);
    for (int i = 1; text != NULL && i < count; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    return 0;
}

/* A list of different, non-empty words. */
static void read_words(rd_fields *f, const char *key, bool empty_allowed, rd_names *out)
{
    const cJSON *list = rd_fields_item(f, key, false), *item;
    size_t i = 0;
    if (list == NULL || f->status != RD_OK)
        return;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > RD_WORDS_MOST) {
        rd_fields_fail(f, key, "a list of at most 10000 words");
        return;
    }
    cJSON_ArrayForEach(item, list)
    {
        int32_t number = 0;
        const char *text = cJSON_GetStringValue(item);
        if (text == NULL || (*text == '\0' && !empty_allowed)) {
            rd_fields_fail_at(f, key, i, "a word");
            return;
        }
        if (rd_names_add(out, text, &number, f->err) != RD_OK) {
            f->status = f->err->status;
            return;
        }
        if ((size_t)number != i++) {
            rd_fields_fail_at(f, key, i - 1, "each word once");
            return;
        }
    }
}

/* "none", or { "mean": 0, "deviation": 1 } or { "min": 0, "max": 1 } */
static void read_scale(rd_fields *f, const char *path, rd_column *c)
{
    const cJSON *item = rd_fields_item(f, "scale", false);
    if (item == NULL || f->status != RD_OK)
        return;
    c->scale = (rd_scale_rule)find_word(item, scales, COUNT_OF(scales));
    if (c->scale != RD_SCALE_OPEN)
        return;
    if (!cJSON_IsObject(item)) {
        rd_fields_fail(
            f, "scale",
            "none, standard, minmax, { \"mean\": ..., \"deviation\": ... } or { \"min\": ..., \"max\": ... }");
        return;
    }
    char inner_path[NAME_MAX_HERE];
    (void)snprintf(inner_path, sizeof inner_path, "%s.scale", path);
    rd_fields s = {.object = item, .whose = f->whose, .path = inner_path, .err = f->err};
    const bool extremes = rd_fields_has(&s, "min") || rd_fields_has(&s, "max");
    c->scale = extremes ? RD_SCALE_MINMAX : RD_SCALE_STANDARD;
    rd_fields_require(&s, extremes ? "min" : "mean");
    if (extremes)
        rd_fields_require(&s, "max");
    c->mean_known = !extremes;
    c->scale_known = extremes || rd_fields_has(&s, "deviation");
    rd_fields_number(&s, extremes ? "min" : "mean", -1e300, 1e300, false, &c->low);
    rd_fields_number(&s, extremes ? "max" : "deviation", extremes ? -1e300 : 0, 1e300, false, &c->high);
    if (extremes && s.status == RD_OK && c->high < c->low)
        rd_fields_fail(&s, "max", "min or more");
    f->status = rd_fields_finish(&s);
}

/* "refuse", or { "constant": 0 }, or { "mean": 1.5 } */
static void read_missing(rd_fields *f, const char *path, rd_column *c)
{
    const cJSON *item = rd_fields_item(f, "missing", false);
    if (item == NULL || f->status != RD_OK)
        return;
    const bool words = c->type == RD_COLUMN_CATEGORY;
    c->missing = (rd_missing_rule)find_word(item, rules, COUNT_OF(rules));
    if (c->missing == RD_MISSING_CONSTANT || c->missing == (words ? RD_MISSING_MEAN : RD_MISSING_CATEGORY) ||
        (c->missing == RD_MISSING_OPEN && !cJSON_IsObject(item))) {
        rd_fields_fail(f, "missing",
                       words ? "refuse, leave_out, category or { \"constant\": WORD }"
                             : "refuse, leave_out, mean or { \"constant\": NUMBER }");
        return;
    }
    if (c->missing != RD_MISSING_OPEN)
        return;
    char inner_path[NAME_MAX_HERE], word[NAME_MAX_HERE] = "";
    (void)snprintf(inner_path, sizeof inner_path, "%s.missing", path);
    rd_fields s = {.object = item, .whose = f->whose, .path = inner_path, .err = f->err};
    const bool mean = !words && rd_fields_has(&s, "mean");
    c->missing = mean ? RD_MISSING_MEAN : RD_MISSING_CONSTANT;
    c->filler_known = true;
    rd_fields_require(&s, mean ? "mean" : "constant");
    if (words)
        rd_fields_text(&s, "constant", word, sizeof word);
    else
        rd_fields_number(&s, mean ? "mean" : "constant", -1e300, 1e300, false, &c->filler);
    int32_t number;
    if (words && s.status == RD_OK && c->words_known && !rd_names_find(&c->words, word, &number))
        rd_fields_fail(&s, "constant", "one of the column's words");
    f->status = rd_fields_finish(&s);
    if (words && f->status == RD_OK)
        f->status = rd_schema_set_text(&c->filler_word, word, f->err);
}

static rd_status read_column(const cJSON *item, size_t i, rd_fields *parent, rd_schema *s)
{
    char path[64], name[NAME_MAX_HERE] = "";
    int type = 0, encoding = 0, unseen = 0;
    uint64_t count = 1;
    static const char *const unseens[] = {"refuse", "missing"};
    (void)snprintf(path, sizeof path, "%s.columns[%zu]", parent->path, i);
    rd_fields f = {.object = item, .whose = parent->whose, .path = path, .err = parent->err};
    rd_column *c;
    if (rd_fields_has(&f, "name"))
        rd_fields_text(&f, "name", name, sizeof name);
    if (f.status != RD_OK)
        return f.status;
    for (size_t k = 0; k < s->column_count; k++) {
        const bool both_named = s->columns[k].name != NULL && name[0] != '\0';
        if (both_named && strcmp(s->columns[k].name, name) == 0)
            rd_fields_fail(&f, "name", "each column once");
        if ((s->columns[k].name != NULL) != (name[0] != '\0'))
            rd_fields_fail(&f, "name", "all columns with a name, or none of them");
    }
    if (f.status != RD_OK)
        return f.status;
    rd_status status = rd_schema_add_column(s, name[0] != '\0' ? name : NULL, &c, parent->err);
    if (status != RD_OK)
        return status;
    const bool typed = rd_fields_has(&f, "type");
    rd_fields_only(&f, "count", c->name == NULL, "for columns without a name");
    rd_fields_count(&f, "count", 1, RD_COLUMNS_MOST, &count);
    rd_fields_choice(&f, "type", types + 1, COUNT_OF(types) - 1, &type);
    c->type = typed && f.status == RD_OK ? (rd_column_type)(type + 1) : RD_COLUMN_OPEN;
    const bool category = c->type == RD_COLUMN_CATEGORY;
    rd_fields_only(&f, "words", category, "with \"type\": \"category\"");
    rd_fields_only(&f, "encoding", category, "with \"type\": \"category\"");
    rd_fields_only(&f, "unseen", category, "with \"type\": \"category\"");
    rd_fields_only(&f, "scale", c->type == RD_COLUMN_NUMBER, "with \"type\": \"number\"");
    rd_fields_only(&f, "missing", category || c->type == RD_COLUMN_NUMBER, "with \"type\": \"number\" or \"category\"");
    read_words(&f, "words", false, &c->words);
    c->words_known = rd_fields_has(&f, "words");
    if (c->words_known && c->words.count == 0)
        rd_fields_fail(&f, "words", "at least one word");
    rd_fields_choice(&f, "encoding", encodings, COUNT_OF(encodings), &encoding);
    rd_fields_choice(&f, "unseen", unseens, COUNT_OF(unseens), &unseen);
    c->encoding = (rd_encoding)encoding;
    c->unseen_is_missing = unseen == 1;
    read_scale(&f, path, c);
    read_missing(&f, path, c);
    status = rd_fields_finish(&f);
    return status == RD_OK ? rd_schema_repeat_column(s, (size_t)count - 1, parent->err) : status;
}

static rd_status read_label(rd_fields *parent, rd_schema *s)
{
    static const char *const kinds[] = {"class", "target"};
    char path[64], name[NAME_MAX_HERE] = "";
    int kind = 0;
    (void)snprintf(path, sizeof path, "%s.label", parent->path);
    rd_fields f = rd_fields_section(parent, "label", path);
    rd_column *c = &s->label;
    if (f.object == NULL)
        return f.status;
    rd_fields_text(&f, "name", name, sizeof name);
    if (f.status == RD_OK && name[0] != '\0')
        f.status = rd_schema_set_text(&c->name, name, f.err);
    const bool typed = rd_fields_has(&f, "type");
    rd_fields_choice(&f, "type", kinds, COUNT_OF(kinds), &kind);
    const cJSON *classes = rd_fields_item(&f, "classes", false);
    if (typed || classes != NULL)
        c->type = typed && kind == 1 ? RD_COLUMN_NUMBER : RD_COLUMN_CATEGORY;
    rd_fields_only(&f, "classes", c->type != RD_COLUMN_NUMBER, "with \"type\": \"class\"");
    rd_fields_only(&f, "scale", c->type == RD_COLUMN_NUMBER, "with \"type\": \"target\"");
    s->numbered = cJSON_IsString(classes) && strcmp(classes->valuestring, "numbers") == 0;
    if (classes != NULL && !s->numbered) {
        if (!cJSON_IsArray(classes) || cJSON_GetArraySize(classes) < 1)
            rd_fields_fail(&f, "classes", "a list of the classes, or \"numbers\"");
        read_words(&f, "classes", false, &c->words);
        c->words_known = f.status == RD_OK;
    }
    read_scale(&f, path, c);
    const cJSON *missing = rd_fields_item(&f, "missing", false);
    if (missing != NULL) {
        int rule = find_word(missing, rules, COUNT_OF(rules));
        if (rule != RD_MISSING_REFUSE && rule != RD_MISSING_LEAVE_OUT)
            rd_fields_fail(&f, "missing", "refuse or leave_out");
        c->missing = (rd_missing_rule)rule;
    }
    return rd_fields_finish(&f);
}

static rd_status read_schema(rd_fields *f, rd_schema *s)
{
    rd_status status = RD_OK;
    char group[NAME_MAX_HERE] = "";
    const cJSON *columns = rd_fields_item(f, "columns", false), *item;
    size_t i = 0;
    if (columns != NULL && (!cJSON_IsArray(columns) || cJSON_GetArraySize(columns) > RD_COLUMNS_MOST))
        rd_fields_fail(f, "columns", "a list of columns");
    RD_TRY(f->status);
    cJSON_ArrayForEach(item, columns)
    {
        if (!cJSON_IsObject(item))
            rd_fields_fail_at(f, "columns", i, "an object that describes a column");
        RD_TRY(f->status);
        RD_TRY(read_column(item, i++, f, s));
    }
    s->columns_known = columns != NULL;
    RD_TRY(read_label(f, s));
    rd_fields_text(f, "group", group, sizeof group);
    if (f->status == RD_OK && group[0] != '\0')
        RD_TRY(rd_schema_set_text(&s->group, group, f->err));
    const cJSON *scale = rd_fields_item(f, "scale", false), *missing = rd_fields_item(f, "missing", false);
    s->scale = (rd_scale_rule)find_word(scale, scales, COUNT_OF(scales));
    s->missing = (rd_missing_rule)find_word(missing, rules, COUNT_OF(rules));
    if (scale != NULL && s->scale == RD_SCALE_OPEN)
        rd_fields_fail(f, "scale", "none, standard or minmax");
    if (missing != NULL && (s->missing == RD_MISSING_OPEN || s->missing == RD_MISSING_CONSTANT))
        rd_fields_fail(f, "missing", "refuse, leave_out, mean or category");
    read_words(f, "missing_words", true, &s->missing_words);
    s->missing_words_known = rd_fields_has(f, "missing_words");
    status = rd_fields_finish(f);
cleanup:
    return status;
}

/* Tokens and features are two kinds of input: a model takes one of them. */
static rd_status check_encodings(const rd_schema *s, const rd_fields *f)
{
    size_t symbols;
    if (!rd_schema_tokens(s, &symbols))
        return RD_OK;
    for (size_t i = 0; i < s->column_count; i++)
        if (s->columns[i].type != RD_COLUMN_IGNORED &&
            (s->columns[i].type != RD_COLUMN_CATEGORY || s->columns[i].encoding != RD_ENCODING_TOKEN))
            return rd_fail(f->err, RD_ERR_CONFIG,
                           "%s: %s.columns[%zu]: some columns become tokens, so all must be categories with "
                           "\"encoding\": \"token\", or ignored",
                           f->whose, f->path, i);
    return RD_OK;
}

rd_status rd_config_read_schema(rd_fields *parent, rd_schema *out)
{
    memset(out, 0, sizeof *out);
    char path[64];
    (void)snprintf(path, sizeof path, "%s%sschema", parent->path, parent->path[0] != '\0' ? "." : "");
    rd_fields f = rd_fields_section(parent, "schema", path);
    if (f.object == NULL)
        return f.status;
    rd_status status = read_schema(&f, out);
    return status == RD_OK ? check_encodings(out, &f) : status;
}

static rd_status read_alone(const cJSON *json, const char *whose, rd_schema *out, rd_error *err)
{
    memset(out, 0, sizeof *out);
    if (!cJSON_IsObject(json))
        return rd_fail(err, RD_ERR_CONFIG, "%s: schema: expected an object", whose);
    rd_fields f = {.object = json, .whose = whose, .path = "schema", .err = err};
    rd_status status = read_schema(&f, out);
    if (status == RD_OK)
        status = check_encodings(out, &f);
    if (status != RD_OK)
        rd_schema_free(out);
    return status;
}

rd_status rd_schema_parse_text(const char *text, const char *whose, rd_schema *out, rd_error *err)
{
    rd_foreign_fault fault;
    cJSON *json = rd_foreign_json(text, strlen(text), &fault);
    memset(out, 0, sizeof *out);
    if (json == NULL)
        return rd_fail(err, RD_ERR_FORMAT, "%s: schema: at byte %zu it is %s", whose, fault.at, fault.what);
    rd_status status = read_alone(json, whose, out, err);
    cJSON_Delete(json);
    return status;
}

/* ---- writing ---- */

static bool add_text(cJSON *to, const char *key, const char *text)
{
    return cJSON_AddStringToObject(to, key, text) != NULL;
}

bool rd_words_add_json(cJSON *to, const char *key, const rd_names *words)
{
    cJSON *list = cJSON_AddArrayToObject(to, key);
    bool whole = list != NULL;
    for (size_t i = 0; i < words->count && whole; i++)
        whole = cJSON_AddItemToArray(list, cJSON_CreateString(words->name[i]));
    return whole;
}

static bool add_scale(cJSON *to, const rd_column *c)
{
    if (c->scale == RD_SCALE_OPEN)
        return true;
    if (!c->scale_known && !c->mean_known)
        return add_text(to, "scale", scales[c->scale]);
    const bool extremes = c->scale == RD_SCALE_MINMAX;
    cJSON *scale = cJSON_AddObjectToObject(to, "scale");
    return cJSON_AddNumberToObject(scale, extremes ? "min" : "mean", c->low) != NULL &&
           (!c->scale_known || cJSON_AddNumberToObject(scale, extremes ? "max" : "deviation", c->high) != NULL);
}

static bool add_missing(cJSON *to, const rd_column *c)
{
    if (c->missing == RD_MISSING_OPEN)
        return true;
    if (c->missing == RD_MISSING_CONSTANT && c->type == RD_COLUMN_CATEGORY)
        return add_text(cJSON_AddObjectToObject(to, "missing"), "constant", c->filler_word);
    if (c->filler_known)
        return cJSON_AddNumberToObject(cJSON_AddObjectToObject(to, "missing"), rules[c->missing], c->filler) != NULL;
    return add_text(to, "missing", rules[c->missing]);
}

static cJSON *column_json(const rd_column *c)
{
    cJSON *json = cJSON_CreateObject();
    bool whole = json != NULL && (c->name == NULL || add_text(json, "name", c->name)) &&
                 (c->type == RD_COLUMN_OPEN || add_text(json, "type", types[c->type]));
    if (c->type == RD_COLUMN_CATEGORY) {
        whole = whole && (!c->words_known || rd_words_add_json(json, "words", &c->words)) &&
                (c->encoding == RD_ENCODING_ONE_HOT || add_text(json, "encoding", encodings[c->encoding])) &&
                (!c->unseen_is_missing || add_text(json, "unseen", "missing"));
    }
    if (c->type == RD_COLUMN_NUMBER)
        whole = whole && add_scale(json, c);
    whole = whole && add_missing(json, c);
    if (whole)
        return json;
    cJSON_Delete(json);
    return NULL;
}

static bool add_label(cJSON *to, const rd_schema *s)
{
    const rd_column *c = &s->label;
    if (c->name == NULL && c->type == RD_COLUMN_OPEN && c->missing == RD_MISSING_OPEN)
        return true;
    cJSON *json = cJSON_AddObjectToObject(to, "label");
    bool whole =
        json != NULL && (c->name == NULL || add_text(json, "name", c->name)) &&
        (c->type == RD_COLUMN_OPEN || add_text(json, "type", c->type == RD_COLUMN_NUMBER ? "target" : "class"));
    if (c->type == RD_COLUMN_CATEGORY && s->numbered)
        whole = whole && add_text(json, "classes", "numbers");
    else if (c->type == RD_COLUMN_CATEGORY && c->words_known)
        whole = whole && rd_words_add_json(json, "classes", &c->words);
    return whole && (c->type != RD_COLUMN_NUMBER || add_scale(json, c)) && add_missing(json, c);
}

cJSON *rd_schema_json(const rd_schema *s)
{
    cJSON *json = cJSON_CreateObject();
    bool whole = json != NULL;
    if (whole && s->columns_known) {
        cJSON *columns = cJSON_AddArrayToObject(json, "columns");
        size_t same;
        for (size_t i = 0; i < s->column_count && whole; i += same) {
            cJSON *column = column_json(&s->columns[i]);
            for (same = 1; i + same < s->column_count && rd_columns_are_alike(&s->columns[i], &s->columns[i + same]);)
                same++;
            whole = cJSON_AddItemToArray(columns, column) &&
                    (same == 1 || cJSON_AddNumberToObject(column, "count", (double)same) != NULL);
        }
    }
    whole = whole && add_label(json, s) && (s->group == NULL || add_text(json, "group", s->group)) &&
            (s->scale == RD_SCALE_OPEN || add_text(json, "scale", scales[s->scale])) &&
            (s->missing == RD_MISSING_OPEN || add_text(json, "missing", rules[s->missing])) &&
            (!s->missing_words_known || rd_words_add_json(json, "missing_words", &s->missing_words));
    if (whole)
        return json;
    cJSON_Delete(json);
    return NULL;
}

char *rd_schema_print(const rd_schema *s)
{
    cJSON *json = rd_schema_json(s);
    char *text = json != NULL ? rd_json_print(json) : NULL;
    cJSON_Delete(json);
    return text;
}
