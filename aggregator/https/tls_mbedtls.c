/* tls_mbedtls.c: tls.h by mbedTLS 2.28 and 3.x; what differs between them is in the first section.
 *
 * TLS 1.2 with both: 2.28 has no other, and a client that 3.6 refuses under TLS 1.3 cannot read the alert
 * that says why (seen with 3.6.6 against OpenSSL 3.5: "bad record mac"). */
#include "https/tls.h"

#include <errno.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "credentials/mbedtls.h"
#include "https/chain_guard.h"
#include "https/tickets_mbedtls.h"

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <mbedtls/build_info.h>
#endif
#define REASON_MAX 384

struct rd_tls {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    rd_credentials *own;
    mbedtls_ssl_config config;
    unsigned users; /* sessions, and the worker while it opens new ones with this */
    rd_tls_gate gate;
    bool strangers;
    char reason[REASON_MAX]; /* why the certificate of the handshake under way is refused, or "" */
    rd_tickets tickets;
    rd_tls_session *handshaking; /* whose handshake is under way */
};

struct rd_tls_session {
    mbedtls_ssl_context ssl;
    rd_tls *tls; /* not owned */
    int fd;
    uint64_t sent;
    rd_chain_guard guard;
    bool shakes;          /* rd_tls_handshake is at work, which has set errno to 0 */
    bool no_memory;       /* it has failed for lack of memory */
    uint64_t valid_until; /* of all its certificates (tickets_mbedtls.h) */
    rd_peer peer;
};

static const int suites[] = {
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    0,
};

static const char *protocols[] = {"http/1.1", NULL};

/* ---- what mbedTLS 2.28 and 3.x say differently ---- */

#if MBEDTLS_VERSION_NUMBER >= 0x03020000
static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
                                  MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};

static void set_protocol(mbedtls_ssl_config *config)
{
    mbedtls_ssl_conf_groups(config, groups);
    mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
}
#else
static const mbedtls_ecp_group_id groups[] = {MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1,
                                              MBEDTLS_ECP_DP_SECP384R1, MBEDTLS_ECP_DP_NONE};

static void set_protocol(mbedtls_ssl_config *config)
{
    mbedtls_ssl_conf_curves(config, groups);
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_max_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
}
#endif

/* The code of the alert that ended a handshake: of no public interface, but the best hint an operator gets.
 */
static int received_alert(const mbedtls_ssl_context *ssl)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    const unsigned char *message = ssl->MBEDTLS_PRIVATE(in_msg);
#else
    const unsigned char *message = ssl->in_msg;
#endif
    return message == NULL ? -1 : message[1];
}

/* ---- names and reasons ---- */

static rd_status fail_mbedtls(rd_error *err, rd_status status, const char *what, int code)
{
    char text[160];
    mbedtls_strerror(code, text, sizeof text);
    return rd_fail(err, status, "%s: %s (mbedTLS -0x%04x)", what, text, (unsigned)-code);
}

static void describe_flags(uint32_t flags, const mbedtls_x509_crt *certificate, char *text, size_t size)
{
    if (mbedtls_x509_crt_verify_info(text, size, "", flags) < 0)
        (void)snprintf(text, size, "verification flags 0x%x", flags);
    for (char *at = text; *at != '\0'; at++) {
        if (*at == '\n')
            *at = at[1] == '\0' ? '\0' : ';';
        if (*at == '\0')
            break;
    }
    if ((flags & (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE)) != 0) {
        const mbedtls_x509_time *from = &certificate->valid_from, *to = &certificate->valid_to;
        size_t used = strlen(text);
        (void)snprintf(text + used, size - used, " (valid from %04d-%02d-%02d to %04d-%02d-%02d)", from->year,
                       from->mon, from->day, to->year, to->mon, to->day);
    }
}

/* What mbedTLS would find only later, and not say in words. NULL: the certificate can be used by a client. */
static const char *check_use(const mbedtls_x509_crt *certificate, char *text, size_t size)
{
    char kind[64];
    if (!rd_key_is_usable(&certificate->pk, kind, sizeof kind))
        (void)snprintf(text, size, "its key is %s, which cannot be used; expected " RD_KEY_KINDS, kind);
    else if (!rd_certificate_is_clients(certificate))
        (void)snprintf(text, size,
                       "it is not a client's certificate (extended key usage clientAuth was expected, and no authority)");
    else
        return NULL;
    return text;
}

/* What is wrong with a certificate whose signature is right: the operator's words, and in *flag which alert the client gets.
 * NULL: nothing. Only the client's own (depth 0) has a name and a use. */
static const char *check_certificate(const rd_tls *t, const mbedtls_x509_crt *certificate, int depth, rd_peer *peer,
                                     uint32_t *flag)
{
    static _Thread_local char unusable[256];
    const char *misnamed = rd_peer_read(certificate, peer);
    const char *misused = depth == 0 ? check_use(certificate, unusable, sizeof unusable) : NULL;
    *flag = MBEDTLS_X509_BADCERT_OTHER; /* the alert is then "access denied" */
    if (depth == 0 && misnamed != NULL)
        return misnamed;
    if (misused != NULL) {
        *flag = MBEDTLS_X509_BADCERT_BAD_KEY; /* "unsupported certificate" */
        return misused;
    }
    *flag = MBEDTLS_X509_BADCERT_REVOKED;
    return t->gate.is_revoked != NULL && t->gate.is_revoked(peer, depth == 0, t->gate.user) ? "it was revoked" : NULL;
}

/* mbedTLS shows each certificate of the client's chain, the client's own one (depth 0) last. */
static int on_certificate(void *user, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    rd_tls_session *s = user;
    rd_tls *t = s->tls;
    const uint64_t end = rd_ticket_moment(&certificate->valid_to);
    if (end < s->valid_until)
        s->valid_until = end;
    rd_peer peer;
    uint32_t flag = 0;
    const char *wrong = check_certificate(t, certificate, depth, &peer, &flag);
    if (*flags == 0 && wrong == NULL)
        return 0;
    char subject[160], what[256];
    if (mbedtls_x509_dn_gets(subject, sizeof subject, &certificate->subject) < 0)
        (void)snprintf(subject, sizeof subject, "?");
    if (*flags != 0)
        describe_flags(*flags, certificate, what, sizeof what);
    else
        (void)snprintf(what, sizeof what, "%s", wrong);
    if (wrong != NULL)
        *flags |= flag;
    (void)snprintf(t->reason, sizeof t->reason, "certificate \"%s\" refused: %s", subject, what);
    /* Where a certificate is no duty, mbedTLS would go on with one that is wrong. */
    return t->strangers ? MBEDTLS_ERR_X509_FATAL_ERROR : 0;
}

/* Somebody comes with a ticket that was made for this certificate: all that may have changed is looked at once more. Where it
 * has, the client has to show its certificates, and hears then what is wrong. */
static bool may_return(void *user, mbedtls_x509_crt *certificate)
{
    rd_tls *t = user;
    uint32_t flags = mbedtls_x509_time_is_past(&certificate->valid_to) ? MBEDTLS_X509_BADCERT_EXPIRED : 0;
    (void)on_certificate(t->handshaking, certificate, 0, &flags);
    t->reason[0] = '\0';
    return flags == 0;
}

/* The alerts that a client sends when it does not like us (RFC 8446, section 6.2). */
static const char *alert_text(int code)
{
    switch (code) {
    case 40:
        return "handshake_failure";
    case 42:
        return "bad_certificate: it does not accept this aggregator's certificate";
    case 45:
        return "certificate_expired: this aggregator's certificate, or the client's clock";
    case 46:
        return "certificate_unknown: it does not accept this aggregator's certificate";
    case 48:
        return "unknown_ca: it was given another CA than the one that signed this aggregator's certificate";
    case 70:
        return "protocol_version";
    case 80:
        return "internal_error";
    default:
        return NULL;
    }
}

static void explain_alert(int alert, rd_error *err)
{
    const char *text = alert_text(alert);
    (void)rd_fail(err, RD_ERR_REFUSED, "TLS handshake failed: the client ended it with alert %d%s%s", alert,
                  text == NULL ? "" : ", ", text == NULL ? "" : text);
}

static void explain_failure(const rd_tls_session *s, int code, rd_error *err)
{
    if (s->tls->reason[0] != '\0')
        (void)rd_fail(err, RD_ERR_REFUSED, "TLS handshake failed: %s", s->tls->reason);
    else if (code == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE)
        (void)rd_fail(err, RD_ERR_REFUSED,
                      "TLS handshake failed: the client sent no certificate, or has none that can be used "
                      "(expected one signed by our CA, whose key is " RD_KEY_KINDS ")");
    else if (code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        explain_alert(received_alert(&s->ssl), err);
    else
        (void)fail_mbedtls(err, RD_ERR_NETWORK, "TLS handshake failed", code);
}

/* A client that does not like our certificate sends an alert and is gone before we have sent the rest of our
 * part, so that we fail in sending. The alert, a record of seven bytes in clear, is then still unread. */
static void explain_loss(const rd_tls_session *s, rd_error *err)
{
    uint8_t record[7];
    ssize_t n = recv(s->fd, record, sizeof record, MSG_DONTWAIT);
    if (n == (ssize_t)sizeof record && record[0] == MBEDTLS_SSL_MSG_ALERT && record[4] == 2)
        explain_alert(record[6], err);
    else
        (void)rd_fail(err, RD_ERR_NETWORK, "the client went away in the middle of the TLS handshake");
}

/* ---- the socket ---- */

/* Says which certificate the guard refused, where it can be read, and tells the client that it was the certificate. */
static void refuse_chain(rd_tls_session *s, const char *what)
{
    mbedtls_x509_crt certificate;
    const rd_certificate_bytes *which = &s->guard.refused;
    char subject[160] = "?";
    mbedtls_x509_crt_init(&certificate);
    if (which->bytes != NULL && mbedtls_x509_crt_parse_der(&certificate, which->bytes, which->size) == 0)
        (void)mbedtls_x509_dn_gets(subject, sizeof subject, &certificate.subject);
    mbedtls_x509_crt_free(&certificate);
    if (which->bytes != NULL)
        (void)snprintf(s->tls->reason, sizeof s->tls->reason, "certificate \"%s\" refused: %.200s", subject, what);
    else
        (void)snprintf(s->tls->reason, sizeof s->tls->reason, "the client is refused: %.200s", what);
    (void)mbedtls_ssl_send_alert_message(&s->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                         MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT);
}

static int receive_bytes(void *user, unsigned char *bytes, size_t size)
{
    rd_tls_session *s = user;
    rd_error err;
    ssize_t n;
    do {
        n = recv(s->fd, bytes, size, 0);
    } while (n < 0 && errno == EINTR);
    if (n > 0 && !s->guard.done && rd_chain_guard_take(&s->guard, bytes, (size_t)n, &err) != RD_OK) {
        refuse_chain(s, err.message);
        return MBEDTLS_ERR_X509_FATAL_ERROR;
    }
    if (n >= 0)
        return (int)n;
    return errno == EAGAIN || errno == EWOULDBLOCK ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_NET_CONN_RESET;
}

static int send_bytes(void *user, const unsigned char *bytes, size_t size)
{
    rd_tls_session *s = user;
    ssize_t n;
    /* mbedTLS takes what it could not compute for what is wrong, and the client would hear that its certificate is. It
     * hears nothing, and comes again. */
    s->no_memory = s->no_memory || (s->shakes && errno == ENOMEM);
    if (s->no_memory)
        return MBEDTLS_ERR_NET_SEND_FAILED;
    do {
        n = send(s->fd, bytes, size, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        s->sent += (uint64_t)n;
        return (int)n;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_NET_CONN_RESET;
}

/* ---- what the workers' connections share ---- */

static void destroy(rd_tls *t)
{
    mbedtls_ssl_config_free(&t->config);
    rd_credentials_free(t->own);
    mbedtls_ctr_drbg_free(&t->random);
    mbedtls_entropy_free(&t->entropy);
    free(t);
}

rd_status rd_tls_create(const rd_credential_files *files, rd_tls **out, rd_error *err)
{
    static const unsigned char purpose[] = "rondo-aggregator";
    bool early;
    rd_status status = RD_OK;
    rd_tls *t = calloc(1, sizeof *t);
    if (t == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "TLS: out of memory");
    mbedtls_entropy_init(&t->entropy);
    mbedtls_ctr_drbg_init(&t->random);
    mbedtls_ssl_config_init(&t->config);

    int code = mbedtls_ctr_drbg_seed(&t->random, mbedtls_entropy_func, &t->entropy, purpose, sizeof purpose - 1);
    if (code != 0) {
        status = fail_mbedtls(err, RD_ERR_INTERNAL, "random numbers for TLS", code);
        goto cleanup;
    }
    RD_TRY(rd_credentials_load(files, RD_SIDE_AGGREGATOR, &t->own, &early, err));

    code = mbedtls_ssl_config_defaults(&t->config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                       MBEDTLS_SSL_PRESET_DEFAULT);
    if (code == 0)
        code = mbedtls_ssl_conf_own_cert(&t->config, &t->own->certificate, &t->own->key);
    if (code == 0)
        code = mbedtls_ssl_conf_alpn_protocols(&t->config, protocols);
    if (code != 0) {
        status = fail_mbedtls(err, RD_ERR_INTERNAL, "TLS settings", code);
        goto cleanup;
    }
    set_protocol(&t->config);
    mbedtls_ssl_conf_ciphersuites(&t->config, suites);
    mbedtls_ssl_conf_authmode(&t->config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&t->config, &t->own->ca, NULL);
    mbedtls_ssl_conf_rng(&t->config, mbedtls_ctr_drbg_random, &t->random);
    t->users = 1;
    *out = t;
    t = NULL;
cleanup:
    if (t != NULL)
        destroy(t);
    return status;
}

void rd_tls_use_tickets(rd_tls *t, rd_ticket_keys *keys)
{
    t->tickets = (rd_tickets){.keys = keys, .random = &t->random, .may_return = may_return, .user = t};
    rd_tickets_use(&t->tickets, &t->config, &t->own->ca);
}

void rd_tls_set_gate(rd_tls *t, const rd_tls_gate *gate)
{
    t->gate = *gate;
}

void rd_tls_admit_strangers(rd_tls *t)
{
    t->strangers = true;
    mbedtls_ssl_conf_authmode(&t->config, MBEDTLS_SSL_VERIFY_OPTIONAL);
}

double rd_tls_not_after(const rd_tls *t)
{
    return rd_x509_seconds(&t->own->certificate.valid_to);
}

void rd_tls_free(rd_tls *t)
{
    if (t != NULL && --t->users == 0)
        destroy(t);
}

/* ---- one connection ---- */

rd_status rd_tls_session_open(rd_tls *t, int fd, rd_tls_session **out, rd_error *err)
{
    rd_tls_session *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "TLS session: out of memory");
    s->tls = t;
    t->users++;
    s->fd = fd;
    s->valid_until = UINT64_MAX;
    mbedtls_ssl_init(&s->ssl);
    int code = mbedtls_ssl_setup(&s->ssl, &t->config);
    if (code != 0) {
        rd_tls_session_close(s);
        return fail_mbedtls(err, RD_ERR_MEMORY, "TLS session", code);
    }
    mbedtls_ssl_set_verify(&s->ssl, on_certificate, s);
    mbedtls_ssl_set_bio(&s->ssl, s, send_bytes, receive_bytes, NULL);
    *out = s;
    return RD_OK;
}

void rd_tls_session_close(rd_tls_session *s)
{
    if (s == NULL)
        return;
    mbedtls_ssl_free(&s->ssl);
    rd_chain_guard_free(&s->guard);
    rd_tls_free(s->tls);
    free(s);
}

const rd_peer *rd_tls_session_peer(const rd_tls_session *s)
{
    return &s->peer;
}

static rd_tls_result result_of(int code)
{
    switch (code) {
    case MBEDTLS_ERR_SSL_WANT_READ:
        return RD_TLS_WANT_READ;
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        return RD_TLS_WANT_WRITE;
    case 0:
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
    case MBEDTLS_ERR_NET_CONN_RESET:
        return RD_TLS_CLOSED;
    default:
        return RD_TLS_FAILED;
    }
}

rd_tls_result rd_tls_handshake(rd_tls_session *s, rd_error *err)
{
    s->tls->reason[0] = '\0';
    errno = 0;
    s->shakes = true;
    s->tls->handshaking = s;
    s->tls->tickets.valid_until = &s->valid_until;
    int code = mbedtls_ssl_handshake(&s->ssl);
    s->shakes = false;
    if (code == 0) {
        const mbedtls_x509_crt *shown = mbedtls_ssl_get_peer_cert(&s->ssl);
        if (shown != NULL)
            (void)rd_peer_read(shown, &s->peer);
        return RD_TLS_OK;
    }
    rd_tls_result result = result_of(code);
    if (s->no_memory) {
        (void)rd_fail(err, RD_ERR_MEMORY, "TLS handshake failed: no memory for it");
        return RD_TLS_FAILED;
    }
    if (result == RD_TLS_CLOSED)
        explain_loss(s, err);
    else if (result == RD_TLS_FAILED)
        explain_failure(s, code, err);
    return result;
}

rd_tls_result rd_tls_read(rd_tls_session *s, void *bytes, size_t size, size_t *count)
{
    int n = mbedtls_ssl_read(&s->ssl, bytes, size);
    *count = n > 0 ? (size_t)n : 0;
    return n > 0 ? RD_TLS_OK : result_of(n);
}

bool rd_tls_pending(const rd_tls_session *s)
{
    return mbedtls_ssl_check_pending(&s->ssl) != 0;
}

rd_tls_result rd_tls_write(rd_tls_session *s, const void *bytes, size_t size, size_t *count)
{
    int n = mbedtls_ssl_write(&s->ssl, bytes, size);
    *count = n > 0 ? (size_t)n : 0;
    return n > 0 ? RD_TLS_OK : result_of(n);
}

uint64_t rd_tls_sent(const rd_tls_session *s)
{
    return s->sent;
}

void rd_tls_say_goodbye(rd_tls_session *s)
{
    (void)mbedtls_ssl_close_notify(&s->ssl);
}
