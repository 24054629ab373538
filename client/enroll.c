/* enroll.c: `rondo-client enroll`: from a token to a certificate.
 *
 * The client does not know the authority yet, only the digest of its certificate. So it first asks for that certificate, on a
 * connection that proves nothing; what has the right digest is the authority's. Then it connects once more and checks the
 * aggregator by it, as it always will: the token is only ever sent to who has passed. The key is made here and stays here. */
#include "enroll.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/enrol_messages.h"
#include "connection_options.h"
#include "core/file.h"
#include "credentials/request.h"
#include "once.h"

#define PATH_MAX_SIZE 4096

typedef struct enroll_options {
    const char *aggregator, *token, *ca_sha256, *out, *proxy;
} enroll_options;

typedef struct places {
    char name[RD_PEER_NAME_MAX];
    char ca[PATH_MAX_SIZE], cert[PATH_MAX_SIZE], key[PATH_MAX_SIZE];
} places;

/* The digest as we write it, from what people copy: with colons, in capitals. */
static rd_status read_digest(const char *text, char digest[RD_SHA256_HEX], rd_error *err)
{
    size_t count = 0;
    for (const char *p = text; *p != '\0'; p++) {
        const char c = (char)(*p >= 'A' && *p <= 'F' ? *p + ('a' - 'A') : *p);
        if (c == ':')
            continue;
        if (strchr("0123456789abcdef", c) == NULL || count == RD_SHA256_HEX - 1) {
            count = 0;
            break;
        }
        digest[count++] = c;
    }
    digest[count] = '\0';
    if (count == RD_SHA256_HEX - 1)
        return RD_OK;
    return rd_fail(err, RD_ERR_USAGE, "--ca-sha256: expected 64 hexadecimal digits, found '%.100s'", text);
}

/* NAME:SECRET. */
static rd_status read_token(const enroll_options *o, places *p, rd_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const size_t length = strspn(o->token, allowed);
    if (length == 0 || length > 64 || o->token[length] != ':' || o->token[0] == '.' || strlen(o->token) > 97)
        return rd_fail(err, RD_ERR_USAGE, "--token: expected NAME:DIGITS, as `rondo-aggregator token` prints it");
    (void)snprintf(p->name, sizeof p->name, "%.*s", (int)length, o->token);
    bool fits = snprintf(p->ca, sizeof p->ca, "%s/ca.crt", o->out) < PATH_MAX_SIZE &&
                snprintf(p->cert, sizeof p->cert, "%s/%s.crt", o->out, p->name) < PATH_MAX_SIZE &&
                snprintf(p->key, sizeof p->key, "%s/%s.key", o->out, p->name) < PATH_MAX_SIZE;
    if (!fits)
        return rd_fail(err, RD_ERR_USAGE, "--out: the path is too long");
    if (access(p->cert, F_OK) == 0)
        return rd_fail(err, RD_ERR_USAGE, "%s exists; it is not overwritten: move it away first", p->cert);
    return RD_OK;
}

/* p NULL: nobody is trusted yet, and nothing is told. */
static rd_status ask(const enroll_options *o, const places *p, const char *json, const rd_enrol_texts *out,
                     rd_error *err)
{
    rd_status status = RD_OK;
    char *body = NULL;
    size_t size;
    const rd_transport_options options = {.url = o->aggregator,
                                          .files = {p != NULL ? p->ca : NULL, NULL, NULL, NULL},
                                          .passphrase = "",
                                          .proxy = rd_proxy_address(o->proxy),
                                          .session = "enrol"};
    RD_TRY(rd_ask_once(&options, json != NULL ? "/v1/enrol" : "/v1/ca", json, &body, &size, err));
    RD_TRY(rd_certificates_parse(body, size, out, err));
cleanup:
    free(body);
    return status;
}

/* The authority's certificate, if it is the one that was meant, in its file. */
static rd_status fetch_authority(const enroll_options *o, const places *p, const char *expected, rd_error *err)
{
    char pem[RD_CERTIFICATE_MAX], found[RD_SHA256_HEX];
    rd_status status = RD_OK;
    RD_TRY(ask(o, NULL, NULL, &(rd_enrol_texts){NULL, 0, pem, sizeof pem}, err));
    RD_TRY(rd_certificate_digest(pem, found, err));
    if (strcmp(found, expected) != 0)
        RD_THROW(
            RD_ERR_REFUSED,
            "%s: its authority has the SHA-256 %s, and --ca-sha256 is another; is this the aggregator that was meant?",
            o->aggregator, found);
    if (access(p->ca, F_OK) == 0) {
        char there[RD_CERTIFICATE_MAX];
        RD_TRY(rd_authority_read(p->ca, there, err));
        RD_TRY(rd_certificate_digest(there, found, err));
        if (strcmp(found, expected) != 0)
            RD_THROW(RD_ERR_USAGE, "%s exists, and is another authority's; it is not overwritten", p->ca);
        goto cleanup;
    }
    status = rd_file_write(p->ca, pem, strlen(pem), err);
cleanup:
    return status;
}

static rd_status enroll(const enroll_options *o, rd_error *err)
{
    rd_status status = RD_OK;
    places p;
    char digest[RD_SHA256_HEX], request[RD_REQUEST_MAX], certificate[RD_CERTIFICATE_MAX], ca[RD_CERTIFICATE_MAX];
    rd_peer peer;
    char *json = NULL;
    signal(SIGPIPE, SIG_IGN);
    RD_TRY(rd_address_check(o->aggregator, err));
    RD_TRY(read_digest(o->ca_sha256, digest, err));
    RD_TRY(read_token(o, &p, err));
    RD_TRY(rd_make_directory(o->out, err));
    RD_TRY(fetch_authority(o, &p, digest, err));
    RD_TRY(rd_key_make(p.key, err));
    RD_TRY(rd_request_write(p.key, "", p.name, request, err));
    json = rd_enrol_write(o->token, request);
    if (json == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for a request");
    RD_TRY(ask(o, &p, json, &(rd_enrol_texts){certificate, sizeof certificate, ca, sizeof ca}, err));
    RD_TRY(rd_certificate_check(certificate, request, p.name, p.ca, &peer, err));
    RD_TRY(rd_file_write(p.cert, certificate, strlen(certificate), err));
    printf("%s is enrolled. Next:\n  rondo-client --aggregator %s --ca %s --cert %s --key %s --data FILE\n", p.name,
           o->aggregator, p.ca, p.cert, p.key);
cleanup:
    if (json != NULL)
        explicit_bzero(json, strlen(json));
    free(json);
    return status;
}

rd_status rd_enroll_command(int argc, char **argv, rd_error *err)
{
    enroll_options o = {.out = "."};
    const rd_option options[] = {
        RD_AGGREGATOR_OPTION(&o.aggregator),
        {RD_OPTION_TEXT, "token", "TOKEN", "what `rondo-aggregator token` has printed; it is good once", &o.token, true,
         0, 0},
        {RD_OPTION_TEXT, "ca-sha256", "DIGITS",
         "SHA-256 of the authority's certificate, by which the aggregator is recognised", &o.ca_sha256, true, 0, 0},
        {RD_OPTION_TEXT, "out", "DIR", "where ca.crt, NAME.crt and NAME.key go; default: here", &o.out, false, 0, 0},
        RD_PROXY_OPTION(&o.proxy),
        {RD_OPTION_END, NULL, NULL, NULL, NULL, false, 0, 0},
    };
    const rd_command command = {
        "rondo-client enroll", "--aggregator URL --token TOKEN --ca-sha256 DIGITS",
        "Makes a key on this machine, which it never leaves, and gets a certificate for it in exchange for a token.",
        options,
        "Exit codes: 0 enrolled, 1 failure, 2 command line, 3 refused (the token, or the aggregator is not the one "
        "that was "
        "meant), 4 aggregator not reachable, 6 what the aggregator sent is no certificate.\n"};
    rd_parse_result parsed = rd_options_parse(&command, argc, argv, NULL, err);
    return parsed == RD_PARSE_RUN ? enroll(&o, err) : rd_parse_status(parsed);
}
