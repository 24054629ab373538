/* initial.h: parameters to start from, out of any safetensors file ("initial" in run.json):
 *
 *     "initial": {"path": "pretrained.safetensors", "map": {"transformer.wte.weight": "embedding1.weight",
 *                 "head.*": null}, "partial": true}
 *
 * A tensor of the file belongs to the tensor of the model that has its name, or the one that "map" gives for
 * its name; null leaves it out, whatever it holds, and there the key may hold * and ?; a name that stands there in full
 * goes before. F32, F64, F16 and BF16 are read.
 *
 * Nobody looks at these numbers again before they are published to every client, so all is checked here: each value
 * must be one that a client takes (rd_exact_find_unfit), no two tensors may be for the same one, no entry of the map
 * may be without use, and the file must have every tensor of the model. With "partial" it may lack some, which keep
 * their random start, but none that is frozen. Low-rank changes (model.fine_tuning.lora) may always be absent: they
 * start at zero, so the model is the file's. */
#ifndef RONDO_RUN_INITIAL_H
#define RONDO_RUN_INITIAL_H

#include "config/config.h"
#include "core/error.h"
#include "model/model.h"

#define RD_INITIAL_REPORT_MAX 900

/* Does nothing where no path is given. report says what came from where: "4 tensors taken from x.safetensors; at
 * random: fc2.bias; left out: ids"; empty where no path is given. RD_ERR_DATA names the tensor and what was expected;
 * parameters may then hold some of the file. */
rd_status rd_initial_load(const rd_initial_config *config, const rd_model *m, float *parameters,
                          char report[RD_INITIAL_REPORT_MAX], rd_error *err) RD_MUST_CHECK;

#endif
