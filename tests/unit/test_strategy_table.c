/* What documents say of strategies and their keys, against what the strategies say themselves: the JSON Schema of run.json
 * and the table of common/round/README.md. */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "round/strategy.h"
#include "strategy_named.h"

static char *text_of(const char *path)
{
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    cr_assert_eq(fseek(f, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(size + 1);
    cr_assert_not_null(text);
    cr_assert_eq(fread(text, 1, size, f), size);
    text[size] = '\0';
    fclose(f);
    return text;
}

static cJSON *schema_of_run(void)
{
    char *text = text_of(RONDO_SOURCE_DIR "/common/config/config.schema.json");
    cJSON *schema = cJSON_Parse(text);
    cr_assert_not_null(schema);
    free(text);
    return schema;
}

static const cJSON *at(const cJSON *item, const char *key)
{
    const cJSON *inner = cJSON_GetObjectItemCaseSensitive(item, key);
    cr_assert_not_null(inner, "%s", key);
    return inner;
}

static const cJSON *strategy_of(const cJSON *schema)
{
    return at(at(schema, "properties"), "strategy");
}

static const rd_strategy_key *key_of(const rd_strategy_kind *kind, const char *name)
{
    for (size_t i = 0; i < rd_strategy_key_count(kind); i++)
        if (strcmp(kind->keys[i].name, name) == 0)
            return &kind->keys[i];
    return NULL;
}

static bool holds(const cJSON *array, const char *word)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (strcmp(cJSON_GetStringValue(item), word) == 0)
            return true;
    }
    return false;
}

Test(strategy_table, the_schema_names_them_in_the_same_order)
{
    cJSON *schema = schema_of_run();
    const cJSON *names = at(at(at(strategy_of(schema), "properties"), "name"), "enum");
    cr_assert_eq((size_t)cJSON_GetArraySize(names), rd_strategy_kind_count);
    for (size_t i = 0; i < rd_strategy_kind_count; i++) {
        cr_expect_str_eq(cJSON_GetStringValue(cJSON_GetArrayItem(names, (int)i)), rd_strategy_kinds[i]->name);
        cr_expect_eq(kind_named(rd_strategy_kinds[i]->name), rd_strategy_kinds[i], "one name, one strategy");
    }
    cJSON_Delete(schema);
}

/* Where the schema has no default it says in words what it is, or the key is required. */
static void check_key(const char *strategy, const rd_strategy_key *key, const cJSON *said)
{
    const cJSON *preset = cJSON_GetObjectItemCaseSensitive(said, "default"),
                *words = cJSON_GetObjectItemCaseSensitive(said, "description");
    cr_expect_str_eq(cJSON_GetStringValue(at(said, "type")), key->whole ? "integer" : "number", "%s", key->name);
    cr_expect_eq(at(said, key->above ? "exclusiveMinimum" : "minimum")->valuedouble, key->least, "%s", key->name);
    cr_expect_eq(at(said, "maximum")->valuedouble, key->most, "%s", key->name);
    if (preset != NULL)
        cr_expect_eq(preset->valuedouble, key->preset, "%s of %s", key->name, strategy);
    bool told = words != NULL && strstr(words->valuestring, "default") != NULL;
    cr_expect(preset != NULL || told || key->required || key->preset == 0, "%s of %s has an untold default", key->name,
              strategy);
}

Test(strategy_table, the_schema_has_their_keys_with_the_same_bounds_and_defaults)
{
    cJSON *schema = schema_of_run();
    const cJSON *properties = at(strategy_of(schema), "properties"), *said;
    cJSON_ArrayForEach(said, properties)
    {
        size_t known = 0;
        for (size_t i = 0; i < rd_strategy_kind_count; i++)
            known += key_of(rd_strategy_kinds[i], said->string) != NULL;
        bool common = strcmp(said->string, "name") == 0 || strcmp(said->string, "server_learning_rate") == 0 ||
                      strcmp(said->string, "weighting") == 0;
        cr_expect(common ? known == 0 : known > 0, "%s is of %zu strategies", said->string, known);
    }
    for (size_t i = 0; i < rd_strategy_kind_count; i++)
        for (size_t k = 0; k < rd_strategy_key_count(rd_strategy_kinds[i]); k++)
            check_key(rd_strategy_kinds[i]->name, &rd_strategy_kinds[i]->keys[k],
                      at(properties, rd_strategy_kinds[i]->keys[k].name));
    cJSON_Delete(schema);
}

/* The clause of allOf that says which strategies know a key (`forward`), or which require it. */
static const cJSON *clause_of(const cJSON *strategy, const char *key, bool forward)
{
    const cJSON *clause;
    cJSON_ArrayForEach(clause, at(strategy, "allOf"))
    {
        const cJSON *condition = at(clause, "if"), *result = at(clause, "then");
        const cJSON *required = cJSON_GetObjectItemCaseSensitive(forward ? condition : result, "required");
        if (required != NULL && holds(required, key))
            return at(at(at(forward ? result : condition, "properties"), "name"), "enum");
    }
    return NULL;
}

Test(strategy_table, the_schema_says_who_knows_and_who_requires_a_key)
{
    cJSON *schema = schema_of_run();
    const cJSON *strategy = strategy_of(schema), *said;
    cJSON_ArrayForEach(said, at(strategy, "properties"))
    {
        if (strcmp(said->string, "name") == 0 || strcmp(said->string, "server_learning_rate") == 0)
            continue;
        bool weighting = strcmp(said->string, "weighting") == 0;
        const cJSON *knows = clause_of(strategy, said->string, true),
                    *requires = clause_of(strategy, said->string, false);
        cr_assert_not_null(knows, "%s", said->string);
        for (size_t i = 0; i < rd_strategy_kind_count; i++) {
            const rd_strategy_kind *kind = rd_strategy_kinds[i];
            const rd_strategy_key *key = key_of(kind, said->string);
            cr_expect_eq(holds(knows, kind->name), weighting ? kind->weighted : key != NULL, "%s with %s", said->string,
                         kind->name);
            cr_expect_eq(requires != NULL && holds(requires, kind->name), key != NULL && key->required, "%s of %s",
                         said->string, kind->name);
        }
    }
    cJSON_Delete(schema);
}

/* Is it in the text as a word of its own? "fedavg" is not in "q-fedavg". */
static bool has_word(const char *text, const char *word)
{
    static const char *const inside = "abcdefghijklmnopqrstuvwxyz_-";
    for (const char *p = text; (p = strstr(p, word)) != NULL; p++)
        if ((p == text || strchr(inside, p[-1]) == NULL) &&
            (p[strlen(word)] == '\0' || strchr(inside, p[strlen(word)]) == NULL))
            return true;
    return false;
}

/* Whose default differs from the others' is named beside it. */
Test(strategy_table, the_schema_names_those_with_other_defaults)
{
    cJSON *schema = schema_of_run();
    const cJSON *properties = at(strategy_of(schema), "properties");
    const char *rate = at(at(properties, "server_learning_rate"), "description")->valuestring,
               *weighting = at(at(properties, "weighting"), "description")->valuestring;
    for (size_t i = 0; i < rd_strategy_kind_count; i++) {
        rd_strategy s = rd_strategy_of(rd_strategy_kinds[i]);
        cr_expect_eq(has_word(rate, s.kind->name), s.server_learning_rate != 1, "%s", s.kind->name);
        cr_expect_eq(has_word(weighting, s.kind->name), s.uniform, "%s", s.kind->name);
    }
    cJSON_Delete(schema);
}

/* ---- the table in the document ---- */

/* "`beta1` (0.9), `tau` (0.001)" -> the key, and what stands in brackets behind it; false: it is not there. */
static bool find_in_row(const char *row, const char *end, const char *key, char *preset, size_t size)
{
    char quoted[64];
    (void)snprintf(quoted, sizeof quoted, "`%s`", key);
    const char *p = strstr(row, quoted);
    preset[0] = '\0';
    if (p == NULL || p >= end)
        return false;
    p += strlen(quoted);
    if (strncmp(p, " (", 2) == 0)
        (void)snprintf(preset, size, "%.*s", (int)strcspn(p + 2, ")"), p + 2);
    return true;
}

Test(strategy_table, the_document_has_a_row_for_each_with_its_keys_and_defaults)
{
    char *text = text_of(RONDO_SOURCE_DIR "/common/round/README.md");
    for (size_t i = 0; i < rd_strategy_kind_count; i++) {
        const rd_strategy_kind *kind = rd_strategy_kinds[i];
        char start[64];
        (void)snprintf(start, sizeof start, "\n| `%s` |", kind->name);
        const char *row = strstr(text, start);
        cr_assert_not_null(row, "no row of %s", kind->name);
        row += strlen(start);
        const char *end = strchr(row, '|');
        size_t quotes = 0;
        for (const char *p = row; p < end; p++)
            quotes += *p == '`';
        cr_expect_eq(quotes, 2 * (rd_strategy_key_count(kind) + kind->server_trains), "%s has other keys", kind->name);
        for (size_t k = 0; k < rd_strategy_key_count(kind); k++) {
            char preset[64], *rest;
            cr_expect(find_in_row(row, end, kind->keys[k].name, preset, sizeof preset), "%s of %s", kind->keys[k].name,
                      kind->name);
            double number = strtod(preset, &rest);
            cr_expect_eq(kind->keys[k].required, preset[0] == '\0', "%s of %s", kind->keys[k].name, kind->name);
            cr_expect(*rest != '\0' || number == kind->keys[k].preset, "%s of %s: %g", kind->keys[k].name, kind->name,
                      number);
        }
    }
    free(text);
}

/* ---- what the table itself must hold ---- */

Test(strategy_table, companions_are_whole)
{
    for (size_t i = 0; i < rd_strategy_kind_count; i++) {
        const rd_strategy_kind *kind = rd_strategy_kinds[i];
        for (size_t c = 0; c < RD_COMPANIONS_MAX; c++) {
            const rd_companion *companion = &kind->companions[c];
            bool travels = (companion->where & (RD_GOES_DOWN | RD_GOES_UP)) != 0;
            cr_expect_eq(companion->prefix != NULL, travels, "%s", kind->name);
            cr_expect_eq(companion->file != NULL, (companion->where & RD_KEPT_SERVER) != 0, "%s", kind->name);
            cr_expect_eq(companion->take != NULL, (companion->where & RD_GOES_UP) != 0, "%s", kind->name);
            if ((companion->where & RD_GOES_DOWN) != 0)
                cr_expect((companion->where & RD_KEPT_SERVER) != 0, "%s: what goes down is kept", kind->name);
            if ((companion->where & (RD_GOES_UP | RD_KEPT_CLIENT)) != 0)
                cr_expect_not_null(kind->after, "%s: nobody writes it", kind->name);
        }
        cr_expect_eq(kind->combine != NULL, kind->collects == RD_COLLECTS_ALL, "%s", kind->name);
        rd_strategy s = rd_strategy_of(kind);
        cr_expect(kind->collects != RD_COLLECTS_ALL || rd_companions_count(&s, RD_GOES_UP) == 0, "%s", kind->name);
    }
}
