/* Text from strangers. UTF-8 is held to the table of RFC 3629, section 4, at the edges of its ranges; JSON to
 * RFC 8259. */
#include <criterion/criterion.h>
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
    plain("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
          "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf");
    plain("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
    plain("\x80|\xbf|\xc0\x80|\xc1\xbf", "?|?|??|??");              /* no beginning; overlong */
    plain("\xe0\x9f\xbf|\xf0\x8f\xbf\xbf", "???|????");             /* overlong */
    plain("\xed\xa0\x80|\xf4\x90\x80\x80|\xf5\xff", "???|????|??"); /* a surrogate; too large */
    plain("\xc3", "?");                                             /* cut off */
    plain("\xe2\x82", "??");
    plain("\xf0\x9d\x84z", "???z");
    rd_foreign_plain(NULL);
}

/* A block of the very size, so that a sanitizer sees a read behind its end. */
static cJSON *parse(const char *text, size_t size, size_t *at, const char **what)
{
    char *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, text, size);
    cJSON *root = rd_foreign_json(copy, size, at, what);
    free(copy);
    return root;
}

static void refuse(const char *text, size_t at, const char *words)
{
    const char *what = NULL;
    size_t found = 0;
    cr_expect_null(parse(text, strlen(text), &found, &what), "%s", text);
    cr_expect(what != NULL && strstr(what, words) != NULL, "%s: %s", text, what);
    cr_expect_eq(found, at, "%s: at %zu", text, found);
}

static void accept(const char *text, const char *expected)
{
    const char *what = NULL;
    size_t at;
    cJSON *root = parse(text, strlen(text), &at, &what);
    cr_assert(root != NULL, "%s: %s", text, what);
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
    const char *what;
    size_t at;
    cr_expect_null(parse("{}\0", 3, &at, &what));
    cr_expect_eq(at, 2);
    cr_expect_null(parse("{\"k\":\"\\u000", 11, &at, &what)); /* cut within an escape */
}
