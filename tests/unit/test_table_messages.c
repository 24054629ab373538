/* What clients tell of their tables: the JSON that aggregator/PROTOCOL.md shows, written and read, and what is refused. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/table_messages.h"
#include "config/schema_section.h"

static void set_words(rd_names *names, const char *const *words, size_t count)
{
    rd_error err;
    int32_t ignored;
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(rd_names_add(names, words[i], &ignored, &err), RD_OK);
}

static void expect_json(const rd_description *d, const char *expected)
{
    cJSON *json = rd_description_json(d);
    char *text = cJSON_PrintUnformatted(json);
    cr_expect_str_eq(text, expected);
    cJSON_free(text);
    cJSON_Delete(json);
}

/* Of the object whose key "table" is this text. */
static rd_status read_table(const char *table, rd_description *out, rd_error *err)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddItemToObject(root, "table", cJSON_Parse(table));
    rd_fields f = {.object = root, .whose = "body", .path = "", .err = err};
    *err = (rd_error){0};
    rd_status status = rd_description_read(&f, out);
    cJSON_Delete(root);
    return status;
}

#define NAMED                                                             \
    "{\"columns\":[{\"type\":\"number\",\"name\":\"age\",\"missing\":3}," \
    "{\"type\":\"category\",\"name\":\"sex\",\"words\":[\"f\",\"m\"]}],"  \
    "\"rows\":240,\"label\":{\"name\":\"kind\",\"classes\":[\"a\",\"b\"]}}"
#define UNNAMED                                                                                                        \
    "{\"columns\":[{\"type\":\"number\",\"count\":3},{\"type\":\"number\",\"missing\":2},{\"type\":\"number\","        \
    "\"count\":2},"                                                                                                    \
    "{\"type\":\"missing\",\"missing\":9},{\"type\":\"category\",\"words\":[\"x\"]},{\"type\":\"category\",\"words\":" \
    "[\"x\"]}],"                                                                                                       \
    "\"rows\":9,\"numbered\":true,\"label\":{}}"

Test(table_messages, a_description_is_what_the_protocol_shows)
{
    static const char *const sexes[] = {"f", "m"}, *const kinds[] = {"a", "b"};
    rd_description back;
    rd_error err;
    rd_column_description columns[] = {{.name = "age", .type = RD_COLUMN_NUMBER, .missing = 3},
                                       {.name = "sex", .type = RD_COLUMN_CATEGORY}};
    rd_description d = {.rows = 240, .columns = columns, .column_count = 2, .label = {.name = "kind"}};
    set_words(&columns[1].words, sexes, 2);
    set_words(&d.label.words, kinds, 2);
    expect_json(&d, NAMED);
    cr_assert_eq(read_table(NAMED, &back, &err), RD_OK, "%s", err.message);
    cr_assert(back.rows == 240 && !back.numbered && back.column_count == 2);
    cr_expect(strcmp(back.columns[0].name, "age") == 0 && back.columns[0].type == RD_COLUMN_NUMBER &&
              back.columns[0].missing == 3);
    cr_expect(strcmp(back.columns[1].name, "sex") == 0 && back.columns[1].type == RD_COLUMN_CATEGORY &&
              back.columns[1].missing == 0 && back.columns[1].words.count == 2);
    cr_expect(strcmp(back.label.name, "kind") == 0 && back.label.words.count == 2);
    rd_description_free(&back);
    rd_names_free(&columns[1].words);
    rd_names_free(&d.label.words);
}

/* Those that are alike are counted, and no others: neither categories nor those that miss something else. */
Test(table_messages, unnamed_columns_that_are_alike_are_counted)
{
    static const char *const words[] = {"x"};
    rd_description back;
    rd_error err;
    rd_column_description columns[9];
    for (size_t i = 0; i < 9; i++)
        columns[i] = (rd_column_description){.type = i < 6    ? RD_COLUMN_NUMBER
                                                     : i == 6 ? RD_COLUMN_OPEN
                                                              : RD_COLUMN_CATEGORY,
                                             .missing = i == 3   ? 2
                                                        : i == 6 ? 9
                                                                 : 0};
    set_words(&columns[7].words, words, 1);
    set_words(&columns[8].words, words, 1);
    expect_json(&(rd_description){.rows = 9, .numbered = true, .columns = columns, .column_count = 9}, UNNAMED);
    cr_assert_eq(read_table(UNNAMED, &back, &err), RD_OK, "%s", err.message);
    cr_assert(back.rows == 9 && back.numbered && back.column_count == 9);
    for (size_t i = 0; i < 9; i++) {
        cr_expect_null(back.columns[i].name);
        cr_expect_eq(back.columns[i].type, columns[i].type, "column %zu", i);
        cr_expect_eq(back.columns[i].missing, columns[i].missing, "column %zu", i);
        cr_expect_eq(back.columns[i].words.count, columns[i].words.count, "column %zu", i);
    }
    rd_description_free(&back);
    rd_names_free(&columns[7].words);
    rd_names_free(&columns[8].words);
}

Test(table_messages, what_is_no_description_is_refused)
{
#define WITH_COLUMNS(column) "{\"rows\":1,\"columns\":[" column "]}"
    static const struct {
        const char *table, *words;
    } cases[] = {
        {"{\"columns\":[{\"type\":\"number\"}]}", "rows is missing"},
        {"{\"rows\":1}", "columns"},
        {"{\"rows\":0,\"columns\":[{\"type\":\"number\"}]}", "rows: expected a whole number from 1"},
        {"{\"rows\":1,\"columns\":[]}", "columns: expected a list of columns"},
        {"{\"rows\":1,\"columns\":{}}", "columns: expected a list of columns"},
        {WITH_COLUMNS("7"), "columns[0]"},
        {WITH_COLUMNS("{}"), "type is missing"},
        {WITH_COLUMNS("{\"type\":\"word\"}"), "columns[0].type: expected"},
        {WITH_COLUMNS("{\"type\":\"number\",\"count\":0}"), "count: expected a whole number from 1 to 1000000"},
        {WITH_COLUMNS("{\"type\":\"number\",\"count\":1000001}"), "count: expected a whole number from 1 to 1000000"},
        {WITH_COLUMNS("{\"type\":\"number\",\"count\":1000000},{\"type\":\"number\"}"), "more than 1000000 columns"},
        {WITH_COLUMNS("{\"type\":\"number\",\"name\":\"a\",\"count\":2}"), "1 of a column with a name or with words"},
        {WITH_COLUMNS("{\"type\":\"category\",\"count\":2}"), "1 of a column with a name or with words"},
        {WITH_COLUMNS("{\"type\":\"number\",\"name\":\"a\"},{\"type\":\"number\"}"),
         "all columns with a name, or none of them"},
        {WITH_COLUMNS("{\"type\":\"number\"},{\"type\":\"number\",\"name\":\"a\"}"),
         "all columns with a name, or none of them"},
        {WITH_COLUMNS("{\"type\":\"category\",\"words\":7}"), "words: expected a list of at most 10000 words"},
        {WITH_COLUMNS("{\"type\":\"category\",\"words\":[7]}"), "words: expected a list of words"},
        {WITH_COLUMNS("{\"type\":\"number\",\"missing\":-1}"), "missing: expected a whole number from 0"},
        {"{\"rows\":1,\"columns\":[{\"type\":\"number\"}],\"label\":{\"classes\":[1]}}",
         "classes: expected a list of words"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rd_description d;
        rd_error err;
        cr_expect_neq(read_table(cases[i].table, &d, &err), RD_OK, "%s", cases[i].table);
        cr_expect_not_null(strstr(err.message, cases[i].words), "%s: '%s' is not in '%s'", cases[i].table,
                           cases[i].words, err.message);
        rd_description_free(&d);
    }
}

/* ---- sums ---- */

/* Measured are a, whose mean and deviation are not known, and c, whose mean missing values take; not b or the label. */
#define SCHEMA                                                                                \
    "{\"columns\":[{\"name\":\"a\",\"type\":\"number\",\"scale\":%s,\"missing\":\"refuse\"}," \
    "{\"name\":\"b\",\"type\":\"number\",\"scale\":\"none\",\"missing\":\"refuse\"},"         \
    "{\"name\":\"c\",\"type\":\"number\",\"scale\":\"none\",\"missing\":%s}],"                \
    "\"label\":{\"name\":\"k\",\"type\":\"class\",\"classes\":[\"x\"],\"missing\":\"refuse\"}}"

static rd_schema schema_of(const char *scale, const char *missing)
{
    char text[600];
    rd_schema s;
    rd_error err;
    (void)snprintf(text, sizeof text, SCHEMA, scale, missing);
    cr_assert_eq(rd_schema_parse_text(text, "schema", &s, &err), RD_OK, "%s", err.message);
    return s;
}

static void expect_sums(const char *json, const rd_schema *schema, int step, const char *words)
{
    rd_statistics s;
    rd_error err = {0};
    const rd_status status = rd_statistics_parse(json, strlen(json), schema, step, &s, &err);
    cr_expect_eq(status, words == NULL ? RD_OK : RD_ERR_FORMAT, "%s: %s", json, err.message);
    if (words != NULL)
        cr_expect_not_null(strstr(err.message, words), "%s: '%s' is not in '%s'", json, words, err.message);
    if (status == RD_OK) {
        char *again = rd_statistics_write(&s, schema, step);
        cr_expect_str_eq(again, json);
        free(again);
    }
    rd_statistics_free(&s);
}

#define SUMS(a, c) "{\"columns\":[" a ",null," c ",null]}"
#define A "{\"count\":3,\"sum\":\"18p-2\",\"least\":1,\"largest\":3}"
#define EMPTY "{\"count\":0,\"sum\":\"0p0\"}"

Test(table_messages, sums_are_those_that_were_asked_for)
{
    rd_schema first = schema_of("\"standard\"", "\"mean\""), second = schema_of("{\"mean\":2}", "{\"mean\":5}");
    rd_statistics s;
    rd_error err;
    const char *three = SUMS(A, A);
    cr_assert_eq(rd_statistics_parse(three, strlen(three), &first, 1, &s, &err), RD_OK, "%s", err.message);
    cr_assert_eq(s.count, 4);
    cr_expect(s.columns[0].count == 3 && s.columns[0].least == 1 && s.columns[0].largest == 3);
    cr_expect_eq(rd_exact_double_value(&s.columns[2].sum), 6);
    cr_expect_eq(s.columns[1].count, 0);
    rd_statistics_free(&s);
    expect_sums(three, &first, 1, NULL);
    expect_sums(SUMS(A, "{\"count\":2,\"sum\":\"1f8p-2\",\"least\":18,\"largest\":108}"), &first, 1, NULL);
    expect_sums(SUMS(A, "{\"count\":1,\"sum\":\"-cp-2\",\"least\":-3,\"largest\":-3}"), &first, 1, NULL);
    expect_sums("{\"columns\":[{\"count\":3,\"sum\":\"8p-2\"},null,null,null]}", &second, 2, NULL);
    expect_sums("[]", &first, 1, "columns: a list of 4 was expected");
    expect_sums("{\"columns\":[null,null,null]}", &first, 1, "columns: a list of 4 was expected");
    expect_sums(SUMS("null", A), &first, 1, "columns[0]: an object was expected");
    expect_sums("{\"columns\":[" A "," A "," A ",null]}", &first, 1, "columns[1]: null was expected");
    expect_sums(SUMS("{\"sum\":\"0p0\"}", A), &first, 1, "count is missing");
    expect_sums(SUMS("{\"count\":0}", A), &first, 1, "sum is missing");
    expect_sums(SUMS("{\"count\":1,\"sum\":\"1p0\",\"least\":1}", A), &first, 1, "largest is missing");
    expect_sums(SUMS("{\"count\":1,\"sum\":\"1p0\",\"largest\":1}", A), &first, 1, "least is missing");
    expect_sums(SUMS("{\"count\":3,\"sum\":\"ap0\",\"least\":1,\"largest\":3}", A), &first, 1,
                "a sum that count, least and largest allow");
    expect_sums(SUMS("{\"count\":3,\"sum\":\"2p0\",\"least\":1,\"largest\":3}", A), &first, 1,
                "a sum that count, least and largest allow");
    expect_sums(SUMS("{\"count\":3,\"sum\":\"x\",\"least\":1,\"largest\":3}", A), &first, 1, "sum");
    expect_sums("{\"columns\":[{\"count\":3,\"sum\":\"-2p0\"},null,null,null]}", &second, 2, "a sum of squares");
    expect_sums("{\"columns\":[null,null,null,null]}", &second, 2, "columns[0]: an object was expected");
    rd_schema_free(&first);
    rd_schema_free(&second);
}
