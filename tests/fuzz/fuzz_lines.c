/* Lines of a text: the first byte chooses the options. Lines lie in the text one behind the other, are UTF-8, hold no
 * line end and no zero byte, and what was to be left off is off; without options, all characters are in them. */
#include <stdlib.h>
#include <string.h>

#include "core/lines.h"
#include "core/utf8.h"

static void must(int holds)
{
    if (!holds)
        abort();
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void check_line(const rd_line *line, unsigned options)
{
    size_t length;
    for (size_t i = 0; i < line->length; i += length) {
        uint32_t code;
        length = rd_utf8_decode(line->text + i, line->length - i, &code);
        must(length > 0 && code != 0 && code != '\n' && code != '\r');
        bool comment = code == '#' && (i == 0 || is_blank(line->text[i - 1]));
        must(!(options & RD_LINES_COMMENTS) || !comment);
    }
    if ((options & RD_LINES_TRIM) && line->length > 0)
        must(!is_blank(line->text[0]) && !is_blank(line->text[line->length - 1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_lines lines;
    rd_line line;
    rd_error err = {.status = RD_OK};
    if (count < 1)
        return 0;
    const unsigned options = bytes[0] & (RD_LINES_TRIM | RD_LINES_COMMENTS);
    const size_t size = count - 1;
    char *text = malloc(size > 0 ? size : 1); /* of the very size */
    memcpy(text, bytes + 1, size);
    if (rd_lines_open(&lines, text, size, options, "text", &err) != RD_OK) {
        must(err.status == RD_ERR_DATA && strncmp(err.message, "text: ", 6) == 0);
        free(text);
        return 0;
    }
    size_t number = 0, seen = 0, ends = 0;
    const char *behind = text;
    bool broken = true;
    while (rd_lines_next(&lines, &line)) {
        must(broken && line.number == ++number);
        must(line.text >= behind && line.text + line.length <= text + size);
        check_line(&line, options);
        behind = line.text + line.length;
        broken = line.broken;
        seen += line.length;
    }
    for (size_t i = 0; i < size; i++)
        ends += text[i] == '\n' || text[i] == '\r';
    size_t mark = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    must(options != 0 || seen + ends + mark == size);
    free(text);
    return 0;
}
