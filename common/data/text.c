/* text.c: see text.h. First the file becomes one list of tokens for each owner, then the lists are cut into
 * rows. */
#include "data/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/grow.h"
#include "core/lines.h"
#include "core/utf8.h"
#include "data/names.h"

/* One owner's symbols. */
typedef struct owner {
    uint32_t *token;
    size_t count, capacity;
} owner;

typedef struct reader {
    const rd_text_options *options;
    const rd_model *model;
    const rd_vocabulary *vocabulary;
    const char *whose;
    int32_t ascii[128]; /* token of a character, or -1 */
    rd_names names;
    owner *owners; /* (names.count) */
    size_t owner_capacity;
    rd_dataset d;
} reader;

/* ---- tokens ---- */

static rd_status add_owner(reader *r, const char *name, size_t length, size_t *number, rd_error *err)
{
    int32_t found;
    size_t known = r->names.count;
    rd_status status = RD_OK;
    char *text = strndup(name, length);
    if (text == NULL)
        RD_THROW(RD_ERR_MEMORY, "%s: no memory for a name", r->whose);
    RD_TRY(rd_grow(&r->owners, &r->owner_capacity, known + 1, sizeof *r->owners, "owners", err));
    RD_TRY(rd_names_add(&r->names, text, &found, err));
    if (r->names.count > known)
        r->owners[known] = (owner){NULL, 0, 0};
    *number = (size_t)found;
cleanup:
    free(text);
    return status;
}

static rd_status add_token(owner *o, uint32_t token, rd_error *err)
{
    rd_status status = rd_grow(&o->token, &o->capacity, o->count + 1, sizeof *o->token, "symbols", err);
    if (status == RD_OK)
        o->token[o->count++] = token;
    return status;
}

/* One line and its line break, to the owner. */
static rd_status add_line(reader *r, size_t number, const rd_line *line, rd_error *err)
{
    size_t bytes, column = 1;
    for (size_t i = 0; i < line->length + line->broken; i += bytes, column++) {
        uint32_t code = '\n';
        char symbol[5];
        /* Lines are UTF-8 throughout (core/lines.h). */
        bytes = i < line->length ? rd_utf8_decode(line->text + i, line->length - i, &code) : 1;
        int32_t token = code < 128 ? r->ascii[code] : rd_vocabulary_find(r->vocabulary, code);
        if (token < 0) {
            (void)rd_utf8_encode(code, symbol);
            return rd_fail(err, RD_ERR_DATA,
                           code == '\n'
                               ? "%s: line %zu, column %zu: the line break is not in model.input.vocabulary, which has "
                                 "%zu "
                                 "symbols%.0s"
                               : "%s: line %zu, column %zu: the symbol is not in model.input.vocabulary, which has %zu "
                                 "symbols: '%s'",
                           r->whose, line->number, column, r->vocabulary->count, symbol);
        }
        rd_status status = add_token(&r->owners[number], (uint32_t)token, err);
        if (status != RD_OK)
            return status;
    }
    return RD_OK;
}

static rd_status read_lines(reader *r, const char *text, size_t size, rd_error *err)
{
    bool fresh = true; /* a name may follow */
    size_t speaker = SIZE_MAX;
    rd_lines lines;
    rd_line line;
    rd_status status = rd_lines_open(&lines, text, size, 0, r->whose, err);
    if (status == RD_OK && !r->options->speakers)
        status = add_owner(r, r->whose, strlen(r->whose), &speaker, err);
    while (status == RD_OK && rd_lines_next(&lines, &line)) {
        const char *visible = line.text;
        size_t length = line.length;
        rd_trim(&visible, &length);
        if (!r->options->speakers) {
            status = add_line(r, speaker, &line, err);
        } else if (length == 0) {
            fresh = true;
        } else if (fresh && visible[length - 1] == ':') {
            status = add_owner(r, visible, length - 1, &speaker, err);
            fresh = false;
        } else if (speaker == SIZE_MAX) {
            status = rd_fail(err, RD_ERR_DATA, "%s: line %zu: a line \"NAME:\" was expected, to say who speaks",
                             r->whose, line.number);
        } else {
            fresh = false;
            status = add_line(r, speaker, &line, err);
        }
    }
    return status;
}

/* ---- rows ---- */

/* The owner's symbols of the part that was asked for. */
static void part_of(const reader *r, const owner *o, size_t *first, size_t *count)
{
    size_t testing = (size_t)((double)o->count * r->options->test_share + 0.5);
    *first = r->options->part == RD_TEXT_TEST ? o->count - testing : 0;
    *count = r->options->part == RD_TEXT_ALL    ? o->count
             : r->options->part == RD_TEXT_TEST ? testing
                                                : o->count - testing;
}

static size_t rows_of(const reader *r, size_t count)
{
    size_t T = r->d.features, stride = r->options->stride > 0 ? r->options->stride : T;
    if (r->d.label_count == 1)
        return count > T ? (count - T - 1) / stride + 1 : 0;
    return count > 1 ? (count - 2) / stride + 1 : 0;
}

static rd_status allocate(reader *r, rd_error *err)
{
    rd_dataset *d = &r->d;
    bool bytes = r->vocabulary->count <= 256;
    for (size_t i = 0; i < r->names.count; i++) {
        size_t first, count;
        part_of(r, &r->owners[i], &first, &count);
        d->rows += rows_of(r, count);
    }
    if (d->rows == 0)
        return rd_fail(err, RD_ERR_DATA, "%s: no owner has the %zu symbols that a sample needs", r->whose,
                       d->label_count == 1 ? d->features + 1 : 2);
    if (bytes)
        d->x_u8 = calloc(d->rows, d->features);
    else
        d->x_f32 = calloc(d->rows * d->features, sizeof *d->x_f32);
    d->labels = malloc(d->rows * d->label_count * sizeof *d->labels);
    d->group = malloc(d->rows * sizeof *d->group);
    d->group_names = calloc(r->names.count, sizeof *d->group_names);
    if ((d->x_u8 == NULL && d->x_f32 == NULL) || d->labels == NULL || d->group == NULL || d->group_names == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for %zu windows of %zu symbols", r->whose, d->rows,
                       d->features);
    return RD_OK;
}

/* Row `row` from the symbols at `token`, of which `left` are left. */
static void fill_row(rd_dataset *d, size_t row, const uint32_t *token, size_t left)
{
    size_t T = d->features;
    for (size_t i = 0; i < T && i < left; i++) {
        if (d->x_u8 != NULL)
            d->x_u8[row * T + i] = (uint8_t)token[i];
        else
            d->x_f32[row * T + i] = (float)token[i];
    }
    if (d->label_count == 1)
        d->labels[row] = (int32_t)token[T];
    for (size_t i = 0; i < d->label_count && d->label_count > 1; i++)
        d->labels[row * T + i] = i + 1 < left ? (int32_t)token[i + 1] : -1;
}

static rd_status cut(reader *r, rd_error *err)
{
    rd_dataset *d = &r->d;
    size_t stride = r->options->stride > 0 ? r->options->stride : d->features, row = 0;
    rd_status status = allocate(r, err);
    for (size_t i = 0; i < r->names.count && status == RD_OK; i++) {
        size_t first, count;
        part_of(r, &r->owners[i], &first, &count);
        size_t rows = rows_of(r, count);
        if (rows == 0)
            continue; /* he says too little to be a client */
        d->group_names[d->group_count] = strdup(r->names.name[i]);
        if (d->group_names[d->group_count++] == NULL)
            status = rd_fail(err, RD_ERR_MEMORY, "%s: no memory for names", r->whose);
        for (size_t k = 0; k < rows; k++, row++) {
            d->group[row] = (int32_t)d->group_count - 1;
            fill_row(d, row, r->owners[i].token + first + k * stride, count - k * stride);
        }
    }
    return status;
}

static rd_status prepare(reader *r, const rd_model *m, rd_error *err)
{
    if (m == NULL)
        return rd_fail(err, RD_ERR_CONFIG,
                       "%s: a text becomes samples only where the model is known; for a client, rondo-sim "
                       "partition writes them to a file",
                       r->whose);
    r->vocabulary = rd_model_vocabulary(m);
    if (r->vocabulary == NULL)
        return rd_fail(err, RD_ERR_CONFIG,
                       "%s: a text needs a model whose input lists symbols: \"input\": {\"tokens\": T, "
                       "\"vocabulary\": \"abc...\"}",
                       r->whose);
    for (uint32_t c = 0; c < 128; c++)
        r->ascii[c] = rd_vocabulary_find(r->vocabulary, c);
    r->d.features = rd_model_input_size(m);
    r->d.rank = 1;
    r->d.shape[0] = r->d.features;
    r->d.tokens = true;
    r->d.classes = r->vocabulary->count;
    r->d.label_count = rd_model_predictions(m);
    return RD_OK;
}

rd_status rd_text_read(rd_input *in, const rd_text_options *options, const rd_model *m, rd_dataset *out, rd_error *err)
{
    rd_status status = RD_OK;
    char *text = NULL;
    size_t size = 0;
    reader r = {.options = options, .model = m, .whose = in->name};
    memset(out, 0, sizeof *out);
    RD_TRY(prepare(&r, m, err));
    RD_TRY(rd_input_read_all(in, &text, &size, err));
    RD_TRY(read_lines(&r, text, size, err));
    RD_TRY(cut(&r, err));
    *out = r.d;
    memset(&r.d, 0, sizeof r.d);
cleanup:
    for (size_t i = 0; i < r.names.count && r.owners != NULL; i++)
        free(r.owners[i].token);
    free(r.owners);
    rd_names_free(&r.names);
    rd_dataset_free(&r.d);
    free(text);
    return status;
}
