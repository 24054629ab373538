/* enrol.c: see enrol.h. The token is looked at before anything is computed, on the worker; signing and writing are for a thread
 * that has nothing else to do. There is one such thread, so of two who come with one token the second finds it used. */
#include "enrol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/enrol_messages.h"
#include "core/clock.h"

typedef struct job {
    rd_enrolment *enrolment;
    rd_driver *driver;
    rd_peer peer; /* whose certificate is renewed; its name is "": a newcomer's */
    char name[RD_PEER_NAME_MAX], request[RD_REQUEST_MAX], token[RD_MEMBER_TOKEN_MAX];
    char certificate[RD_CERTIFICATE_MAX], ca[RD_CERTIFICATE_MAX];
    rd_peer made; /* what the certificate says */
    rd_status status;
    rd_error err;
} job;

static void refuse(rd_call *c, const rd_error *err)
{
    if (err->status == RD_ERR_REFUSED)
        rd_call_refuse(c, 403, "token", err->message);
    else if (err->status == RD_ERR_INTERNAL || err->status == RD_ERR_CONFIG)
        rd_call_refuse(c, 500, "internal", "the certificate could not be signed; the aggregator's log says why");
    else
        rd_call_refuse_error(c, err);
}

static bool is_off(rd_call *c)
{
    if (c->routes->enrolment->signer != NULL)
        return false;
    rd_call_refuse(c, 404, "unknown", "this aggregator enrols nobody");
    return true;
}

void rd_enrol_ca(rd_call *c)
{
    rd_error err;
    char pem[RD_CERTIFICATE_MAX];
    if (is_off(c))
        return;
    if (rd_authority_read(c->routes->enrolment->signer->ca, pem, &err) == RD_OK)
        rd_call_json(c, 200, "", rd_certificates_write(NULL, pem));
    else
        refuse(c, &err);
}

/* ---- on the thread that signs ---- */

static void sign(void *user)
{
    job *j = user;
    const rd_signer *signer = j->enrolment->signer;
    const bool renewal = j->peer.name[0] != '\0';
    j->status = renewal ? RD_OK : rd_members_check_token(j->enrolment->members, j->token, &j->err);
    if (j->status == RD_OK)
        j->status = rd_authority_read(signer->ca, j->ca, &j->err);
    if (j->status == RD_OK)
        j->status = rd_signer_sign(signer, j->request, j->name, j->certificate, &j->made, &j->err);
    if (j->status == RD_OK && renewal)
        j->status = rd_members_renew(j->enrolment->members, &j->peer, j->made.fingerprint, &j->err);
    else if (j->status == RD_OK)
        j->status = rd_members_enrol(j->enrolment->members, j->token, j->made.fingerprint, &j->err);
}

static void signed_or_not(rd_exchange *x, void *user)
{
    job *j = user;
    rd_call *c = x != NULL ? rd_exchange_user(x) : NULL;
    const bool renewal = j->peer.name[0] != '\0';
    const char *what = renewal ? "given a newer certificate" : "enrolled";
    if (j->status == RD_OK) {
        char which[RD_SHA256_HEX + 32];
        (void)snprintf(which, sizeof which, "certificate %s", j->made.fingerprint);
        rd_driver_account(j->driver, renewal ? "renewed" : "enrolled", j->name, which);
        rd_driver_log(j->driver, RD_LOG_INFO, "%s was %s", j->name, what);
    } else {
        rd_driver_log(j->driver, RD_LOG_WARNING, "%s was not %s: %s", j->name, what, j->err.message);
    }
    if (c != NULL && j->status == RD_OK)
        rd_call_json(c, 200, "", rd_certificates_write(j->certificate, j->ca));
    else if (c != NULL)
        refuse(c, &j->err);
    explicit_bzero(j->token, sizeof j->token);
    free(j);
}

/* ---- on the worker ---- */

/* The token, before anything is computed for who brings it. */
static rd_status check_token(rd_call *c, const char *token, rd_error *err)
{
    rd_enrolment *e = c->routes->enrolment;
    const char *address = rd_exchange_peer(c->x);
    const double now = rd_clock_seconds();
    (void)pthread_mutex_lock(&e->lock);
    const bool may = rd_attempts_may(&e->attempts, address, now);
    (void)pthread_mutex_unlock(&e->lock);
    if (!may)
        return rd_fail(err, RD_ERR_MEMORY, "too many tokens from this address that were none; wait a minute");
    rd_status status = rd_members_check_token(e->members, token, err);
    if (status != RD_ERR_REFUSED)
        return status;
    (void)pthread_mutex_lock(&e->lock);
    rd_attempts_failed(&e->attempts, address, now);
    (void)pthread_mutex_unlock(&e->lock);
    rd_driver_log(c->routes->driver, RD_LOG_WARNING, "%s wants to enrol: %s", address, err->message);
    return status;
}

static job *begin_job(rd_call *c)
{
    job *j = calloc(1, sizeof *j);
    if (j == NULL) {
        rd_call_json(c, 503, "", NULL);
        return NULL;
    }
    j->enrolment = c->routes->enrolment;
    j->driver = c->routes->driver;
    return j;
}

/* What can be told at once has been looked at: the job goes to its thread, or the refusal out. */
static void go_on(rd_call *c, job *j, rd_status status, const rd_error *err)
{
    if (status != RD_OK)
        refuse(c, err);
    if (status == RD_OK && rd_exchange_work(c->x, RD_LANE_SIGN, sign, signed_or_not, j))
        return;
    if (status == RD_OK)
        rd_call_json(c, 503, "", NULL);
    explicit_bzero(j->token, sizeof j->token);
    free(j);
}

/* Nobody needs a new one at every moment, and each is a line in the journal. */
static rd_status check_renewal(rd_enrolment *e, const rd_peer *peer, rd_error *err)
{
    const double now = rd_clock_seconds();
    rd_status status = rd_member_check_name(peer->name, err);
    if (status != RD_OK)
        return rd_fail_as(err, RD_ERR_REFUSED);
    if (rd_clock_unix() < 0.5 * (peer->not_before + peer->not_after))
        return rd_fail(err, RD_ERR_STATE, "this certificate is not past the half of its life");
    (void)pthread_mutex_lock(&e->lock);
    const bool may = rd_attempts_may(&e->renewals, peer->name, now);
    if (may)
        rd_attempts_failed(&e->renewals, peer->name, now);
    (void)pthread_mutex_unlock(&e->lock);
    return may ? RD_OK : rd_fail(err, RD_ERR_MEMORY, "too many renewals of '%s'; wait a minute", peer->name);
}

void rd_renew_complete(rd_call *c)
{
    rd_error err;
    job *j = is_off(c) ? NULL : begin_job(c);
    if (j == NULL)
        return;
    const rd_peer *peer = rd_exchange_certificate(c->x);
    rd_status status = rd_enrol_parse(rd_call_body(c), c->body_size,
                                      &(rd_enrol_texts){NULL, 0, j->request, sizeof j->request}, &err);
    if (status == RD_OK)
        status = check_renewal(j->enrolment, peer, &err);
    if (status == RD_OK) {
        j->peer = *peer;
        (void)snprintf(j->name, sizeof j->name, "%s", peer->name);
        status = rd_request_check(j->request, j->name, &err);
    }
    go_on(c, j, status, &err);
}

void rd_enrol_complete(rd_call *c)
{
    rd_error err;
    job *j = is_off(c) ? NULL : begin_job(c);
    if (j == NULL)
        return;
    rd_status status = rd_enrol_parse(rd_call_body(c), c->body_size,
                                      &(rd_enrol_texts){j->token, sizeof j->token, j->request, sizeof j->request}, &err);
    if (status == RD_OK)
        status = check_token(c, j->token, &err);
    if (status == RD_OK) { /* a token that there is begins with its name */
        (void)snprintf(j->name, sizeof j->name, "%.*s", (int)strcspn(j->token, ":"), j->token);
        status = rd_request_check(j->request, j->name, &err);
    }
    go_on(c, j, status, &err);
}
