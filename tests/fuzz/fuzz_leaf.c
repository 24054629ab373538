/* LEAF: the JSON of one file. */
#include "data/parse.h"
#include "dataset_holds.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_dataset d;
    rd_error err;
    dataset_holds(rd_leaf_parse((const char *)bytes, count, "users", NULL, &d, &err), &d);
    return 0;
}
