/* paths.c: see paths.h. */
#include "config/paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 3 };

static const char *const places[][DEEPEST] = {
    {"data", "train", "path"}, {"data", "train", "labels"}, {"data", "test", "path"}, {"data", "test", "labels"},
    {"data", "root", "path"},  {"data", "root", "labels"},  {"initial", "path"},      {"simulation", "system", "trace"},
};

static rd_status resolve(cJSON *object, const char *key, const char *folder, rd_error *err)
{
    const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    if (path == NULL || path[0] == '/' || path[0] == '\0') /* what is wrong with it, its reader tells */
        return RD_OK;
    size_t size = strlen(folder) + strlen(path) + 2;
    char *whole = malloc(size);
    cJSON *item = NULL;
    if (whole != NULL) {
        (void)snprintf(whole, size, "%s/%s", folder, path);
        item = cJSON_CreateString(whole);
    }
    free(whole);
    if (item != NULL && cJSON_ReplaceItemInObjectCaseSensitive(object, key, item))
        return RD_OK;
    cJSON_Delete(item);
    return rd_fail(err, RD_ERR_MEMORY, "no memory for a path");
}

rd_status rd_config_resolve_paths(cJSON *run, const char *folder, rd_error *err)
{
    rd_status status = RD_OK;
    for (size_t i = 0; i < sizeof places / sizeof *places && status == RD_OK; i++) {
        cJSON *object = run;
        size_t depth = 0;
        while (depth + 1 < DEEPEST && places[i][depth + 1] != NULL)
            object = cJSON_GetObjectItemCaseSensitive(object, places[i][depth++]);
        status = resolve(object, places[i][depth], folder, err);
    }
    return status;
}
