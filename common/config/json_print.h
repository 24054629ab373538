/* json_print.h: JSON in which every number is what it was. cJSON itself is content with 15 digits: the seed
 * 9007199254740991 would reach clients as 9007199254740990, and they would draw other random numbers. */
#ifndef RONDO_CONFIG_JSON_PRINT_H
#define RONDO_CONFIG_JSON_PRINT_H

#include <cjson/cJSON.h>

/* The item as text of the caller's to free, without spaces; NULL when memory is short. */
char *rd_json_print(const cJSON *item);

#endif
