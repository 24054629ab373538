/* What columns and classes mean: agreed whoever comes first, measured however rows are spread, and the same when it is
 * written and read. Right values by hand. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/table_messages.h"
#include "config/schema_section.h"
#include "run/agreement.h"
#include "table_alone.h"

#define OK(call) cr_assert_eq(call, RD_OK, "%s", err.message)
#define MOST 4

typedef struct world {
    rd_source source[MOST];
    rd_table_file file[MOST];
    rd_described described[MOST];
    size_t count;
} world;

static void describe(world *w, const rd_schema *given, const char *whose, const char *text)
{
    rd_error err = {0};
    size_t i = w->count++;
    strcpy(w->source[i].path, whose);
    OK(table_from_memory(text, strlen(text), &w->source[i], given, &w->file[i], &err));
    OK(rd_table_file_describe(&w->file[i], given, &err));
    w->described[i] = (rd_described){whose, &w->file[i].description};
}

static void forget(world *w)
{
    for (size_t i = 0; i < w->count; i++)
        rd_table_file_close(&w->file[i]);
}

static char *agreed(const world *w, const rd_schema *given, bool has_test)
{
    rd_error err = {0};
    rd_schema s;
    char notes[300];
    OK(rd_schema_agree(given, &(rd_described_tables){w->described, w->count, has_test}, &s, notes, sizeof notes, &err));
    char *text = rd_schema_print(&s);
    rd_schema_free(&s);
    return text;
}

Test(schema, classes_and_words_are_a_union)
{
    const rd_schema given = {.label.type = RD_COLUMN_CATEGORY};
    world w = {0};
    describe(&w, &given, "a", "x,c,kind\n1,red,b\n2,blue,c\n");
    describe(&w, &given, "b", "kind,c,x\na,red,1\nb,green,2\n");
    rd_error err = {0};
    rd_schema s;
    char notes[10];
    cr_assert_eq(rd_schema_agree(&given, &(rd_described_tables){w.described, 2, false}, &s, notes, sizeof notes, &err),
                 RD_ERR_DATA);
    cr_assert_not_null(strstr(err.message, "the label of a is 'kind', that of b is 'x'"), "%s", err.message);
    forget(&w);
    w = (world){0};
    rd_schema named = {.label = {.name = "kind", .type = RD_COLUMN_CATEGORY}};
    describe(&w, &named, "a", "x,c,kind\n1,red,b\n2,blue,c\n");
    describe(&w, &named, "b", "kind,c,x\na,red,1\nb,green,2\n");
    char *text = agreed(&w, &named, false);
    cr_assert_str_eq(
        text,
        "{\"columns\":[{\"name\":\"x\",\"type\":\"number\",\"scale\":\"none\",\"missing\":\"refuse\"},"
        "{\"name\":\"c\",\"type\":\"category\",\"words\":[\"blue\",\"green\",\"red\"],\"missing\":\"refuse\"}],"
        "\"label\":{\"name\":\"kind\",\"type\":\"class\",\"classes\":[\"a\",\"b\",\"c\"],\"missing\":\"refuse\"}}");
    free(text);
    forget(&w);
}

Test(schema, whole_numbers_are_ordered_by_value_and_stay_as_they_are_from_0)
{
    static const struct {
        const char *one, *two, *classes;
    } cases[] = {
        {"x,y\n1,0\n1,10\n", "x,y\n1,2\n", "\"numbers\""},
        {"x,y\n1,-1\n1,1\n", "x,y\n1,0\n1,1\n", "[\"-1\",\"0\",\"1\"]"},
        {"x,y\n1,-10\n1,9\n", "x,y\n1,10\n", "[\"-10\",\"9\",\"10\"]"},
        {"x,y\n1,1.0\n1,NA\n", "x,y\n1,0\n", "\"numbers\""},
        {"x,y\n1,12e1\n1,b\n", "x,y\n1,3\n", "[\"12e1\",\"3\",\"b\"]"},
    };
    const rd_schema given = {.label.type = RD_COLUMN_CATEGORY};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w = {0};
        describe(&w, &given, "a", cases[i].one);
        describe(&w, &given, "b", cases[i].two);
        char *text = agreed(&w, &given, false);
        cr_assert_not_null(strstr(text, cases[i].classes), "%zu: %s", i, text);
        free(text);
        forget(&w);
    }
}

/* Of numbers that are no powers of two, so that a column is added to what is just full, or nearly so. */
Test(schema, columns_that_stand_for_several_may_be_followed_by_others)
{
    static const char text[] = "{\"label\":{\"type\":\"class\"},\"columns\":["
                               "{\"type\":\"number\",\"scale\":\"none\",\"count\":5},"
                               "{\"type\":\"number\",\"scale\":\"standard\",\"count\":6},"
                               "{\"type\":\"number\",\"scale\":\"none\"}]}";
    rd_error err = {0};
    rd_schema s, copy;
    OK(rd_schema_parse_text(text, "run.json", &s, &err));
    OK(rd_schema_copy(&s, &copy, &err));
    cr_assert_eq(s.column_count, 12);
    cr_assert_eq(copy.column_count, 12);
    for (size_t i = 0; i < 12; i++) {
        cr_assert_eq(s.columns[i].type, RD_COLUMN_NUMBER);
        cr_assert_eq(s.columns[i].scale, i < 5 || i == 11 ? RD_SCALE_NONE : RD_SCALE_STANDARD, "%zu", i);
        cr_assert_eq(copy.columns[i].scale, s.columns[i].scale, "%zu", i);
    }
    rd_schema_free(&s);
    rd_schema_free(&copy);
}

Test(schema, columns_are_those_of_the_test_set_or_of_everybody)
{
    const rd_schema given = {.label.type = RD_COLUMN_CATEGORY};
    world w = {0};
    describe(&w, &given, "data.test", "b,a,y\n1,2,0\n");
    describe(&w, &given, "alice", "id,a,b,y\n7,1,2,0\n");
    char *text = agreed(&w, &given, true);
    const char *b = strstr(text, "\"b\""), *a = strstr(text, "\"a\"");
    cr_assert(b != NULL && a != NULL && b < a && strstr(text, "id") == NULL, "%s", text);
    free(text);
    rd_error err = {0};
    rd_schema s;
    char notes[300];
    OK(rd_schema_agree(&given, &(rd_described_tables){w.described + 1, 1, false}, &s, notes, sizeof notes, &err));
    cr_assert_eq(s.column_count, 3);
    rd_schema_free(&s);
    world other = {0};
    describe(&other, &given, "alice", "id,a,b,y\n7,1,2,0\n");
    describe(&other, &given, "bob", "a,b,y\n1,2,0\n");
    OK(rd_schema_agree(&given, &(rd_described_tables){other.described, 2, false}, &s, notes, sizeof notes, &err));
    cr_assert_eq(s.column_count, 2);
    cr_assert_str_eq(notes, "column 1, id of alice is left out, because bob lacks it. ");
    rd_schema_free(&s);
    forget(&other);
    world bare = {0};
    describe(&bare, &given, "alice", "a,b,y\n1,2,0\n");
    describe(&bare, &given, "bob", "1,2,0\n3,4,1\n");
    cr_assert_eq(
        rd_schema_agree(&given, &(rd_described_tables){bare.described, 2, false}, &s, notes, sizeof notes, &err),
        RD_ERR_DATA);
    cr_assert_not_null(strstr(err.message, "the table of alice has a heading, that of bob has none"), "%s",
                       err.message);
    forget(&bare);
    forget(&w);
}

/* 1, 2, 6: mean 3, deviation sqrt(14/3); spread over clients in any way, through the text of the wire. */
Test(schema, means_do_not_depend_on_who_has_which_row)
{
    static const char *const spreads[][3] = {{"x,y\n1,0\n2,1\n6,0\n", NULL, NULL},
                                             {"x,y\n6,0\n", "x,y\n2,0\nNA,0\n1,1\n", NULL},
                                             {"x,y\n2,0\n", "x,y\n1,1\n", "x,y\n6,0\n"}};
    const rd_schema given = {.label.type = RD_COLUMN_CATEGORY, .scale = RD_SCALE_STANDARD, .missing = RD_MISSING_MEAN};
    char *first = NULL;
    for (size_t i = 0; i < 3; i++) {
        world w = {0};
        rd_error err = {0};
        rd_schema s;
        char notes[10];
        for (size_t k = 0; k < 3 && spreads[i][k] != NULL; k++)
            describe(&w, &given, "client", spreads[i][k]);
        OK(rd_schema_agree(&given, &(rd_described_tables){w.described, w.count, false}, &s, notes, sizeof notes, &err));
        for (int step; (step = rd_schema_step(&s)) > 0;) {
            rd_statistics all;
            OK(rd_statistics_create(&s, &all, &err));
            for (size_t k = 0; k < w.count; k++) {
                rd_statistics mine, reported;
                OK(rd_statistics_create(&s, &mine, &err));
                OK(rd_statistics_add_table(&mine, &w.file[k].table, &w.file[k].roles, &s, step, NULL, &err));
                char *json = rd_statistics_write(&mine, &s, step);
                OK(rd_statistics_parse(json, strlen(json), &s, step, &reported, &err));
                rd_statistics_merge(&all, &reported);
                rd_statistics_free(&mine);
                rd_statistics_free(&reported);
                free(json);
            }
            OK(rd_schema_apply(&s, &all, step, &err));
            rd_statistics_free(&all);
        }
        cr_assert(rd_schema_is_settled(&s));
        cr_assert_eq(s.columns[0].low, 3.0);
        cr_assert_eq(s.columns[0].filler, 3.0);
        cr_assert_float_eq(s.columns[0].high, sqrt(14.0 / 3.0), 1e-15);
        char *text = rd_schema_print(&s);
        cr_assert(first == NULL || strcmp(first, text) == 0, "%s\n%s", first, text);
        rd_schema back;
        OK(rd_schema_parse_text(text, "it", &back, &err));
        char *again = rd_schema_print(&back);
        cr_assert_str_eq(again, text);
        free(again);
        rd_schema_free(&back);
        if (first == NULL)
            first = text;
        else
            free(text);
        rd_schema_free(&s);
        forget(&w);
    }
    free(first);
}

Test(schema, what_a_client_tells_is_checked)
{
    const rd_schema given = {.label.type = RD_COLUMN_CATEGORY, .scale = RD_SCALE_STANDARD};
    world w = {0};
    describe(&w, &given, "a", "x,y\n1,0\n2,1\n");
    rd_error err = {0};
    rd_schema s;
    rd_statistics reported;
    char notes[10];
    OK(rd_schema_agree(&given, &(rd_described_tables){w.described, 1, false}, &s, notes, sizeof notes, &err));
    static const char *const bad[] = {
        "{\"columns\":[]}",
        "{\"columns\":[null,null]}",
        "{\"columns\":[{\"count\":2,\"sum\":\"3p0\",\"least\":1,\"largest\":2}]}",
        "{\"columns\":[{\"count\":2,\"sum\":\"1p2\",\"least\":1,\"largest\":2},{}]}",
        "{\"columns\":[{\"count\":2,\"sum\":\"9p2\",\"least\":1,\"largest\":2},null]}", /* 36 of two numbers up to 2 */
        "{\"columns\":[{\"count\":-1,\"sum\":\"0p2\"},null]}",
        "{\"columns\":[{\"count\":2,\"sum\":\"inf\",\"least\":1,\"largest\":2},null]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(rd_statistics_parse(bad[i], strlen(bad[i]), &s, 1, &reported, &err), RD_ERR_FORMAT, "%zu", i);
    rd_schema_free(&s);
    forget(&w);
}
