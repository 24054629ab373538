/* describe.c: see describe.h; the agreement is in agree.c. */
#include "data/describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/classes.h"

void rd_description_free(rd_description *d)
{
    for (size_t i = 0; i < d->column_count; i++) {
        free(d->columns[i].name);
        rd_names_free(&d->columns[i].words);
    }
    free(d->columns);
    free(d->label.name);
    rd_names_free(&d->label.words);
    memset(d, 0, sizeof *d);
}

const rd_column_description *rd_description_column(const rd_description *d, const char *name, size_t place)
{
    if (name == NULL || d->numbered)
        return place < d->column_count ? &d->columns[place] : NULL;
    for (size_t k = 0; k < d->column_count; k++) { /* most often it is in its place */
        size_t i = place + k < d->column_count ? place + k : place + k - d->column_count;
        if (i < d->column_count && d->columns[i].name != NULL && strcmp(d->columns[i].name, name) == 0)
            return &d->columns[i];
    }
    return NULL;
}

/* ---- roles ---- */

static size_t find_heading(const rd_table *t, const char *name)
{
    for (size_t i = 0; t->heading != NULL && name != NULL && i < t->columns; i++)
        if (strcmp(t->heading[i], name) == 0)
            return i;
    return SIZE_MAX;
}

/* Is the column at the end the label that nobody named? Not where it is one of the features. */
static bool last_is_feature(const rd_table *t, const rd_schema *s)
{
    if (!s->columns_known)
        return false;
    size_t used = 0;
    for (size_t i = 0; i < s->column_count; i++) {
        const char *name = s->columns[i].name;
        if (t->heading != NULL && name != NULL && find_heading(t, name) == t->columns - 1)
            return true;
        used++;
    }
    return (t->heading == NULL || s->column_count == 0 || s->columns[0].name == NULL) && used == t->columns;
}

static rd_status settle_label(const rd_table *t, const rd_source *source, const rd_schema *s, bool optional,
                              size_t *out, rd_error *err)
{
    *out = SIZE_MAX;
    if (source->label_column[0] != '\0')
        return rd_table_find(t, source->label_column, "label", out, err);
    if (s->label.name != NULL) {
        int64_t position;
        *out = find_heading(t, s->label.name);
        bool by_place = rd_number_whole(s->label.name, strlen(s->label.name), &position);
        if (*out != SIZE_MAX || (optional && (!by_place || last_is_feature(t, s))))
            return RD_OK;
        if (by_place)
            return rd_table_find(t, s->label.name, "label", out, err);
        if (t->heading != NULL)
            return rd_table_find(t, s->label.name, "label", out, err); /* says that it is not there */
    }
    if (!(optional && last_is_feature(t, s)))
        *out = t->columns - 1;
    return RD_OK;
}

rd_status rd_table_settle_roles(const rd_table *t, const rd_source *source, const rd_schema *schema, bool optional,
                                rd_table_roles *out, rd_error *err)
{
    rd_status status = RD_OK;
    out->group = SIZE_MAX;
    RD_TRY(settle_label(t, source, schema, optional, &out->label, err));
    if (source->group_column[0] != '\0')
        RD_TRY(rd_table_find(t, source->group_column, "group", &out->group, err));
    else
        out->group = find_heading(t, schema->group);
    if (out->group != SIZE_MAX && out->group == out->label) {
        char name[80];
        rd_table_column_name(t, out->label, name, sizeof name);
        return rd_fail(err, RD_ERR_DATA, "%s: %s cannot be both the label and the group", t->path, name);
    }
    if (t->columns <= (size_t)(out->label != SIZE_MAX) + (out->group != SIZE_MAX))
        return rd_fail(err, RD_ERR_DATA,
                       "%s: line %u: %zu column%s separated by '%c'; at least one feature beside the label was "
                       "expected",
                       t->path, t->line[0], t->columns, t->columns == 1 ? "" : "s", t->separator);
cleanup:
    return status;
}

/* ---- a description ---- */

/* What is being found out of one column. */
typedef struct column_look {
    size_t column;
    const rd_column *given; /* NULL: run.json does not name it */
    rd_column_description *into;
    uint32_t number_line, word_line; /* of the first of each kind; 0: none */
    size_t most_words;
} column_look;

static const rd_column *given_column(const rd_schema *s, const rd_table *t, size_t column, size_t place)
{
    if (s->column_count > 0 && (s->columns[0].name == NULL || t->numbered))
        return place < s->column_count ? &s->columns[place] : NULL;
    for (size_t i = 0; t->heading != NULL && i < s->column_count; i++)
        if (strcmp(s->columns[i].name, t->heading[column]) == 0)
            return &s->columns[i];
    return NULL;
}

static rd_status look_at(column_look *l, const rd_table *t, const rd_names *missing, const char *field, size_t row,
                         rd_error *err)
{
    rd_status status = RD_OK;
    double ignored;
    int32_t number;
    if (rd_field_is_missing(missing, field)) {
        l->into->missing++;
        return RD_OK;
    }
    bool category = l->given != NULL && l->given->type == RD_COLUMN_CATEGORY;
    if (!category && rd_table_number(t, field, &ignored) != RD_NUMBER_NONE) {
        l->number_line = l->number_line != 0 ? l->number_line : t->line[row];
        return RD_OK;
    }
    l->word_line = l->word_line != 0 ? l->word_line : t->line[row];
    if (l->into->words.count < l->most_words)
        RD_TRY(rd_names_add(&l->into->words, field, &number, err));
    else if (!rd_names_find(&l->into->words, field, &number))
        l->most_words = 0; /* too many */
cleanup:
    return status;
}

static rd_status finish_column(column_look *l, const rd_table *t, rd_error *err)
{
    char name[80];
    rd_table_column_name(t, l->column, name, sizeof name);
    rd_column_type given_type = l->given != NULL ? l->given->type : RD_COLUMN_OPEN;
    /* Where both stand in it, it is a column of numbers with something wrong in it, and reading it says what. */
    l->into->type = given_type != RD_COLUMN_OPEN ? given_type
                    : l->number_line != 0        ? RD_COLUMN_NUMBER
                    : l->word_line != 0          ? RD_COLUMN_CATEGORY
                                                 : RD_COLUMN_OPEN;
    if (l->into->type == RD_COLUMN_CATEGORY && l->most_words == 0)
        return rd_fail(err, RD_ERR_DATA,
                       "%s: %s holds more than %d different words; data.schema in run.json can say what it is: a "
                       "category with its words, or ignored",
                       t->path, name, given_type == RD_COLUMN_CATEGORY ? RD_WORDS_MOST : RD_WORDS_UNASKED);
    if (l->into->type != RD_COLUMN_CATEGORY || (l->given != NULL && l->given->words_known))
        rd_names_free(&l->into->words);
    return RD_OK;
}

static rd_status describe_label(rd_column_description *label, const rd_table *t, size_t column, const rd_schema *s,
                                const char *field, size_t row, rd_error *err)
{
    rd_status status = RD_OK;
    int32_t number;
    double value;
    char canonical[RD_CLASS_TEXT_MAX];
    if (rd_field_is_missing(rd_schema_missing_words(s), field)) {
        label->missing++;
        return RD_OK;
    }
    if (label->type == RD_COLUMN_NUMBER || s->label.words_known)
        return RD_OK; /* reading it says what is wrong with it */
    const bool whole = rd_class_whole(field, canonical);
    if (!whole && strpbrk(field, "eE") == NULL && rd_table_number(t, field, &value) == RD_NUMBER_OK)
        return rd_class_fraction(t, column, row, field, err);
    if (label->words.count >= RD_WORDS_MOST && !rd_names_find(&label->words, whole ? canonical : field, &number))
        return rd_fail(err, RD_ERR_DATA,
                       "%s: line %u: the label has more than %d different classes (for a target that is a number "
                       "the model needs a loss of real targets)",
                       t->path, t->line[row], RD_WORDS_MOST);
    RD_TRY(rd_names_add(&label->words, whole ? canonical : field, &number, err));
cleanup:
    return status;
}

rd_status rd_table_describe(const rd_table *t, const rd_table_roles *roles, const rd_schema *schema,
                            rd_description *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_description d = {.rows = t->rows, .numbered = t->numbered};
    size_t looks = 0, place = 0;
    const rd_names *missing = rd_schema_missing_words(schema);
    memset(out, 0, sizeof *out);
    const char **field = malloc(t->columns * sizeof *field);
    column_look *look = calloc(t->columns, sizeof *look);
    d.columns = calloc(t->columns, sizeof *d.columns);
    if (field == NULL || look == NULL || d.columns == NULL)
        RD_THROW(RD_ERR_MEMORY, "%s: no memory for %zu columns", t->path, t->columns);
    for (size_t j = 0; j < t->columns; j++) {
        if (j == roles->label || j == roles->group)
            continue;
        const rd_column *given = given_column(schema, t, j, place++);
        if (given != NULL && given->type == RD_COLUMN_IGNORED)
            continue;
        rd_column_description *c = &d.columns[d.column_count++];
        RD_TRY(rd_schema_set_text(&c->name, t->heading != NULL ? t->heading[j] : NULL, err));
        look[looks++] = (column_look){
            .column = j,
            .given = given,
            .into = c,
            .most_words = given != NULL && given->type == RD_COLUMN_CATEGORY ? RD_WORDS_MOST : RD_WORDS_UNASKED};
    }
    if (roles->label != SIZE_MAX) {
        d.label.type = schema->label.type;
        RD_TRY(rd_schema_set_text(&d.label.name, t->heading != NULL ? t->heading[roles->label] : NULL, err));
    }
    const char *at = t->records;
    for (size_t i = 0; i < t->rows; i++) {
        at = rd_table_fields(t, at, field);
        for (size_t j = 0; j < looks; j++)
            RD_TRY(look_at(&look[j], t, missing, field[look[j].column], i, err));
        if (roles->label != SIZE_MAX)
            RD_TRY(describe_label(&d.label, t, roles->label, schema, field[roles->label], i, err));
    }
    for (size_t j = 0; j < looks; j++)
        RD_TRY(finish_column(&look[j], t, err));
    *out = d;
    memset(&d, 0, sizeof d);
cleanup:
    free(field);
    free(look);
    rd_description_free(&d);
    return status;
}
