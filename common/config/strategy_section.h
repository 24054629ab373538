/* strategy_section.h: the parts of run.json that say how updates become a model: "strategy", and
 * "personalisation". For config.c. */
#ifndef RONDO_CONFIG_STRATEGY_SECTION_H
#define RONDO_CONFIG_STRATEGY_SECTION_H

#include "config/config.h"
#include "config/fields.h"

rd_status rd_config_read_strategy(rd_fields *top, rd_strategy *s) RD_MUST_CHECK;
rd_status rd_config_read_personalisation(rd_fields *top, rd_personalisation *p) RD_MUST_CHECK;
/* What the strategy asks of the rest of run.json; the model is planned. RD_ERR_CONFIG names the key. */
rd_status rd_config_check_strategy(const rd_config *c, const rd_model *m, rd_error *err) RD_MUST_CHECK;

#endif
