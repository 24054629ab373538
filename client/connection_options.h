/* connection_options.h: the options by which a command line says with whom to speak, and under which certificate. */
#ifndef RONDO_CLIENT_CONNECTION_OPTIONS_H
#define RONDO_CLIENT_CONNECTION_OPTIONS_H

#include "address.h"
#include "core/options.h"
#include "transport.h"

/* Zeroed: nothing is given. */
typedef struct rd_connection_options {
    const char *aggregator, *ca, *cert, *key, *passphrase, *proxy;
} rd_connection_options;

/* Rows of a table of options; o is an rd_connection_options, whose: "this client". */
/* clang-format off */
#define RD_CONNECTION_OPTIONS(o, cert_help, whose) \
    RD_AGGREGATOR_OPTION(&(o)->aggregator), \
    {RD_OPTION_TEXT, "ca", "FILE", "certificate of the authority that signed the aggregator's certificate", &(o)->ca, \
     true, 0, 0}, \
    {RD_OPTION_TEXT, "cert", "FILE", cert_help, &(o)->cert, true, 0, 0}, \
    {RD_OPTION_TEXT, "key", "FILE", "private key of " whose, &(o)->key, true, 0, 0}, \
    {RD_OPTION_TEXT, "key-passphrase-file", "FILE", \
     "its first line is the pass phrase of --key; default: a plain key", &(o)->passphrase, false, 0, 0}, \
    RD_PROXY_OPTION(&(o)->proxy)
#define RD_AGGREGATOR_OPTION(to) \
    {RD_OPTION_TEXT, "aggregator", "URL", "https://HOST:PORT of the aggregator", to, true, 0, 0}
#define RD_PROXY_OPTION(to) \
    {RD_OPTION_TEXT, "proxy", "URL", \
     "HTTP proxy (CONNECT) on the way to the aggregator, or 'none'; default: what https_proxy and no_proxy in the " \
     "environment say", to, false, 0, 0}
/* clang-format on */

/* What they say of the transport; all else of it is zero. */
static inline rd_transport_options rd_connection_transport(const rd_connection_options *o)
{
    return (rd_transport_options){
        .url = o->aggregator, .files = {o->ca, o->cert, o->key, o->passphrase}, .proxy = rd_proxy_address(o->proxy)};
}

#endif
