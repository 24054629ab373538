/* steps.c: the steps of a round, see step.h. */
#include "round/step.h"

const rd_step rd_step_train = {.name = "train", .counts = true};

const rd_step *const rd_round_steps[] = {&rd_step_train, NULL};
