/* first_schema.h: a first data.schema out of one file, for people to edit. */
#ifndef RONDO_CONFIG_FIRST_SCHEMA_H
#define RONDO_CONFIG_FIRST_SCHEMA_H

#include "core/error.h"
#include "data/source.h"

/* *json: names, types, words and classes as they are in this table, over several lines; free(). A label of words or
 * whole numbers is a class, another number a target. RD_ERR_USAGE: source is no table. */
rd_status rd_first_schema(const rd_source *source, char **json, rd_error *err) RD_MUST_CHECK;

#endif
