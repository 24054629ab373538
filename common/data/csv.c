/* csv.c: tables of numbers, one of whose columns is what is to be predicted.
 *
 * The text is cut in place: fields become strings where they stand, so a table costs its text and its
 * numbers and nothing per field. Quoting follows RFC 4180 (fields in double quotes may hold separators, line
 * ends and doubled quotes); lines end in LF or CRLF; blank lines are passed over; a file may be gzipped.
 *
 * Labels of a classification become classes like this:
 *   - whole numbers from 0 up are the classes, as they stand. They are not renumbered when some are missing:
 *     a client that has only the classes 2 and 7 must mean the same by them as everybody else.
 *   - anything else (words, negative numbers) is numbered in sorted order: by value if all are whole numbers
 *     ("-1", "1" -> 0, 1), else bytewise ("setosa", "versicolor" -> 0, 1). The order is that of this file, so
 *     for files of several clients labels should be whole numbers.
 * A number with a fraction is refused: it was meant as a target of a regression. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/names.h"
#include "data/parse.h"

#define NONE SIZE_MAX

/* ---- from text to records ---- */

typedef struct csv_reader {
    const char *whose;
    char *at, *end; /* *end may be written to */
    char separator;
    size_t line;   /* of at, from 1 */
    size_t record; /* the line in which the current record begins */
    char **field;  /* (count) the current record, inside the text */
    size_t count, capacity;
} csv_reader;

static bool is_blank_line(const csv_reader *r, const char **after)
{
    const char *p = r->at;
    while (p < r->end && (*p == ' ' || *p == '\t' || *p == '\r') && *p != r->separator)
        p++;
    *after = p < r->end ? p + 1 : p;
    return p == r->end || *p == '\n';
}

/* Cuts a field that begins with a quote: moves its content to the front and doubled quotes together.
 * Leaves r->at behind the closing quote. */
static rd_status cut_quoted(csv_reader *r, rd_error *err)
{
    size_t opened = r->line;
    char *to = r->at, *p = r->at + 1;
    for (; p < r->end; p++) {
        if (*p == '\n')
            r->line++;
        if (*p == '"') {
            if (p + 1 == r->end || p[1] != '"')
                break;
            p++;
        }
        *to++ = *p;
    }
    if (p == r->end)
        return rd_fail(err, RD_ERR_DATA,
                       "%s: line %zu: column %zu: the quote that opens here is never closed", r->whose,
                       opened, r->count + 1);
    r->at = p + 1;
    bool ends = r->at == r->end || *r->at == r->separator || *r->at == '\n' ||
                (*r->at == '\r' && (r->at + 1 == r->end || r->at[1] == '\n'));
    if (!ends)
        return rd_fail(err, RD_ERR_DATA,
                       "%s: line %zu: column %zu: '%c' after the closing quote; a '%c' was expected",
                       r->whose, r->line, r->count + 1, *r->at, r->separator);
    /* to <= p, so this never overwrites what is still to be read. */
    *to = '\0';
    return RD_OK;
}

static rd_status keep_field(csv_reader *r, char *text, rd_error *err)
{
    if (r->count == r->capacity) {
        size_t capacity = r->capacity == 0 ? 64 : r->capacity * 2;
        char **field = realloc(r->field, capacity * sizeof *field);
        if (field == NULL)
            return rd_fail(err, RD_ERR_MEMORY, "%s: line %zu: no memory for %zu columns", r->whose, r->line,
                           capacity);
        r->field = field;
        r->capacity = capacity;
    }
    r->field[r->count++] = text;
    return RD_OK;
}

/* Cuts the next record into r->field[0 .. count). *more is false when there is none. */
static rd_status next_record(csv_reader *r, bool *more, rd_error *err)
{
    rd_status status = RD_OK;
    const char *after;
    while (r->at < r->end && is_blank_line(r, &after)) {
        r->at += after - r->at;
        r->line++;
    }
    r->count = 0;
    r->record = r->line;
    *more = r->at < r->end;
    bool open = *more;
    while (open) {
        char *text = r->at;
        if (r->at < r->end && *r->at == '"')
            RD_TRY(cut_quoted(r, err));
        while (r->at < r->end && *r->at != r->separator && *r->at != '\n')
            r->at++;
        RD_TRY(keep_field(r, text, err));
        open = r->at < r->end && *r->at == r->separator;
        if (!open && r->at > text && r->at[-1] == '\r')
            r->at[-1] = '\0';
        if (r->at < r->end)
            r->line += *r->at == '\n';
        *r->at = '\0';
        if (r->at < r->end)
            r->at++;
    }
cleanup:
    return status;
}

/* ---- from records to a dataset ---- */

typedef struct csv_table {
    csv_reader reader;
    const rd_source *source;
    char **header;                /* (columns) names, or NULL; they point into the text */
    size_t first_line;            /* of the record that settled the number of columns */
    size_t columns, label, group; /* group: NONE where there is none */
    size_t capacity;              /* rows for which there is memory */
    rd_names labels, groups;
    bool words, negative; /* labels of these kinds were seen */
    rd_dataset d;
} csv_table;

static bool to_number(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (end == text)
        return false;
    while (*end == ' ' || *end == '\t')
        end++;
    return *end == '\0';
}

/* "wine.csv: line 17: column 4, alcohol ('abc') is not a number" */
static rd_status bad_field(const csv_table *t, size_t column, const char *what, rd_error *err)
{
    const char *name = t->header != NULL ? t->header[column] : "";
    return rd_fail(err, RD_ERR_DATA, "%s: line %zu: column %zu%s%.40s ('%.40s') %s", t->reader.whose,
                   t->reader.record, column + 1, *name != '\0' ? ", " : "", name, t->reader.field[column],
                   what);
}

static rd_status read_number(const csv_table *t, size_t column, float *out, rd_error *err)
{
    double value;
    if (!to_number(t->reader.field[column], &value))
        return bad_field(t, column, "is not a number", err);
    *out = (float)value;
    if (!isfinite(value))
        return bad_field(t, column, "is not a finite number", err);
    if (!isfinite(*out))
        return bad_field(t, column, "is too large for a 32-bit float", err);
    return RD_OK;
}

/* Finds a column by name, or by position (0 first, -1 last). A name goes before a position. */
static rd_status find_column(const csv_table *t, const char *wanted, const char *role, size_t *out,
                             rd_error *err)
{
    char *end;
    for (size_t i = 0; t->header != NULL && i < t->columns; i++)
        if (strcmp(t->header[i], wanted) == 0) {
            *out = i;
            return RD_OK;
        }
    long long position = strtoll(wanted, &end, 10);
    if (end == wanted || *end != '\0')
        return rd_fail(err, RD_ERR_DATA,
                       t->header != NULL
                           ? "%s: line %zu: no column is named '%s' (the %s column)"
                           : "%s: line %zu: read without a header, so '%s' cannot be found (the %s "
                             "column); give its position, 0 for the first, -1 for the last",
                       t->reader.whose, t->reader.record, wanted, role);
    long long columns = (long long)t->columns;
    if (position >= columns || position < -columns)
        return rd_fail(err, RD_ERR_DATA, "%s: line %zu: the %s column is %s, but there are %zu columns",
                       t->reader.whose, t->reader.record, role, wanted, t->columns);
    *out = (size_t)(position < 0 ? position + columns : position);
    return RD_OK;
}

/* The first record settles the shape of the table. */
static rd_status settle_columns(csv_table *t, bool *more, rd_error *err)
{
    rd_status status = RD_OK;
    const rd_source *s = t->source;
    RD_TRY(next_record(&t->reader, more, err));
    if (!*more)
        return rd_fail(err, RD_ERR_DATA, "%s: holds no data", t->reader.whose);
    t->columns = t->reader.count;
    t->first_line = t->reader.record;
    if (s->header) {
        t->header = malloc(t->columns * sizeof *t->header);
        if (t->header == NULL)
            return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for %zu columns", t->reader.whose, t->columns);
        memcpy(t->header, t->reader.field, t->columns * sizeof *t->header);
    }
    t->group = NONE;
    RD_TRY(find_column(t, s->label_column[0] != '\0' ? s->label_column : "-1", "label", &t->label, err));
    if (s->group_column[0] != '\0')
        RD_TRY(find_column(t, s->group_column, "group", &t->group, err));
    if (t->group == t->label)
        return rd_fail(err, RD_ERR_DATA, "%s: column %zu cannot be both the label and the group",
                       t->reader.whose, t->label + 1);
    size_t taken = t->group != NONE ? 2 : 1;
    if (t->columns <= taken)
        return rd_fail(err, RD_ERR_DATA,
                       "%s: line %zu: %zu column%s separated by '%c'; at least one feature beside the label "
                       "was expected",
                       t->reader.whose, t->reader.record, t->columns, t->columns == 1 ? "" : "s",
                       t->reader.separator);
    t->d.features = t->columns - taken;
    t->d.rank = 1;
    t->d.shape[0] = t->d.features;
    t->d.target_count = s->regression ? 1 : 0;
    if (s->header)
        RD_TRY(next_record(&t->reader, more, err));
    if (!*more)
        status = rd_fail(err, RD_ERR_DATA, "%s: holds a header but no rows", t->reader.whose);
cleanup:
    return status;
}

static bool resize(void **array, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return false;
    void *larger = realloc(*array, bytes);
    if (larger != NULL)
        *array = larger;
    return larger != NULL;
}

static rd_status reserve_rows(csv_table *t, size_t rows, rd_error *err)
{
    rd_dataset *d = &t->d;
    bool fits = rows <= UINT32_MAX && resize((void **)&d->x_f32, rows, d->features * sizeof *d->x_f32) &&
                (t->source->regression ? resize((void **)&d->targets, rows, sizeof *d->targets)
                                       : resize((void **)&d->labels, rows, sizeof *d->labels)) &&
                (t->group == NONE || resize((void **)&d->group, rows, sizeof *d->group));
    if (!fits)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for %zu rows of %zu features", t->reader.whose,
                       rows, d->features);
    t->capacity = rows;
    return RD_OK;
}

/* Sees each distinct label once: what kind is it, and can it be a class? */
static rd_status check_label(csv_table *t, const char *text, rd_error *err)
{
    double value;
    if (!to_number(text, &value)) {
        t->words = true;
        return RD_OK;
    }
    if (!isfinite(value))
        return bad_field(t, t->label, "is not a finite number", err);
    if (value != floor(value))
        return bad_field(t, t->label,
                         "is no class: whole numbers or words were expected (or read it for a regression)",
                         err);
    if (fabs(value) >= RD_MAX_CLASSES)
        return bad_field(t, t->label, "is no class: class numbers are below 16777216", err);
    t->negative = t->negative || value < 0;
    return RD_OK;
}

/* Numbers the label of the current record by first appearance; settle_classes turns that into its class. */
static rd_status add_label(csv_table *t, rd_error *err)
{
    rd_status status = RD_OK;
    const size_t known = t->labels.count;
    char *text = t->reader.field[t->label];
    text += strspn(text, " \t");
    for (size_t n = strlen(text); n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'); n--)
        text[n - 1] = '\0';
    if (*text == '\0')
        return bad_field(t, t->label, "is empty, but it is the label", err);
    RD_TRY(rd_names_add(&t->labels, text, &t->d.labels[t->d.rows], err));
    if (t->labels.count > known)
        RD_TRY(check_label(t, text, err));
cleanup:
    return status;
}

static rd_status add_row(csv_table *t, rd_error *err)
{
    rd_status status = RD_OK;
    rd_dataset *d = &t->d;
    if (t->reader.count != t->columns)
        return rd_fail(err, RD_ERR_DATA, "%s: line %zu: %zu column%s, but line %zu has %zu", t->reader.whose,
                       t->reader.record, t->reader.count, t->reader.count == 1 ? "" : "s", t->first_line,
                       t->columns);
    if (d->rows == t->capacity)
        RD_TRY(reserve_rows(t, t->capacity == 0 ? 64 : t->capacity * 2, err));
    float *x = d->x_f32 + d->rows * d->features;
    for (size_t i = 0; i < t->columns; i++) {
        if (i == t->group)
            RD_TRY(rd_names_add(&t->groups, t->reader.field[i], &d->group[d->rows], err));
        else if (i != t->label)
            RD_TRY(read_number(t, i, x++, err));
    }
    if (t->source->regression)
        RD_TRY(read_number(t, t->label, &d->targets[d->rows], err));
    else
        RD_TRY(add_label(t, err));
    d->rows++;
cleanup:
    return status;
}

/* ---- after the last row ---- */

typedef struct csv_label {
    const char *text;
    double value;
    size_t number; /* by first appearance */
} csv_label;

static int by_text(const void *a, const void *b)
{
    return strcmp(((const csv_label *)a)->text, ((const csv_label *)b)->text);
}

static int by_value(const void *a, const void *b)
{
    double x = ((const csv_label *)a)->value, y = ((const csv_label *)b)->value;
    return (x > y) - (x < y);
}

static rd_status settle_classes(csv_table *t, rd_error *err)
{
    rd_status status = RD_OK;
    const size_t n = t->labels.count;
    t->d.label_count = 1;
    csv_label *label = calloc(n, sizeof *label);
    int32_t *class_of = malloc(n * sizeof *class_of);
    if (label == NULL || class_of == NULL) {
        status = rd_fail(err, RD_ERR_MEMORY, "%s: no memory for %zu classes", t->reader.whose, n);
        goto cleanup;
    }
    for (size_t i = 0; i < n; i++) {
        label[i] = (csv_label){.text = t->labels.name[i], .number = i};
        (void)to_number(label[i].text, &label[i].value);
    }
    qsort(label, n, sizeof *label, t->words ? by_text : by_value);
    int32_t class = 0;
    for (size_t i = 0; i < n; i++) {
        if (!t->words && !t->negative)
            class = (int32_t)label[i].value; /* as it stands */
        else if (i > 0 && (t->words || label[i].value != label[i - 1].value))
            class ++;
        class_of[label[i].number] = class;
    }
    if (class >= RD_MAX_CLASSES) {
        status = rd_fail(err, RD_ERR_DATA,
                         "%s: column %zu has %zu different labels; at most %d classes are possible",
                         t->reader.whose, t->label + 1, n, RD_MAX_CLASSES);
        goto cleanup;
    }
    t->d.classes = (size_t) class + 1;
    for (size_t i = 0; i < t->d.rows; i++)
        t->d.labels[i] = class_of[t->d.labels[i]];
cleanup:
    free(label);
    free(class_of);
    return status;
}

/* Mean 0 and population standard deviation 1, column by column; a constant column becomes 0. */
static void standardise(rd_dataset *d)
{
    const size_t N = d->rows, D = d->features;
    for (size_t j = 0; j < D; j++) {
        double sum = 0, squares = 0;
        bool constant = true;
        for (size_t i = 0; i < N; i++) {
            sum += d->x_f32[i * D + j];
            constant = constant && d->x_f32[i * D + j] == d->x_f32[j];
        }
        const double mean = sum / (double)N;
        for (size_t i = 0; i < N; i++) {
            double apart = d->x_f32[i * D + j] - mean;
            squares += apart * apart;
        }
        const double deviation = sqrt(squares / (double)N);
        for (size_t i = 0; i < N; i++)
            d->x_f32[i * D + j] = constant ? 0.0f : (float)((d->x_f32[i * D + j] - mean) / deviation);
    }
}

static rd_status check_text(char **text, size_t *size, const char *whose, rd_error *err)
{
    if (*size >= 3 && memcmp(*text, "\xef\xbb\xbf", 3) == 0) { /* UTF-8 byte order mark */
        *text += 3;
        *size -= 3;
    }
    if (memchr(*text, '\0', *size) != NULL)
        return rd_fail(err, RD_ERR_DATA, "%s: holds zero bytes, so it is no text in ASCII or UTF-8", whose);
    return RD_OK;
}

rd_status rd_csv_parse(char *text, size_t size, const char *whose, const rd_source *source, rd_dataset *out,
                       rd_error *err)
{
    rd_status status = RD_OK;
    bool more = true;
    csv_table t = {.source = source};
    memset(out, 0, sizeof *out);
    RD_TRY(check_text(&text, &size, whose, err));
    t.reader = (csv_reader){.whose = whose,
                            .at = text,
                            .end = text + size,
                            .separator = source->separator != '\0' ? source->separator : ',',
                            .line = 1};
    RD_TRY(settle_columns(&t, &more, err));
    while (more) {
        RD_TRY(add_row(&t, err));
        RD_TRY(next_record(&t.reader, &more, err));
    }
    RD_TRY(reserve_rows(&t, t.d.rows, err)); /* gives back what doubling took too much */
    if (!source->regression)
        RD_TRY(settle_classes(&t, err));
    if (source->standardise)
        standardise(&t.d);
    if (t.group != NONE) {
        t.d.group_names = t.groups.name;
        t.d.group_count = t.groups.count;
        t.groups.name = NULL;
        t.groups.count = 0;
    }
    *out = t.d;
    memset(&t.d, 0, sizeof t.d);
cleanup:
    rd_dataset_free(&t.d);
    rd_names_free(&t.labels);
    rd_names_free(&t.groups);
    free(t.reader.field);
    free(t.header);
    return status;
}

rd_status rd_csv_load(const rd_source *source, rd_dataset *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_input in = {0};
    char *text = NULL;
    size_t size = 0;
    memset(out, 0, sizeof *out);
    RD_TRY(rd_input_open(&in, source->path, err));
    RD_TRY(rd_input_read_all(&in, &text, &size, err));
    RD_TRY(rd_csv_parse(text, size, source->path, source, out, err));
cleanup:
    rd_input_close(&in);
    free(text);
    return status;
}
