/* Lines: the same text from any editor is the same lines, and what is no such text is refused by name. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/lines.h"

/* All lines as "1:first|2:second", a line that no line end follows with a '$' behind it. The text is read from a
 * block of its very size. */
static const char *lines_of(const char *text, size_t size, unsigned options, rd_error *err)
{
    static char all[500];
    char *block = malloc(size > 0 ? size : 1);
    rd_lines l;
    rd_line line;
    memcpy(block, text, size);
    all[0] = '\0';
    if (rd_lines_open(&l, block, size, options, "list.txt", err) != RD_OK)
        strcpy(all, "refused");
    else
        while (rd_lines_next(&l, &line))
            sprintf(all + strlen(all), "%s%zu:%.*s%s", all[0] != '\0' ? "|" : "", line.number, (int)line.length,
                    line.text, line.broken ? "" : "$");
    free(block);
    return all;
}

#define LINES(text, options) lines_of(text, sizeof(text) - 1, options, &(rd_error){0})

Test(lines, every_line_end_is_one)
{
    cr_assert_str_eq(LINES("a\nb\n", 0), "1:a|2:b");
    cr_assert_str_eq(LINES("a\r\nb\r\n", 0), "1:a|2:b");
    cr_assert_str_eq(LINES("a\rb\r", 0), "1:a|2:b");
    cr_assert_str_eq(LINES("a\n\r\n\rb", 0), "1:a|2:|3:|4:b$");
    cr_assert_str_eq(LINES("\xef\xbb\xbf"
                           "a\nb",
                           0),
                     "1:a|2:b$");
    cr_assert_str_eq(LINES("", 0), "");
    cr_assert_str_eq(LINES("\xef\xbb\xbf", 0), "");
    cr_assert_str_eq(LINES("\r", 0), "1:");
}

Test(lines, blanks_and_comments_only_where_asked_for)
{
    cr_assert_str_eq(LINES(" a \n\t#b\nc # d\ne#f\n", 0), "1: a |2:\t#b|3:c # d|4:e#f");
    cr_assert_str_eq(LINES(" a \n\t#b\nc # d\ne#f\n", RD_LINES_TRIM), "1:a|2:#b|3:c # d|4:e#f");
    cr_assert_str_eq(LINES(" a \n\t#b\nc # d\ne#f\n#g", RD_LINES_TRIM | RD_LINES_COMMENTS), "1:a|2:|3:c|4:e#f|5:$");
    cr_assert_str_eq(LINES("a b\t#c", RD_LINES_COMMENTS), "1:a b\t$");
}

Test(lines, what_is_no_such_text_is_named)
{
    rd_error err = {0};
    cr_assert_str_eq(lines_of("\xff\xfe"
                              "a\0\n\0",
                              6, 0, &err),
                     "refused");
    cr_assert_str_eq(err.message, "list.txt: is a text in UTF-16; save it as UTF-8");
    lines_of("\xfe\xff\0a", 4, 0, &err);
    cr_assert_str_eq(err.message, "list.txt: is a text in UTF-16; save it as UTF-8");
    lines_of("a\0b\0\n\0", 6, 0, &err);
    cr_assert_str_eq(err.message, "list.txt: is a text in UTF-16; save it as UTF-8");
    lines_of("\xff\xfe\0\0a\0\0\0", 8, 0, &err);
    cr_assert_str_eq(err.message, "list.txt: is a text in UTF-32; save it as UTF-8");
    lines_of("anna\r\nbe\0rt\n", 12, 0, &err);
    cr_assert_str_eq(err.message, "list.txt: line 2, column 3: a zero byte, so this is no text");
    lines_of("anna\rbob\nb\xe9rt\n", 14, 0, &err);
    cr_assert_str_eq(err.message, "list.txt: line 3, column 2: not UTF-8; save it as UTF-8");
    lines_of("\xef\xbb\xbf\xc3\xa4\xe9", 6, 0, &err);
    cr_assert_str_eq(err.message, "list.txt: line 1, column 2: not UTF-8; save it as UTF-8");
}
