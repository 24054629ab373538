/* data_section.h: the parts of run.json that name files: "data" and "initial". For config.c. */
#ifndef RONDO_CONFIG_DATA_SECTION_H
#define RONDO_CONFIG_DATA_SECTION_H

#include "config/config.h"
#include "config/fields.h"

/* Paths have been resolved (paths.h). */
rd_status rd_config_read_data(rd_fields *top, rd_data_config *d) RD_MUST_CHECK;
/* The model's loss says whether the label is a class or a target. RD_ERR_CONFIG where run.json says otherwise. */
rd_status rd_config_settle_label(rd_data_config *d, const rd_model *m, rd_error *err) RD_MUST_CHECK;
rd_status rd_config_read_initial(rd_fields *top, rd_initial_config *c) RD_MUST_CHECK;

#endif
