/* utf8.h: characters of a text in UTF-8 (RFC 3629). */
#ifndef RONDO_CORE_UTF8_H
#define RONDO_CORE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The character that begins at text[0]: how many bytes it has, or 0 where that is no UTF-8 (cut off,
 * overlong, a surrogate). size > 0. */
size_t rd_utf8_decode(const char *text, size_t size, uint32_t *code);
/* Writes the character and a zero byte; returns the number of bytes before it. */
size_t rd_utf8_encode(uint32_t code, char text[5]);

#endif
