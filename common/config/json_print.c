/* json_print.c: see json_print.h. In a copy of the tree, numbers that cJSON would round become raw text of 17
 * digits, which give back the same double. */
#include "config/json_print.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool keep_digits(cJSON *item)
{
    char text[40];
    if (cJSON_IsNumber(item) && isfinite(item->valuedouble)) {
        (void)snprintf(text, sizeof text, "%.15g", item->valuedouble);
        if (strtod(text, NULL) == item->valuedouble)
            return true;
        (void)snprintf(text, sizeof text, "%.17g", item->valuedouble);
        item->valuestring = strdup(text);
        item->type = cJSON_Raw;
        return item->valuestring != NULL;
    }
    bool kept = true;
    for (cJSON *child = item->child; child != NULL && kept; child = child->next)
        kept = keep_digits(child);
    return kept;
}

char *rd_json_print(const cJSON *item)
{
    cJSON *copy = cJSON_Duplicate(item, true);
    char *text = copy != NULL && keep_digits(copy) ? cJSON_PrintUnformatted(copy) : NULL;
    cJSON_Delete(copy);
    return text;
}
