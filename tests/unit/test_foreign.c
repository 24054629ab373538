/* Text from strangers. UTF-8 is held to the table of RFC 3629, section 4, at the edges of its ranges; JSON to
 * RFC 8259. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/foreign.h"

static void plain(const char *given, const char *expected)
{
    char text[64];
    strcpy(text, given);
    rd_foreign_plain(text);
    cr_expect_str_eq(text, expected);
}

Test(foreign, what_is_shown_is_plain)
{
    plain("", "");
    plain("fc1.weight, 100 %", "fc1.weight, 100 %");
    plain("a\nb\tc\r\x1b[2J\x7f", "a?b?c??[2J?");
    plain("\xc2\x80\xc2\x9b\xc2\x9f", "??????"); /* U+0080 to U+009F, two bytes each */
    plain("\xc2\xa0\xdf\xbf", "\xc2\xa0\xdf\xbf");
    plain("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf");
    plain("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
    plain("\x80|\xbf|\xc0\x80|\xc1\xbf", "?|?|??|??");              /* no beginning; overlong */
    plain("\xe0\x9f\xbf|\xf0\x8f\xbf\xbf", "???|????");             /* overlong */
    plain("\xed\xa0\x80|\xf4\x90\x80\x80|\xf5\xff", "???|????|??"); /* a surrogate; too large */
    plain("a\u200bb\u200fc\u202ed\u2028e\u2060f\u2069g\ufeff", "a???b???c???d???e???f???g???"); /* zero width, bidi */
    plain("\u061c\u00ad|\U000e0041", "????|????");
    plain("\u200a\u2010\u2027\u202f\u205f\u2070", "\u200a\u2010\u2027\u202f\u205f\u2070");
    plain("\xc3", "?"); /* cut off */
    plain("\xe2\x82", "??");
    plain("\xf0\x9d\x84z", "???z");
}

/* A block of the very size, so that a sanitizer sees a read behind its end. */
static cJSON *parse(const char *text, size_t size, rd_foreign_fault *fault)
{
    char *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, text, size);
    cJSON *root = rd_foreign_json(copy, size, fault);
    free(copy);
    return root;
}

static void refuse(const char *text, size_t at, const char *words)
{
    rd_foreign_fault fault = {0};
    cr_expect_null(parse(text, strlen(text), &fault), "%s", text);
    cr_expect(strstr(fault.what, words) != NULL, "%s: %s", text, fault.what);
    cr_expect_eq(fault.at, at, "%s: at %zu", text, fault.at);
}

static void accept(const char *text, const char *expected)
{
    rd_foreign_fault fault = {0};
    cJSON *root = parse(text, strlen(text), &fault);
    cr_assert(root != NULL, "%s: %s", text, fault.what);
    cr_expect_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(root, "k")), expected);
    cJSON_Delete(root);
}

Test(foreign, json_is_read_strictly)
{
    accept("{\"k\":\"\xc3\xbc \xf0\x9d\x84\x9e\"}", "\xc3\xbc \xf0\x9d\x84\x9e");
    accept(" \t\r\n{\"k\":\"\\u001b\\n\\ud834\\udd1e\"} \t\r\n", "\x1b\n\xf0\x9d\x84\x9e");
    accept("{\"k\":\"\\\\u0000\"}", "\\u0000"); /* a backslash and a word, no zero byte */
    accept("{\"k\":\"\\\"\\\\\"}", "\"\\");
    refuse("", 0, "not valid JSON");
    refuse("{\"k\":}", 5, "not valid JSON");
    refuse("{\"k\":1} {}", 8, "something follows");
    refuse("{\"k\":\"a\\u0000b\"}", 7, "would end a text early");
    refuse("{\"k\":\"\\\\\\u0000\"}", 8, "would end a text early");
    refuse("{\"k\\u0000\":1}", 3, "would end a text early");
    refuse("{\"k\":\"a\nb\"}", 7, "control character");
    refuse("{\"k\":\"a\\\nb\"}", 8, "control character");
    refuse("{\v\"k\":1}", 1, "control character");
    refuse("{\"k\":\"\xff\"}", 6, "not UTF-8");
    refuse("{\"k\":\"\\\xff\"}", 7, "not UTF-8");
    refuse("{\"k\":\"\xed\xa0\x80\"}", 6, "not UTF-8");
    rd_foreign_fault fault;
    cr_expect_null(parse("{}\0", 3, &fault));
    cr_expect_eq(fault.at, 2);
    cr_expect_null(parse("{\"k\":\"\\u000", 11, &fault)); /* cut within an escape */
}

/* RFC 8259, section 6: number = [ minus ] int [ frac ] [ exp ]. */
Test(foreign, numbers_are_those_of_json)
{
    const char *const numbers[] = {"0",
                                   "-0",
                                   "10",
                                   "1.5",
                                   "0.5e-3",
                                   "1E+2",
                                   "-1.25e10",
                                   "9007199254740992",
                                   "9007199254740994",
                                   "1e22",
                                   "123456789012345678901234567890e-20",
                                   "1e-310"};
    const char *const others[] = {"01", "-01", "1.", ".5", "-.5", "+1", "-", "1e", "1e+", "0.1.2", "1-2", "--1", "00"};
    char text[200];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        (void)sprintf(text, "{\"k\":\"yes\",\"n\":[%s,%s]}", numbers[i], numbers[i]);
        accept(text, "yes");
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        (void)sprintf(text, "{\"k\":%s}", others[i]);
        refuse(text, 5, "not how it writes a number");
    }
    refuse("{\"k\":0x10}", 6, "not valid JSON");
    refuse("{\"k\":NaN}", 5, "not valid JSON");
    refuse("{\"k\":Infinity}", 5, "not valid JSON");
    refuse("[1,1e999]", 3, "too large for double precision");
    refuse("[-1e999]", 1, "too large for double precision");
    refuse("[1e-400]", 1, "too near to 0 for double precision");
    refuse("[0.00001,\n 9007199254740993]", 11, "would round this whole number");
    refuse("[123456789012345678901234567890]", 1, "would round this whole number");
    refuse("[0.1000000000000000000000000000000000000000000000000000000000000001]", 1, "more than 63 characters");
    accept("{\"k\":\"01 1. .5 1e999\"}", "01 1. .5 1e999");
}

static void repeated(const char *text, size_t line, size_t column, const char *words)
{
    rd_foreign_fault fault = {0};
    cr_assert_null(parse(text, strlen(text), &fault), "%s", text);
    cr_expect_str_eq(fault.what, words);
    cr_expect_eq(fault.line, line, "%zu", fault.line);
    cr_expect_eq(fault.column, column, "%zu", fault.column);
}

Test(foreign, a_name_stands_once)
{
    repeated("{\"a\":1,\"a\":2}", 1, 8, "not accepted: a is there twice");
    repeated("{\"a\":{\"b\":[0,{\"c\":1,\n \"\xc3\xbc\":0, \"\\u0063\":2}]}}", 2, 9,
             "not accepted: a.b[1].c is there twice"); /* the same name, written otherwise */
    repeated("{\"\xc3\xbc\":1,\"x\":\"\xc3\xbc\",\"\xc3\xbc\":2}", 1, 16, "not accepted: \xc3\xbc is there twice");
    repeated("{\"x\":{\"z\":1,\"y\":2,\"y\":3},\"a\":1,\"a\":2}", 1, 19,
             "not accepted: x.y is there twice"); /* the first */
    repeated("[[{\"\\\"\":1, \"k:\": \":\", \"\\\"\" : 1}]]", 1, 23, "not accepted: [0][0].\" is there twice");
    accept("{\"k\":\"A\",\"K\":1,\"x\":{\"k\":2}}", "A"); /* another case, another object */
}
