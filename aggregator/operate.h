/* operate.h: what an operator does over the wire: POST /v1/tokens and POST /v1/revocations (PROTOCOL.md).
 *
 * What it may do is bounded, for its certificate lies on another machine: it makes and unmakes clients and observers. Operators
 * are made and unmade by the commands `token` and `revoke` on the aggregator's own machine. */
#ifndef RONDO_AGGREGATOR_OPERATE_H
#define RONDO_AGGREGATOR_OPERATE_H

#include "call.h"

void rd_operate_give_token(rd_call *c);
void rd_operate_revoke(rd_call *c);

#endif
