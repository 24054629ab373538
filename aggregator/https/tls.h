/* tls.h: mutual TLS on a non-blocking socket. One file a library makes it (tls_mbedtls.c); no type of the library is seen
 * here.
 *
 * An rd_tls holds what the connections of one worker share: certificates, settings, random numbers. Each worker makes
 * its own, because libraries cache inside keys and certificates while they use them; so nothing is shared between
 * threads and nothing needs a lock.
 *
 * TLS 1.2; ECDHE over P-256, X25519 or P-384; AEAD only, ChaCha20-Poly1305 first (mbedTLS 2.28: 534 MB/s against 322 MB/s
 * for AES-128-GCM with AES-NI). No renegotiation. Sessions are resumed with tickets (ticket_keys.h). */
#ifndef RONDO_HTTPS_TLS_H
#define RONDO_HTTPS_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "credentials/credentials.h"
#include "credentials/peer.h"
#include "https/ticket_keys.h"

#define RD_TLS_RECORD 16384     /* most plaintext that one record holds */
#define RD_TLS_FIRST_BYTE 0x16u /* with which every TLS handshake begins */

typedef struct rd_tls rd_tls;

/* Reads the files (credentials.h). RD_ERR_CONFIG names the file. */
rd_status rd_tls_create(const rd_credential_files *files, rd_tls **out, rd_error *err) RD_MUST_CHECK;
/* Opens no more sessions. Those that are open keep what they need of it until they are closed, so that certificate and key
 * can be replaced while connections go on. NULL: nothing. */
void rd_tls_free(rd_tls *t);
/* Whoever has shaken hands gets a ticket, and comes back with it: its certificate is known then, was signed by the same
 * authorities, and is checked again but for signatures (name, use, end). keys must outlive t. */
void rd_tls_use_tickets(rd_tls *t, rd_ticket_keys *keys);

/* Who says which certificates are of no use any more. */
typedef struct rd_tls_gate {
    /* Asked of each certificate of a handshake whose signature is right; own: it is the client's, and no authority's. */
    bool (*is_revoked)(const rd_peer *peer, bool own, void *user); /* NULL: none is */
    void *user;
} rd_tls_gate;
void rd_tls_set_gate(rd_tls *t, const rd_tls_gate *gate);
/* Clients without a certificate get through the handshake, too; their name is "". */
void rd_tls_admit_strangers(rd_tls *t);
/* When our own certificate ends, in seconds since 1970. */
double rd_tls_not_after(const rd_tls *t);

/* One connection. */
typedef struct rd_tls_session rd_tls_session;

typedef enum rd_tls_result {
    RD_TLS_OK,
    RD_TLS_WANT_READ,  /* call again, with the same arguments, when the socket is readable */
    RD_TLS_WANT_WRITE, /* the same, when it is writable */
    RD_TLS_CLOSED,     /* the other side ended the connection */
    RD_TLS_FAILED,     /* a violation of the protocol, or a refused handshake */
} rd_tls_result;

/* The session does not own fd. RD_ERR_MEMORY: *out is NULL. */
rd_status rd_tls_session_open(rd_tls *t, int fd, rd_tls_session **out, rd_error *err) RD_MUST_CHECK;
void rd_tls_session_close(rd_tls_session *s); /* NULL: nothing */

/* Who is on the other side, once the handshake is done. */
const rd_peer *rd_tls_session_peer(const rd_tls_session *s);

/* Until RD_TLS_OK. On RD_TLS_FAILED and RD_TLS_CLOSED err tells the operator why, in words. */
rd_tls_result rd_tls_handshake(rd_tls_session *s, rd_error *err);
/* At most size bytes, one record at a time; with a buffer of RD_TLS_RECORD nothing stays behind. */
rd_tls_result rd_tls_read(rd_tls_session *s, void *bytes, size_t size, size_t *count);
/* Something that was decrypted but did not fit is waiting; the socket will not tell. */
bool rd_tls_pending(const rd_tls_session *s);
rd_tls_result rd_tls_write(rd_tls_session *s, const void *bytes, size_t size, size_t *count);
/* Bytes that the system has taken for the socket so far, with all that TLS adds, and of a record that is half written. */
uint64_t rd_tls_sent(const rd_tls_session *s);
/* Tells the other side that nothing more will come; once, without waiting. */
void rd_tls_say_goodbye(rd_tls_session *s);

#endif
