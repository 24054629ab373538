/* operate.c: see operate.h. Both wait for the disk, so they are done on the thread that signs. */
#include "operate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/enrol_messages.h"
#include "core/file.h"
#include "credentials/request.h"
#include "enrol.h"

typedef struct job {
    rd_driver *driver;
    rd_members *members;
    const char *ca; /* NULL: nobody is enrolled here */
    char operator[RD_PEER_NAME_MAX];
    rd_token_order order; /* the name alone: it is thrown out */
    char token[RD_MEMBER_TOKEN_MAX], fingerprint[RD_SHA256_HEX];
    rd_status status;
    rd_error err;
} job;

/* Whom an operator may do something to. */
static rd_status check_name(rd_members *m, const char *name, rd_error *err)
{
    if (rd_members_role(m, name) != RD_ROLE_OPERATOR)
        return RD_OK;
    return rd_fail(err, RD_ERR_REFUSED, "'%.80s' is an operator, which only the aggregator's own machine can change",
                   name);
}

static rd_status give(job *j, rd_error *err)
{
    rd_status status = RD_OK;
    rd_role role;
    char pem[RD_CERTIFICATE_MAX];
    RD_TRY(rd_role_parse(j->order.role, &role, err));
    if (role == RD_ROLE_OPERATOR)
        RD_THROW(RD_ERR_REFUSED, "only the aggregator's own machine makes operators");
    RD_TRY(check_name(j->members, j->order.name, err));
    RD_TRY(rd_authority_read(j->ca, pem, err));
    RD_TRY(rd_certificate_digest(pem, j->fingerprint, err));
    RD_TRY(rd_members_add_token(j->members, j->order.name, role, 3600.0 * j->order.hours, j->token, err));
cleanup:
    return status;
}

static void do_it(void *user)
{
    job *j = user;
    if (j->ca != NULL)
        j->status = give(j, &j->err);
    else
        j->status = check_name(j->members, j->order.name, &j->err);
    if (j->status == RD_OK && j->ca == NULL)
        j->status = rd_members_revoke(j->members, j->order.name, &j->err);
}

static void refuse(rd_call *c, const rd_error *err)
{
    if (err->status == RD_ERR_REFUSED)
        rd_call_refuse(c, 403, "role", err->message);
    else
        rd_call_refuse_error(c, err);
}

static void tell(const job *j)
{
    char why[RD_PEER_NAME_MAX + 64];
    const char *name = j->order.name;
    if (j->ca != NULL) {
        (void)snprintf(why, sizeof why, "%s, by %s", j->order.role, j->operator);
        rd_driver_account(j->driver, "token", name, why);
        rd_driver_log(j->driver, RD_LOG_INFO, "%s gave a token for %s (%s)", j->operator, name, j->order.role);
    } else {
        (void)snprintf(why, sizeof why, "by %s", j->operator);
        rd_driver_account(j->driver, "revoked", name, why);
        rd_driver_log(j->driver, RD_LOG_INFO, "%s revoked %s", j->operator, name);
    }
}

static void done(rd_exchange *x, void *user)
{
    job *j = user;
    rd_call *c = x != NULL ? rd_exchange_user(x) : NULL;
    if (j->status == RD_OK)
        tell(j);
    if (c != NULL && j->status != RD_OK)
        refuse(c, &j->err);
    else if (c != NULL && j->ca != NULL)
        rd_call_json(c, 200, "", rd_given_token_write(j->token, j->fingerprint));
    else if (c != NULL)
        rd_call_empty(c, 204, "");
    explicit_bzero(j->token, sizeof j->token);
    free(j);
}

static void begin(rd_call *c, const rd_token_order *order, const char *ca)
{
    job *j = calloc(1, sizeof *j);
    if (j != NULL) {
        j->driver = c->routes->driver;
        j->members = c->routes->members;
        j->ca = ca;
        j->order = *order;
        (void)snprintf(j->operator, sizeof j->operator, "%s", rd_exchange_client(c->x));
    }
    if (j != NULL && rd_exchange_work(c->x, RD_LANE_SIGN, do_it, done, j))
        return;
    rd_call_json(c, 503, "", NULL);
    free(j);
}

void rd_operate_give_token(rd_call *c)
{
    rd_error err;
    rd_token_order order;
    const rd_signer *signer = c->routes->enrolment->signer;
    if (signer == NULL)
        rd_call_refuse(c, 404, "unknown", "this aggregator enrols nobody");
    else if (rd_token_order_parse(rd_call_body(c), c->body_size, &order, &err) != RD_OK)
        rd_call_refuse_error(c, &err);
    else
        begin(c, &order, signer->ca);
}

void rd_operate_revoke(rd_call *c)
{
    rd_error err;
    rd_token_order order = {.hours = 0.0};
    if (rd_revocation_parse(rd_call_body(c), c->body_size, order.name, &err) != RD_OK)
        rd_call_refuse_error(c, &err);
    else
        begin(c, &order, NULL);
}
