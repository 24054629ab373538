/* output.h: what is to be sent on a connection: some bytes, and perhaps a piece of a file behind them.
 *
 * A record of TLS holds RD_TLS_RECORD bytes. A small answer, head and body together, leaves in one; a file is read to
 * where the record is made from, one record at a time. Memory: only while something is to be sent. */
#ifndef RONDO_HTTPS_OUTPUT_H
#define RONDO_HTTPS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Begins as { .file = -1 }. */
typedef struct rd_output {
    uint8_t *bytes; /* owned; NULL: nothing is to be sent */
    size_t begin, end;
    int file; /* owned; what is to be sent after that, or -1 */
    uint64_t file_at, file_left;
} rd_output;

/* Makes room for count bytes, which the caller writes to o->bytes before it sets o->end. False: no memory. */
bool rd_output_reserve(rd_output *o, size_t count);
/* Puts count bytes of the file, from `at` on, behind them; dup()s fd. False: no descriptor. */
bool rd_output_attach(rd_output *o, int fd, uint64_t at, uint64_t count);
/* Is there room for more of the file in the record that is sent next? */
bool rd_output_wants_file(const rd_output *o);
/* Fills the record up from the file, behind what is in it already. *count: bytes read. Returns NULL, or why the file
 * cannot be read: then the answer cannot be completed. */
const char *rd_output_refill(rd_output *o, uint64_t *count);
void rd_output_release(rd_output *o);

#endif
