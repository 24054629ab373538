/* schema.c: see schema.h. */
#include "data/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/grow.h"

static void free_column(rd_column *c)
{
    free(c->name);
    free(c->filler_word);
    rd_names_free(&c->words);
}

void rd_schema_free(rd_schema *s)
{
    for (size_t i = 0; i < s->column_count; i++)
        free_column(&s->columns[i]);
    free(s->columns);
    free_column(&s->label);
    free(s->group);
    rd_names_free(&s->missing_words);
    memset(s, 0, sizeof *s);
}

rd_status rd_schema_set_text(char **text, const char *value, rd_error *err)
{
    char *copy = value != NULL ? strdup(value) : NULL;
    if (value != NULL && copy == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the name '%.40s'", value);
    free(*text);
    *text = copy;
    return RD_OK;
}

static rd_status copy_names(const rd_names *from, rd_names *to, rd_error *err)
{
    rd_status status = RD_OK;
    int32_t ignored;
    memset(to, 0, sizeof *to);
    for (size_t i = 0; i < from->count && status == RD_OK; i++)
        status = rd_names_add(to, from->name[i], &ignored, err);
    return status;
}

static rd_status copy_column(const rd_column *from, rd_column *to, rd_error *err)
{
    rd_status status = RD_OK;
    *to = *from;
    to->name = to->filler_word = NULL;
    memset(&to->words, 0, sizeof to->words);
    RD_TRY(rd_schema_set_text(&to->name, from->name, err));
    RD_TRY(rd_schema_set_text(&to->filler_word, from->filler_word, err));
    RD_TRY(copy_names(&from->words, &to->words, err));
cleanup:
    return status;
}

rd_status rd_schema_copy(const rd_schema *from, rd_schema *to, rd_error *err)
{
    rd_status status = RD_OK;
    rd_schema s = {.columns_known = from->columns_known,
                   .numbered = from->numbered,
                   .missing_words_known = from->missing_words_known,
                   .scale = from->scale,
                   .missing = from->missing};
    memset(to, 0, sizeof *to);
    RD_TRY(rd_grow(&s.columns, &s.column_capacity, from->column_count, sizeof *s.columns, "columns", err));
    for (size_t i = 0; i < from->column_count; i++) {
        s.column_count = i + 1;
        RD_TRY(copy_column(&from->columns[i], &s.columns[i], err));
    }
    RD_TRY(copy_column(&from->label, &s.label, err));
    RD_TRY(rd_schema_set_text(&s.group, from->group, err));
    RD_TRY(copy_names(&from->missing_words, &s.missing_words, err));
    *to = s;
    memset(&s, 0, sizeof s);
cleanup:
    rd_schema_free(&s);
    return status;
}

rd_status rd_schema_add_column(rd_schema *s, const char *name, rd_column **out, rd_error *err)
{
    rd_status status =
        rd_grow(&s->columns, &s->column_capacity, s->column_count + 1, sizeof *s->columns, "columns", err);
    if (status != RD_OK)
        return status;
    *out = &s->columns[s->column_count++];
    memset(*out, 0, sizeof **out);
    return rd_schema_set_text(&(*out)->name, name, err);
}

rd_status rd_schema_repeat_column(rd_schema *s, size_t more, rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(rd_grow(&s->columns, &s->column_capacity, s->column_count + more, sizeof *s->columns, "columns", err));
    for (size_t i = 0; i < more; i++) {
        rd_column *last = &s->columns[s->column_count++];
        RD_TRY(copy_column(last - 1, last, err));
    }
cleanup:
    return status;
}

bool rd_columns_are_alike(const rd_column *a, const rd_column *b)
{
    return a->name == NULL && b->name == NULL && a->type == RD_COLUMN_NUMBER && b->type == a->type &&
           a->missing == b->missing && a->filler_known == b->filler_known && a->filler == b->filler &&
           a->scale == b->scale && a->scale_known == b->scale_known && a->mean_known == b->mean_known &&
           a->low == b->low && a->high == b->high;
}

const rd_names *rd_schema_missing_words(const rd_schema *s)
{
    return s->missing_words_known ? &s->missing_words : NULL;
}

/* ---- what is open ---- */

static bool needs_filler(const rd_column *c)
{
    return c->type == RD_COLUMN_NUMBER && c->missing == RD_MISSING_MEAN && !c->filler_known;
}

static bool needs_scale(const rd_column *c)
{
    return c->type == RD_COLUMN_NUMBER && !c->scale_known &&
           (c->scale == RD_SCALE_STANDARD || c->scale == RD_SCALE_MINMAX);
}

bool rd_schema_measures(const rd_schema *s, size_t i, int step)
{
    const rd_column *c = i < s->column_count ? &s->columns[i] : &s->label;
    const bool deviation = needs_scale(c) && c->scale == RD_SCALE_STANDARD && c->mean_known;
    return step == 2 ? deviation : needs_filler(c) || (needs_scale(c) && !deviation);
}

int rd_schema_step(const rd_schema *s)
{
    for (int step = 1; step <= 2; step++)
        for (size_t i = 0; i <= s->column_count; i++)
            if (rd_schema_measures(s, i, step))
                return step;
    return 0;
}

static bool column_is_settled(const rd_column *c)
{
    if (c->type == RD_COLUMN_OPEN || (c->type == RD_COLUMN_CATEGORY && !c->words_known))
        return false;
    return c->type == RD_COLUMN_IGNORED ||
           (c->missing != RD_MISSING_OPEN && (c->type != RD_COLUMN_NUMBER || c->scale != RD_SCALE_OPEN) &&
            !needs_filler(c) && !needs_scale(c));
}

bool rd_schema_is_settled(const rd_schema *s)
{
    bool settled = s->columns_known;
    for (size_t i = 0; i < s->column_count && settled; i++)
        settled = column_is_settled(&s->columns[i]);
    return settled && (s->column_count == 0 ||
                       (s->label.type == RD_COLUMN_CATEGORY && s->numbered && s->label.missing != RD_MISSING_OPEN) ||
                       column_is_settled(&s->label));
}

/* ---- what columns become ---- */

size_t rd_column_width(const rd_column *c)
{
    if (c->type == RD_COLUMN_IGNORED)
        return 0;
    if (c->type != RD_COLUMN_CATEGORY || c->encoding == RD_ENCODING_TOKEN)
        return 1;
    return c->words.count + (c->missing == RD_MISSING_CATEGORY);
}

size_t rd_schema_features(const rd_schema *s)
{
    size_t features = 0;
    for (size_t i = 0; i < s->column_count; i++)
        features += rd_column_width(&s->columns[i]);
    return features;
}

bool rd_schema_tokens(const rd_schema *s, size_t *symbols)
{
    bool tokens = false;
    *symbols = 0;
    for (size_t i = 0; i < s->column_count; i++) {
        const rd_column *c = &s->columns[i];
        if (c->type != RD_COLUMN_CATEGORY || c->encoding != RD_ENCODING_TOKEN)
            continue;
        tokens = true;
        *symbols += c->words.count + (c->missing == RD_MISSING_CATEGORY);
    }
    return tokens;
}

void rd_schema_class_name(const rd_schema *s, size_t c, char *text, size_t size)
{
    if (!s->numbered && c < s->label.words.count)
        (void)snprintf(text, size, "%s", s->label.words.name[c]);
    else
        (void)snprintf(text, size, "%zu", c);
}

double rd_column_unscale(const rd_column *c, double z)
{
    if (c->scale == RD_SCALE_STANDARD)
        return c->low + z * c->high;
    return c->scale == RD_SCALE_MINMAX ? c->low + z * (c->high - c->low) : z;
}
