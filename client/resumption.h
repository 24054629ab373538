/* resumption.h: lets libcurl come back to the aggregator with a session ticket. */
#ifndef RONDO_CLIENT_RESUMPTION_H
#define RONDO_CLIENT_RESUMPTION_H

#include <curl/curl.h>

/* Once for each handle. Where it can do nothing (libcurl with another TLS library than OpenSSL 3), connections are made with
 * a handshake in full. */
void rd_resumption_allow(CURL *curl);

#endif
