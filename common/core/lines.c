/* lines.c: see lines.h. */
#include "core/lines.h"

#include <stdint.h>
#include <string.h>

#include "core/utf8.h"

/* "UTF-16" or "UTF-32" where the first bytes say so: by their mark, or by the zero bytes beside an ASCII letter. */
static const char *wide_encoding(const char *text, size_t size)
{
    if (size >= 4 && (memcmp(text, "\xff\xfe\0\0", 4) == 0 || memcmp(text, "\0\0\xfe\xff", 4) == 0))
        return "UTF-32";
    if (size >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        return "UTF-16";
    if (size >= 4 && ((text[0] == '\0' && text[1] != '\0' && text[2] == '\0' && text[3] != '\0') ||
                      (text[0] != '\0' && text[1] == '\0' && text[2] != '\0' && text[3] == '\0')))
        return "UTF-16";
    return NULL;
}

static rd_status check_characters(const char *text, size_t size, const char *whose, rd_error *err)
{
    size_t line = 1, column = 1, length;
    for (size_t i = 0; i < size; i += length, column++) {
        uint32_t code = 0;
        length = rd_utf8_decode(text + i, size - i, &code);
        if (length == 0)
            return rd_fail(err, RD_ERR_DATA, "%s: line %zu, column %zu: not UTF-8; save it as UTF-8", whose, line,
                           column);
        if (code == 0)
            return rd_fail(err, RD_ERR_DATA, "%s: line %zu, column %zu: a zero byte, so this is no text", whose, line,
                           column);
        if (code == '\n' || (code == '\r' && (i + 1 == size || text[i + 1] != '\n'))) {
            line++;
            column = 0;
        }
    }
    return RD_OK;
}

rd_status rd_lines_open(rd_lines *l, const char *text, size_t size, unsigned options, const char *whose, rd_error *err)
{
    const char *wide = wide_encoding(text, size);
    if (wide != NULL)
        return rd_fail(err, RD_ERR_DATA, "%s: is a text in %s; save it as UTF-8", whose, wide);
    size_t mark = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    *l = (rd_lines){.at = text + mark, .end = text + size, .options = options};
    return check_characters(text + mark, size - mark, whose, err);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

void rd_trim(const char **text, size_t *length)
{
    while (*length > 0 && is_blank((*text)[0])) {
        ++*text;
        --*length;
    }
    while (*length > 0 && is_blank((*text)[*length - 1]))
        --*length;
}

bool rd_lines_next(rd_lines *l, rd_line *line)
{
    if (l->at == l->end)
        return false;
    const char *p = l->at;
    while (p < l->end && *p != '\n' && *p != '\r')
        p++;
    *line = (rd_line){l->at, (size_t)(p - l->at), ++l->number, p < l->end};
    if (p < l->end)
        p += *p == '\r' && p + 1 < l->end && p[1] == '\n' ? 2 : 1;
    l->at = p;
    if (l->options & RD_LINES_COMMENTS)
        for (size_t i = 0; i < line->length; i++)
            if (line->text[i] == '#' && (i == 0 || is_blank(line->text[i - 1])))
                line->length = i;
    if (l->options & RD_LINES_TRIM)
        rd_trim(&line->text, &line->length);
    return true;
}
