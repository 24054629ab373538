/* renewal.c: see renewal.h. */
#include "renewal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/enrol_messages.h"
#include "core/clock.h"
#include "core/file.h"
#include "credentials/request.h"
#include "say.h"

#define HOUR 3600.0

/* Asks for a newer one; pem is what came, and was looked at. */
static rd_status ask(rd_requester *requester, const rd_own_certificate *own, char pem[RD_CERTIFICATE_MAX], rd_error *err)
{
    rd_status status = RD_OK;
    char text[RD_REQUEST_MAX], ca[RD_CERTIFICATE_MAX], *json = NULL;
    rd_peer made;
    rd_response response;
    if (!own->own_authority)
        return rd_fail(err, RD_ERR_REFUSED, "--ca has not signed it, so a newer one could not be checked");
    RD_TRY(rd_request_write(own->files.key, own->passphrase, own->peer.name, text, err));
    json = rd_enrol_write(NULL, text);
    if (json == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for a request");
    rd_request request = {.method = "POST",
                          .path = "/v1/renew",
                          .content_type = "application/json",
                          .body = {{json, strlen(json)}}};
    RD_TRY(rd_requester_ask(requester, &request, &response, err));
    if (response.status != 200) {
        status = rd_requester_refused(&response, err);
        goto cleanup;
    }
    RD_TRY(rd_certificates_parse(response.body, response.size,
                                 &(rd_enrol_texts){pem, RD_CERTIFICATE_MAX, ca, sizeof ca}, err));
    RD_TRY(rd_certificate_check(pem, text, own->peer.name, own->files.ca, &made, err));
    if (made.not_after <= own->peer.not_after)
        RD_THROW(RD_ERR_REFUSED, "what the aggregator gave ends no later than the one that is here");
cleanup:
    free(json);
    return status;
}

rd_status rd_renewal_look(rd_renewal *r, rd_requester *requester, bool quiet, rd_error *err)
{
    const rd_own_certificate *own = rd_requester_certificate(requester);
    const double now = rd_clock_unix(), life = own->peer.not_after - own->peer.not_before,
                 left = own->peer.not_after - now;
    char pem[RD_CERTIFICATE_MAX], line[RD_ENDINGS_LINE];
    if (now < r->next || left > life / 3.0)
        return RD_OK;
    r->next = now + fmin(HOUR, fmax(1.0, left / 10.0));
    rd_error why;
    rd_status status = ask(requester, own, pem, &why);
    if (status == RD_OK)
        status = rd_file_write(own->files.cert, pem, strlen(pem), &why);
    if (status == RD_OK) {
        status = rd_requester_reload(requester, err);
        if (status == RD_OK)
            rd_say(quiet, "--cert %s was renewed: it is good until %s", own->files.cert,
                   rd_date_write(own->peer.not_after, line));
        return status;
    }
    if (rd_endings_is_due(&r->told, RD_ENDING_CERTIFICATE, own->peer.not_after, now, line))
        rd_say(quiet, "--cert %s %s, and could not be renewed: %s", own->files.cert, line, why.message);
    return status == RD_ERR_NETWORK ? rd_fail(err, status, "%s", why.message) : RD_OK;
}
