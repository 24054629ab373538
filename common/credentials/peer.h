/* peer.h: what is known of a certificate that the other side has shown: enough to recognise it, and to know when it ends.
 * Nothing here belongs to a TLS library, so it may be kept as long as the connection, and longer. */
#ifndef RONDO_CREDENTIALS_PEER_H
#define RONDO_CREDENTIALS_PEER_H

#include <stdbool.h>

#include "core/crypto.h"

#define RD_PEER_NAME_MAX 128  /* a client's name and the end of the string */
#define RD_PEER_SERIAL_MAX 65 /* hexadecimal digits of a serial number of 32 bytes; RFC 5280 has 20 at most */

typedef struct rd_peer {
    char name[RD_PEER_NAME_MAX];     /* the common name; "": no certificate was shown */
    char serial[RD_PEER_SERIAL_MAX]; /* lower-case hexadecimal, without zeros in front */
    char fingerprint[RD_SHA256_HEX]; /* SHA-256 of the certificate's DER */
    double not_before, not_after;    /* seconds since 1970 */
} rd_peer;

#endif
