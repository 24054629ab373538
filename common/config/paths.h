/* paths.h: every key of run.json that names a file, in one table. A path is relative to the folder of run.json; whoever
 * reads one, or moves a run.json elsewhere, has it resolved here. */
#ifndef RONDO_CONFIG_PATHS_H
#define RONDO_CONFIG_PATHS_H

#include <cjson/cJSON.h>

#include "core/error.h"

/* Makes all paths in run.json absolute, or relative to what folder is relative to. RD_ERR_MEMORY. */
rd_status rd_config_resolve_paths(cJSON *run, const char *folder, rd_error *err) RD_MUST_CHECK;

#endif
