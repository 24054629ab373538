/* enrol_messages.h: what is said while a client enrols, and by an operator, who lets it and throws it out
 * (aggregator/PROTOCOL.md). */
#ifndef RONDO_CODEC_ENROL_MESSAGES_H
#define RONDO_CODEC_ENROL_MESSAGES_H

#include <stddef.h>

#include "core/error.h"
#include "credentials/peer.h"
#include "credentials/request.h"

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

#define RD_ORDER_HOURS_LEAST 0.001
#define RD_ORDER_HOURS_MOST 8760.0

/* A token that an operator wants given. Whether there is such a role, and such a name, is looked at where it is given. */
typedef struct rd_token_order {
    char name[RD_PEER_NAME_MAX], role[16];
    double hours; /* for which it is good: RD_ORDER_HOURS_LEAST to RD_ORDER_HOURS_MOST */
} rd_token_order;

/* free(); NULL: no memory */
char *rd_token_order_write(const rd_token_order *order);
rd_status rd_token_order_parse(const char *json, size_t size, rd_token_order *out, rd_error *err) RD_MUST_CHECK;
/* The answer. first: the token; second: the SHA-256 of the authority's certificate. */
char *rd_given_token_write(const char *token, const char *ca_sha256);
rd_status rd_given_token_parse(const char *json, size_t size, const rd_enrol_texts *out, rd_error *err) RD_MUST_CHECK;

/* Whom an operator wants thrown out. */
char *rd_revocation_write(const char *name);
rd_status rd_revocation_parse(const char *json, size_t size, char name[RD_PEER_NAME_MAX], rd_error *err) RD_MUST_CHECK;

#endif
