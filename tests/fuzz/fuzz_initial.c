/* A file to start from ("initial"), read as every kind of map that run.json may give; the first byte chooses. What is
 * accepted are parameters that a client takes, and nothing behind them is written. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory_file.h"
#include "run/initial.h"

enum { PARAMETERS = 11 };

static const char layout[] = "{\"input\": 3, \"loss\": \"mse\", \"layers\": ["
                             "{\"type\": \"dense\", \"units\": 2}, {\"type\": \"dense\", \"units\": 1}]}";

static const char *const maps[] = {NULL, "{\"a\": \"fc1.weight\", \"b\": \"fc1.bias\"}", "{\"*\": null}",
                                   "{\"a*\": null, \"a\": \"fc2.bias\"}"};

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count < 1)
        return 0;
    rd_initial_config config = {.partial = (bytes[0] & 4) != 0};
    rd_model *m = NULL;
    rd_error err = {RD_OK, ""};
    char report[RD_INITIAL_REPORT_MAX];
    float *parameters = calloc(PARAMETERS, sizeof *parameters); /* of its own, so that a sanitizer sees its end */
    cJSON *section = cJSON_Parse(layout);
    check(parameters != NULL && section != NULL && rd_model_create(section, &m, &err) == RD_OK);
    const char *map = maps[bytes[0] % 4];
    config.map = map != NULL ? cJSON_Parse(map) : NULL;
    int fd = memory_file(bytes + 1, count - 1, config.path);
    if (rd_initial_load(&config, m, parameters, report, &err) == RD_OK) {
        for (size_t i = 0; i < PARAMETERS; i++)
            check(fabsf(parameters[i]) < 8388608.0f);
        check(memchr(report, '\0', sizeof report) != NULL && report[0] != '\0');
    } else {
        check(err.status != RD_OK && err.message[0] != '\0');
    }
    close(fd);
    cJSON_Delete(config.map);
    cJSON_Delete(section);
    rd_model_free(m);
    free(parameters);
    return 0;
}
