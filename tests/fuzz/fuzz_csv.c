/* CSV: the first byte chooses the options, the rest is the table, which is a run of its own. */
#include <string.h>

#include "../unit/table_alone.h"
#include "dataset_holds.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_dataset d;
    rd_error err;
    if (count < 1)
        return 0;
    const uint8_t options = bytes[0];
    rd_source source = {.path = "table",
                        .heading = options & 1    ? RD_YES
                                   : options & 64 ? RD_NO
                                                  : RD_UNSAID,
                        .separator = options & 8 ? '\t' : '\0'};
    const rd_schema given = {.label.type = options & 2 ? RD_COLUMN_NUMBER : RD_COLUMN_CATEGORY,
                             .scale = options & 4 ? RD_SCALE_STANDARD : RD_SCALE_MINMAX,
                             .missing = options & 128 ? RD_MISSING_LEAVE_OUT : RD_MISSING_MEAN};
    strcpy(source.label_column, options & 16 ? "y" : "-1");
    strcpy(source.group_column, options & 32 ? "0" : "");
    dataset_holds(table_alone((const char *)bytes + 1, count - 1, &source, &given, &d, NULL, &err), &d);
    return 0;
}
