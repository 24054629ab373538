/* effect.h: keys of run.json that would have no effect beside the others. Each is refused: whoever writes a key means
 * something by it. A default that is written out is none of them. For config.c. */
#ifndef RONDO_CONFIG_EFFECT_H
#define RONDO_CONFIG_EFFECT_H

#include "config/config.h"

/* m is planned. RD_ERR_CONFIG names the key, and when it has a meaning. */
rd_status rd_config_check_effect(const rd_config *c, const rd_model *m, rd_error *err) RD_MUST_CHECK;

/* "continual: 10 rounds reach 2 of 5 tasks": what is planned for rounds that do not come, unless the run is
 * continued with more of them; else empty. */
void rd_config_say_unreached(const rd_config *c, char *text, size_t size);

#endif
