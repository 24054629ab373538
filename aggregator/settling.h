/* settling.h: before the first round: what columns and classes mean (run/agreement.h), agreed by the clients over the
 * network. Any thread may call any of these; the driver asks from its own whether it is done. */
#ifndef RONDO_AGGREGATOR_SETTLING_H
#define RONDO_AGGREGATOR_SETTLING_H

#include <stdbool.h>

#include "codec/messages.h"
#include "core/error.h"
#include "run/agreement.h"
#include "run/run.h"

typedef struct rd_settling rd_settling;

/* Opens the run and, where its schema is not settled yet, an agreement about it. */
rd_status rd_settling_open(const rd_config *config, const char *directory, unsigned threads, rd_settling **out,
                           rd_run **run, rd_error *err) RD_MUST_CHECK;
void rd_settling_free(rd_settling *s);

/* A client joins with its data's description, which is taken over. RD_ERR_DATA: they are of another schema. */
rd_status rd_settling_join(rd_settling *s, const char *client, rd_join_data *data, rd_error *err) RD_MUST_CHECK;
void rd_settling_leave(rd_settling *s, const char *client);
/* POST /v1/rounds/0/measure-{step} */
rd_status rd_settling_measured(rd_settling *s, const char *client, uint64_t step, const char *json, size_t size,
                               rd_error *err) RD_MUST_CHECK;
/* Who has not measured by now is left out; missing names them. */
void rd_settling_deadline(rd_settling *s, char *missing, size_t size);

bool rd_settling_is_done(rd_settling *s);
/* The step that this client is to measure; 0: none. */
int rd_settling_asks(rd_settling *s, const char *client);
/* The answer to a client that joins. free(); NULL: no memory. */
char *rd_settling_welcome(rd_settling *s, const char *run_id, const char *client);

/* ---- the driver's thread ---- */

typedef enum rd_settling_news {
    RD_SETTLING_NONE,
    RD_SETTLING_STUCK,   /* the descriptions do not make a schema: text says why. Reported once for each reason */
    RD_SETTLING_MEASURE, /* clients are to be asked for their next step */
    RD_SETTLING_DONE,    /* the run knows its schema, or more of it than before: rounds may begin, after
                            rd_settling_keep. text: what was settled, and left out */
} rd_settling_news;
/* Goes on as far as it can; enough: so many clients are there as rounds need. */
rd_status rd_settling_advance(rd_settling *s, bool enough, rd_settling_news *news, char *text, size_t size,
                              rd_error *err) RD_MUST_CHECK;
/* Writes what is settled to the state directory. May be repeated when it failed (disk full). */
rd_status rd_settling_keep(rd_settling *s, rd_error *err) RD_MUST_CHECK;

#endif
