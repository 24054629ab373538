/* LEAF files written by hand after the benchmark's description, one by one and as a folder. */
#include <sys/stat.h>

#include "data/parse.h"
#include "data_files.h"

TestSuite(leaf, .init = make_folder, .fini = remove_folder);

/* user_data deliberately in another order than users; "hierarchies" is a key that LEAF knows and Rondo does
 * not need. */
static const char two_users[] = "{\"users\": [\"f0\", \"f1\"], \"num_samples\": [2, 1], \"hierarchies\": [],\n"
                                " \"user_data\": {\"f1\": {\"x\": [[5, 6]], \"y\": [4]},\n"
                                "                 \"f0\": {\"x\": [[1, 2.5], [-3e0, 4]], \"y\": [0, 2.0]}}}";

static rd_status parse(const char *text, rd_dataset *d, rd_error *err)
{
    /* An exact copy without '\0', so that a sanitizer sees any step beyond the end. */
    size_t size = strlen(text);
    char *copy = malloc(size + (size == 0));
    memcpy(copy, text, size);
    rd_status status = rd_leaf_parse(copy, size, "t.json", NULL, d, err);
    free(copy);
    return status;
}

static void refused(const char *text, const char *message)
{
    rd_dataset d;
    expect_error(parse(text, &d, why), RD_ERR_DATA, message);
    cr_assert_eq(d.rows, 0);
    cr_assert_null(d.x_f32);
}

static void expect_row(const rd_dataset *d, size_t row, float a, float b, int32_t label, const char *owner)
{
    cr_assert_eq(d->x_f32[2 * row], a);
    cr_assert_eq(d->x_f32[2 * row + 1], b);
    cr_assert_eq(d->labels[row], label);
    cr_assert_str_eq(d->group_names[d->group[row]], owner);
}

Test(leaf, rows_in_the_order_of_users)
{
    rd_error err = {0};
    rd_dataset d;
    cr_assert_eq(parse(two_users, &d, &err), RD_OK, "%s", err.message);
    cr_assert_eq(d.rows, 3);
    cr_assert_eq(d.features, 2);
    cr_assert_eq(d.rank, 1);
    cr_assert_eq(d.shape[0], 2);
    cr_assert_eq(d.classes, 5);
    cr_assert_eq(d.group_count, 2);
    expect_row(&d, 0, 1, 2.5f, 0, "f0");
    expect_row(&d, 1, -3, 4, 2, "f0");
    expect_row(&d, 2, 5, 6, 4, "f1");
    rd_dataset_free(&d);
}

Test(leaf, users_without_samples_own_nothing)
{
    rd_error ignored;
    rd_dataset d;
    cr_assert_eq(parse("{\"users\": [\"a\", \"b\"], \"user_data\": {\"a\": {\"x\": [], \"y\": []},"
                       "\"b\": {\"x\": [[1]], \"y\": [0]}}}",
                       &d, &ignored),
                 RD_OK);
    cr_assert_eq(d.rows, 1);
    cr_assert_eq(d.group_count, 1);
    cr_assert_str_eq(d.group_names[0], "b");
    rd_dataset_free(&d);
}

Test(leaf, a_folder_is_its_files_in_order_of_their_names)
{
    rd_error err = {0};
    rd_source source;
    rd_dataset d;
    char path[256];
    put_text("b_1.json", two_users, path);
    put_text("a_0.json", "{\"users\": [\"f1\"], \"user_data\": {\"f1\": {\"x\": [[7, 8]], \"y\": [1]}}}", path);
    put_text("notes.txt", "not to be read", path);
    cr_assert_eq(rd_source_from_path(folder, &source, &err), RD_OK);
    cr_assert_eq(source.format, RD_SOURCE_LEAF);
    cr_assert_eq(rd_source_load(&source, NULL, NULL, false, &d, &err), RD_OK, "%s", err.message);
    cr_assert_eq(d.rows, 4);
    cr_assert_eq(d.group_count, 2);
    expect_row(&d, 0, 7, 8, 1, "f1");
    expect_row(&d, 1, 1, 2.5f, 0, "f0");
    expect_row(&d, 2, -3, 4, 2, "f0");
    expect_row(&d, 3, 5, 6, 4, "f1"); /* the same user as in the other file */
    rd_dataset_free(&d);

    put_text("c.json", "{\"users\": [\"g\"], \"user_data\": {\"g\": {\"x\": [[1]], \"y\": [1]}}}", path);
    expect_error(rd_source_load(&source, NULL, NULL, false, &d, why), RD_ERR_DATA,
                 "c.json: user 'g': x[0] has 1 features, but the first sample has 2");
}

Test(leaf, one_file_by_its_name)
{
    rd_error err = {0};
    rd_source source;
    rd_dataset d;
    char path[256];
    put_text("train.json", two_users, path);
    cr_assert_eq(rd_source_from_path(path, &source, &err), RD_OK);
    cr_assert_eq(source.format, RD_SOURCE_LEAF);
    cr_assert_eq(rd_source_load(&source, NULL, NULL, false, &d, &err), RD_OK, "%s", err.message);
    cr_assert_eq(d.rows, 3);
    rd_dataset_free(&d);
    cr_assert_eq(rd_source_from_path("none.json", &source, &err), RD_OK);
    expect_error(rd_source_load(&source, NULL, NULL, false, &d, why), RD_ERR_DATA,
                 "none.json: No such file or directory");
}

Test(leaf, an_empty_folder)
{
    rd_source source = {.format = RD_SOURCE_LEAF};
    rd_dataset d;
    strcpy(source.path, folder);
    expect_error(rd_source_load(&source, NULL, NULL, false, &d, why), RD_ERR_DATA, "there is no *.json in this folder");
}

Test(leaf, broken_json_is_placed)
{
    refused("", "t.json: line 1, column 1: not valid JSON");
    refused("{\"users\": [\"a\"],\n \"user_data\": {\"a\": {\"x\": [[NaN]], \"y\": [0]}}}",
            "t.json: line 2, column 29: not valid JSON");
    refused("{\"users\": [\"a\"], \"user_data\": {\"a\": {\"x\": [[1]], \"y\": [0]}}}\n"
            "{\"users\": [\"b\"], \"user_data\": {\"b\": {\"x\": [[1]], \"y\": [0]}}}\n",
            "t.json: line 2, column 1: not valid JSON: something follows its end");
    refused("{\"users\": [\"a\"], \"user_data\": {\"a\": {\"x\": [[1]], \"y\": [0]}}}\nrubbish }}]",
            "t.json: line 2, column 1: not valid JSON: something follows its end");
    refused("{\"users\": [\"a\\u0000b\"], \"user_data\": {}}", "t.json: line 1, column 14: not accepted: \\u0000");
    refused("{\"users\": [\"a\"], \"users\": [\"b\"], \"user_data\": {}}",
            "t.json: line 1, column 18: not accepted: users is there twice");
    refused("[]", "t.json: expected {\"users\": [...], \"user_data\": {...}}");
    refused("{\"users\": []}", "t.json: expected {\"users\"");
    refused("{\"users\": [], \"user_data\": {}}", "t.json: holds no samples");
}

Test(leaf, users_and_their_data_belong_together)
{
    refused("{\"users\": [1], \"user_data\": {}}", "users[0] is not a text");
    refused("{\"users\": [\"a\", \"a\"], \"user_data\": {}}", "user 'a' is listed twice in users");
    refused("{\"users\": [\"a\"], \"user_data\": {}}", "user 'a' has no entry in user_data");
    refused("{\"users\": [], \"user_data\": {\"b\": {}}}", "user_data: 'b' is not among the users");
    refused("{\"users\": [\"a\"], \"user_data\": {\"a\": {\"x\": [], \"y\": []}, \"a\": {\"x\": [], \"y\": []}}}",
            "user_data.a is there twice");
    refused("{\"users\": [\"a\"], \"user_data\": {\"a\": {\"x\": []}}}",
            "user 'a': expected {\"x\": [...], \"y\": [...]}");
    refused("{\"users\": [\"a\"], \"num_samples\": [], \"user_data\": {}}",
            "num_samples: expected an array of 1 numbers");
    refused("{\"users\": [\"a\"], \"num_samples\": [\"1\"], \"user_data\": {}}", "num_samples[0] is not a number");
    refused("{\"users\": [\"a\"], \"num_samples\": [3], \"user_data\": {\"a\": {\"x\": [[1]], \"y\": [0]}}}",
            "user 'a': 1 samples, but num_samples says 3");
    refused("{\"users\": [\"a\"], \"user_data\": {\"a\": {\"x\": [[1], [2]], \"y\": [0]}}}",
            "user 'a': 2 samples in x, but 1 labels in y");
}

static void refused_sample(const char *x, const char *y, const char *message)
{
    char text[512];
    snprintf(text, sizeof text, "{\"users\": [\"a\"], \"user_data\": {\"a\": {\"x\": %s, \"y\": %s}}}", x, y);
    refused(text, message);
}

Test(leaf, samples_are_checked)
{
    rd_dataset d;
    expect_error(parse("{\"users\": [\"a\"], \"user_data\": {\"a\": {\"x\": [\"to be\"], \"y\": [\" \"]}}}", &d, why),
                 RD_ERR_CONFIG, "t.json: x holds strings, for which a model is needed");
    refused_sample("[[\"1467\", \"Mon Apr 06\", \"so tired\"]]", "[0]", "x[0] is a list of strings (as in Sent140");
    refused_sample("[[[\"<BOS>\", \"hello\"]]]", "[0]", "x[0] is a list of lists (as in Sent140 or Reddit)");
    refused_sample("[[]]", "[0]", "user 'a': x[0] is neither an array of numbers nor a string");
    refused_sample("[[1, 2], 3]", "[0, 0]", "user 'a': x[1] is not an array of numbers");
    refused_sample("[[1, 2], [3, \"b\"]]", "[0, 0]", "user 'a': x[1][1] is not a finite number");
    refused_sample("[[1, 1e39]]", "[0]", "user 'a': x[0][1] is too large for single precision");
    refused_sample("[[1, 1e-50]]", "[0]", "user 'a': x[0][1] is too near to 0 for single precision");
    refused_sample("[[1, 1e999]]", "[0]", "line 1, column 48: not accepted: this number is too large");
    /* Two times, a second apart, would be the same feature. */
    refused_sample("[[1700000000, 1700000001]]", "[0]", "user 'a': x[0][1] is beyond 2^24 and not exact");
    refused_sample("[[1, 2], [3]]", "[0, 0]", "user 'a': x[1] has 1 features, but the first sample has 2");
    refused_sample("[[1, 2], [3, 4, 5]]", "[0, 0]", "user 'a': x[1] has 3 features, but the first sample has 2");
    refused_sample("[[1], [2]]", "[0, 0.5]", "user 'a': y[1] is not a class");
    refused_sample("[[1]]", "[-1]", "user 'a': y[0] is not a class");
    refused_sample("[[1]]", "[\"e\"]", "user 'a': y[0] is not a class");
    refused_sample("[[1]]", "[16777216]", "user 'a': y[0] is not a class: a whole number from 0 to 16777215");
}

/* ---- texts: Shakespeare in LEAF, a string and the symbol that follows ---- */

static rd_model *text_model(bool last)
{
    rd_error ignored;
    char text[300];
    rd_model *m = NULL;
    (void)snprintf(text, sizeof text,
                   "{\"input\": {\"tokens\": 4, \"vocabulary\": \"ab \\u00e4\"}, \"loss\": \"softmax_cross_entropy\", "
                   "\"layers\": [{\"type\": \"embedding\", \"units\": 2}, %s{\"type\": \"dense\", \"units\": 4}]}",
                   last ? "{\"type\": \"last\"}, " : "");
    cJSON *json = cJSON_Parse(text);
    cr_assert_eq(rd_model_create(json, &m, &ignored), RD_OK);
    cJSON_Delete(json);
    return m;
}

#define PLAY(x, y)                                                                          \
    "{\"users\": [\"R\", \"J\"], \"user_data\": {\"J\": {\"x\": [" x "], \"y\": [" y "]}, " \
    "\"R\": {\"x\": [\"abab\"], \"y\": [\" \"]}}}"

Test(leaf, texts_go_through_the_vocabulary)
{
    static const char play[] = PLAY("\"\xc3\xa4 ab\", \"bbbb\"", "\"b\", \"a\"");
    static const uint8_t x[] = {0, 1, 0, 1, 3, 2, 0, 1, 1, 1, 1, 1};
    static const int32_t next[] = {2, 1, 0}, every[] = {1, 0, 1, 2, 2, 0, 1, 1, 1, 1, 1, 0};
    for (int last = 0; last < 2; last++) {
        rd_model *m = text_model(last);
        rd_dataset d;
        rd_error err = {0};
        cr_assert_eq(rd_leaf_parse(play, strlen(play), "t.json", m, &d, &err), RD_OK, "%s", err.message);
        cr_assert(d.tokens && d.rows == 3 && d.features == 4 && d.classes == 4);
        cr_assert_arr_eq(d.x_u8, x, sizeof x);
        cr_assert_eq(d.label_count, last ? 1 : 4);
        if (last)
            cr_assert_arr_eq(d.labels, next, sizeof next);
        else
            cr_assert_arr_eq(d.labels, every, sizeof every);
        cr_assert_str_eq(d.group_names[d.group[0]], "R");
        cr_assert_str_eq(d.group_names[d.group[2]], "J");
        rd_dataset_free(&d);
        rd_model_free(m);
    }
}

static void refused_play(const char *text, const char *message)
{
    rd_model *m = text_model(true);
    rd_dataset d;
    expect_error(rd_leaf_parse(text, strlen(text), "t.json", m, &d, why), RD_ERR_DATA, message);
    rd_model_free(m);
}

Test(leaf, texts_are_checked)
{
    refused_play(PLAY("\"aba\"", "\"b\""), "user 'J': x[0] has 3 symbols; 4 as the model takes were expected");
    refused_play(PLAY("\"ababa\"", "\"b\""), "user 'J': x[0] has 5 symbols");
    refused_play(PLAY("\"abaz\"", "\"b\""), "user 'J': x[0]: symbol 4 (U+007A) is not in model.input.vocabulary");
    refused_play(PLAY("\"abab\"", "\"\""), "user 'J': y[0] has 0 symbols; 1 was expected");
    refused_play(PLAY("\"abab\"", "1"), "user 'J': y[0] is not a string");
    refused_play(PLAY("[1, 2, 3, 4]", "\"a\""), "user 'J': x[0] is not a string, as the first of x is");
}
