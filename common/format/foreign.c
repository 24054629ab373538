/* foreign.c: see foreign.h. A name that one program reads whole and another up to its zero byte is two names;
 * a line break in a quoted value is a forged line in a log. Both are stopped here, once for all readers. */
#include "format/foreign.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/utf8.h"

/* What no JSON may hold but cJSON lets pass; NULL: nothing. */
static const char *find_fault(const char *text, size_t size, size_t *at)
{
    bool quoted = false;
    size_t length;
    for (size_t i = 0; i < size; i += length) {
        uint32_t code;
        *at = i;
        length = rd_utf8_decode(text + i, size - i, &code);
        if (length == 0)
            return "not UTF-8";
        if (code < 0x20 && (quoted || (code != '\t' && code != '\n' && code != '\r')))
            return "not valid JSON: a control character must be written \\u00..";
        if (code == '"')
            quoted = !quoted;
        if (quoted && code == '\\' && i + 1 < size && (unsigned char)text[i + 1] < 0x80) {
            if (size - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0)
                return "not accepted: \\u0000 would end a text early";
            if ((unsigned char)text[i + 1] >= 0x20)
                length = 2; /* an escaped quote ends no string */
        }
    }
    return NULL;
}

cJSON *rd_foreign_json(const char *text, size_t size, size_t *at, const char **what)
{
    const char *end = NULL;
    *at = 0;
    *what = find_fault(text, size, at);
    if (*what != NULL)
        return NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(text, size, &end, false);
    *at = end != NULL ? (size_t)(end - text) : 0;
    while (root != NULL && *at < size && strchr(" \t\r\n", text[*at]) != NULL)
        ++*at;
    if (root != NULL && *at == size)
        return root;
    *what = root != NULL ? "not valid JSON: something follows its end" : "not valid JSON";
    cJSON_Delete(root);
    return NULL;
}

void rd_foreign_plain(char *text)
{
    size_t size = text != NULL ? strlen(text) : 0;
    for (size_t i = 0; i < size;) {
        uint32_t code = 0;
        size_t length = rd_utf8_decode(text + i, size - i, &code);
        if (length == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0)) {
            length = length == 0 ? 1 : length;
            memset(text + i, '?', length);
        }
        i += length;
    }
}
