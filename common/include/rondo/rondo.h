/* rondo.h: all that Rondo offers to other programs. In these headers every function is rd_..., every macro RD_... or
 * RONDO_...; what is not in them is the inside of Rondo and may change with every version. */
#ifndef RONDO_RONDO_H
#define RONDO_RONDO_H

#include "rondo/error.h"
#include "rondo/predictor.h"
#include "rondo/version.h"
#include "rondo/weighted_mean.h"

#endif
