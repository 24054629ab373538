/* initial.h: parameters to start from, out of any safetensors file ("initial" in run.json):
 *
 *     "initial": {"path": "pretrained.safetensors", "map": {"transformer.wte.weight": "embedding1.weight",
 * "head.*": null}}
 *
 * A tensor of the file belongs to the tensor of the model that has its name, or the one that "map" gives for
 * its name; null leaves it out, and there the key may hold * and ?. F32, F64, F16 and BF16 are read. What the
 * file does not have keeps its random start, unless it is frozen: then it must be there. */
#ifndef RONDO_RUN_INITIAL_H
#define RONDO_RUN_INITIAL_H

#include "config/config.h"
#include "core/error.h"
#include "model/model.h"

/* Does nothing where no path is given. RD_ERR_DATA names the tensor and both shapes. */
rd_status rd_initial_load(const rd_initial_config *config, const rd_model *m, float *parameters,
                          rd_error *err) RD_MUST_CHECK;

#endif
