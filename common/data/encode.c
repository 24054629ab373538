/* encode.c: see encode.h. */
#include "data/encode.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/classes.h"
#include "data/feature.h"
#include "data/parse.h"
#include "data/table_reader.h"

static double scaled(const rd_column *c, double x)
{
    const double width = c->scale == RD_SCALE_STANDARD ? c->high : c->high - c->low;
    return width == 0 ? 0 : (x - c->low) / width;
}

/* Scales in double, and stores what comes of it. A value that is stored as it stands must survive that; what a missing
 * one is replaced with, and what is scaled, may be rounded. */
static rd_status encode_number(const rd_table_reader *r, size_t i, float *to, rd_error *err)
{
    double x;
    bool missing;
    const rd_column *c = i == SIZE_MAX ? &r->schema->label : &r->schema->columns[i];
    const size_t at = i == SIZE_MAX ? r->roles.label : r->place[i];
    rd_status status = rd_table_reader_number(r, i, &x, &missing, err);
    if (status != RD_OK)
        return status;
    const bool stands = c->scale != RD_SCALE_STANDARD && c->scale != RD_SCALE_MINMAX;
    const char *wrong = NULL;
    *to = (float)(stands ? x : scaled(c, x));
    if (!isfinite(*to))
        wrong = "is too large for single precision";
    else if (stands && !rd_field_is_missing(rd_schema_missing_words(r->schema), r->field[at]))
        wrong = rd_feature_narrow(x, to);
    return wrong == NULL ? RD_OK : rd_table_reader_fail(r, at, wrong, err);
}

static rd_status encode_features(const rd_table_reader *r, float *x, rd_error *err)
{
    rd_status status = RD_OK;
    size_t tokens = 0;
    for (size_t i = 0; i < r->schema->column_count && status == RD_OK; i++) {
        const rd_column *c = &r->schema->columns[i];
        int32_t word = 0;
        if (c->type == RD_COLUMN_NUMBER)
            status = encode_number(r, i, x, err);
        if (c->type == RD_COLUMN_CATEGORY) {
            status = rd_table_reader_word(r, i, &word, err);
            if (c->encoding == RD_ENCODING_TOKEN)
                *x = (float)(tokens + (size_t)word);
            else if (status == RD_OK)
                x[word] = 1;
            if (c->encoding == RD_ENCODING_TOKEN)
                tokens += c->words.count + (c->missing == RD_MISSING_CATEGORY);
        }
        x += rd_column_width(c);
    }
    return status;
}

static rd_status encode_label(const rd_table_reader *r, rd_dataset *d, rd_error *err)
{
    int64_t value;
    char canonical[RD_CLASS_TEXT_MAX];
    const char *field = r->field[r->roles.label];
    if (d->targets != NULL)
        return encode_number(r, SIZE_MAX, &d->targets[d->rows], err);
    if (!r->schema->numbered || rd_field_is_missing(rd_schema_missing_words(r->schema), field))
        return rd_table_reader_word(r, SIZE_MAX, &d->labels[d->rows], err);
    if (!rd_class_whole(field, canonical) || !rd_number_whole(canonical, strlen(canonical), &value) || value < 0 ||
        value >= RD_MAX_CLASSES)
        return rd_table_reader_fail(r, r->roles.label,
                                    "is no class of this run, whose classes are whole numbers from 0 to 16777215", err);
    d->labels[d->rows] = (int32_t)value;
    if ((size_t)value + 1 > d->classes)
        d->classes = (size_t)value + 1;
    return RD_OK;
}

static rd_status reserve(const rd_table *t, const rd_table_roles *roles, const rd_schema *s, bool features,
                         rd_dataset *d, rd_error *err)
{
    const bool real = s->label.type == RD_COLUMN_NUMBER, labelled = roles->label != SIZE_MAX;
    size_t cells, symbols;
    d->features = d->shape[0] = rd_schema_features(s);
    d->rank = 1;
    d->tokens = rd_schema_tokens(s, &symbols);
    d->target_count = labelled && real ? 1 : 0;
    d->label_count = labelled && !real ? 1 : 0;
    d->classes = labelled && !real && !s->numbered ? s->label.words.count : 0;
    if (features && !__builtin_mul_overflow(t->rows, d->features, &cells))
        d->x_f32 = calloc(cells + 1, sizeof *d->x_f32);
    if (labelled && real)
        d->targets = malloc(t->rows * sizeof *d->targets);
    if (labelled && !real)
        d->labels = malloc(t->rows * sizeof *d->labels);
    if (roles->group != SIZE_MAX)
        d->group = malloc(t->rows * sizeof *d->group);
    bool there = (!features || d->x_f32 != NULL) && (!labelled || d->targets != NULL || d->labels != NULL) &&
                 (roles->group == SIZE_MAX || d->group != NULL);
    return there ? RD_OK
                 : rd_fail(err, RD_ERR_MEMORY, "%s: no memory for %zu rows of %zu features", t->path, t->rows,
                           d->features);
}

rd_status rd_table_encode(const rd_table *t, const rd_table_roles *roles, const rd_schema *s, bool features,
                          rd_dataset *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_dataset d = {0};
    rd_table_reader r = {0};
    rd_names groups = {0};
    bool more = true;
    memset(out, 0, sizeof *out);
    RD_TRY(rd_table_reader_open(t, roles, s, &r, err));
    RD_TRY(reserve(t, roles, s, features, &d, err));
    for (;; d.rows++) {
        RD_TRY(rd_table_reader_next(&r, &more, err));
        if (!more)
            break;
        if (features)
            RD_TRY(encode_features(&r, d.x_f32 + d.rows * d.features, err));
        if (roles->label != SIZE_MAX)
            RD_TRY(encode_label(&r, &d, err));
        if (roles->group != SIZE_MAX)
            RD_TRY(rd_names_add(&groups, r.field[roles->group], &d.group[d.rows], err));
    }
    d.left_out = r.left_out;
    d.group_names = groups.name;
    d.group_count = groups.count;
    groups.name = NULL;
    groups.count = 0;
    *out = d;
    memset(&d, 0, sizeof d);
cleanup:
    rd_table_reader_close(&r);
    rd_names_free(&groups);
    rd_dataset_free(&d);
    return status;
}

/* ---- for people ---- */

static int put(char *text, size_t size, int at, const char *format, ...) __attribute__((format(printf, 4, 5)));
static int put(char *text, size_t size, int at, const char *format, ...)
{
    va_list arguments;
    if (at < 0 || (size_t)at >= size)
        return at;
    va_start(arguments, format);
    int written = vsnprintf(text + at, size - (size_t)at, format, arguments);
    va_end(arguments);
    return at + (written > 0 ? written : 0);
}

/* Columns that the run does not use. */
static int put_unused(const rd_table *t, const rd_table_roles *roles, const rd_schema *s, char *text, size_t size,
                      int at)
{
    enum { MOST_NAMED = 4 };
    size_t unused = 0;
    if (t->heading == NULL || t->numbered)
        return at;
    for (size_t j = 0; j < t->columns; j++) {
        bool used = j == roles->label || j == roles->group;
        for (size_t i = 0; i < s->column_count && !used; i++)
            used = strcmp(s->columns[i].name, t->heading[j]) == 0 && s->columns[i].type != RD_COLUMN_IGNORED;
        if (!used && unused++ < MOST_NAMED)
            at = put(text, size, at, "%s%.30s", unused == 1 ? "; not used: " : ", ", t->heading[j]);
    }
    return unused > MOST_NAMED ? put(text, size, at, " and %zu more", unused - MOST_NAMED) : at;
}

void rd_table_summary(const rd_table *t, const rd_table_roles *roles, const rd_schema *s, const rd_dataset *d,
                      char *text, size_t size)
{
    enum { MOST_NAMED = 6 };
    char name[80];
    int at = put(text, size, 0, "%s: %zu rows%s, %zu features, ", t->path, d->rows,
                 t->heading == NULL ? " without a heading"
                 : t->numbered      ? " under a heading that numbers its columns, which go by their place"
                                    : " under a heading",
                 d->features);
    at = put(text, size, at, t->separator == '\t' ? "separated by tabs" : "separated by '%c'", t->separator);
    if (t->decimal != '.')
        at = put(text, size, at, ", decimal '%c'", t->decimal);
    at = put_unused(t, roles, s, text, size, at);
    if (d->left_out > 0)
        at = put(text, size, at, "; %zu rows with missing values are left out", d->left_out);
    if (roles->label == SIZE_MAX) {
        (void)put(text, size, at, "; no label");
        return;
    }
    rd_table_column_name(t, roles->label, name, sizeof name);
    at = put(text, size, at, "; label: %s", name);
    if (d->targets != NULL) {
        (void)put(text, size, at, ", a target");
    } else if (s->numbered) {
        (void)put(text, size, at, ", classes up to %zu", d->classes > 0 ? d->classes - 1 : 0);
    } else {
        at = put(text, size, at, ", classes ");
        for (size_t i = 0; i < s->label.words.count && i < MOST_NAMED; i++)
            at = put(text, size, at, "%s%.24s", i > 0 ? ", " : "", s->label.words.name[i]);
        if (s->label.words.count > MOST_NAMED)
            (void)put(text, size, at, " and %zu more", s->label.words.count - MOST_NAMED);
    }
}
