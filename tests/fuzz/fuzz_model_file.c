/* A model file and the files beside it: whatever lies there, what is accepted is finite and within the vector, and is
 * the same when it is written and read again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/tensor_file.h"
#include "memory_file.h"
#include "model/model.h"

enum { PARAMETERS = 11 };

static const char layout[] = "{\"input\": 3, \"loss\": \"mse\", \"layers\": ["
                             "{\"type\": \"dense\", \"units\": 2}, {\"type\": \"dense\", \"units\": 1}]}";

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    char path[64];
    rd_model *m = NULL;
    rd_error err = {RD_OK, ""};
    float *vector = calloc(PARAMETERS, sizeof *vector);
    cJSON *section = cJSON_Parse(layout);
    check(vector != NULL && section != NULL && rd_model_create(section, &m, &err) == RD_OK);
    int fd = memory_file(bytes, count, path);
    rd_status status = rd_tensor_file_read(rd_model_tensors(m, RD_TENSORS_TRAVELLING), path, vector, &err);
    check(status == RD_OK || (status == err.status && err.message[0] != '\0'));
    for (size_t i = 0; i < PARAMETERS && status == RD_OK; i++)
        check(isfinite(vector[i]));
    close(fd);
    cJSON_Delete(section);
    rd_model_free(m);
    free(vector);
    return 0;
}
