/* schema.h: what the columns and classes of a run's tables mean, for every file that has a part in it.
 *
 * What only the whole run can know (which columns there are and in which order, the words of a category, the
 * number of a class, the mean by which a column is scaled) is said here once: by run.json "data.schema", or, as far
 * as that is silent, by an agreement of all who bring a table (describe.h, statistics.h). Whoever reads a table reads
 * it through the settled schema (encode.h): clients, data.test, data.root, the simulator, predict and forgetting.
 *
 *   given    what run.json says; anything may be left open
 *   agreed   columns, words and classes are known; means may be open
 *   settled  nothing is open */
#ifndef RONDO_DATA_SCHEMA_H
#define RONDO_DATA_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "data/names.h"

/* In each of these 0 stands for "not said". */
typedef enum rd_column_type {
    RD_COLUMN_OPEN = 0,
    RD_COLUMN_NUMBER,
    RD_COLUMN_CATEGORY, /* one of some words */
    RD_COLUMN_IGNORED,
} rd_column_type;

typedef enum rd_missing_rule {
    RD_MISSING_OPEN = 0,
    RD_MISSING_REFUSE,    /* the file is refused; the default */
    RD_MISSING_CONSTANT,  /* `filler`, or `filler_word` */
    RD_MISSING_MEAN,      /* of a number: the mean over all clients, `filler` once it is known */
    RD_MISSING_CATEGORY,  /* of a category: a word of its own, behind the others */
    RD_MISSING_LEAVE_OUT, /* the row is left out, and counted */
} rd_missing_rule;

typedef enum rd_scale_rule {
    RD_SCALE_OPEN = 0,
    RD_SCALE_NONE,     /* as it stands; the default */
    RD_SCALE_STANDARD, /* (x - low) / high with low the mean and high the population deviation over all clients */
    RD_SCALE_MINMAX,   /* (x - low) / (high - low) with the least and the largest value of all clients */
} rd_scale_rule;

typedef enum rd_encoding {
    RD_ENCODING_ONE_HOT = 0, /* a category of W words becomes W features, one of them 1 */
    RD_ENCODING_TOKEN, /* it becomes one token, for a model that begins with an embedding; tokens of several columns
                          are numbered one behind the other */
} rd_encoding;

typedef struct rd_column {
    char *name; /* owned; the heading; NULL: the table has none, the place counts. The label's: a name or a position */
    rd_column_type type;
    rd_names words; /* of a category, in their order; the label's: its classes */
    bool words_known;
    rd_encoding encoding;
    bool unseen_is_missing; /* a word that is not in the list counts as missing; else it is refused */
    rd_missing_rule missing;
    double filler;
    char *filler_word; /* owned */
    bool filler_known;
    rd_scale_rule scale;
    double low, high;
    bool mean_known; /* RD_SCALE_STANDARD: low is, high may be open */
    bool scale_known;
} rd_column;

typedef struct rd_schema {
    rd_column *columns; /* (column_count) owned; in the order of the features, ignored ones among them */
    size_t column_count, column_capacity;
    bool columns_known;
    rd_column label; /* RD_COLUMN_CATEGORY: classes; RD_COLUMN_NUMBER: a target */
    bool numbered;   /* the classes are whole numbers from 0, as they stand */
    char *group;     /* owned; the column that names a row's owner, no feature; NULL: none */
    rd_names missing_words;
    bool missing_words_known;
    rd_scale_rule scale;     /* of number columns that do not say their own */
    rd_missing_rule missing; /* alike, of all columns */
} rd_schema;

/* A zeroed schema leaves everything open. */
void rd_schema_free(rd_schema *s);
rd_status rd_schema_copy(const rd_schema *from, rd_schema *to, rd_error *err) RD_MUST_CHECK;
/* NULL where the usual words count. */
const rd_names *rd_schema_missing_words(const rd_schema *s);

/* Is nothing open? A schema without columns, of a run without tables, is settled, too, once columns_known is set. */
bool rd_schema_is_settled(const rd_schema *s);
/* Is column i (the label: column_count) still to be measured? step 1: its mean or its extremes; 2: its deviation from
 * a mean that is known (statistics.h). */
bool rd_schema_measures(const rd_schema *s, size_t i, int step);
/* The next step: 1, 2, or 0 where nothing is to be measured. */
int rd_schema_step(const rd_schema *s);

/* What a column becomes: 0 of an ignored one. */
size_t rd_column_width(const rd_column *c);
/* The sum of them: D. */
size_t rd_schema_features(const rd_schema *s);
/* Do the columns become tokens? Of how many symbols, then? */
bool rd_schema_tokens(const rd_schema *s, size_t *symbols);

/* A scaled value in the units of the column. */
double rd_column_unscale(const rd_column *c, double z);

/* What class number `c` is called: its word, or the number itself. */
void rd_schema_class_name(const rd_schema *s, size_t c, char *text, size_t size);

/* ---- for those who make schemas ---- */

/* Appends a column of that name (NULL: none). *out stays valid until the next one. */
rd_status rd_schema_add_column(rd_schema *s, const char *name, rd_column **out, rd_error *err) RD_MUST_CHECK;
/* Appends so many more columns like the last one, which has no name. */
rd_status rd_schema_repeat_column(rd_schema *s, size_t more, rd_error *err) RD_MUST_CHECK;
/* Two columns without a name that are numbers treated alike? */
bool rd_columns_are_alike(const rd_column *a, const rd_column *b);
/* Sets *text to a copy; NULL: to nothing. */
rd_status rd_schema_set_text(char **text, const char *value, rd_error *err) RD_MUST_CHECK;

#endif
