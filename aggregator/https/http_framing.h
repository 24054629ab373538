/* http_framing.h: which byte may stand where in a stream of HTTP/1.1 requests, by the letter of RFC 9112.
 *
 * Where one program finds the end of a line, of a name or of a chunk, and the next one does not, a request hides in
 * another. http-parser is kind to what old programs wrote: blanks before a colon, folded lines, lines that end with a
 * bare LF, anything in place of the line ends around a chunk. So every byte passes here first, and only what has one
 * meaning goes on to it. No bytes are kept: a request may be cut anywhere. */
#ifndef RONDO_HTTPS_HTTP_FRAMING_H
#define RONDO_HTTPS_HTTP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RD_FRAMING_CHUNK_LINE_MAX 256 /* bytes of a chunk's size and its extensions, without the line's end */
#define RD_FRAMING_TRAILER_MAX 16384  /* bytes of the lines behind the last chunk */

typedef enum rd_framing_place {
    RD_FRAMING_START, /* of a request; empty lines may come first. Zero, so that {0} is a stream that begins */
    RD_FRAMING_REQUEST_LINE,
    RD_FRAMING_LINE, /* the beginning of a header's line, or of the empty one */
    RD_FRAMING_NAME,
    RD_FRAMING_VALUE,
    RD_FRAMING_HEAD_END, /* no byte is taken until rd_framing_begin_body */
    RD_FRAMING_BODY,
    RD_FRAMING_CHUNK_SIZE,
    RD_FRAMING_CHUNK_EXTENSION,
    RD_FRAMING_CHUNK_DATA,
    RD_FRAMING_CHUNK_DATA_END,
} rd_framing_place;

typedef struct rd_framing {
    rd_framing_place place;
    bool behind_cr;    /* LF has to follow */
    bool behind_space; /* in the request line */
    bool in_trailer;
    unsigned spaces; /* in the request line */
    size_t count;    /* bytes of the chunk's line, or of the trailer */
    size_t digits;   /* of the chunk's size */
    uint64_t left;   /* bytes of the body or of the chunk */
} rd_framing;

/* Takes bytes up to the end of the head, body, chunk or request at most, and returns how many. Where that is fewer than
 * count because the next one cannot stand there, *fault says why; otherwise it is NULL. */
size_t rd_framing_take(rd_framing *f, const uint8_t *bytes, size_t count, const char **fault);

/* Once the place is RD_FRAMING_HEAD_END: what follows. length: of a body that is not chunked. */
void rd_framing_begin_body(rd_framing *f, bool chunked, uint64_t length);

#endif
