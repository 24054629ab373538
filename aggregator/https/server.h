/* server.h: HTTPS for many clients on a few threads, and nothing that is Rondo's own.
 *
 * Each worker thread runs its own libuv loop; a connection lives on one worker from accept to close, so
 * nothing about it needs a lock. mbedTLS reads and writes the socket directly when uv_poll says it is ready.
 * Mutual TLS is the only way in: TLS 1.2, AEAD suites, ChaCha20-Poly1305 preferred. Who may try is bounded by door.h,
 * chain_guard.h and, in time, by connection.c.
 *
 * A request is shown to the application as an rd_exchange, in calls on the connection's own worker thread:
 *     on_request   the head is complete: answer at once (what follows of a small body is dropped; for a large
 *                  one the connection is closed behind the answer), or park (long poll), or return without
 *                  either to be given the body
 *     on_body      the next bytes of the body, as they arrive; may answer, too
 *     on_complete  the request is complete and not answered: answer now, or park
 *     on_wake      rd_server_wake was called, or the parking time is over (timed_out): answer, or return to
 *                  stay parked (after timed_out: for as long again)
 *     on_close     the exchange is over (answered, failed, or the client went away), once for each
 * on_request: free what user points to
 *
 * Memory per connection: the TLS context (about 40 KB with Debian's mbedTLS), and a 16 KB buffer each way
 * only while something is in it. */
#ifndef RONDO_HTTPS_SERVER_H
#define RONDO_HTTPS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "credentials/credentials.h"
#include "credentials/peer.h"
#include "https/door.h"

/* Bytes a second, from the beginning of a body or an answer on, with idle_seconds in advance. A head has idle_seconds in
 * all, and what a trailer has is the body's. */
#define RD_LEAST_RATE 512

typedef struct rd_server rd_server;
typedef struct rd_exchange rd_exchange;

/* Who is in whose way: each lane has a queue and threads of its own. */
typedef enum rd_lane {
    RD_LANE_ROUND, /* a round waits for it: as many threads as cores */
    RD_LANE_LATER, /* nobody is in a hurry: one thread, behind all others wherever cores are short */
    RD_LANE_SIGN,  /* another program may be waited for: one thread */
    RD_LANES
} rd_lane;

typedef struct rd_server_app {
    /* None but is_revoked may be NULL. */
    void (*on_request)(rd_exchange *x, void *app);
    void (*on_body)(rd_exchange *x, const uint8_t *bytes, size_t count, void *app);
    void (*on_complete)(rd_exchange *x, void *app);
    void (*on_wake)(rd_exchange *x, bool timed_out, void *app);
    void (*on_close)(rd_exchange *x, void *app);
    /* A connection that the application has given a tag is closed. */
    void (*on_disconnect)(uint64_t tag, void *app);
    /* A line for the log about what never became a request: failed handshake, plain HTTP, slow sender, no
     * descriptors left. May come from any thread of the server. */
    void (*on_trouble)(const char *peer_address, const char *what, void *app);
    /* Is a certificate of no use any more? own: it is the client's, and no authority's behind it. Asked in the handshake, on
     * a worker's thread; of a connection that is open on_request may ask itself. NULL: none is. */
    bool (*is_revoked)(const rd_peer *peer, bool own, void *app);
    void *app;
} rd_server_app;

typedef struct rd_server_options {
    const char *listen; /* "127.0.0.1:8443", "[::]:8443", "0.0.0.0:0" (any free port) */
    rd_credential_files files;
    unsigned workers;         /* threads; 0 = number of cores */
    /* Beyond it new ones are closed at accept, and the oldest without a tag makes room. Of those at most a quarter of it is
     * open (of each worker its part, at least 16). 0 = 10,000 */
    unsigned max_connections;
    unsigned idle_seconds;    /* a connection that sends nothing inside a request, or a handshake, for so long is
                              closed; 0 = 30 */
    unsigned max_handshakes; /* connections without a complete handshake; beyond it the oldest is closed; 0 = 1000, or a
                                 quarter of max_connections where that is less. Each worker has its part, at least 16. */
    rd_door_limits door;     /* 0: half of max_connections of one address, at least 16; 16 with one certificate's name;
                                 100 new ones of one address a second */
    const char *ticket_keys;     /* file of the keys of session tickets, made where there is none (ticket_keys.h); stays
                                    the caller's until rd_server_stop; NULL: they last as long as the server */
    bool strangers; /* a client without a certificate may ask once: its name is "". It counts as one in a handshake, and its
                       connection lasts no longer than idle_seconds. One with a certificate that is refused stays out. */
    unsigned keep_alive_seconds; /* a connection without a request for so long is closed; 0 = 300 */
} rd_server_options;

/* Binds and starts the workers. RD_ERR_IO: "0.0.0.0:8443: address already in use"; RD_ERR_CONFIG for
 * certificates. */
rd_status rd_server_start(const rd_server_options *options, const rd_server_app *app, rd_server **out,
                          rd_error *err) RD_MUST_CHECK;
unsigned rd_server_port(const rd_server *s);
/* Reads certificates and key again, from one thread at a time: handshakes from now on are made with what is in the files now,
 * and connections that are open go on. RD_ERR_CONFIG: all stays as it was. *not_after: when the new one ends. */
rd_status rd_server_reload(rd_server *s, double *not_after, rd_error *err) RD_MUST_CHECK;
/* When the certificate that is shown to clients ends, in seconds since 1970. */
double rd_server_not_after(const rd_server *s);
/* From any thread: every parked exchange gets on_wake soon. */
void rd_server_wake(rd_server *s);
/* From any thread but a worker: no new connections; parked exchanges get on_wake (timed_out) and are closed
 * when that brings no answer; requests and answers under way are finished for at most grace_seconds; joins
 * the workers, frees. */
void rd_server_stop(rd_server *s, double grace_seconds);

/* ---- an exchange; all calls on its own worker thread, inside the callbacks ---- */
const char *rd_exchange_client(const rd_exchange *x); /* common name of the verified client certificate; "": a stranger */
const rd_peer *rd_exchange_certificate(const rd_exchange *x); /* all that is known of that certificate */
const char *rd_exchange_method(const rd_exchange *x); /* "GET" */
const char *rd_exchange_path(const rd_exchange *x);   /* "/v1/task", without the query */
const char *rd_exchange_query(const rd_exchange *x);  /* "wait=30", or "" */
const char *rd_exchange_header(const rd_exchange *x, const char *name); /* NULL: not sent; names in any case */
int64_t rd_exchange_content_length(const rd_exchange *x);               /* -1: none given (chunked) or no body */
const char *rd_exchange_peer(const rd_exchange *x);                     /* "192.168.1.7:40112" */
/* A number of the application's on the connection of this exchange; 0 at first. It says that the client has been taken
 * in, for whom room is kept, and where it is not 0 when the connection closes, on_disconnect is told. */
uint64_t *rd_exchange_tag(const rd_exchange *x);
void rd_exchange_set_user(rd_exchange *x, void *user);
void *rd_exchange_user(const rd_exchange *x);

/* Answers. headers: more lines, each "Name: value\r\n", or "". body is copied. */
void rd_exchange_reply(rd_exchange *x, int status, const char *content_type, const char *headers, const void *body,
                       size_t count);
/* Answers with bytes [offset, offset + count) of an open file, read piece by piece; dup()s fd. False: there are no more
 * descriptors, and the request is still to be answered. */
bool rd_exchange_reply_file(rd_exchange *x, int status, const char *content_type, const char *headers, int fd,
                            uint64_t offset, uint64_t count) RD_MUST_CHECK;
/* The answer that is still to be given is the last one on its connection. */
void rd_exchange_be_last(rd_exchange *x);
/* Waits for rd_server_wake, at most for milliseconds. */
void rd_exchange_park(rd_exchange *x, unsigned milliseconds);
/* For what takes more than a moment, such as reading a disk: work(user) is called on a thread of its own, and when it is
 * back done(x, user) on the exchange's worker, to answer. Where the exchange has ended meanwhile, done is called with NULL,
 * for user to be freed. Both are called once, also when the server stops. False: no memory, and neither will be called. */
bool rd_exchange_work(rd_exchange *x, rd_lane lane, void (*work)(void *user), void (*done)(rd_exchange *x, void *user),
                      void *user) RD_MUST_CHECK;
/* Bytes of bodies in and out so far on all connections. */
void rd_server_traffic(const rd_server *s, uint64_t *bytes_in, uint64_t *bytes_out);

#endif
