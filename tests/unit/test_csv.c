/* Tables as people have them: quotes, CRLF, names, owners, words for classes; and the line of every mistake.
 */
#include <math.h>

#include "data/source.h"
#include "data_files.h"
#include "table_alone.h"

TestSuite(csv, .init = make_folder, .fini = remove_folder);

static rd_status parse(const char *text, size_t size, const rd_source *source, rd_dataset *d, rd_error *err)
{
    rd_source named = *source;
    strcpy(named.path, "t.csv");
    const rd_schema given = {.label.type = source->regression == RD_YES ? RD_COLUMN_NUMBER : RD_COLUMN_CATEGORY,
                             .scale = source->standardise ? RD_SCALE_STANDARD : RD_SCALE_OPEN};
    return table_alone(text, size, &named, &given, d, NULL, err);
}

static void parse_ok(const char *text, const rd_source *source, rd_dataset *d)
{
    rd_error err = {0};
    cr_assert_eq(parse(text, strlen(text), source, d, &err), RD_OK, "%s", err.message);
}

static void refused(const char *text, const rd_source *source, const char *message)
{
    rd_dataset d;
    expect_error(parse(text, strlen(text), source, &d, why), RD_ERR_DATA, message);
    cr_assert_eq(d.rows, 0);
    cr_assert_null(d.x_f32);
}

static void expect_features(const rd_dataset *d, size_t rows, size_t features, const float *x)
{
    cr_assert_eq(d->rows, rows);
    cr_assert_eq(d->features, features);
    cr_assert_eq(d->rank, 1);
    cr_assert_eq(d->shape[0], features);
    for (size_t i = 0; i < rows * features; i++)
        cr_assert_eq(d->x_f32[i], x[i], "element %zu is %g, not %g", i, d->x_f32[i], x[i]);
}

static void expect_labels(const rd_dataset *d, size_t classes, const int32_t *labels)
{
    cr_assert_eq(d->classes, classes, "%zu classes", d->classes);
    for (size_t i = 0; i < d->rows; i++)
        cr_assert_eq(d->labels[i], labels[i], "row %zu is class %d", i, d->labels[i]);
}

Test(csv, numbers_and_the_last_column)
{
    rd_dataset d;
    parse_ok("1,2.5,0\n-3,4e2,2\n", &(rd_source){0}, &d);
    expect_features(&d, 2, 2, (float[]){1, 2.5f, -3, 400});
    expect_labels(&d, 3, (int32_t[]){0, 2});
    cr_assert_null(d.group);
    cr_assert_null(d.targets);
    rd_dataset_free(&d);
}

Test(csv, crlf_blank_lines_spaces_byte_order_mark_and_no_last_newline)
{
    rd_dataset d;
    parse_ok("\xef\xbb\xbf\r\n1, 2 ,0\r\n\r\n  \n\n3,4, 1 ", &(rd_source){0}, &d);
    expect_features(&d, 2, 2, (float[]){1, 2, 3, 4});
    expect_labels(&d, 2, (int32_t[]){0, 1});
    rd_dataset_free(&d);
}

Test(csv, quotes_as_in_rfc_4180)
{
    rd_dataset d;
    const rd_source source = {.heading = RD_YES, .group_column = "a \"b\", c"};
    parse_ok("x,\"a \"\"b\"\", c\",\"y\"\r\n\"1.5\",\"line one\nline, two\",\"0\"\r\n2,\"\",1\r\n", &source, &d);
    expect_features(&d, 2, 1, (float[]){1.5f, 2});
    expect_labels(&d, 2, (int32_t[]){0, 1});
    cr_assert_eq(d.group_count, 2);
    cr_assert_str_eq(d.group_names[0], "line one\nline, two");
    cr_assert_str_eq(d.group_names[1], "");
    rd_dataset_free(&d);
}

Test(csv, columns_by_name_and_by_position)
{
    const char *table = "y,who,x1,x2\n1,ann,10,20\n0,bob,30,40\n1,ann,50,60\n";
    const char *bare = strchr(table, '\n') + 1;
    const rd_source sources[] = {
        {.heading = RD_YES, .label_column = "y", .group_column = "who"},
        {.heading = RD_YES, .label_column = "0", .group_column = "1"},
        {.heading = RD_YES, .label_column = "-4", .group_column = "-3"},
        {.heading = RD_NO, .label_column = "0", .group_column = "1"},
    };
    for (size_t i = 0; i < 4; i++) {
        rd_dataset d;
        parse_ok(sources[i].heading == RD_YES ? table : bare, &sources[i], &d);
        expect_features(&d, 3, 2, (float[]){10, 20, 30, 40, 50, 60});
        expect_labels(&d, 2, (int32_t[]){1, 0, 1});
        cr_assert_eq(d.group_count, 2);
        cr_assert_str_eq(d.group_names[0], "ann");
        cr_assert_str_eq(d.group_names[1], "bob");
        cr_assert_eq(d.group[0], 0);
        cr_assert_eq(d.group[1], 1);
        cr_assert_eq(d.group[2], 0);
        rd_dataset_free(&d);
    }
}

Test(csv, other_separators)
{
    rd_dataset d;
    parse_ok("1\t\"2\"\t0\n", &(rd_source){.separator = '\t'}, &d);
    expect_features(&d, 1, 2, (float[]){1, 2});
    rd_dataset_free(&d);
    parse_ok("1;2;0\n", &(rd_source){.separator = ';'}, &d);
    expect_features(&d, 1, 2, (float[]){1, 2});
    rd_dataset_free(&d);
}

Test(csv, class_numbers_stay_what_they_are)
{
    /* A client that has only the classes 7 and 2 means the same by them as all others. */
    rd_dataset d;
    parse_ok("1,7\n1,2\n1,7.0\n1,07\n", &(rd_source){0}, &d);
    expect_labels(&d, 8, (int32_t[]){7, 2, 7, 7});
    rd_dataset_free(&d);
}

Test(csv, words_and_negative_numbers_are_numbered_in_sorted_order)
{
    rd_dataset d;
    parse_ok("1,virginica\n1,setosa\n1, setosa \n1,versicolor\n", &(rd_source){0}, &d);
    expect_labels(&d, 3, (int32_t[]){2, 0, 0, 1});
    rd_dataset_free(&d);
    parse_ok("1,10\n1,-1\n1,9\n1,-1.0\n", &(rd_source){0}, &d); /* by value: -1, 9, 10 */
    expect_labels(&d, 3, (int32_t[]){2, 0, 1, 0});
    rd_dataset_free(&d);
    parse_ok("1,b\n1,10\n1,9\n", &(rd_source){.heading = RD_NO}, &d); /* bytewise: "10", "9", "b" */
    expect_labels(&d, 3, (int32_t[]){2, 0, 1});
    rd_dataset_free(&d);
}

Test(csv, many_different_words)
{
    char *text = malloc(1 << 16), *at = text;
    for (int i = 999; i >= 0; i--)
        at += sprintf(at, "1,w%03d\n", i);
    rd_dataset d;
    parse_ok(text, &(rd_source){0}, &d);
    cr_assert_eq(d.classes, 1000);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(d.labels[i], 999 - i);
    rd_dataset_free(&d);
    free(text);
}

Test(csv, regression_targets)
{
    rd_dataset d;
    parse_ok("1,0.25\n2,-7\n", &(rd_source){.regression = RD_YES}, &d);
    cr_assert_null(d.labels);
    cr_assert_eq(d.classes, 0);
    cr_assert_eq(d.target_count, 1);
    cr_assert_eq(d.targets[0], 0.25f);
    cr_assert_eq(d.targets[1], -7.0f);
    float x[2], y[2];
    rd_dataset_gather(&d, rd_dataset_all_rows(&d), (const uint32_t[]){1, 0}, 2, x, NULL, y);
    cr_assert_eq(x[0], 2.0f);
    cr_assert_eq(y[0], -7.0f);
    cr_assert_eq(y[1], 0.25f);
    rd_dataset_free(&d);
}

Test(csv, standardise_by_the_population_deviation)
{
    /* 1, 2, 3, 4: mean 5/2, variance 5/4. 0.1 four times: constant, though 0.1 has no exact sum. */
    rd_dataset d;
    parse_ok("1,0.1,0\n2,0.1,1\n3,0.1,0\n4,0.1,1\n", &(rd_source){.standardise = true}, &d);
    for (int i = 0; i < 4; i++) {
        cr_assert_float_eq(d.x_f32[2 * i], (i - 1.5) / sqrt(1.25), 1e-7);
        cr_assert_eq(d.x_f32[2 * i + 1], 0.0f);
    }
    expect_labels(&d, 2, (int32_t[]){0, 1, 0, 1});
    rd_dataset_free(&d);
    /* One row: every column is constant. */
    parse_ok("5,6,0\n", &(rd_source){.standardise = true}, &d);
    expect_features(&d, 1, 2, (float[]){0, 0});
    rd_dataset_free(&d);
}

Test(csv, a_bad_field_is_named)
{
    const rd_source plain = {0}, header = {.heading = RD_YES}, real = {.regression = RD_YES};
    refused("1,2,0\n1,abc,0\n", &plain, "t.csv: line 2: column 2 ('abc') is not a number");
    refused("a,b,c\r\n1,2,0\r\n\r\n1,,0\r\n", &header, "t.csv: line 4: column 2, b ('') is missing");
    refused("a,b,c\r1,2,0\r\r1,,0\r", &header, "t.csv: line 4: column 2, b ('') is missing"); /* CR alone */
    refused("1,2,0\n1,2 3,0\n", &plain, "line 2: column 2 ('2 3') is not a number");
    refused("1,2,0\n1,0x10,0\n", &plain, "line 2: column 2 ('0x10') is not a number");
    refused("1,2,0\n1,infinity,0\n", &plain, "line 2: column 2 ('infinity') is not a number");
    refused("1,nan,0\n", &plain, "column 2 holds nothing but missing values");
    refused("1,2,0\n-inf,2,0\n", &plain, "line 2: column 1 ('-inf') is not a number");
    refused("1,1e400,0\n", &plain, "column 2 ('1e400') is too large for a 64-bit number");
    refused("1,1e39,0\n", &plain, "column 2 ('1e39') is too large for single precision");
    refused("1,1e-50,0\n", &plain, "column 2 ('1e-50') is too near to 0 for single precision");
    refused("1,1700000001,0\n", &plain, "column 2 ('1700000001') is beyond 2^24 and not exact in single precision");
    refused("1,1700000001\n", &real, "column 2 ('1700000001') is beyond 2^24");
    refused("1,2\n1,NaN\n", &real, "line 2: column 2 ('NaN') is the label, and missing");
    refused("1,2\n1,x\n", &real, "line 2: column 2 ('x') is not a number");
    /* Lines are counted through quoted line ends. */
    refused("w,x,y\n\"two\nlines\",1,0\nthree,q,0\n", &(rd_source){.heading = RD_YES, .group_column = "w"},
            "line 4: column 2, x ('q') is not a number");
}

Test(csv, a_bad_label_is_named)
{
    const rd_source plain = {0};
    refused("1,0\n1,\n", &plain, "t.csv: line 2: column 2 ('') is the label, and missing");
    refused("1,0\n1,0.5\n", &plain, "line 2: column 2 ('0.5') is no class: it has a fraction");
    refused("1,16777216\n", &plain, "('16777216') is no class of this run");
}

Test(csv, a_bad_shape_is_named)
{
    const rd_source plain = {0}, header = {.heading = RD_YES};
    refused("", &plain, "t.csv: holds no data");
    refused("\n \r\n\n", &plain, "t.csv: holds no data");
    refused("a,b\n\n", &header, "t.csv: holds a heading but no rows");
    refused("\n1,2,0\n1,2\n", &plain, "t.csv: line 3: 2 columns, but line 2 has 3");
    refused("1,2,0\n1,2,3,0\n", &plain, "line 2: 4 columns, but line 1 has 3");
    refused("1\n", &plain, "line 1: 1 column separated by ','; at least one feature");
    refused("1,2\n", &(rd_source){.label_column = "0", .group_column = "1"}, "2 columns separated by ','");
    refused("1,\"2,0\n1,2,0\n", &plain, "t.csv: line 1: column 2: the quote that opens here is never closed");
    refused("1,\"2\"x,0\n", &plain, "line 1: column 2: 'x' after the closing quote; a ',' was expected");
    rd_dataset d;
    expect_error(parse("1,\0,0", 5, &plain, &d, why), RD_ERR_DATA, "t.csv: line 1, column 3: a zero byte");
}

Test(csv, a_column_that_is_not_there_is_named)
{
    refused("a,b\n1,2\n", &(rd_source){.heading = RD_YES, .label_column = "c"},
            "t.csv: no column is named 'c' (the label column)");
    refused("a,b\n1,2\n", &(rd_source){.heading = RD_YES, .group_column = "c"}, "(the group column)");
    refused("a,b,a\n1,2,3\n", &(rd_source){.heading = RD_YES},
            "line 1: columns 1 and 3 are both named 'a'; which is meant could not be told");
    refused("1,2\n", &(rd_source){.heading = RD_NO, .label_column = "c"},
            "read without a heading, so 'c' cannot be found");
    refused("1,2\n", &(rd_source){.label_column = "2"}, "the label column is 2, but there are 2 columns");
    refused("1,2\n", &(rd_source){.label_column = "-3"}, "the label column is -3, but there are 2 columns");
    refused("1,2,3\n", &(rd_source){.label_column = "1", .group_column = "-2"},
            "column 2 cannot be both the label and the group");
}

Test(csv, what_is_not_given_is_guessed)
{
    static const struct {
        const char *text;
        bool heading;
        char separator, decimal;
        size_t rows, columns;
    } cases[] = {
        {"1,2,0\n3,4,1\n", false, ',', '.', 2, 3},
        {"a,b,y\n1,2,0\n", true, ',', '.', 1, 3},
        {"0,1,target\n0.5,2,0\n3,4,1\n", true, ',', '.', 2, 3}, /* as pandas writes it */
        {"5.1,3.5,setosa\n4.9,3,virginica\n4.8,3,setosa\n", false, ',', '.', 3, 3},
        {"size,kind\nsmall,a\nlarge,b\nsmall,b\n", true, ',', '.', 3, 2},
        {"small,a\nlarge,b\nsmall,b\n", false, ',', '.', 3, 2},
        {"x;y\n1,5;0\n2,25;1\n", true, ';', ',', 2, 2}, /* Excel where the comma is decimal */
        {"x;y\n1.5;0\n2.25;1\n", true, ';', '.', 2, 2},
        {"sep=;\r\nx;y\r\n1,5;0\r\n", true, ';', ',', 1, 2},
        {"x\ty\n1\t0\n", true, '\t', '.', 1, 2},
        {"1|2|0\n1|3|1\n", false, '|', '.', 2, 3},
        {"x,y\rNA,0\r2,1\r", true, ',', '.', 2, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const rd_source source = {.path = "t.csv"};
        rd_table t;
        rd_error err = {0};
        cr_assert_eq(rd_table_parse(strdup(cases[i].text), strlen(cases[i].text), &source, &t, &err), RD_OK, "%zu: %s",
                     i, err.message);
        cr_assert_eq(t.heading != NULL, cases[i].heading, "%zu: heading", i);
        cr_assert_eq(t.separator, cases[i].separator, "%zu: separator", i);
        cr_assert_eq(t.decimal, cases[i].decimal, "%zu: decimal", i);
        cr_assert_eq(t.rows, cases[i].rows, "%zu: %zu rows", i, t.rows);
        cr_assert_eq(t.columns, cases[i].columns, "%zu: %zu columns", i, t.columns);
        rd_table_free(&t);
    }
}

Test(csv, what_is_given_is_not_guessed)
{
    rd_dataset d;
    parse_ok("0,1,2\n3,4,0\n", &(rd_source){.heading = RD_YES}, &d);
    expect_features(&d, 1, 2, (float[]){3, 4});
    rd_dataset_free(&d);
    parse_ok("1,5\t0\n", &(rd_source){.separator = '\t', .decimal = ','}, &d);
    expect_features(&d, 1, 1, (float[]){1.5f});
    rd_dataset_free(&d);
    refused("a,b\n1,2\n", &(rd_source){.heading = RD_NO}, "line 1: column 1 ('a') is not a number");
}

Test(csv, differences_are_taken_before_anything_is_rounded)
{
    /* Unix times: as 32-bit floats these three would be two. */
    rd_dataset d;
    parse_ok("1700000000,0\n1700000001,1\n1700000002,0\n", &(rd_source){.standardise = true}, &d);
    for (int i = 0; i < 3; i++)
        cr_assert_float_eq(d.x_f32[i], (i - 1) / sqrt(2.0 / 3.0), 1e-7);
    rd_dataset_free(&d);
}

Test(csv, files_and_their_names)
{
    rd_error err = {0};
    rd_source source;
    rd_dataset d;
    char path[256];
    put_text("a.csv", "x1,x2,y\n1,2,0\n", path);
    cr_assert_eq(rd_source_from_path(path, &source, &err), RD_OK);
    cr_assert_eq(source.format, RD_SOURCE_CSV);
    const rd_schema schema = {
        .columns = (rd_column[]){{.name = "x1", .type = RD_COLUMN_NUMBER}, {.name = "x2", .type = RD_COLUMN_NUMBER}},
        .column_count = 2,
        .columns_known = true,
        .label = {.name = "y", .type = RD_COLUMN_CATEGORY},
        .numbered = true};
    cr_assert_eq(rd_source_load(&source, NULL, &schema, false, &d, &err), RD_OK, "%s", err.message);
    expect_features(&d, 1, 2, (float[]){1, 2});
    rd_dataset_free(&d);

    put_text("iris.data", "5.1,3.5,setosa\n4.9,3,virginica\n", path);
    cr_assert_eq(rd_source_from_path(path, &source, &err), RD_OK);
    cr_assert_eq(source.format, RD_SOURCE_CSV);

    put_text("a.TSV", "x1\tx2\ty\n1\t2\t0\n", path);
    cr_assert_eq(rd_source_from_path(path, &source, &err), RD_OK);
    cr_assert_eq(source.separator, '\t');
    cr_assert_eq(rd_source_load(&source, NULL, &schema, false, &d, &err), RD_OK, "%s", err.message);
    expect_features(&d, 1, 2, (float[]){1, 2});
    rd_dataset_free(&d);

    cr_assert_eq(rd_source_from_path("nowhere.csv.gz", &source, &err), RD_OK);
    cr_assert_eq(source.format, RD_SOURCE_CSV);
    expect_error(rd_source_load(&source, NULL, &schema, false, &d, why), RD_ERR_DATA,
                 "nowhere.csv.gz: No such file or directory");

    cr_assert_eq(rd_source_from_path("mine.safetensors", &source, &err), RD_OK);
    cr_assert_eq(source.format, RD_SOURCE_SAFETENSORS);
    expect_error(rd_source_load(&source, NULL, &schema, false, &d, why), RD_ERR_DATA,
                 "mine.safetensors: No such file or directory");
    expect_error(rd_source_from_path("", &source, why), RD_ERR_DATA, "a path of 1 to 1023 characters");
    expect_error(rd_source_load(&(rd_source){0}, NULL, &schema, false, &d, why), RD_ERR_DATA, "no data file was named");
}
