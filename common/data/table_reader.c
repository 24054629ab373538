/* table_reader.c: see table_reader.h. */
#include "data/table_reader.h"

#include <stdlib.h>
#include <string.h>

#include "data/classes.h"

static rd_status match_by_name(rd_table_reader *r, rd_error *err)
{
    const rd_table *t = r->table;
    for (size_t i = 0; i < r->schema->column_count; i++) {
        const rd_column *c = &r->schema->columns[i];
        for (size_t j = 0; j < t->columns && r->place[i] == SIZE_MAX; j++)
            if (j != r->roles.label && j != r->roles.group && strcmp(t->heading[j], c->name) == 0)
                r->place[i] = j;
        if (r->place[i] == SIZE_MAX && c->type != RD_COLUMN_IGNORED)
            return rd_fail(err, RD_ERR_DATA, "%s: line 1: has no column '%.60s', which the run's schema has", t->path,
                           c->name);
    }
    return RD_OK;
}

static rd_status match_by_place(rd_table_reader *r, rd_error *err)
{
    const rd_table *t = r->table;
    size_t j = 0, others = (size_t)(r->roles.label != SIZE_MAX) + (r->roles.group != SIZE_MAX);
    if (t->columns - others != r->schema->column_count)
        return rd_fail(err, RD_ERR_DATA, "%s: line %u: %zu columns beside the label, but the run's schema has %zu",
                       t->path, t->line[0], t->columns - others, r->schema->column_count);
    for (size_t i = 0; i < r->schema->column_count; i++, j++) {
        while (j == r->roles.label || j == r->roles.group)
            j++;
        r->place[i] = j;
    }
    return RD_OK;
}

rd_status rd_table_reader_open(const rd_table *t, const rd_table_roles *roles, const rd_schema *s, rd_table_reader *out,
                               rd_error *err)
{
    rd_status status = RD_OK;
    rd_table_reader r = {.table = t, .schema = s, .roles = *roles, .at = t->records};
    memset(out, 0, sizeof *out);
    if (s->column_count == 0)
        return rd_fail(err, RD_ERR_DATA,
                       "%s: is a table, but the run was settled without one; data.schema in run.json can say which "
                       "columns there are",
                       t->path);
    bool named = s->columns[0].name != NULL;
    if (named != (t->heading != NULL) && !t->numbered)
        return rd_fail(err, RD_ERR_DATA,
                       named ? "%s: is read without a heading, but the run's schema names its columns ('%.40s' is the "
                               "first)"
                             : "%s: is read with a heading, but the tables of this run have none%.0s",
                       t->path, named ? s->columns[0].name : "");
    r.place = malloc((s->column_count + 1) * sizeof *r.place);
    r.field = malloc(t->columns * sizeof *r.field);
    if (r.place == NULL || r.field == NULL)
        RD_THROW(RD_ERR_MEMORY, "%s: no memory for %zu columns", t->path, t->columns);
    for (size_t i = 0; i < s->column_count; i++)
        r.place[i] = SIZE_MAX;
    RD_TRY(named && !t->numbered ? match_by_name(&r, err) : match_by_place(&r, err));
    *out = r;
    return RD_OK;
cleanup:
    rd_table_reader_close(&r);
    return status;
}

void rd_table_reader_close(rd_table_reader *r)
{
    free(r->place);
    free(r->field);
    r->place = NULL;
    r->field = NULL;
}

static bool is_missing(const rd_table_reader *r, const rd_column *c, const char *field)
{
    int32_t number;
    if (rd_field_is_missing(rd_schema_missing_words(r->schema), field))
        return true;
    return c->type == RD_COLUMN_CATEGORY && c->unseen_is_missing && c->words_known &&
           !rd_names_find(&c->words, field, &number);
}

static bool counts(const rd_table_reader *r)
{
    const rd_schema *s = r->schema;
    for (size_t i = 0; i < s->column_count; i++)
        if (s->columns[i].missing == RD_MISSING_LEAVE_OUT && r->place[i] != SIZE_MAX &&
            is_missing(r, &s->columns[i], r->field[r->place[i]]))
            return false;
    return r->roles.label == SIZE_MAX || s->label.missing != RD_MISSING_LEAVE_OUT ||
           !is_missing(r, &s->label, r->field[r->roles.label]);
}

rd_status rd_table_reader_next(rd_table_reader *r, bool *more, rd_error *err)
{
    for (;;) {
        *more = r->next < r->table->rows;
        if (!*more && r->left_out == r->table->rows)
            return rd_fail(err, RD_ERR_DATA, "%s: every row has missing values and is left out", r->table->path);
        if (!*more)
            return RD_OK;
        r->at = rd_table_fields(r->table, r->at, r->field);
        r->row = r->next++;
        if (counts(r))
            return RD_OK;
        r->left_out++;
    }
}

static size_t column_of(const rd_table_reader *r, size_t i)
{
    return i == SIZE_MAX ? r->roles.label : r->place[i];
}

rd_status rd_table_reader_fail(const rd_table_reader *r, size_t column, const char *what, rd_error *err)
{
    char name[80];
    rd_table_column_name(r->table, column, name, sizeof name);
    return rd_fail(err, RD_ERR_DATA, "%s: line %u: %s ('%.40s') %s", r->table->path, r->table->line[r->row], name,
                   r->field[column], what);
}

rd_status rd_table_reader_number(const rd_table_reader *r, size_t i, double *out, bool *missing, rd_error *err)
{
    const rd_column *c = i == SIZE_MAX ? &r->schema->label : &r->schema->columns[i];
    const char *field = r->field[column_of(r, i)];
    *missing = is_missing(r, c, field);
    if (*missing && c->missing == RD_MISSING_REFUSE)
        return rd_table_reader_fail(r, column_of(r, i),
                                    i == SIZE_MAX ? "is the label, and missing (data.schema in run.json can say "
                                                    "what then: label.missing)"
                                                  : "is missing (data.schema in run.json can say what then: missing)",
                                    err);
    if (*missing) {
        *missing = !c->filler_known;
        *out = c->filler;
        return RD_OK;
    }
    switch (rd_table_number(r->table, field, out)) {
    case RD_NUMBER_OK:
        return RD_OK;
    case RD_NUMBER_UNDERFLOW:
        return rd_table_reader_fail(r, column_of(r, i), "is too small for a 64-bit number", err);
    case RD_NUMBER_OVERFLOW:
        return rd_table_reader_fail(r, column_of(r, i), "is too large for a 64-bit number", err);
    case RD_NUMBER_NONE:
        break;
    }
    return rd_table_reader_fail(r, column_of(r, i), "is not a number, as the run's schema has it", err);
}

rd_status rd_table_reader_word(const rd_table_reader *r, size_t i, int32_t *out, rd_error *err)
{
    const rd_column *c = i == SIZE_MAX ? &r->schema->label : &r->schema->columns[i];
    const char *field = r->field[column_of(r, i)];
    char canonical[RD_CLASS_TEXT_MAX];
    if (is_missing(r, c, field)) {
        if (c->missing == RD_MISSING_REFUSE)
            return rd_table_reader_fail(r, column_of(r, i),
                                        i == SIZE_MAX
                                            ? "is the label, and missing (data.schema in run.json can say what then: "
                                              "label.missing)"
                                            : "is missing (data.schema in run.json can say what then: missing)",
                                        err);
        if (c->missing == RD_MISSING_CONSTANT)
            field = c->filler_word;
        if (c->missing == RD_MISSING_CATEGORY) {
            *out = (int32_t)c->words.count;
            return RD_OK;
        }
    }
    if (rd_names_find(&c->words, field, out) ||
        (i == SIZE_MAX && rd_class_whole(field, canonical) && rd_names_find(&c->words, canonical, out)))
        return RD_OK;
    return rd_table_reader_fail(
        r, column_of(r, i), i == SIZE_MAX ? "is no class of this run" : "is not among the words of the run's schema",
        err);
}
