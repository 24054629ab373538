/* request.c: see request.h. */
#include "request.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/messages.h"
#include "core/clock.h"
#include "core/crypto.h"
#include "core/random.h"
#include "core/signals.h"

#define FIRST_BACKOFF 0.2 /* seconds; doubled with each failure, drawn uniformly from [0, backoff) */
#define MOST_BACKOFF 10.0
#define LEAST_BUSY 0.5         /* where the aggregator is busy and does not say for how long */
#define SAY_AGAIN_SECONDS 60.0 /* between two lines on the same trouble */
#define GOODBYE_SECONDS 1.0
/* The most to ask again where another client with this certificate is in the run: it may be one that was switched off
 * without a word, which the aggregator notices after 30 s. */
#define IN_USE_SECONDS 45.0
#define IN_USE_PAUSE 1.0

struct rd_requester {
    rd_requester_options options;
    rd_transport *transport;
    rd_random jitter;
    char passphrase[RD_PASSPHRASE_MAX];
    rd_own_certificate certificate;
    char session[33]; /* drawn anew by each program: PROTOCOL.md */
    bool rejoining;   /* the request under way is part of joining again */
    double return_within; /* seconds over which the aggregator has its clients spread when they have lost it */
};

/* What stands in the way of one request. */
typedef struct trouble {
    rd_backoff reconnect, rejoin;
    double lost_at;  /* when the connection was lost; 0: it was not */
    double busy_at;  /* when the aggregator first said "later"; 0: it did not */
    double used_at;  /* when it first said that another client is there; 0: it did not */
    rd_error in_use; /* what it said */
    double said_at;  /* when that was last reported */
} trouble;

bool rd_requester_stopped(const rd_requester *r)
{
    return rd_signals_arrived(r->options.transport.signals, 0);
}

void rd_requester_sleep(const rd_requester *r, double seconds)
{
    double end = rd_clock_seconds() + seconds;
    for (double left = seconds; left > 0.0 && !rd_requester_stopped(r); left = end - rd_clock_seconds())
        usleep(left < 0.1 ? (useconds_t)(1e6 * left) : 100000);
}

double rd_requester_next_pause(rd_requester *r, rd_backoff *b)
{
    b->most = b->most == 0.0 ? FIRST_BACKOFF : fmin(2.0 * b->most, MOST_BACKOFF);
    return b->most * rd_random_uniform(&r->jitter);
}

double rd_requester_asked_pause(rd_requester *r, double seconds)
{
    return seconds > 0.0 ? seconds + rd_random_uniform(&r->jitter) : 0.0;
}

/* A connection that broke is made again at once, for it may have been a moment's trouble. Where that fails, too, the
 * aggregator is not there, for nobody: now all of its clients wait, and are not to come back all at once. */
static double pause_of_lost(rd_requester *r, rd_backoff *b, bool again)
{
    const double pause = rd_requester_next_pause(r, b), within = fmin(r->return_within, r->options.retry_seconds / 2);
    return again && within > b->most ? within * rd_random_uniform(&r->jitter) : pause;
}

static void say(const rd_requester *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const rd_requester *r, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    r->options.say(r->options.user, line);
}

/* Is it time to tell of the trouble, for the first time or again? */
static bool time_to_say(trouble *t)
{
    double now = rd_clock_seconds();
    if (t->said_at != 0.0 && now < t->said_at + SAY_AGAIN_SECONDS)
        return false;
    t->said_at = now;
    return true;
}

rd_status rd_requester_refused(const rd_response *response, rd_error *err)
{
    rd_refusal refusal;
    rd_refusal_parse(response->body, response->size, &refusal);
    return rd_fail(err, RD_ERR_REFUSED, "the aggregator refused (%d): %s", response->status, refusal.message);
}

/* ---- what is left to do when an attempt broke off ---- */

/* A request, as its next attempt is to be. */
typedef struct attempt {
    const rd_request *whole;
    rd_request next;
    char etag[RD_ETAG_MAX]; /* of the answer of which next.rest.from bytes are taken */
    uint64_t received;      /* in all attempts */
    bool asks_first;        /* how much of the body is there */
} attempt;

/* All of the body, or all of the answer's, anew. */
static void begin_anew(attempt *a)
{
    if (a->next.rest.from > 0 && a->whole->take != NULL)
        a->whole->restart(a->whole->user);
    a->next = *a->whole;
}

/* The connection broke. Has it brought anything that need not come again? */
static bool note_broken(attempt *a, const rd_response *response)
{
    const bool can_name = response->etag[0] == '"'; /* a weak one (W/) does not name bytes */
    a->asks_first = a->whole->digest != NULL;
    if (a->whole->take == NULL || response->taken == a->next.rest.from)
        return false;
    a->next.rest = (rd_continuation){.from = response->taken, .etag = a->etag};
    if (can_name)
        (void)snprintf(a->etag, sizeof a->etag, "%s", response->etag);
    else
        begin_anew(a);
    return can_name;
}

/* Asks how many bytes of the body are there, and makes the next attempt send the others. *later: the aggregator
 * cannot say yet. *progress: more are there than were when it was last asked. */
static rd_status ask_first(rd_requester *r, attempt *a, rd_response *response, bool *later, bool *progress,
                           rd_error *err)
{
    const rd_request question = {.method = "HEAD", .path = a->whole->path};
    const uint64_t before = a->next.rest.from;
    rd_status status = rd_transport_request(r->transport, &question, response, err);
    *later = status == RD_OK && response->status == 503;
    *progress = false;
    if (status != RD_OK || *later)
        return status;
    a->asks_first = false;
    a->next = *a->whole;
    if (response->status == 204 && response->upload_offset > 0 &&
        response->upload_offset < rd_request_body_size(a->whole)) {
        a->next.method = "PATCH";
        a->next.rest.from = response->upload_offset;
        *progress = response->upload_offset > before;
    }
    return RD_OK;
}

static bool is_refusal(const rd_response *response, int status, const char *kind)
{
    rd_refusal refusal;
    if (response->status != status)
        return false;
    rd_refusal_parse(response->body, response->size, &refusal);
    return strcmp(refusal.kind, kind) == 0;
}

/* ---- what may stand between a request and its answer ---- */

/* There is no connection: err says why. *pause is how long to wait before the next attempt. */
static rd_status on_lost(rd_requester *r, trouble *t, double *pause, rd_error *err)
{
    double now = rd_clock_seconds(), patience = r->options.retry_seconds;
    if (t->used_at != 0.0) /* the run goes on, or ends, without this client */
        return rd_fail(err, RD_ERR_REFUSED, "%s", t->in_use.message);
    const bool again = t->lost_at != 0.0;
    if (!again) {
        t->lost_at = now;
        t->said_at = 0.0;
    }
    *pause = pause_of_lost(r, &t->reconnect, again);
    if (now + *pause > t->lost_at + patience)
        return rd_fail(err, RD_ERR_NETWORK, "%.300s (tried for %.0f s)", strdupa(err->message), patience);
    if (time_to_say(t))
        say(r, "%s; trying for %.0f s%s", err->message, t->lost_at + patience - now, now > t->lost_at ? " more" : "");
    return RD_OK;
}

/* The aggregator says "later". */
static void on_busy(rd_requester *r, trouble *t, const rd_response *response, double *pause)
{
    rd_error reason;
    if (t->busy_at == 0.0) {
        t->busy_at = rd_clock_seconds();
        t->said_at = 0.0;
    }
    (void)rd_requester_refused(response, &reason);
    if (time_to_say(t))
        say(r, "%s; trying again", reason.message);
    *pause = rd_requester_asked_pause(r, response->retry_after > 0 ? response->retry_after : LEAST_BUSY);
}

static rd_status on_forgotten(rd_requester *r, trouble *t, rd_error *err)
{
    if (t->rejoin.most > 0.0)
        rd_requester_sleep(r, rd_requester_next_pause(r, &t->rejoin));
    t->rejoin.most = FIRST_BACKOFF;
    say(r, "the aggregator does not know this client any more: joining again");
    r->rejoining = true;
    rd_status status = r->options.rejoin(r->options.user, err);
    r->rejoining = false;
    return status;
}

/* Another client with this certificate is in the run. */
static rd_status on_in_use(rd_requester *r, trouble *t, const rd_response *response, double *pause, rd_error *err)
{
    double now = rd_clock_seconds(), patience = fmin(IN_USE_SECONDS, r->options.retry_seconds);
    (void)rd_requester_refused(response, err);
    t->in_use = *err;
    if (t->used_at == 0.0) {
        t->used_at = now;
        say(r, "%s; asking again for %.0f s, in case it is gone", err->message, patience);
    }
    *pause = IN_USE_PAUSE;
    return now + *pause < t->used_at + patience ? RD_OK : RD_ERR_REFUSED;
}

static void on_answer(rd_requester *r, trouble *t)
{
    if (t->lost_at != 0.0)
        say(r, "the aggregator answers again, after %.1f s", rd_clock_seconds() - t->lost_at);
    t->lost_at = 0.0;
    t->reconnect.most = 0.0;
}

/* Sends what is left to send, or asks for what is left to come. *progress: it brought the request nearer to its end,
 * even where the connection broke again. */
static rd_status make_attempt(rd_requester *r, attempt *a, rd_response *response, bool *progress, rd_error *err)
{
    bool later = false;
    rd_status status = RD_OK;
    *progress = false;
    if (a->asks_first)
        status = ask_first(r, a, response, &later, progress, err);
    if (status != RD_OK || later)
        return status;
    status = rd_transport_request(r->transport, &a->next, response, err);
    a->received += response->received;
    response->received = a->received;
    if (status == RD_ERR_NETWORK)
        *progress = note_broken(a, response) || *progress;
    return status;
}

/* What was begun is not there any more: the aggregator was started again, or the model is another one. */
static bool is_without_rest(const rd_response *response)
{
    return response->status == 416 || is_refusal(response, 409, "offset");
}

rd_status rd_requester_ask(rd_requester *r, const rd_request *request, rd_response *response, rd_error *err)
{
    trouble t = {0};
    attempt a = {.whole = request, .next = *request};
    for (;;) {
        double pause = 0.0;
        bool progress;
        rd_status status = make_attempt(r, &a, response, &progress, err);
        bool lost = status == RD_ERR_NETWORK && !rd_requester_stopped(r);
        if (status != RD_OK && !lost)
            return status;
        if (!lost || progress)
            on_answer(r, &t);
        if (!lost && response->has_return)
            r->return_within = response->return_within;
        if (lost)
            status = on_lost(r, &t, &pause, err);
        else if (is_refusal(response, 403, "join") && !r->rejoining)
            status = on_forgotten(r, &t, err);
        else if (is_refusal(response, 409, "in-use"))
            status = on_in_use(r, &t, response, &pause, err);
        else if (is_refusal(response, 409, "replaced"))
            return rd_requester_refused(response, err);
        else if (response->status == 503 || response->status == 507)
            on_busy(r, &t, response, &pause);
        else if (a.next.rest.from > 0 && is_without_rest(response))
            begin_anew(&a);
        else
            return RD_OK;
        if (status != RD_OK)
            return status;
        rd_requester_sleep(r, pause);
        if (rd_requester_stopped(r))
            return rd_fail(err, RD_ERR_NETWORK, "interrupted");
    }
}

rd_status rd_requester_last_word(rd_requester *r, const rd_request *request, rd_response *response, rd_error *err)
{
    rd_transport_options options = r->options.transport;
    options.signals = -1;
    options.most_seconds = GOODBYE_SECONDS;
    rd_transport_free(r->transport);
    r->transport = NULL;
    rd_status status = rd_transport_create(&options, &r->transport, err);
    return status == RD_OK ? rd_transport_request(r->transport, request, response, err) : status;
}

/* ---- life ---- */

/* Reads the certificate files. One that is not valid yet is waited for: a machine may start with a wrong clock. */
static rd_status check_files(rd_requester *r, rd_error *err)
{
    const rd_credential_files *files = &r->options.transport.files;
    double began = rd_clock_seconds();
    bool early = true, reported = false;
    rd_credentials *c = NULL;
    rd_status status = rd_credentials_load(files, RD_SIDE_CLIENT, &c, &early, err);
    while (status != RD_OK && early && !rd_requester_stopped(r) &&
           rd_clock_seconds() < began + r->options.retry_seconds) {
        if (!reported)
            say(r, "%s; trying for %.0f s", err->message, r->options.retry_seconds);
        reported = true;
        rd_requester_sleep(r, 1.0);
        status = rd_credentials_load(files, RD_SIDE_CLIENT, &c, &early, err);
    }
    if (status != RD_OK)
        return status;
    if (!rd_credentials_own_authority(c))
        say(r,
            "--cert %s is not signed by --ca %s: that is right only where the aggregator has another "
            "authority for clients",
            files->cert, files->ca);
    (void)snprintf(r->passphrase, sizeof r->passphrase, "%s", rd_credentials_passphrase(c));
    r->certificate =
        (rd_own_certificate){*files, r->passphrase, *rd_credentials_peer(c), rd_credentials_own_authority(c)};
    rd_credentials_free(c);
    return RD_OK;
}

rd_status rd_requester_create(const rd_requester_options *options, rd_requester **out, rd_error *err)
{
    rd_requester *r = calloc(1, sizeof *r);
    if (r == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the connection");
    r->options = *options;
    r->options.transport.session = r->session;
    r->options.transport.passphrase = r->passphrase;
    rd_status status = RD_OK;
    RD_TRY(rd_random_hex(16, r->session, err));
    /* Not from the time and the process's number: machines that start together have the same. */
    r->jitter = rd_random_stream(rd_client_key(r->session), RD_PURPOSE_JITTER, 0, 0);
    RD_TRY(check_files(r, err));
    RD_TRY(rd_transport_create(&r->options.transport, &r->transport, err));
    *out = r;
    r = NULL;
cleanup:
    rd_requester_free(r);
    return status;
}

const rd_own_certificate *rd_requester_certificate(const rd_requester *r)
{
    return &r->certificate;
}

rd_status rd_requester_reload(rd_requester *r, rd_error *err)
{
    rd_transport *renewed = NULL;
    rd_status status = check_files(r, err);
    if (status == RD_OK)
        status = rd_transport_create(&r->options.transport, &renewed, err);
    if (status != RD_OK)
        return status;
    rd_transport_free(r->transport);
    r->transport = renewed;
    return RD_OK;
}

void rd_requester_free(rd_requester *r)
{
    if (r == NULL)
        return;
    rd_transport_free(r->transport);
    explicit_bzero(r->passphrase, sizeof r->passphrase);
    free(r);
}
