/* Sums over tables, as clients tell them before the first round: the first byte says which step. What is accepted can
 * be added up with another client's, settles a schema with numbers that are numbers, and is the same written again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/table_messages.h"
#include "config/schema_section.h"
#include "data/schema.h"

static const char settled[] = "{\"columns\": [{\"name\": \"a\", \"type\": \"number\", \"scale\": \"standard\"}, "
                              "{\"name\": \"b\", \"type\": \"number\", \"scale\": \"minmax\", \"missing\": \"mean\"}, "
                              "{\"name\": \"c\", \"type\": \"number\"}]}";

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_schema schema = {0};
    rd_statistics sums = {0}, again = {0}, all = {0};
    rd_error err = {RD_OK, ""};
    if (count < 1)
        return 0;
    const int step = 1 + bytes[0] % 2;
    char *json = malloc(count);
    check(json != NULL && rd_schema_parse_text(settled, "schema", &schema, &err) == RD_OK);
    memcpy(json, bytes + 1, count - 1);
    rd_status status = rd_statistics_parse(json, count - 1, &schema, step, &sums, &err);
    check(status == RD_OK || (status == RD_ERR_FORMAT && err.message[0] != '\0'));
    if (status == RD_OK) {
        char *text = rd_statistics_write(&sums, &schema, step);
        check(text != NULL && rd_statistics_parse(text, strlen(text), &schema, step, &again, &err) == RD_OK);
        check(rd_statistics_create(&schema, &all, &err) == RD_OK);
        rd_statistics_merge(&all, &sums);
        rd_statistics_merge(&all, &again);
        for (size_t i = 0; i < all.count; i++)
            check(all.columns[i].count == 2 * sums.columns[i].count);
        status = rd_schema_apply(&schema, &all, step, &err);
        check(status == RD_OK || err.message[0] != '\0');
        free(text);
    }
    rd_statistics_free(&sums);
    rd_statistics_free(&again);
    rd_statistics_free(&all);
    rd_schema_free(&schema);
    free(json);
    return 0;
}
