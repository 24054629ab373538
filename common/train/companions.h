/* companions.h: a strategy's companions (round/companion.h) as the tables of tensors that codecs and files go by. */
#ifndef RONDO_TRAIN_COMPANIONS_H
#define RONDO_TRAIN_COMPANIONS_H

#include "model/tensors.h"
#include "round/strategy.h"

/* What goes down (RD_GOES_DOWN) or up (RD_GOES_UP): the tensors that travel, and behind them those of each companion.
 * Without companions it has no tensors: then it is `travelling` alone. The caller frees it. */
rd_status rd_companions_wire_table(rd_tensor_table travelling, const rd_strategy *s, unsigned where,
                                   rd_tensor_table *out, rd_error *err) RD_MUST_CHECK;
/* The server's file: a vector of n for each companion that it keeps; without any it has no tensors. The caller frees
 * it. */
rd_status rd_companions_server_table(const rd_strategy *s, size_t n, rd_tensor_table *out, rd_error *err) RD_MUST_CHECK;

#endif
