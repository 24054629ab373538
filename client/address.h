/* address.h: the aggregator's address, checked before anything is tried with it: what is wrong with it would otherwise be
 * reported as trouble of the network, after minutes. */
#ifndef RONDO_CLIENT_ADDRESS_H
#define RONDO_CLIENT_ADDRESS_H

#include "core/error.h"

/* https://HOST:PORT and nothing else. RD_ERR_USAGE says what is wrong with it. */
rd_status rd_address_check(const char *url, rd_error *err) RD_MUST_CHECK;

/* What --proxy says, as rd_transport_options have it: "none" becomes "", and NULL (not given) stays. */
const char *rd_proxy_address(const char *option);

#endif
