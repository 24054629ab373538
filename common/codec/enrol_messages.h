/* enrol_messages.h: what is said while a client enrols (aggregator/PROTOCOL.md). */
#ifndef RONDO_CODEC_ENROL_MESSAGES_H
#define RONDO_CODEC_ENROL_MESSAGES_H

#include <stddef.h>

#include "core/error.h"

/* Where texts of a message go, each with the end of its string. */
typedef struct rd_enrol_texts {
    char *first;
    size_t first_size;
    char *second;
    size_t second_size;
} rd_enrol_texts;

/* free(); NULL: no memory */
char *rd_enrol_write(const char *token, const char *request);
/* first: the token, second: the request. RD_ERR_FORMAT: one is missing, or longer than there is room for. */
rd_status rd_enrol_parse(const char *json, size_t size, const rd_enrol_texts *out, rd_error *err) RD_MUST_CHECK;

/* certificate NULL: the authority's alone. free(); NULL: no memory */
char *rd_certificates_write(const char *certificate, const char *ca);
/* first: the certificate, NULL where none is expected; second: the authority's. */
rd_status rd_certificates_parse(const char *json, size_t size, const rd_enrol_texts *out, rd_error *err) RD_MUST_CHECK;

#endif
