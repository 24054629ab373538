/* evaluation_section.h: run.json "evaluation" and "early_stopping": what is measured, and when that ends a run. For
 * config.c. */
#ifndef RONDO_CONFIG_EVALUATION_SECTION_H
#define RONDO_CONFIG_EVALUATION_SECTION_H

#include "config/config.h"
#include "config/fields.h"

rd_status rd_config_read_evaluation(rd_fields *top, rd_evaluation_config *e) RD_MUST_CHECK;
/* e: what has been read of "evaluation". */
rd_status rd_config_read_early_stopping(rd_fields *top, const rd_evaluation_config *e,
                                        rd_early_stopping *s) RD_MUST_CHECK;
/* Does such a model have what is to be measured? RD_ERR_CONFIG names the key. */
rd_status rd_config_check_evaluation(const rd_evaluation_config *e, const rd_early_stopping *s, const rd_model *m,
                                     rd_error *err) RD_MUST_CHECK;

#endif
