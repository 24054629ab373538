/* tickets_mbedtls.c: see tickets_mbedtls.h. */
#include "https/tickets_mbedtls.h"

#include <mbedtls/chachapoly.h>
#include <mbedtls/version.h>
#include <string.h>
#include <time.h>

#if !defined(MBEDTLS_SSL_KEEP_PEER_CERTIFICATE)
#error "without the client's certificate in the session nobody could be recognised who comes back with a ticket"
#endif

#define NONCE_BYTES 12
#define TAG_BYTES 16
#define HEAD_BYTES (RD_TICKET_NAME_BYTES + NONCE_BYTES) /* in clear */
#define TIMES_BYTES 16                                  /* sealed, before the session */

/* What is said beside the sealed part, and must be the same when it is opened. */
typedef struct bound {
    uint8_t name[RD_TICKET_NAME_BYTES], authorities[RD_SHA256_BYTES];
} bound;

static bound bind_to(const rd_tickets *t, const rd_ticket_key *key)
{
    bound b;
    memcpy(b.name, key->name, sizeof b.name);
    memcpy(b.authorities, t->authorities, sizeof b.authorities);
    return b;
}

static void put_number(uint8_t *at, uint64_t number)
{
    for (size_t i = 0; i < 8; i++)
        at[i] = (uint8_t)(number >> 8 * i);
}

static uint64_t get_number(const uint8_t *at)
{
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++)
        number |= (uint64_t)at[i] << 8 * i;
    return number;
}

static mbedtls_x509_crt *certificate_in(const mbedtls_ssl_session *session)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return session->MBEDTLS_PRIVATE(peer_cert);
#else
    return session->peer_cert;
#endif
}

/* ---- time ---- */

uint64_t rd_ticket_moment(const mbedtls_x509_time *t)
{
    const uint64_t day = (uint64_t)t->year * 10000 + (uint64_t)t->mon * 100 + (uint64_t)t->day;
    return day * 1000000 + (uint64_t)t->hour * 10000 + (uint64_t)t->min * 100 + (uint64_t)t->sec;
}

static uint64_t moment_now(time_t now)
{
    struct tm parts;
    if (gmtime_r(&now, &parts) == NULL)
        return UINT64_MAX;
    const mbedtls_x509_time t = {.year = parts.tm_year + 1900,
                                 .mon = parts.tm_mon + 1,
                                 .day = parts.tm_mday,
                                 .hour = parts.tm_hour,
                                 .min = parts.tm_min,
                                 .sec = parts.tm_sec};
    return rd_ticket_moment(&t);
}

/* ---- making one ---- */

static int seal(const rd_ticket_key *key, const bound *b, uint8_t *at, size_t count)
{
    mbedtls_chachapoly_context cipher;
    uint8_t *text = at + HEAD_BYTES;
    mbedtls_chachapoly_init(&cipher);
    int code = mbedtls_chachapoly_setkey(&cipher, key->secret);
    if (code == 0)
        code = mbedtls_chachapoly_encrypt_and_tag(&cipher, count, at + RD_TICKET_NAME_BYTES, (const uint8_t *)b,
                                                  sizeof *b, text, text, text + count);
    mbedtls_chachapoly_free(&cipher);
    return code;
}

/* mbedTLS asks for a ticket. Where this fails the client gets none. */
static int write_ticket(void *user, const mbedtls_ssl_session *session, unsigned char *start, const unsigned char *end,
                        size_t *count, uint32_t *lifetime)
{
    rd_tickets *t = user;
    rd_ticket_key key;
    size_t size = 0;
    const size_t room = (size_t)(end - start);
    *count = 0;
    *lifetime = RD_TICKET_SECONDS;
    if (room < HEAD_BYTES + TIMES_BYTES + TAG_BYTES)
        return MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
    int code = mbedtls_ssl_session_save(session, start + HEAD_BYTES + TIMES_BYTES,
                                        room - HEAD_BYTES - TIMES_BYTES - TAG_BYTES, &size);
    if (code != 0)
        return code;
    rd_ticket_keys_newest(t->keys, &key);
    const bound b = bind_to(t, &key);
    memcpy(start, key.name, sizeof key.name);
    code = mbedtls_ctr_drbg_random(t->random, start + RD_TICKET_NAME_BYTES, NONCE_BYTES);
    put_number(start + HEAD_BYTES, (uint64_t)time(NULL));
    put_number(start + HEAD_BYTES + 8, *t->valid_until);
    if (code == 0)
        code = seal(&key, &b, start, TIMES_BYTES + size);
    explicit_bzero(&key, sizeof key);
    if (code == 0)
        *count = HEAD_BYTES + TIMES_BYTES + size + TAG_BYTES;
    return code;
}

/* ---- taking one ---- */

/* In place; *count: of what was sealed. */
static int open_sealed(rd_tickets *t, uint8_t *ticket, size_t size, size_t *count)
{
    rd_ticket_key key;
    mbedtls_chachapoly_context cipher;
    uint8_t *text = ticket + HEAD_BYTES;
    if (size < HEAD_BYTES + TIMES_BYTES + TAG_BYTES || !rd_ticket_keys_find(t->keys, ticket, &key))
        return MBEDTLS_ERR_SSL_INVALID_MAC;
    *count = size - HEAD_BYTES - TAG_BYTES;
    const bound b = bind_to(t, &key);
    mbedtls_chachapoly_init(&cipher);
    int code = mbedtls_chachapoly_setkey(&cipher, key.secret);
    if (code == 0)
        code = mbedtls_chachapoly_auth_decrypt(&cipher, *count, ticket + RD_TICKET_NAME_BYTES, (const uint8_t *)&b,
                                               sizeof b, text + *count, text, text);
    mbedtls_chachapoly_free(&cipher);
    explicit_bzero(&key, sizeof key);
    return code == 0 ? 0 : MBEDTLS_ERR_SSL_INVALID_MAC;
}

/* The client comes with a ticket. Whatever is not right with it, the handshake goes on in full, and says there what is wrong
 * with the client. */
static int read_ticket(void *user, mbedtls_ssl_session *session, unsigned char *ticket, size_t size)
{
    rd_tickets *t = user;
    size_t count = 0;
    int code = open_sealed(t, ticket, size, &count);
    if (code != 0)
        return code;
    const uint64_t now = (uint64_t)time(NULL), made = get_number(ticket + HEAD_BYTES);
    const uint64_t valid_until = get_number(ticket + HEAD_BYTES + 8);
    if (now < made || now >= made + RD_TICKET_SECONDS || moment_now((time_t)now) > valid_until)
        return MBEDTLS_ERR_SSL_SESSION_TICKET_EXPIRED;
    code = mbedtls_ssl_session_load(session, ticket + HEAD_BYTES + TIMES_BYTES, count - TIMES_BYTES);
    if (code != 0)
        return code;
    mbedtls_x509_crt *certificate = certificate_in(session);
    if (certificate != NULL && t->may_return(t->user, certificate))
        return 0;
    mbedtls_ssl_session_free(session);
    return MBEDTLS_ERR_SSL_SESSION_TICKET_EXPIRED;
}

void rd_tickets_use(rd_tickets *t, mbedtls_ssl_config *config, const mbedtls_x509_crt *authorities)
{
    rd_sha256 digest;
    rd_sha256_start(&digest);
    for (const mbedtls_x509_crt *c = authorities; c != NULL; c = c->next)
        rd_sha256_add(&digest, c->raw.p, c->raw.len);
    rd_sha256_finish(&digest, t->authorities);
    mbedtls_ssl_conf_session_tickets_cb(config, write_ticket, read_ticket, t);
}
