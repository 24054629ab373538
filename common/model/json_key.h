/* json_key.h: keys of a JSON object, read with errors that say where: "model.layers[1].units: expected a
 * whole number from 1 to 16777216, found -3".
 *
 * All failures are RD_ERR_CONFIG. */
#ifndef RONDO_MODEL_JSON_KEY_H
#define RONDO_MODEL_JSON_KEY_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

#define RD_JSON_PATH_MAX 96

/* A value of the file, and its place there, for messages. */
typedef struct rd_json_node {
    const cJSON *json;
    const char *path; /* "model.layers[1]" */
} rd_json_node;

/* Fails unless the node is an object. */
rd_status rd_json_key_object(rd_json_node at, rd_error *err) RD_MUST_CHECK;

/* Fails where the object has a key twice, or one that is neither in common nor in own (both end with NULL;
 * own may be NULL). */
rd_status rd_json_key_known(rd_json_node at, const char *const *common, const char *const *own,
                            rd_error *err) RD_MUST_CHECK;

/* A whole number, min <= *out <= max; the key must be there. */
rd_status rd_json_key_whole(rd_json_node at, const char *key, size_t min, size_t max, size_t *out,
                            rd_error *err) RD_MUST_CHECK;

/* A number, min <= *out <= max; a missing key means fallback. */
rd_status rd_json_key_number(rd_json_node at, const char *key, double min, double max, double fallback, double *out,
                             rd_error *err) RD_MUST_CHECK;

/* true or false; a missing key means fallback. */
rd_status rd_json_key_bool(rd_json_node at, const char *key, bool fallback, bool *out, rd_error *err) RD_MUST_CHECK;

/* A whole number, which then counts twice, or a list of two of them ("kernel": 3, "kernel": [3, 5]); a missing key
 * means fallback, unless that is 0: then the key must be there. */
rd_status rd_json_key_pair(rd_json_node at, const char *key, size_t min, size_t max, size_t fallback, size_t out[2],
                           rd_error *err) RD_MUST_CHECK;

/* A text; *out points into the object, or is NULL where the key is missing. */
rd_status rd_json_key_text(rd_json_node at, const char *key, const char **out, rd_error *err) RD_MUST_CHECK;

/* A text that must be one of names (ends with NULL); *out is its index. A missing key means names[fallback];
 * with fallback < 0 the key must be there. */
rd_status rd_json_key_choice(rd_json_node at, const char *key, const char *const *names, int fallback, size_t *out,
                             rd_error *err) RD_MUST_CHECK;

#endif
