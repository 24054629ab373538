/* foreign.c: see foreign.h. A name that one program reads whole and another up to its zero byte is two names;
 * a line break in a quoted value is a forged line in a log; of two values under one name each reader takes another.
 * All are stopped here, once for all readers. */
#include "format/foreign.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"
#include "core/utf8.h"

/* ---- the text ---- */

#define CJSON_LONGEST 63 /* characters of a number; of longer ones it takes a part */

static size_t digits(const char *p, const char *end)
{
    size_t n = 0;
    while (p + n < end && p[n] >= '0' && p[n] <= '9')
        n++;
    return n;
}

/* What is wrong with the number that begins here (RFC 8259, section 6); NULL: nothing. *length: of all that looks
 * like part of it. */
static const char *check_number(const char *text, size_t size, size_t *length)
{
    const char *p = text, *end;
    *length = 0;
    while (*length < size && text[*length] != '\0' && strchr("+-.0123456789eE", text[*length]) != NULL)
        ++*length;
    end = text + *length;
    p += *p == '-';
    size_t whole = digits(p, end), n;
    bool valid = whole > 0 && (whole == 1 || *p != '0');
    p += whole;
    bool plain = p == end;
    if (p < end && *p == '.') {
        n = digits(p + 1, end);
        valid = valid && n > 0;
        p += 1 + n;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p += p + 1 < end && (p[1] == '+' || p[1] == '-') ? 2 : 1;
        n = digits(p, end);
        valid = valid && n > 0;
        p += n;
    }
    double value;
    char exact[320]; /* the largest double has 309 digits */
    if (!valid || p != end)
        return "not valid JSON: this is not how it writes a number";
    if (*length > CJSON_LONGEST)
        return "not accepted: this number has more than 63 characters";
    rd_number_kind kind = rd_number_read(text, *length, &value);
    if (kind == RD_NUMBER_OVERFLOW)
        return "not accepted: this number is too large for double precision";
    if (kind == RD_NUMBER_UNDERFLOW && value == 0)
        return "not accepted: this number is too near to 0 for double precision";
    if (plain && whole > 15 && value != 0) {
        int n_exact = snprintf(exact, sizeof exact, "%.0f", value);
        if ((size_t)n_exact != *length || memcmp(exact, text, *length) != 0)
            return "not accepted: double precision would round this whole number";
    }
    return NULL;
}

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
        /* Letters of a word (true, 0x10) are cJSON's to judge; numbers begin with none. */
        if (!quoted && (code == '-' || code == '+' || code == '.' || (code >= '0' && code <= '9'))) {
            const char *what = check_number(text + i, size - i, &length);
            if (what != NULL)
                return what;
        }
    }
    return NULL;
}

/* ---- the tree ---- */

/* Where we are in the tree, from its root: "model.layers[2].units". */
typedef struct place {
    const struct place *above;
    const char *name; /* NULL: an item of a list */
    size_t index;
} place;

typedef struct key {
    const char *name;
    size_t number; /* of all keys, as they stand in the text */
} key;

typedef struct repeated {
    size_t number; /* of the key that stands there again; SIZE_MAX: none */
    char path[120];
    bool no_memory;
} repeated;

static int by_name(const void *a, const void *b)
{
    const key *p = a, *q = b;
    int order = strcmp(p->name, q->name);
    return order != 0 ? order : (p->number > q->number) - (p->number < q->number);
}

static void write_path(const place *p, char *out, size_t size)
{
    if (p->above != NULL)
        write_path(p->above, out, size);
    size_t used = strlen(out);
    if (p->name != NULL)
        (void)snprintf(out + used, size - used, "%s%s", used > 0 ? "." : "", p->name);
    else if (p->above != NULL)
        (void)snprintf(out + used, size - used, "[%zu]", p->index);
}

/* The first key of this object that stands there again. */
static void check_keys(key *keys, size_t count, const place *here, repeated *found)
{
    const key *again = NULL;
    qsort(keys, count, sizeof *keys, by_name);
    for (size_t i = 1; i < count; i++)
        if (strcmp(keys[i - 1].name, keys[i].name) == 0 && (again == NULL || keys[i].number < again->number))
            again = &keys[i];
    if (again != NULL && again->number < found->number) {
        found->number = again->number;
        found->path[0] = '\0';
        write_path(&(place){.above = here, .name = again->name}, found->path, sizeof found->path);
    }
}

/* cJSON keeps everything in the order of the text, so keys can be counted as they stand there. cJSON's limit of
 * nesting is that of this recursion. */
static void find_repeated(const cJSON *item, const place *here, size_t *number, repeated *found)
{
    const bool object = cJSON_IsObject(item);
    size_t count = 0, n = 0;
    for (const cJSON *child = item->child; child != NULL; child = child->next)
        count++;
    key *keys = object && count > 0 ? malloc(count * sizeof *keys) : NULL;
    found->no_memory = found->no_memory || (object && count > 0 && keys == NULL);
    for (const cJSON *child = item->child; child != NULL; child = child->next, n++) {
        if (keys != NULL)
            keys[n] = (key){child->string, *number};
        *number += object;
        if (child->child != NULL)
            find_repeated(child, &(place){.above = here, .name = child->string, .index = n}, number, found);
    }
    if (keys != NULL)
        check_keys(keys, count, here, found);
    free(keys);
}

/* The byte at which the key of that number begins, in a text that is valid JSON. */
static size_t find_key(const char *text, size_t size, size_t number)
{
    for (size_t i = 0, seen = 0; i < size; i++) {
        if (text[i] != '"')
            continue;
        size_t begin = i;
        for (i++; text[i] != '"'; i++)
            i += text[i] == '\\';
        size_t behind = i + 1;
        while (behind < size && strchr(" \t\r\n", text[behind]) != NULL)
            behind++;
        if (behind < size && text[behind] == ':' && seen++ == number)
            return begin;
    }
    return 0;
}

/* ---- both ---- */

static void set_fault(rd_foreign_fault *f, const char *text, size_t at, const char *what)
{
    *f = (rd_foreign_fault){.at = at, .line = 1, .column = 1};
    for (size_t i = 0; i < at; i++) {
        bool breaks = text[i] == '\n';
        f->line += breaks;
        f->column = breaks ? 1 : f->column + (((unsigned char)text[i] & 0xc0) != 0x80);
    }
    (void)snprintf(f->what, sizeof f->what, "%s", what);
    rd_foreign_plain(f->what);
}

cJSON *rd_foreign_json(const char *text, size_t size, rd_foreign_fault *fault)
{
    const char *end = NULL;
    size_t at = 0, number = 0;
    repeated found = {.number = SIZE_MAX};
    char what[200] = "not valid JSON";
    const char *words = find_fault(text, size, &at);
    if (words != NULL) {
        set_fault(fault, text, at, words);
        return NULL;
    }
    errno = 0; /* the C library sets it where there is no memory, and cJSON says nothing of that */
    cJSON *root = cJSON_ParseWithLengthOpts(text, size, &end, false);
    if (root == NULL && errno == ENOMEM)
        (void)snprintf(what, sizeof what, "not read: there is no memory for it");
    at = end != NULL ? (size_t)(end - text) : 0;
    while (root != NULL && at < size && strchr(" \t\r\n", text[at]) != NULL)
        at++;
    if (root != NULL && at < size) {
        (void)snprintf(what, sizeof what, "not valid JSON: something follows its end");
    } else if (root != NULL) {
        find_repeated(root, &(place){.above = NULL}, &number, &found);
        if (found.no_memory)
            (void)snprintf(what, sizeof what, "not checked: there is no memory for its names");
        else if (found.number == SIZE_MAX)
            return root;
        at = find_key(text, size, found.number);
        if (!found.no_memory)
            (void)snprintf(what, sizeof what, "not accepted: %s is there twice", found.path);
    }
    set_fault(fault, text, at < size ? at : size, what);
    cJSON_Delete(root);
    return NULL;
}

/* Does it do something else than show itself? */
static bool is_hidden(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},    {0x200b, 0x200f},
                  {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xe0000, 0xe007f}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

void rd_foreign_plain(char *text)
{
    size_t size = strlen(text);
    for (size_t i = 0; i < size;) {
        uint32_t code = 0;
        size_t length = rd_utf8_decode(text + i, size - i, &code);
        if (length == 0 || is_hidden(code)) {
            length = length == 0 ? 1 : length;
            memset(text + i, '?', length);
        }
        i += length;
    }
}
