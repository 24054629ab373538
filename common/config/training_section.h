/* training_section.h: run.json "training": what clients do with their samples in a round. For config.c. */
#ifndef RONDO_CONFIG_TRAINING_SECTION_H
#define RONDO_CONFIG_TRAINING_SECTION_H

#include "config/fields.h"
#include "train/local_round.h"

/* But for schedule.rounds. */
rd_status rd_config_read_training(rd_fields *top, rd_training *t) RD_MUST_CHECK;
/* What is asked of the training of this model, but makes no sense for it, or is missing. RD_ERR_CONFIG names the
 * key. */
rd_status rd_config_check_training(const rd_training *t, const rd_model *m, rd_error *err) RD_MUST_CHECK;

#endif
