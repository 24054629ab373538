/* phases.h: what a connection does in each of its phases.
 *
 *     handshake -> receive <-> send        a request comes in, its answer goes out, again and again
 *                     |  ^      ^
 *                     v  |      |
 *                    parked ----'          a long poll waits to be woken
 *     (any) -> linger -> closed            after an error the client still has to read what was wrong
 *
 * No callback of the application is called from within another one: answering or parking only notes what is wanted,
 * and is acted on when the callback is back. */
#ifndef RONDO_HTTPS_PHASES_H
#define RONDO_HTTPS_PHASES_H

#include "https/connection_state.h"

/* What a phase asks for. */
typedef enum rd_connection_step {
    STEP_AGAIN, /* run the phase that is now current */
    STEP_READABLE,
    STEP_WRITABLE,
    STEP_HANGUP, /* nothing but the end of the connection */
    STEP_CLOSE,
} rd_connection_step;

/* Does as much of the current phase as the socket allows. */
rd_connection_step rd_connection_advance(rd_connection *c);
/* Where the connection goes after the application was asked something. */
rd_connection_step rd_connection_after_callback(rd_connection *c);

#endif
