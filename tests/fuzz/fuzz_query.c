/* The query of a request: a number that is taken is the one that stands there last, found by another way of looking. */
#include <stdlib.h>
#include <string.h>

#include "query.h"

static void check(int holds)
{
    if (!holds)
        abort();
}

/* By strtoull on what stands behind the last "wait=", which is digits alone. */
static uint64_t last_number(char *query, uint64_t otherwise)
{
    char *rest = NULL;
    for (char *part = strtok_r(query, "&", &rest); part != NULL; part = strtok_r(NULL, "&", &rest)) {
        if (strncmp(part, "wait=", 5) != 0)
            continue;
        check(part[5] != '\0' && strspn(part + 5, "0123456789") == strlen(part + 5));
        otherwise = strtoull(part + 5, NULL, 10);
    }
    return otherwise;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    uint64_t found = 30;
    rd_error err = {RD_OK, ""};
    char *query = calloc(count + 1, 1);
    check(query != NULL);
    if (count > 0)
        memcpy(query, bytes, count);
    rd_status status = rd_query_count(query, "wait", &found, &err);
    if (status == RD_OK)
        check(found <= INT64_MAX && found == last_number(query, 30));
    else
        check(status == RD_ERR_FORMAT && strncmp(err.message, "wait: ", 6) == 0);
    free(query);
    return 0;
}
