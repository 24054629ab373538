/* record_json.h: a round's record as JSON, the same in GET /v1/rounds and `rondo-inspect rounds --jsonl`. */
#ifndef RONDO_STORE_RECORD_JSON_H
#define RONDO_STORE_RECORD_JSON_H

#include <cjson/cJSON.h>

#include "store/store.h"

/* An object of the caller's; NULL when memory is short. What was not measured is null. */
cJSON *rd_round_record_json(const rd_round_record *r);

#endif
