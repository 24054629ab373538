/* A client's data file whose name says nothing: what it is its first bytes say, plain or gzipped, and it goes to the
 * reader of that. What is read is a set of samples as any other; what is not is refused with its name. */
#include <stdlib.h>
#include <string.h>

#include "data/kind.h"
#include "data/source.h"
#include "dataset_holds.h"
#include "memory_file.h"

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const rd_source_format formats[] = {RD_SOURCE_IDX, RD_SOURCE_CSV, RD_SOURCE_LEAF, RD_SOURCE_SAFETENSORS,
                                               RD_SOURCE_TEXT};
    char path[64];
    rd_source source;
    rd_dataset data;
    rd_error err = {RD_OK, ""};
    int fd = memory_file(bytes, count, path);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        check(rd_kind_check(path, formats[i], &err) == RD_OK || strncmp(err.message, path, strlen(path)) == 0);
    rd_status status = rd_source_from_path(path, &source, &err);
    check(status == RD_OK || (status == RD_ERR_DATA && strncmp(err.message, path, strlen(path)) == 0));
    if (status == RD_OK && (source.format == RD_SOURCE_LEAF || source.format == RD_SOURCE_SAFETENSORS)) {
        status = rd_source_load(&source, NULL, NULL, false, &data, &err);
        check(status == RD_OK || err.message[0] != '\0');
        dataset_holds(status, &data);
    }
    close(fd);
    return 0;
}
