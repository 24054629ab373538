/* table.c: see table.h. */
#include "data/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/grow.h"
#include "core/lines.h"
#include "data/input.h"
#include "data/kind.h"
#include "data/names.h"

/* ---- from text to fields ---- */

typedef struct cutter {
    const char *path;
    char *at, *end; /* *end may be written to */
    char *to;       /* where the next field goes: never beyond at */
    char separator;
    size_t line;  /* of at, from 1 */
    size_t begun; /* the line in which the current record begins */
    size_t count; /* its fields */
} cutter;

static bool ends_line(char c)
{
    return c == '\n' || c == '\r';
}

/* Goes over one line end, of whatever kind. */
static void pass_line_end(cutter *c)
{
    if (c->at < c->end && *c->at == '\r')
        c->at++;
    else if (c->at < c->end && *c->at == '\n') {
        c->at++;
        c->line++;
        return;
    }
    if (c->at < c->end && *c->at == '\n')
        c->at++;
    c->line++;
}

static void pass_blanks(cutter *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t') && *c->at != c->separator)
        c->at++;
}

static void pass_blank_lines(cutter *c)
{
    for (;;) {
        char *start = c->at;
        pass_blanks(c);
        if (c->at == c->end || !ends_line(*c->at)) {
            c->at = c->at == c->end ? c->end : start;
            return;
        }
        pass_line_end(c);
    }
}

static rd_status cut_quoted(cutter *c, rd_error *err)
{
    const size_t opened = c->line;
    for (c->at++;; c->at++) {
        if (c->at == c->end)
            return rd_fail(err, RD_ERR_DATA, "%s: line %zu: column %zu: the quote that opens here is never closed",
                           c->path, opened, c->count + 1);
        if (*c->at == '"' && (c->at + 1 == c->end || c->at[1] != '"'))
            break;
        if (*c->at == '\n' || (*c->at == '\r' && (c->at + 1 == c->end || c->at[1] != '\n')))
            c->line++;
        if (*c->at == '"')
            c->at++;
        *c->to++ = *c->at;
    }
    c->at++;
    pass_blanks(c);
    if (c->at < c->end && *c->at != c->separator && !ends_line(*c->at))
        return rd_fail(err, RD_ERR_DATA, "%s: line %zu: column %zu: '%c' after the closing quote; a '%c' was expected",
                       c->path, c->line, c->count + 1, *c->at, c->separator);
    return RD_OK;
}

static void cut_plain(cutter *c)
{
    char *last = c->to; /* behind the last character that is no blank */
    for (; c->at < c->end && *c->at != c->separator && !ends_line(*c->at); c->at++) {
        *c->to++ = *c->at;
        if (*c->at != ' ' && *c->at != '\t')
            last = c->to;
    }
    c->to = last;
}

/* Cuts the next record; *more is false when there is none. A field takes what it took in the file, its separator
 * included, or less: so c->to never overtakes c->at. */
static rd_status cut_record(cutter *c, bool *more, rd_error *err)
{
    rd_status status = RD_OK;
    pass_blank_lines(c);
    c->count = 0;
    c->begun = c->line;
    *more = c->at < c->end;
    for (bool open = *more; open;) {
        pass_blanks(c);
        if (c->at < c->end && *c->at == '"')
            RD_TRY(cut_quoted(c, err));
        else
            cut_plain(c);
        c->count++;
        open = c->at < c->end && *c->at == c->separator;
        const bool at_end = c->at == c->end;
        if (open)
            c->at++;
        else
            pass_line_end(c);
        if (at_end)
            c->at = c->end;
        *c->to++ = '\0';
    }
cleanup:
    return status;
}

/* ---- what is guessed ---- */

/* Fields of the record at `text`, as far as it can be seen; *next: the record after it. */
static size_t count_fields(const char *text, const char *end, char separator, const char **next)
{
    size_t count = 1;
    bool quoted = false;
    while (text < end && ends_line(*text))
        text++;
    for (; text < end && (quoted || !ends_line(*text)); text++) {
        quoted = *text == '"' ? !quoted : quoted;
        count += !quoted && *text == separator;
    }
    *next = text;
    return count;
}

static char guess_separator(const char *text, const char *end)
{
    static const char candidates[] = {',', ';', '\t', '|'};
    char best = ',';
    size_t most = 1;
    for (size_t i = 0; i < sizeof candidates; i++) {
        const char *next;
        size_t first = count_fields(text, end, candidates[i], &next);
        while (next < end && ends_line(*next))
            next++;
        size_t second = next < end ? count_fields(next, end, candidates[i], &next) : first;
        if (first == second && first > most) {
            most = first;
            best = candidates[i];
        }
    }
    return best;
}

/* Excel's "sep=;" in front of everything. */
static char stated_separator(char **text, const char *end)
{
    char *p = *text;
    if (end - p < 5 || strncmp(p, "sep=", 4) != 0 || !(end - p == 5 || ends_line(p[5])))
        return '\0';
    *text = p + 5;
    return p[4];
}

static char guess_decimal(const rd_table *t, const char **field)
{
    enum { MOST_ROWS = 1000 };
    bool point = false, comma = false;
    double ignored;
    rd_table probe = *t;
    if (t->separator == ',')
        return '.';
    const char *at = t->records;
    for (size_t i = 0; i < t->rows && i < MOST_ROWS; i++) {
        at = rd_table_fields(t, at, field);
        for (size_t j = 0; j < t->columns; j++) {
            probe.decimal = '.';
            if (strchr(field[j], '.') != NULL)
                point = point || rd_table_number(&probe, field[j], &ignored) == RD_NUMBER_OK;
            probe.decimal = ',';
            if (strchr(field[j], ',') != NULL)
                comma = comma || rd_table_number(&probe, field[j], &ignored) == RD_NUMBER_OK;
        }
    }
    return comma && !point ? ',' : '.';
}

/* What stands in a column below the first record. */
enum { BELOW_NUMBER = 1, BELOW_WORD = 2, BELOW_FIRST_AGAIN = 4 };

static void classify_below(const rd_table *t, const char *at, const char **first, const char **row, uint8_t *below)
{
    enum { MOST_ROWS = 1000 };
    double ignored;
    for (size_t i = 1; i < t->rows && i < MOST_ROWS; i++) {
        at = rd_table_fields(t, at, row);
        for (size_t j = 0; j < t->columns; j++) {
            if (strcmp(row[j], first[j]) == 0)
                below[j] |= BELOW_FIRST_AGAIN;
            if (!rd_field_is_missing(NULL, row[j]))
                below[j] |= rd_table_number(t, row[j], &ignored) == RD_NUMBER_NONE ? BELOW_WORD : BELOW_NUMBER;
        }
    }
}

/* Does the first record name the columns? field has room for two records. */
static rd_status guess_heading(const rd_table *t, const char **field, bool *heading, rd_error *err)
{
    const char **first = field, **row = field + t->columns;
    rd_names seen = {0};
    rd_status status = RD_OK;
    double ignored;
    uint8_t *below = calloc(t->columns, sizeof *below);
    if (below == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for %zu columns", t->path, t->columns);
    classify_below(t, rd_table_fields(t, t->records, first), first, row, below);
    bool different_words = t->rows > 1;
    for (size_t j = 0; j < t->columns; j++) {
        int32_t number = 0;
        bool word = !rd_field_is_missing(NULL, first[j]) && rd_table_number(t, first[j], &ignored) == RD_NUMBER_NONE;
        RD_TRY(rd_names_add(&seen, first[j], &number, err));
        *heading = *heading || (word && (below[j] & ~BELOW_FIRST_AGAIN) == BELOW_NUMBER);
        different_words = different_words && word && (size_t)number == j && (below[j] & BELOW_FIRST_AGAIN) == 0;
    }
    *heading = *heading || different_words;
cleanup:
    free(below);
    rd_names_free(&seen);
    return status;
}

/* ---- the whole ---- */

static rd_status check_text(char **text, char *end, const char *path, rd_error *err)
{
    rd_lines lines; /* knows what is no text in UTF-8 */
    rd_status status = rd_lines_open(&lines, *text, (size_t)(end - *text), 0, path, err);
    if (status == RD_OK)
        *text += lines.at - *text; /* behind a byte order mark */
    return status;
}

static rd_status cut_records(rd_table *t, cutter *c, rd_error *err)
{
    rd_status status = RD_OK;
    size_t capacity = 0;
    bool more = true;
    for (;;) {
        RD_TRY(cut_record(c, &more, err));
        if (!more)
            return RD_OK;
        if (t->rows == 0)
            t->columns = c->count;
        if (c->count != t->columns)
            return rd_fail(err, RD_ERR_DATA, "%s: line %zu: %zu column%s, but line %u has %zu", t->path, c->begun,
                           c->count, c->count == 1 ? "" : "s", t->line[0], t->columns);
        if (t->rows == UINT32_MAX)
            return rd_fail(err, RD_ERR_MEMORY, "%s: more than %zu rows", t->path, t->rows);
        RD_TRY(rd_grow(&t->line, &capacity, t->rows + 1, sizeof *t->line, "rows", err));
        t->line[t->rows++] = (uint32_t)c->begun;
    }
cleanup:
    return status;
}

static rd_status refuse_equal_names(const rd_table *t, rd_error *err)
{
    rd_names seen = {0};
    rd_status status = RD_OK;
    for (size_t i = 0; i < t->columns; i++) {
        int32_t number = -1;
        RD_TRY(rd_names_add(&seen, t->heading[i], &number, err));
        if ((size_t)number != i)
            RD_THROW(RD_ERR_DATA,
                     "%s: line %u: columns %d and %zu are both named '%.60s'; which is meant could not "
                     "be told",
                     t->path, t->line[0], number + 1, i + 1, t->heading[i]);
    }
cleanup:
    rd_names_free(&seen);
    return status;
}

/* Are there headings that are numbers, and each the number of its column? */
static bool is_numbered(const rd_table *t)
{
    size_t numbers = 0;
    for (size_t i = 0; i < t->columns; i++) {
        int64_t value;
        if (!rd_number_whole(t->heading[i], strlen(t->heading[i]), &value))
            continue;
        if (value != (int64_t)i)
            return false;
        numbers++;
    }
    return numbers > 0;
}

/* Takes the first record for the heading. */
static rd_status take_heading(rd_table *t, rd_error *err)
{
    t->heading = malloc(t->columns * sizeof *t->heading);
    if (t->heading == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for %zu columns", t->path, t->columns);
    t->records = rd_table_fields(t, t->records, t->heading);
    rd_status status = refuse_equal_names(t, err);
    t->numbered = is_numbered(t);
    t->rows--;
    memmove(t->line, t->line + 1, t->rows * sizeof *t->line);
    return status;
}

static rd_status settle_heading(rd_table *t, const rd_source *source, rd_error *err)
{
    rd_status status = RD_OK;
    bool heading = source->heading == RD_YES;
    const char **field = malloc(2 * t->columns * sizeof *field);
    if (field == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for %zu columns", t->path, t->columns);
    t->decimal = source->decimal != '\0' ? source->decimal : guess_decimal(t, field);
    if (source->heading == RD_UNSAID) {
        /* A label that is given by name stands in the heading. */
        (void)rd_table_fields(t, t->records, field);
        for (size_t j = 0; j < t->columns && source->label_column[0] != '\0'; j++) {
            int64_t position;
            heading = heading || (strcmp(field[j], source->label_column) == 0 &&
                                  !rd_number_whole(field[j], strlen(field[j]), &position));
        }
        if (!heading)
            RD_TRY(guess_heading(t, field, &heading, err));
    }
    if (heading)
        RD_TRY(take_heading(t, err));
cleanup:
    free(field);
    return status;
}

rd_status rd_table_parse(char *text, size_t size, const rd_source *source, rd_table *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_table t = {.text = text, .path = source->path, .decimal = '.'};
    char *begin = text, *end = text + size;
    memset(out, 0, sizeof *out);
    RD_TRY(check_text(&begin, end, t.path, err));
    const char stated = stated_separator(&begin, end);
    t.separator = source->separator != '\0' ? source->separator : stated != '\0' ? stated : guess_separator(begin, end);
    cutter c = {.path = t.path, .at = begin, .end = end, .to = begin, .separator = t.separator, .line = 1};
    t.records = begin;
    RD_TRY(cut_records(&t, &c, err));
    if (t.rows == 0)
        RD_THROW(RD_ERR_DATA, "%s: holds no data", t.path);
    RD_TRY(settle_heading(&t, source, err));
    if (t.rows == 0)
        RD_THROW(RD_ERR_DATA, "%s: holds a heading but no rows", t.path);
    *out = t;
    return RD_OK;
cleanup:
    rd_table_free(&t);
    return status;
}

rd_status rd_table_load(const rd_source *source, rd_table *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_input in = {0};
    char *text = NULL;
    size_t size = 0;
    memset(out, 0, sizeof *out);
    RD_TRY(rd_kind_check(source->path, RD_SOURCE_CSV, err));
    RD_TRY(rd_input_open(&in, source->path, err));
    RD_TRY(rd_input_read_all(&in, &text, &size, err));
    RD_TRY(rd_table_parse(text, size, source, out, err));
cleanup:
    rd_input_close(&in);
    return status;
}

void rd_table_free(rd_table *t)
{
    free(t->text);
    free(t->heading);
    free(t->line);
    memset(t, 0, sizeof *t);
}

/* ---- questions ---- */

bool rd_field_is_missing(const rd_names *words, const char *field)
{
    static const char *const usual[] = {"", "NA", "N/A", "NaN", "nan", "NULL", "null", "?"};
    int32_t number;
    if (words != NULL)
        return rd_names_find(words, field, &number);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (strcmp(field, usual[i]) == 0)
            return true;
    return false;
}

const char *rd_table_fields(const rd_table *t, const char *at, const char **field)
{
    for (size_t j = 0; j < t->columns; j++) {
        field[j] = at;
        at += strlen(at) + 1;
    }
    return at;
}

rd_number_kind rd_table_number(const rd_table *t, const char *field, double *out)
{
    char copy[64];
    size_t length = strlen(field);
    if (t->decimal == '.' || length >= sizeof copy)
        return rd_number_read(field, length, out);
    memcpy(copy, field, length + 1);
    for (char *p = copy; *p != '\0'; p++) {
        if (*p == '.')
            return RD_NUMBER_NONE;
        if (*p == t->decimal)
            *p = '.';
    }
    return rd_number_read(copy, length, out);
}

rd_status rd_table_find(const rd_table *t, const char *wanted, const char *role, size_t *out, rd_error *err)
{
    int64_t position;
    for (size_t i = 0; t->heading != NULL && i < t->columns; i++)
        if (strcmp(t->heading[i], wanted) == 0) {
            *out = i;
            return RD_OK;
        }
    if (!rd_number_whole(wanted, strlen(wanted), &position)) {
        if (t->heading != NULL)
            return rd_fail(err, RD_ERR_DATA, "%s: no column is named '%.60s' (the %s column)", t->path, wanted, role);
        return rd_fail(err, RD_ERR_DATA,
                       "%s: read without a heading, so '%.60s' cannot be found (the %s column); give its "
                       "position, 0 for the first, -1 for the last",
                       t->path, wanted, role);
    }
    const int64_t columns = (int64_t)t->columns;
    if (position >= columns || position < -columns)
        return rd_fail(err, RD_ERR_DATA, "%s: the %s column is %s, but there are %zu columns", t->path, role, wanted,
                       t->columns);
    *out = (size_t)(position < 0 ? position + columns : position);
    return RD_OK;
}

void rd_table_column_name(const rd_table *t, size_t column, char *text, size_t size)
{
    const char *name = t->heading != NULL ? t->heading[column] : "";
    (void)snprintf(text, size, "column %zu%s%.40s", column + 1, *name != '\0' ? ", " : "", name);
}
