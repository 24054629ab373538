/* agree.c: one schema out of what run.json says and what tables say of themselves; the rule is in describe.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/classes.h"
#include "data/describe.h"

typedef struct agreement {
    const rd_described *tables;
    size_t count;
    bool has_test;
    rd_schema *schema;
    char *notes;
    size_t notes_size, notes_used;
    rd_error *err;
} agreement;

static void note(agreement *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(agreement *a, const char *format, ...)
{
    va_list arguments;
    if (a->notes_used >= a->notes_size)
        return;
    va_start(arguments, format);
    int written = vsnprintf(a->notes + a->notes_used, a->notes_size - a->notes_used, format, arguments);
    va_end(arguments);
    a->notes_used += written > 0 ? (size_t)written : 0;
}

/* How many clients' tables lack the column; *whose: the first of them. */
static size_t lacking(const agreement *a, const char *name, size_t place, const char **whose)
{
    size_t lack = 0;
    for (size_t i = a->has_test ? 1 : 0; i < a->count; i++)
        if (rd_description_column(a->tables[i].description, name, place) == NULL && lack++ == 0)
            *whose = a->tables[i].whose;
    return lack;
}

/* ---- which columns there are ---- */

static bool has_heading(const rd_described *table)
{
    return table->description->column_count > 0 && table->description->columns[0].name != NULL;
}

/* The first table whose columns have names of their own, or else the first; all with a heading, or none. */
static rd_status find_first(const agreement *a, const rd_described **out)
{
    *out = &a->tables[0];
    for (size_t i = 1; i < a->count && (*out)->description->numbered; i++)
        *out = &a->tables[i];
    if ((*out)->description->numbered)
        *out = &a->tables[0];
    for (size_t i = 0; i < a->count; i++)
        if (!a->tables[i].description->numbered && has_heading(&a->tables[i]) != has_heading(*out))
            return rd_fail(a->err, RD_ERR_DATA,
                           "the table of %.60s has %s heading, that of %.60s has %s: which column is which cannot be "
                           "told",
                           (*out)->whose, has_heading(*out) ? "a" : "no", a->tables[i].whose,
                           has_heading(*out) ? "none" : "one");
    return RD_OK;
}

static rd_status choose_columns(agreement *a)
{
    rd_status status = RD_OK;
    const rd_described *first = NULL;
    rd_column *column;
    const char *whose = "";
    RD_TRY(find_first(a, &first));
    for (size_t i = 0; i < first->description->column_count; i++) {
        const char *name = first->description->columns[i].name;
        if (!a->has_test && lacking(a, name, i, &whose) > 0) {
            note(a, "column %zu%s%.40s of %.60s is left out, because %.60s lacks it. ", i + 1, name != NULL ? ", " : "",
                 name != NULL ? name : "", first->whose, whose);
            continue;
        }
        RD_TRY(rd_schema_add_column(a->schema, name, &column, a->err));
    }
    if (a->schema->column_count == 0)
        return rd_fail(a->err, RD_ERR_DATA,
                       "no column is in the tables of all clients; data.schema in run.json can say which there are");
cleanup:
    return status;
}

/* ---- what they are ---- */

static void settle_type(agreement *a, rd_column *c, size_t place)
{
    for (size_t i = 0; i < a->count && c->type != RD_COLUMN_NUMBER; i++) {
        const rd_column_description *d = rd_description_column(a->tables[i].description, c->name, place);
        if (d != NULL && d->type != RD_COLUMN_OPEN)
            c->type = d->type;
    }
}

static rd_status unite_words(agreement *a, rd_column *c, size_t place)
{
    rd_status status = RD_OK;
    rd_names all = {0};
    int32_t ignored;
    for (size_t i = 0; i < a->count; i++) {
        const rd_column_description *d = rd_description_column(a->tables[i].description, c->name, place);
        for (size_t k = 0; d != NULL && k < d->words.count; k++)
            RD_TRY(rd_names_add(&all, d->words.name[k], &ignored, a->err));
    }
    RD_TRY(rd_classes_sort(&all, &c->words, a->err));
    c->words_known = true;
cleanup:
    rd_names_free(&all);
    return status;
}

static rd_status settle_column(agreement *a, rd_column *c, size_t place)
{
    rd_status status = RD_OK;
    if (c->type == RD_COLUMN_IGNORED)
        return RD_OK;
    if (c->type == RD_COLUMN_OPEN)
        settle_type(a, c, place);
    if (c->type == RD_COLUMN_OPEN)
        return rd_fail(a->err, RD_ERR_DATA,
                       "column %zu%s%.40s holds nothing but missing values with everybody; data.schema in run.json "
                       "can say what it is, or that it is ignored",
                       place + 1, c->name != NULL ? ", " : "", c->name != NULL ? c->name : "");
    if (c->type == RD_COLUMN_CATEGORY && !c->words_known)
        RD_TRY(unite_words(a, c, place));
    if (c->missing == RD_MISSING_OPEN) {
        bool fits = a->schema->missing != RD_MISSING_OPEN &&
                    (a->schema->missing == RD_MISSING_REFUSE || a->schema->missing == RD_MISSING_LEAVE_OUT ||
                     (a->schema->missing == RD_MISSING_MEAN) == (c->type == RD_COLUMN_NUMBER));
        c->missing = fits ? a->schema->missing : RD_MISSING_REFUSE;
    }
    if (c->type == RD_COLUMN_NUMBER && c->scale == RD_SCALE_OPEN)
        c->scale = a->schema->scale != RD_SCALE_OPEN ? a->schema->scale : RD_SCALE_NONE;
cleanup:
    return status;
}

/* Where nobody named the label, each took its last column for it: they must be the same one. */
static rd_status check_label_names(const agreement *a)
{
    const rd_described *first = NULL;
    for (size_t i = 0; i < a->count; i++) {
        const char *name = a->tables[i].description->label.name;
        if (name == NULL)
            continue;
        if (first == NULL)
            first = &a->tables[i];
        else if (strcmp(first->description->label.name, name) != 0)
            return rd_fail(
                a->err, RD_ERR_DATA,
                "the label of %.60s is '%.40s', that of %.60s is '%.40s'; data.schema.label.name in run.json "
                "can say which column it is",
                first->whose, first->description->label.name, a->tables[i].whose, name);
    }
    return RD_OK;
}

static rd_status settle_label(agreement *a)
{
    rd_status status = RD_OK;
    rd_column *label = &a->schema->label;
    rd_names all = {0};
    int32_t ignored;
    if (label->name == NULL)
        RD_TRY(check_label_names(a));
    for (size_t i = 0; i < a->count && label->name == NULL; i++)
        RD_TRY(rd_schema_set_text(&label->name, a->tables[i].description->label.name, a->err));
    if (label->name == NULL)
        RD_TRY(rd_schema_set_text(&label->name, "-1", a->err));
    if (label->missing == RD_MISSING_OPEN)
        label->missing = RD_MISSING_REFUSE;
    if (label->type == RD_COLUMN_NUMBER && label->scale == RD_SCALE_OPEN)
        label->scale = RD_SCALE_NONE;
    if (label->type != RD_COLUMN_CATEGORY || label->words_known || a->schema->numbered)
        goto cleanup;
    for (size_t i = 0; i < a->count; i++)
        for (size_t k = 0; k < a->tables[i].description->label.words.count; k++)
            RD_TRY(rd_names_add(&all, a->tables[i].description->label.words.name[k], &ignored, a->err));
    a->schema->numbered = rd_classes_numbered(&all);
    if (!a->schema->numbered)
        RD_TRY(rd_classes_sort(&all, &label->words, a->err));
    label->words_known = !a->schema->numbered;
cleanup:
    rd_names_free(&all);
    return status;
}

rd_status rd_schema_agree(const rd_schema *given, const rd_described_tables *all, rd_schema *out, char *notes,
                          size_t size, rd_error *err)
{
    rd_status status = RD_OK;
    rd_schema s = {0};
    if (size > 0)
        notes[0] = '\0';
    memset(out, 0, sizeof *out);
    RD_TRY(rd_schema_copy(given, &s, err));
    agreement a = {.tables = all->tables,
                   .count = all->count,
                   .has_test = all->has_test,
                   .schema = &s,
                   .notes = notes,
                   .notes_size = size,
                   .err = err};
    if (all->count > 0 && !s.columns_known)
        RD_TRY(choose_columns(&a));
    s.columns_known = true;
    for (size_t i = 0; i < s.column_count; i++)
        RD_TRY(settle_column(&a, &s.columns[i], i));
    if (s.column_count > 0)
        RD_TRY(settle_label(&a));
    *out = s;
    memset(&s, 0, sizeof s);
cleanup:
    rd_schema_free(&s);
    return status;
}
