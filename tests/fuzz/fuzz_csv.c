/* CSV: the first byte chooses the options, the rest is the table. */
#include <string.h>

#include "data/parse.h"
#include "dataset_holds.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_dataset d;
    rd_error err;
    if (count < 1)
        return 0;
    const uint8_t options = bytes[0];
    rd_source source = {.header = options & 1,
                        .regression = options & 2,
                        .standardise = options & 4,
                        .separator = options & 8 ? '\t' : ','};
    strcpy(source.label_column, options & 16 ? "y" : "-1");
    strcpy(source.group_column, options & 32 ? "0" : "");
    char *text = malloc(count);
    if (text == NULL)
        return 0;
    memcpy(text, bytes + 1, count - 1);
    dataset_holds(rd_csv_parse(text, count - 1, "table", &source, &d, &err), &d);
    free(text);
    return 0;
}
