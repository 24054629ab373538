/* check_config.c: reads paths of run.json files, one a line, and answers each with a line: "ok", or why it is refused. For
 * test_schema.py, which has thousands of them. */
#include <stdio.h>
#include <string.h>

#include "config/config.h"

int main(void)
{
    char path[4096];
    while (fgets(path, sizeof path, stdin) != NULL) {
        rd_config config;
        rd_error err = {0};
        path[strcspn(path, "\n")] = '\0';
        rd_status status = rd_config_load(path, &config, &err);
        printf("%s\n", status == RD_OK ? "ok" : err.message);
        if (status == RD_OK)
            rd_config_free(&config);
    }
    return 0;
}
