/* fields.h: reading the keys of a JSON object, strictly. Each reader names the key with its path
 * ("training.epochs"), what was expected and what was found; rd_fields_finish refuses keys that nobody asked
 * for. */
#ifndef RONDO_CONFIG_FIELDS_H
#define RONDO_CONFIG_FIELDS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define RD_FIELDS_MOST 32

/* One object while it is being read. The first failure stays in err, and later readers do nothing, so that a
 * list of them needs one check at its end.
 *
 * What a key comes to, given or left to its default, is known to its reader alone. So each reader writes it
 * down in `settled`: two files that settle to the same tree mean the same run. */
typedef struct rd_fields {
    const cJSON *object; /* NULL: the section is absent, every key has its default */
    cJSON *settled;      /* the values that have been read, by key; NULL: nobody wants to know */
    const char *whose;   /* "run.json" */
    const char *path;    /* "training", or "" at the top */
    const char *asked[RD_FIELDS_MOST];
    size_t asked_count;
    const char *missing; /* the first required key that is absent */
    rd_status status;
    rd_error *err;
} rd_fields;

/* Starts reading parent's key `name` (an object, or absent). A section in which nothing is settled means the
 * same as none. */
rd_fields rd_fields_section(rd_fields *parent, const char *name, const char *path);

/* Readers leave *out alone where the key is absent. A number other than 0 that single precision would round to 0 is
 * refused: what is computed with it is computed in that. */
void rd_fields_number(rd_fields *f, const char *key, double min, double max, bool min_excluded, double *out);
void rd_fields_count(rd_fields *f, const char *key, uint64_t min, uint64_t max, uint64_t *out);
void rd_fields_bool(rd_fields *f, const char *key, bool *out);
void rd_fields_text(rd_fields *f, const char *key, char *out, size_t size);
/* One of the words; *out becomes its index. */
void rd_fields_choice(rd_fields *f, const char *key, const char *const *words, size_t word_count, int *out);
/* The item itself, or NULL; `object` demands an object. It is settled as it stands. */
const cJSON *rd_fields_item(rd_fields *f, const char *key, bool object);
/* For readers of their own: the key comes to this value, which is taken over; NULL: no memory for it. */
void rd_fields_settle(rd_fields *f, const char *key, cJSON *value);
/* All that has been read means the same as if the section were absent. */
void rd_fields_settle_nothing(rd_fields *f);
/* The key must be there. Reported by rd_fields_finish, after unknown keys: a slip of the finger explains a
 * missing key. */
void rd_fields_require(rd_fields *f, const char *key);
bool rd_fields_has(const rd_fields *f, const char *key);
/* A key that has no meaning here: `when` says when it has. */
void rd_fields_only(rd_fields *f, const char *key, bool allowed, const char *when);
/* A failure of the reader's own about a key. */
void rd_fields_fail(rd_fields *f, const char *key, const char *expected);
/* The same about item i of its array. */
void rd_fields_fail_at(rd_fields *f, const char *key, size_t i, const char *expected);

/* The first failure of all, a missing or repeated key included: for objects in which unknown keys are
 * allowed.
 */
rd_status rd_fields_required(rd_fields *f);

/* Refuses unknown keys, too, and returns the first failure of all. */
rd_status rd_fields_finish(rd_fields *f);

#endif
