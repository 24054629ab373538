/* members.h: who was given a token, who was let in by it, and who was thrown out: the file `members` of a state directory.
 *
 * It is a journal that is only ever added to, a line for each thing that has happened, under a lock of the file: the commands
 * `token` and `revoke` write into it while `serve` runs, which sees what was added at the next request. The order of the lines
 * is what decides: after "revoked alice" no certificate of alice is good, but one that was issued in a later line. Each line
 * begins with a digest of its rest, so damage is noticed; a last line that lacks its end was cut off by a loss of power, and
 * is dropped by whoever writes next.
 *
 * Of a token the file has the SHA-256 alone: who reads the state directory cannot use one. */
#ifndef RONDO_AGGREGATOR_MEMBERS_H
#define RONDO_AGGREGATOR_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "credentials/peer.h"

#define RD_MEMBER_NAME_MAX 65  /* letters, digits, dots, dashes and underscores, and the end of the string */
#define RD_MEMBER_TOKEN_MAX 98 /* "NAME:" and 32 hexadecimal digits, and the end of the string */

typedef struct rd_members rd_members;

/* What may be done over the wire. */
typedef enum rd_role {
    RD_ROLE_CLIENT,   /* takes part in rounds, and reads their records */
    RD_ROLE_OBSERVER, /* reads the records of rounds, and does nothing else */
    RD_ROLE_OPERATOR, /* reads them, gives tokens for the two roles above, and throws out who has one of them */
} rd_role;
extern const char *const rd_role_names[]; /* by role; NULL ends them */
rd_status rd_role_parse(const char *text, rd_role *out, rd_error *err) RD_MUST_CHECK; /* RD_ERR_USAGE */

/* May this be the name of a member? RD_ERR_USAGE says what one looks like. */
rd_status rd_member_check_name(const char *name, rd_error *err) RD_MUST_CHECK;

/* Opens the journal of a state directory, which must exist, and reads it. RD_ERR_FORMAT: a line of it is damaged. Every
 * other function may be called from any thread, and sees first what other processes have added; where that cannot be read,
 * questions are answered as if everybody were revoked. */
rd_status rd_members_open(const char *state_directory, rd_members **out, rd_error *err) RD_MUST_CHECK;
void rd_members_free(rd_members *m); /* NULL: nothing */

/* A new token for NAME, good once and for so many seconds. */
rd_status rd_members_add_token(rd_members *m, const char *name, rd_role role, double seconds,
                               char token[RD_MEMBER_TOKEN_MAX], rd_error *err) RD_MUST_CHECK;
/* Is it one that may be used now? RD_ERR_REFUSED says why not: unknown, used, withdrawn or expired. */
rd_status rd_members_check_token(rd_members *m, const char *token, rd_error *err) RD_MUST_CHECK;
/* The certificate with this fingerprint was made for who had the token, which is used with that. RD_ERR_REFUSED as above. */
rd_status rd_members_enrol(rd_members *m, const char *token, const char *fingerprint, rd_error *err) RD_MUST_CHECK;
/* The same for who had another certificate. RD_ERR_REFUSED: that one is of no use any more. */
rd_status rd_members_renew(rd_members *m, const rd_peer *peer, const char *fingerprint, rd_error *err) RD_MUST_CHECK;
/* From now on no certificate of NAME is good that exists, nor a token. */
rd_status rd_members_revoke(rd_members *m, const char *name, rd_error *err) RD_MUST_CHECK;

/* Why a certificate is of no use, in words; NULL: it is. A name that was enrolled has one certificate at a time: the newest that
 * was issued, or until that one is first shown, the one before. A name that was neither enrolled nor revoked has any
 * that the authority has signed. */
const char *rd_members_refuse(rd_members *m, const rd_peer *peer);
/* A certificate that is not refused was shown: one that came before it is of no use any more. */
void rd_members_note_use(rd_members *m, const rd_peer *peer);
rd_role rd_members_role(rd_members *m, const char *name);

#endif
