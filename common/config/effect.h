/* effect.h: keys of run.json that would have no effect beside the others. Each is refused: whoever writes a key means
 * something by it. A default that is written out is none of them. For config.c. */
#ifndef RONDO_CONFIG_EFFECT_H
#define RONDO_CONFIG_EFFECT_H

#include "config/config.h"

/* m is planned. RD_ERR_CONFIG names the key, and when it has a meaning. */
rd_status rd_config_check_effect(const rd_config *c, const rd_model *m, rd_error *err) RD_MUST_CHECK;

#endif
