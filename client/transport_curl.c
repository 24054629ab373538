/* transport_curl.c: transport.h with libcurl. */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/grow.h"
#include "core/number.h"
#include "core/signals.h"
#include "resumption.h"
#include "transport.h"

#define MAX_COLLECTED (16u << 20) /* what the columns of a wide table mean is the longest answer */
#define EXPECT_FROM (1u << 20) /* bodies from here on ask "Expect: 100-continue" first: a refusal then costs nothing */
#define HEAP_KEPT (1 << 20)
#define MOST_PAUSE 300u    /* seconds; for longer no aggregator sends a client away */
#define SILENCE_SECONDS 60 /* a connection on which nothing moves for so long is given up */

struct rd_transport {
    CURL *curl;
    rd_transport_options options;
    char url[1024];
    char reason[CURL_ERROR_SIZE];

    /* The request under way. */
    const rd_request *request;
    size_t sent; /* bytes of the body, those of an earlier attempt included */
    rd_response *response;
    bool taking; /* take has been given something of this answer */
    rd_status take_status;
    rd_error take_error;
    char *collected; /* (collected_size) */
    size_t collected_size, collected_capacity;
};

size_t rd_request_body_size(const rd_request *r)
{
    size_t size = 0;
    for (int i = 0; i < RD_REQUEST_PIECES; i++)
        size += r->body[i].count;
    return size;
}

static bool is(const rd_request *r, const char *method)
{
    return strcmp(r->method, method) == 0;
}

/* Where in the body it is begun to send. */
static size_t first_sent(const rd_request *r)
{
    return is(r, "PATCH") ? (size_t)r->rest.from : 0;
}

/* ---- libcurl asks ---- */

static size_t on_read(char *into, size_t size, size_t count, void *user)
{
    rd_transport *t = user;
    size_t room = size * count, skip = t->sent, given = 0;
    for (int i = 0; i < RD_REQUEST_PIECES && given < room; i++) {
        const rd_piece *p = &t->request->body[i];
        if (skip >= p->count) {
            skip -= p->count;
            continue;
        }
        size_t n = p->count - skip < room - given ? p->count - skip : room - given;
        memcpy(into + given, (const char *)p->bytes + skip, n);
        given += n;
        skip = 0;
    }
    t->sent += given;
    return given;
}

/* A connection that was kept open may turn out to be closed: libcurl then sends the body again on a new one.
 */
static int on_seek(void *user, curl_off_t offset, int origin)
{
    rd_transport *t = user;
    if (origin != SEEK_SET || offset < 0 || (size_t)offset > rd_request_body_size(t->request))
        return CURL_SEEKFUNC_CANTSEEK;
    t->sent = first_sent(t->request) + (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static bool collect(rd_transport *t, const char *bytes, size_t count)
{
    rd_error ignored;
    if (t->collected_size + count > MAX_COLLECTED)
        return false;
    if (rd_grow(&t->collected, &t->collected_capacity, t->collected_size + count, 1, "bytes", &ignored) != RD_OK)
        return false;
    memcpy(t->collected + t->collected_size, bytes, count);
    t->collected_size += count;
    return true;
}

/* The number behind `start` with which a field of the answer's head begins; 0: there is none. */
static uint64_t header_number(const rd_transport *t, const char *name, const char *start)
{
    struct curl_header *field;
    uint64_t number = 0;
    if (curl_easy_header(t->curl, name, 0, CURLH_HEADER, -1, &field) != CURLHE_OK ||
        strncmp(field->value, start, strlen(start)) != 0)
        return 0;
    const char *digits = field->value + strlen(start);
    return rd_number_count(digits, strspn(digits, "0123456789"), &number) ? number : 0;
}

/* The first bytes of a body are here. Is it the part that was asked for, or all of it? */
static rd_status begin_taking(rd_transport *t, long status, rd_error *err)
{
    const rd_request *r = t->request;
    t->taking = true;
    if (status == 206 && header_number(t, "Content-Range", "bytes ") != r->rest.from)
        return rd_fail(err, RD_ERR_FORMAT, "%s: another part of it came than was asked for", r->path);
    if (status == 200 && r->rest.from > 0) {
        r->restart(r->user);
        t->response->taken = 0;
    }
    return RD_OK;
}

static size_t on_write(char *bytes, size_t size, size_t count, void *user)
{
    rd_transport *t = user;
    long status = 0;
    size_t n = size * count;
    t->response->received += n;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->request->take != NULL && (status == 200 || (status == 206 && t->request->rest.from > 0))) {
        t->take_status = t->taking ? RD_OK : begin_taking(t, status, &t->take_error);
        if (t->take_status == RD_OK)
            t->take_status = t->request->take(t->request->user, bytes, n, &t->take_error);
        t->response->taken += n;
        return t->take_status == RD_OK ? n : CURL_WRITEFUNC_ERROR;
    }
    return collect(t, bytes, n) ? n : CURL_WRITEFUNC_ERROR;
}

static int on_progress(void *user, curl_off_t down, curl_off_t down_now, curl_off_t up, curl_off_t up_now)
{
    rd_transport *t = user;
    (void)down;
    (void)down_now;
    (void)up;
    (void)up_now;
    return rd_signals_arrived(t->options.signals, 0);
}

/* ---- what went wrong ---- */

/* The alerts by which a server says what it thinks of our certificate, in OpenSSL's words. */
static const struct {
    const char *alert, *meaning;
} alerts[] = {
    {"unknown ca", "the aggregator does not trust the authority that signed --cert"},
    {"certificate expired", "the aggregator says that --cert has expired"},
    {"certificate revoked", "the aggregator says that --cert was revoked"},
    {"bad certificate", "the aggregator refused --cert: not signed by its authority, expired, or not made for clients"},
    {"unsupported certificate",
     "the aggregator refused --cert: its key is of a kind that it does not use, or it is not "
     "a client's certificate"},
    {"handshake failure", "no common TLS version and cipher suite with the aggregator, or it refused --cert"},
    {"access denied", "the aggregator refused --cert"},
};

static rd_status explain_tls(const rd_transport *t, rd_error *err)
{
    for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++)
        if (strstr(t->reason, "alert") != NULL && strstr(t->reason, alerts[i].alert) != NULL)
            return rd_fail(err, RD_ERR_REFUSED, "%s: %s", t->options.url, alerts[i].meaning);
    /* Of all reasons mbedTLS has no other alert for this one, which may pass. */
    if (strstr(t->reason, "alert certificate unknown") != NULL)
        return rd_fail(err, RD_ERR_NETWORK,
                       "%s: the aggregator does not take --cert %s: by its clock it is not valid yet, most likely",
                       t->options.url, t->options.files.cert);
    if (strstr(t->reason, "wrong version number") != NULL || strstr(t->reason, "packet length too long") != NULL)
        return rd_fail(err, RD_ERR_REFUSED, "%s: this port does not speak TLS", t->options.url);
    return rd_fail(err, RD_ERR_NETWORK, "the connection to %s failed: %s", t->options.url, t->reason);
}

static rd_status explain(const rd_transport *t, CURLcode code, rd_error *err)
{
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        /* libcurl has this code for the alert "certificate expired", too, which is about ours. */
        if (strcmp(t->reason, "SSL certificate verification failed") == 0)
            return rd_fail(err, RD_ERR_REFUSED, "%s: the aggregator says that --cert %s has expired", t->options.url,
                           t->options.files.cert);
        if (strstr(t->reason, "not yet valid") != NULL) /* a clock that is wrong may be put right */
            return rd_fail(err, RD_ERR_NETWORK,
                           "%s: the aggregator's certificate is not valid yet; is this machine's clock right?",
                           t->options.url);
        return rd_fail(err, RD_ERR_REFUSED,
                       "%s: the aggregator's certificate was not accepted: it must be signed by --ca %s, be "
                       "valid now, and "
                       "name the host in --aggregator (%s)",
                       t->options.url, t->options.files.ca, t->reason);
    case CURLE_SSL_CERTPROBLEM:
        return rd_fail(err, RD_ERR_CONFIG,
                       "--cert %s and --key %s cannot be used: %s; if they were in order before, memory was short",
                       t->options.files.cert, t->options.files.key, t->reason);
    case CURLE_OUT_OF_MEMORY:
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the connection to %s", t->options.url);
    case CURLE_SSL_CACERT_BADFILE:
        return rd_fail(err, RD_ERR_CONFIG, "--ca %s cannot be used: %s", t->options.files.ca, t->reason);
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        return rd_fail(err, RD_ERR_NETWORK, "cannot reach %s: %s", t->options.url, t->reason);
    case CURLE_ABORTED_BY_CALLBACK:
        return rd_fail(err, RD_ERR_NETWORK, "interrupted");
    case CURLE_WRITE_ERROR:
        if (t->take_status != RD_OK)
            return rd_fail(err, t->take_status, "%s", t->take_error.message);
        return rd_fail(err, RD_ERR_FORMAT, "%s: an answer of more than 16 MB", t->options.url);
    default:
        return explain_tls(t, err);
    }
}

/* ---- a request ---- */

static bool add_header(struct curl_slist **headers, const char *line)
{
    struct curl_slist *more = curl_slist_append(*headers, line);
    if (more != NULL)
        *headers = more;
    return more != NULL;
}

/* Of a body whose beginning is there. */
static rd_status ask_for_rest(const rd_request *r, struct curl_slist **headers, rd_error *err)
{
    char line[RD_ETAG_MAX + 20];
    if (r->rest.from == 0)
        return RD_OK;
    (void)snprintf(line, sizeof line, "Range: bytes=%" PRIu64 "-", r->rest.from);
    const bool ranged = add_header(headers, line);
    (void)snprintf(line, sizeof line, "If-Range: %s", r->rest.etag);
    return ranged && add_header(headers, line) ? RD_OK : rd_fail(err, RD_ERR_MEMORY, "no memory for a request");
}

static rd_status prepare(rd_transport *t, const rd_request *r, struct curl_slist **headers, rd_error *err)
{
    char line[RD_ETAG_MAX + 20];
    CURL *c = t->curl;
    size_t size = rd_request_body_size(r) - first_sent(r);
    /* What is begun behind an answer is not sent again by libcurl, on its own, when the connection breaks. */
    const bool asks = size >= EXPECT_FROM || is(r, "PATCH");
    (void)snprintf(t->url, sizeof t->url, "%s%s", t->options.url, r->path);
    (void)snprintf(line, sizeof line, "Rondo-Session: %s", t->options.session);
    if (!add_header(headers, line))
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a request");
    curl_easy_setopt(c, CURLOPT_URL, t->url);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)(SILENCE_SECONDS + r->long_poll_seconds));
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, NULL);
    if (is(r, "GET")) {
        curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
        return ask_for_rest(r, headers, err);
    }
    if (is(r, "HEAD")) {
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
        return RD_OK;
    }
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    if (is(r, "PATCH"))
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, "PATCH");
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    (void)snprintf(line, sizeof line, "Content-Type: %s", r->content_type != NULL ? r->content_type : "");
    if (!add_header(headers, line) || !add_header(headers, asks ? "Expect: 100-continue" : "Expect:"))
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a request");
    (void)snprintf(line, sizeof line, "Rondo-Model: %s", r->model != NULL ? r->model : "");
    if (r->model != NULL && !add_header(headers, line))
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a request");
    if (is(r, "PATCH"))
        (void)snprintf(line, sizeof line, "Upload-Offset: %" PRIu64, r->rest.from);
    else
        (void)snprintf(line, sizeof line, "Content-Digest: %s", r->digest != NULL ? r->digest : "");
    if ((is(r, "PATCH") || r->digest != NULL) && !add_header(headers, line))
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a request");
    return RD_OK;
}

rd_status rd_transport_request(rd_transport *t, const rd_request *request, rd_response *response, rd_error *err)
{
    struct curl_slist *headers = NULL;
    long status = 0;
    curl_off_t retry_after = 0;
    memset(response, 0, sizeof *response);
    t->request = request;
    t->response = response;
    t->sent = first_sent(request);
    t->collected_size = 0;
    t->taking = false;
    response->taken = request->take != NULL ? request->rest.from : 0;
    t->take_status = RD_OK;
    t->reason[0] = '\0';
    rd_status outcome = prepare(t, request, &headers, err);
    if (outcome == RD_OK) {
        curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, headers);
        CURLcode code = curl_easy_perform(t->curl);
        if (code != CURLE_OK && t->reason[0] == '\0')
            (void)snprintf(t->reason, sizeof t->reason, "%s", curl_easy_strerror(code));
        outcome = code == CURLE_OK ? RD_OK : explain(t, code, err);
        curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, NULL);
    }
    curl_slist_free_all(headers);
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->curl, CURLINFO_RETRY_AFTER, &retry_after);
    response->status = status == 206 && t->taking ? 200 : (int)status;
    response->upload_offset = header_number(t, "Upload-Offset", "");
    const uint64_t within = header_number(t, "Rondo-Return", "");
    struct curl_header *etag, *back;
    response->has_return = curl_easy_header(t->curl, "Rondo-Return", 0, CURLH_HEADER, -1, &back) == CURLHE_OK;
    response->return_within = within < MOST_PAUSE ? (unsigned)within : MOST_PAUSE;
    if (curl_easy_header(t->curl, "ETag", 0, CURLH_HEADER, -1, &etag) == CURLHE_OK &&
        strlen(etag->value) < sizeof response->etag)
        (void)snprintf(response->etag, sizeof response->etag, "%s", etag->value);
    response->retry_after = retry_after > MOST_PAUSE ? MOST_PAUSE : retry_after > 0 ? (unsigned)retry_after : 0;
    response->body = t->collected != NULL ? t->collected : "";
    response->size = t->collected_size;
    return outcome;
}

/* ---- life ---- */

/* libcurl writes the keys of connections to the file that SSLKEYLOGFILE names, without a word. Who sets a service's
 * environment is not always who may read what it sends, so that is asked for on the command line. */
static rd_status follow_key_log(const char *path, rd_error *err)
{
    (void)unsetenv("SSLKEYLOGFILE");
    if (path == NULL)
        return RD_OK;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600); /* libcurl would go on without the file */
    if (fd < 0 || setenv("SSLKEYLOGFILE", path, 1) != 0) {
        rd_status status = rd_fail(err, RD_ERR_USAGE, "--tls-key-log %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return status;
    }
    close(fd);
    return RD_OK;
}

rd_status rd_transport_create(const rd_transport_options *options, rd_transport **out, rd_error *err)
{
    /* libcurl's buffers come and go with each request; without this the heap shrinks and grows by them each
     * time. */
    mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
    rd_status status = follow_key_log(options->key_log, err);
    if (status != RD_OK)
        return status;
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK)
        return rd_fail(err, RD_ERR_INTERNAL, "libcurl does not start: %s", curl_easy_strerror(code));
    rd_transport *t = calloc(1, sizeof *t);
    CURL *c = t != NULL ? t->curl = curl_easy_init() : NULL;
    if (c == NULL) {
        free(t);
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the HTTPS connection");
    }
    t->options = *options;
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->reason);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
    if (options->proxy != NULL) { /* else libcurl looks at https_proxy and no_proxy */
        curl_easy_setopt(c, CURLOPT_PROXY, options->proxy);
        curl_easy_setopt(c, CURLOPT_NOPROXY, "");
    }
    curl_easy_setopt(c, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* a proxy learns the host, and no more */
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(c, CURLOPT_SSL_CIPHER_LIST,
                     "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:"
                     "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384");
    curl_easy_setopt(c, CURLOPT_TLS13_CIPHERS,
                     "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
    if (options->files.ca != NULL) {
        curl_easy_setopt(c, CURLOPT_CAINFO, options->files.ca);
        curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
    } else {
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (options->files.cert != NULL) {
        curl_easy_setopt(c, CURLOPT_SSLCERT, options->files.cert);
        curl_easy_setopt(c, CURLOPT_SSLKEY, options->files.key);
    }
    curl_easy_setopt(c, CURLOPT_KEYPASSWD, options->passphrase); /* without one the library would ask on the terminal */
    rd_resumption_allow(c);
    curl_easy_setopt(c, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L); /* the connection says that this client is there, while it trains */
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(1000.0 * options->most_seconds));
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 64L * 1024);
    curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 64L * 1024);
    curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(c, CURLOPT_READDATA, t);
    curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(c, CURLOPT_SEEKDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    *out = t;
    return RD_OK;
}

void rd_transport_free(rd_transport *t)
{
    if (t == NULL)
        return;
    curl_easy_cleanup(t->curl);
    curl_global_cleanup();
    free(t->collected);
    free(t);
}
