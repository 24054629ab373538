/* chain_guard.c: see chain_guard.h. */
#include "https/chain_guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "credentials/credentials.h"

/* ---- DER, as far as the way to a public key needs it ---- */

enum { DER_INTEGER = 0x02, DER_BITS = 0x03, DER_OBJECT = 0x06, DER_SEQUENCE = 0x30, DER_VERSION = 0xa0 };

typedef struct span {
    const uint8_t *at;
    size_t size;
} span;

/* Takes one element off the front of *from; *content: what is in it. False: it is not there, or of another type. */
static bool take(span *from, uint8_t type, span *content)
{
    if (from->size < 2 || from->at[0] != type)
        return false;
    size_t head = 2, size = from->at[1];
    if (size >= 0x80) {
        size_t bytes = size - 0x80;
        if (bytes == 0 || bytes > 2 || from->size < 2 + bytes) /* nothing that is longer than 65535 bytes can be here */
            return false;
        size = bytes == 1 ? from->at[2] : (size_t)from->at[2] << 8 | from->at[3];
        head += bytes;
    }
    if (size > from->size - head)
        return false;
    *content = (span){from->at + head, size};
    from->at += head + size;
    from->size -= head + size;
    return true;
}

/* TBSCertificate (RFC 5280, 4.1): version, serial number, algorithm, issuer, validity, subject, then the key. */
static bool find_key(span certificate, span *key)
{
    span whole, signed_part, skipped;
    if (!take(&certificate, DER_SEQUENCE, &whole) || certificate.size != 0 || !take(&whole, DER_SEQUENCE, &signed_part))
        return false;
    if (signed_part.size > 0 && signed_part.at[0] == DER_VERSION && !take(&signed_part, DER_VERSION, &skipped))
        return false;
    if (!take(&signed_part, DER_INTEGER, &skipped))
        return false;
    for (int i = 0; i < 4; i++)
        if (!take(&signed_part, DER_SEQUENCE, &skipped))
            return false;
    return take(&signed_part, DER_SEQUENCE, key);
}

static size_t count_bits(span number)
{
    while (number.size > 0 && number.at[0] == 0) {
        number.at++;
        number.size--;
    }
    size_t bits = 8 * number.size;
    for (unsigned top = number.size > 0 ? number.at[0] : 0x80; top < 0x80; top <<= 1)
        bits--;
    return bits;
}

/* ---- keys ---- */

static bool is_object(span found, const char *expected, size_t size)
{
    return found.size == size && memcmp(found.at, expected, size) == 0;
}

#define OID_RSA "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define OID_EC "\x2a\x86\x48\xce\x3d\x02\x01"
#define IS_OBJECT(found, oid) is_object(found, oid, sizeof(oid) - 1)

static bool is_light_rsa(span bits, char *kind, size_t size)
{
    span key, modulus, exponent;
    (void)snprintf(kind, size, "RSA that cannot be read");
    if (bits.size == 0 || bits.at[0] != 0)
        return false;
    span content = {bits.at + 1, bits.size - 1};
    if (!take(&content, DER_SEQUENCE, &key) || !take(&key, DER_INTEGER, &modulus) ||
        !take(&key, DER_INTEGER, &exponent))
        return false;
    size_t length = count_bits(modulus), exponent_length = count_bits(exponent);
    (void)snprintf(kind, size, "RSA of %zu bits with an exponent of %zu bits", length, exponent_length);
    return length <= RD_RSA_BITS_MAX && exponent_length <= RD_RSA_EXPONENT_BITS_MAX;
}

static bool is_light_curve(span curve, char *kind, size_t size)
{
    static const struct {
        const char *name, *oid;
        size_t size;
        bool usable;
    } curves[] = {{"secp256r1", "\x2a\x86\x48\xce\x3d\x03\x01\x07", 8, true},
                  {"secp384r1", "\x2b\x81\x04\x00\x22", 5, true},
                  {"secp521r1", "\x2b\x81\x04\x00\x23", 5, false}};
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (!is_object(curve, curves[i].oid, curves[i].size))
            continue;
        (void)snprintf(kind, size, "EC %s", curves[i].name);
        return curves[i].usable;
    }
    (void)snprintf(kind, size, "EC of an unknown curve");
    return false;
}

/* Is a signature soon checked with this key? kind becomes its name in words. */
static bool is_light(span certificate, char *kind, size_t size)
{
    span key, algorithm, name, bits, curve;
    (void)snprintf(kind, size, "not to be found");
    if (!find_key(certificate, &key) || !take(&key, DER_SEQUENCE, &algorithm) || !take(&key, DER_BITS, &bits) ||
        !take(&algorithm, DER_OBJECT, &name))
        return false;
    if (IS_OBJECT(name, OID_RSA))
        return is_light_rsa(bits, kind, size);
    (void)snprintf(kind, size, "of an unknown kind");
    if (!IS_OBJECT(name, OID_EC))
        return false;
    (void)snprintf(kind, size, "EC of a curve without a name");
    return take(&algorithm, DER_OBJECT, &curve) && is_light_curve(curve, kind, size);
}

/* ---- the message ---- */

static size_t number24(const uint8_t *at)
{
    return (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
}

rd_status rd_chain_check(const uint8_t *message, size_t size, rd_certificate_bytes *which, rd_error *err)
{
    *which = (rd_certificate_bytes){NULL, 0};
    if (size > RD_CHAIN_BYTES_MAX)
        return rd_fail(err, RD_ERR_REFUSED, "its certificates are %zu bytes, and at most %d are taken", size,
                       RD_CHAIN_BYTES_MAX);
    if (size < 3 || number24(message) != size - 3)
        return rd_fail(err, RD_ERR_REFUSED, "the list of its certificates has another length than it says");
    size_t count = 0, length;
    for (size_t at = 3; at < size; at += 3 + length) {
        if (size - at < 3 || (length = number24(message + at)) > size - at - 3)
            return rd_fail(err, RD_ERR_REFUSED, "a certificate is longer than the list it is in");
        if (++count > RD_CHAIN_LENGTH_MAX)
            return rd_fail(err, RD_ERR_REFUSED, "it sends more than %d certificates", RD_CHAIN_LENGTH_MAX);
        char kind[80];
        if (is_light((span){message + at + 3, length}, kind, sizeof kind))
            continue;
        *which = (rd_certificate_bytes){message + at + 3, length};
        return rd_fail(err, RD_ERR_REFUSED, "its key is %s, which cannot be used; expected " RD_KEY_KINDS, kind);
    }
    return RD_OK;
}

/* ---- the stream of records, and the messages in it ---- */

enum { RECORD_CHANGE_CIPHER_SPEC = 20, RECORD_HANDSHAKE = 22, MESSAGE_CERTIFICATE = 11 };

/* Moves at most `wanted - *have` bytes to the end of what is in head. True: it is whole. */
static bool collect(uint8_t *head, size_t *have, size_t wanted, span *from)
{
    size_t n = wanted - *have < from->size ? wanted - *have : from->size;
    memcpy(head + *have, from->at, n);
    *have += n;
    from->at += n;
    from->size -= n;
    return *have == wanted;
}

static rd_status begin_message(rd_chain_guard *g, rd_error *err)
{
    g->message_left = number24(g->message_head + 1);
    if (g->message_head[0] != MESSAGE_CERTIFICATE)
        return RD_OK;
    if (g->message_left > RD_CHAIN_BYTES_MAX)
        return rd_fail(err, RD_ERR_REFUSED, "its certificates are %zu bytes, and at most %d are taken", g->message_left,
                       RD_CHAIN_BYTES_MAX);
    g->message = malloc(g->message_left + 1);
    return g->message != NULL ? RD_OK : rd_fail(err, RD_ERR_MEMORY, "no memory for its certificates");
}

/* Takes what is of one message off the front of a record's content. */
static rd_status take_message(rd_chain_guard *g, span *content, rd_error *err)
{
    if (g->message_head_count < sizeof g->message_head) {
        if (!collect(g->message_head, &g->message_head_count, sizeof g->message_head, content))
            return RD_OK;
        rd_status status = begin_message(g, err);
        if (status != RD_OK)
            return status;
    }
    size_t n = g->message_left < content->size ? g->message_left : content->size;
    if (g->message != NULL) {
        memcpy(g->message + g->message_count, content->at, n);
        g->message_count += n;
    }
    content->at += n;
    content->size -= n;
    g->message_left -= n;
    if (g->message_left > 0)
        return RD_OK;
    g->message_head_count = 0;
    if (g->message == NULL)
        return RD_OK;
    rd_status status = rd_chain_check(g->message, g->message_count, &g->refused, err);
    g->done = status == RD_OK;
    return status;
}

static void begin_record(rd_chain_guard *g)
{
    g->record_head_count = 0;
    g->record_type = g->record_head[0];
    g->record_left = (size_t)g->record_head[3] << 8 | g->record_head[4];
    g->done = g->record_type == RECORD_CHANGE_CIPHER_SPEC; /* what follows is encrypted */
}

rd_status rd_chain_guard_take(rd_chain_guard *g, const uint8_t *bytes, size_t count, rd_error *err)
{
    rd_status status = RD_OK;
    span from = {bytes, count};
    while (from.size > 0 && !g->done && status == RD_OK) {
        if (g->record_left == 0) {
            if (collect(g->record_head, &g->record_head_count, sizeof g->record_head, &from))
                begin_record(g);
            continue;
        }
        size_t n = g->record_left < from.size ? g->record_left : from.size;
        span content = {from.at, n};
        while (g->record_type == RECORD_HANDSHAKE && content.size > 0 && !g->done && status == RD_OK)
            status = take_message(g, &content, err);
        g->record_left -= n;
        from.at += n;
        from.size -= n;
    }
    if (g->done)
        rd_chain_guard_free(g);
    return status;
}

void rd_chain_guard_free(rd_chain_guard *g)
{
    free(g->message);
    g->message = NULL;
    g->message_count = 0;
}
