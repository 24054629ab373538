/* query.c: see query.h. */
#include "query.h"

#include <string.h>

#include "core/number.h"

rd_status rd_query_count(const char *query, const char *name, uint64_t *out, rd_error *err)
{
    const size_t length = strlen(name);
    for (const char *part = query; *part != '\0';) {
        size_t size = strcspn(part, "&");
        uint64_t number;
        if (size > length && strncmp(part, name, length) == 0 && part[length] == '=') {
            if (!rd_number_count(part + length + 1, size - length - 1, &number) || number > INT64_MAX)
                return rd_fail(err, RD_ERR_FORMAT, "%s: expected a whole number, found '%.40s'", name,
                               part + length + 1);
            *out = number;
        }
        part += size + (part[size] == '&');
    }
    return RD_OK;
}
