/* agreement.h: how those who bring tables to a run come to one schema (data/schema.h), as a sequence of events
 * without a socket, a file or a clock. The aggregator tells it what clients say, the simulator what its files say.
 *
 *   open ---- rd_agreement_begin ---> measuring, a step at a time ---> settled
 *
 * In `open` whoever joins describes its table. Beginning makes one schema of run.json and the descriptions, and asks
 * those who described for what is to be measured (data/statistics.h). Who comes later reads the schema as it is;
 * only where nobody has brought a table before, the first that does says what its columns are. */
#ifndef RONDO_RUN_AGREEMENT_H
#define RONDO_RUN_AGREEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "core/error.h"
#include "data/describe.h"
#include "data/statistics.h"

typedef struct rd_agreement rd_agreement;

/* Describes data.test and data.root where they are tables, and sees whether they fit the model as far as that can be
 * told now. config must outlive the agreement. */
rd_status rd_agreement_create(const rd_config *config, const rd_model *m, rd_agreement **out,
                              rd_error *err) RD_MUST_CHECK;
/* An agreement that has been reached before. */
rd_status rd_agreement_create_settled(const rd_config *config, const rd_schema *settled, rd_agreement **out,
                                      rd_error *err) RD_MUST_CHECK;
void rd_agreement_free(rd_agreement *a);

/* ---- events ---- */

/* A client has joined, perhaps again. table: of its data, taken over (left zeroed); NULL: they are no table.
 * RD_ERR_DATA: the first table comes when rounds have begun, and means would have to be taken over it. */
rd_status rd_agreement_join(rd_agreement *a, const char *client, rd_description *table, rd_error *err) RD_MUST_CHECK;
/* The client's data were made through this settled schema (a file of `rondo-sim partition`): it then is the run's.
 * RD_ERR_DATA where another one is already. */
rd_status rd_agreement_bring(rd_agreement *a, const char *client, const rd_schema *schema, rd_error *err) RD_MUST_CHECK;
/* The client is not waited for any more. Here and below a failure (RD_ERR_DATA: nobody has a value of a column) opens
 * the agreement again. */
rd_status rd_agreement_leave(rd_agreement *a, const char *client, rd_error *err) RD_MUST_CHECK;
/* Enough clients are there. notes: see rd_schema_agree. RD_ERR_DATA: there is no schema that all could be read through;
 * the agreement stays open. */
rd_status rd_agreement_begin(rd_agreement *a, char *notes, size_t size, rd_error *err) RD_MUST_CHECK;
/* What a client has measured in this step; twice counts once. When all have answered the next step begins. */
rd_status rd_agreement_measured(rd_agreement *a, const char *client, int step, const rd_statistics *measured,
                                rd_error *err) RD_MUST_CHECK;
/* Who has not answered by now is left out of the sums. missing (size bytes): their names. */
rd_status rd_agreement_deadline(rd_agreement *a, char *missing, size_t size, rd_error *err) RD_MUST_CHECK;

/* ---- questions ---- */

/* Has a table come after all was settled without one? Asked once for each time. */
bool rd_agreement_was_extended(rd_agreement *a);

bool rd_agreement_has_begun(const rd_agreement *a);
bool rd_agreement_is_settled(const rd_agreement *a);
/* As far as it is known; settled where the agreement is. */
const rd_schema *rd_agreement_schema(const rd_agreement *a);
/* The step that this client is asked to measure; 0: none. */
int rd_agreement_asks(const rd_agreement *a, const char *client);

#endif
