/* Texts: windows, labels and speakers by hand, and errors with their place. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../memory_input.h"
#include "data/text.h"

static rd_model *model_of(const char *symbols, size_t window, bool last)
{
    rd_error err = {0};
    rd_model *m = NULL;
    char text[512];
    (void)snprintf(text, sizeof text,
                   "{\"input\": {\"tokens\": %zu, \"vocabulary\": \"%s\"}, \"loss\": "
                   "\"softmax_cross_entropy\", \"layers\": [{\"type\": "
                   "\"embedding\", \"units\": 2}, %s{\"type\": \"dense\", \"units\": 9}]}",
                   window, symbols, last ? "{\"type\": \"last\"}, " : "");
    cJSON *json = cJSON_Parse(text);
    cr_assert_eq(rd_model_create(json, &m, &err), RD_OK, "%s", err.message);
    cJSON_Delete(json);
    return m;
}

static rd_status read_with(const char *text, rd_text_options options, const rd_model *m, rd_dataset *d, rd_error *err)
{
    rd_input in = memory_input("play.txt", text, strlen(text));
    return rd_text_read(&in, &options, m, d, err);
}

static rd_dataset read_text(const char *text, rd_text_options options, const char *symbols, size_t window, bool last)
{
    rd_error err = {0};
    rd_dataset d;
    rd_model *m = model_of(symbols, window, last);
    cr_assert_eq(read_with(text, options, m, &d, &err), RD_OK, "%s", err.message);
    rd_model_free(m);
    return d;
}

static void expect_row(const rd_dataset *d, size_t row, const char *tokens, const char *labels)
{
    for (size_t i = 0; i < d->features; i++)
        cr_expect_eq(d->x_u8[row * d->features + i], tokens[i] - '0', "row %zu, token %zu", row, i);
    for (size_t i = 0; i < d->label_count; i++)
        cr_expect_eq(d->labels[row * d->label_count + i], labels[i] == '.' ? -1 : labels[i] - '0', "row %zu, label %zu",
                     row, i);
}

/* abcabca = 0120120 in windows of 3: 012 -> 120, 012 -> 0 and nothing, and every symbol but the first is a
 * label once. */
Test(text, every_symbol_but_the_first_is_predicted_once)
{
    rd_dataset d = read_text("abcabca", (rd_text_options){0}, "abc", 3, false);
    cr_assert_eq(d.rows, 2);
    cr_assert_eq(d.label_count, 3);
    cr_assert(d.tokens);
    cr_assert_eq(d.classes, 3);
    expect_row(&d, 0, "012", "120");
    expect_row(&d, 1, "012", "120");
    rd_dataset_free(&d);
    d = read_text("abcabcab", (rd_text_options){0}, "abc", 3, false);
    cr_assert_eq(d.rows, 3);
    expect_row(&d, 2, "010", "1..");
    rd_dataset_free(&d);
    d = read_text("abcab", (rd_text_options){.stride = 1}, "abc", 3, false);
    cr_assert_eq(d.rows, 4);
    expect_row(&d, 1, "120", "201");
    expect_row(&d, 3, "010", "1..");
    rd_dataset_free(&d);
}

Test(text, one_label_behind_the_window)
{
    rd_dataset d = read_text("abcabcab", (rd_text_options){.stride = 2}, "abc", 3, true);
    cr_assert_eq(d.rows, 3);
    cr_assert_eq(d.label_count, 1);
    expect_row(&d, 0, "012", "0");
    expect_row(&d, 1, "201", "2");
    expect_row(&d, 2, "120", "1");
    rd_dataset_free(&d);
}

static const char play[] = "A:\nab\nb\n\nB C:\nb\n\nA:\na\n\nD:\n\nA:\nnow: b\n";

Test(text, speakers_own_their_speeches)
{
    rd_dataset d = read_text(play, (rd_text_options){.speakers = true}, "\\nab :now", 4, false);
    /* A says "ab\nb\na\nnow: b\n" (14 symbols), B C "b\n", D nothing */
    cr_assert_eq(d.group_count, 2);
    cr_assert_str_eq(d.group_names[0], "A");
    cr_assert_str_eq(d.group_names[1], "B C");
    cr_assert_eq(d.rows, 4 + 1);
    expect_row(&d, 0, "1202", "2020");
    expect_row(&d, 1, "0105", "1056");
    expect_row(&d, 3, "2000", "0...");
    expect_row(&d, 4, "2000", "0...");
    cr_assert_eq(d.group[3], 0);
    cr_assert_eq(d.group[4], 1);
    rd_dataset_free(&d);
}

Test(text, the_end_of_each_owner_is_for_testing)
{
    rd_dataset train =
        read_text("abcabcabca", (rd_text_options){.part = RD_TEXT_TRAIN, .test_share = 0.3}, "abc", 3, false);
    rd_dataset test =
        read_text("abcabcabca", (rd_text_options){.part = RD_TEXT_TEST, .test_share = 0.3}, "abc", 3, false);
    cr_assert_eq(train.rows, 2);
    cr_assert_eq(test.rows, 1);
    expect_row(&test, 0, "120", "20.");
    rd_dataset_free(&train);
    rd_dataset_free(&test);
}

Test(text, characters_are_not_bytes)
{
    rd_dataset d = read_text("äbä€b", (rd_text_options){0}, "b€ä", 4, false);
    cr_assert_eq(d.rows, 1);
    expect_row(&d, 0, "2021", "0210");
    rd_dataset_free(&d);
}

static void refused(const char *text, rd_text_options options, const char *message)
{
    rd_error err = {0};
    rd_dataset d;
    rd_model *m = model_of("ab:\\n", 3, true);
    cr_assert_neq(read_with(text, options, m, &d, &err), RD_OK);
    cr_assert_str_eq(err.message, message);
    cr_assert_eq(d.rows, 0);
    rd_model_free(m);
}

/* From Notepad, from an old Macintosh, from here: the same samples. */
Test(text, every_editor_writes_the_same_text)
{
    // The byte order mark in octal: \xbfab would be one number.
    static const char *const texts[] = {"ab\nca\n", "\357\273\277ab\r\nca\r\n", "ab\rca\r"};
    static const char *const plays[] = {"A:\nab\n\nB:\nca\n", "\357\273\277A: \r\nab\r\n \r\nB:\r\nca\r\n"};
    for (size_t i = 0; i < 3; i++) {
        rd_dataset d = read_text(texts[i], (rd_text_options){0}, "abc\\n", 5, true);
        cr_assert_eq(d.rows, 1);
        expect_row(&d, 0, "01320", "3");
        rd_dataset_free(&d);
    }
    for (size_t i = 0; i < 2; i++) {
        rd_dataset d = read_text(plays[i], (rd_text_options){.speakers = true}, "abc\\n", 2, true);
        cr_assert_eq(d.rows, 2);
        cr_assert_str_eq(d.group_names[0], "A");
        cr_assert_str_eq(d.group_names[1], "B");
        expect_row(&d, 0, "01", "3");
        expect_row(&d, 1, "20", "3");
        rd_dataset_free(&d);
    }
}

Test(text, what_is_wrong_has_a_place)
{
    refused("abab\nabcab", (rd_text_options){0},
            "play.txt: line 2, column 3: the symbol is not in model.input.vocabulary, which has 4 symbols: 'c'");
    refused("ab\xff", (rd_text_options){0}, "play.txt: line 1, column 3: not UTF-8; save it as UTF-8");
    refused("abba\n", (rd_text_options){.speakers = true},
            "play.txt: line 1: a line \"NAME:\" was expected, to say who speaks");
    refused("aba", (rd_text_options){0}, "play.txt: no owner has the 4 symbols that a sample needs");
    rd_error err = {0};
    rd_dataset d;
    cr_assert_eq(read_with("ab", (rd_text_options){0}, NULL, &d, &err), RD_ERR_CONFIG);
}
