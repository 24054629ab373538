/* schema_section.h: run.json "data.schema" (data/schema.h), and the same as JSON wherever it travels: to clients, into
 * the state directory, into the metadata of safetensors files.
 *
 *     { "columns": [ { "name": "age", "type": "number", "scale": "standard", "missing": "mean" },
 *                    { "name": "sex", "type": "category", "words": ["f", "m"], "missing": "category" },
 *                    { "name": "id",  "type": "ignored" } ],
 *       "label": { "name": "kind", "classes": ["benign", "malignant"] },
 *       "scale": "none", "missing": "refuse", "missing_words": ["", "NA"], "group": "hospital" }
 *
 * Columns go by their heading, or, without a "name", by their place; { "type": "number", "count": 784 } is so many of
 * them. A settled one has numbers in place of what is measured: "scale": { "mean": 48.25, "deviation": 11.5 } or
 * { "min": 0, "max": 1 }, "missing": { "mean": 48.25 }; run.json may give these, too. */
#ifndef RONDO_CONFIG_SCHEMA_SECTION_H
#define RONDO_CONFIG_SCHEMA_SECTION_H

#include <cjson/cJSON.h>

#include "config/fields.h"
#include "core/error.h"
#include "data/schema.h"

/* Reads parent's key "schema"; an absent one leaves everything open. *out is the caller's to free, whatever comes of
 * it. */
rd_status rd_config_read_schema(rd_fields *parent, rd_schema *out) RD_MUST_CHECK;
/* The same from a text that stands alone. whose starts messages. RD_ERR_CONFIG, RD_ERR_FORMAT: *out is empty. */
rd_status rd_schema_parse_text(const char *text, const char *whose, rd_schema *out, rd_error *err) RD_MUST_CHECK;
/* Adds the words as a list. False: no memory. */
bool rd_words_add_json(cJSON *to, const char *key, const rd_names *words);
/* NULL: no memory. */
cJSON *rd_schema_json(const rd_schema *s);
char *rd_schema_print(const rd_schema *s); /* free() */

#endif
