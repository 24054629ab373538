/* samples.h: this client's data on their way into a run. What a file says by itself is read at once, so that what is
 * wrong with it is reported before anybody is asked; what only the run knows (what columns and classes mean, the
 * symbols of a text) comes later, and then the file becomes samples. */
#ifndef RONDO_CLIENT_SAMPLES_H
#define RONDO_CLIENT_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>

#include "codec/messages.h"
#include "core/error.h"
#include "data/source.h"
#include "data/table_file.h"

typedef struct rd_samples {
    const rd_source *source; /* not owned */
    rd_table_file table;     /* where the source is one */
    bool is_table;
    bool is_ready; /* data are samples */
    rd_dataset data;
} rd_samples;

/* RD_ERR_DATA: the file is missing or wrong. */
rd_status rd_samples_open(const rd_source *source, rd_samples *out, rd_error *err) RD_MUST_CHECK;
void rd_samples_close(rd_samples *s);

/* Must the run be known before it can be joined? */
bool rd_samples_ask_first(const rd_samples *s);
/* How many there are, as far as is known. */
size_t rd_samples_count(const rd_samples *s);
/* Is known what is needed to make samples? A run that was settled without a table learns from the first. */
bool rd_samples_can_settle(const rd_samples *s, const rd_schema *schema, bool settled);
/* What is told at join: of a table that cannot be settled yet, its description. */
rd_status rd_samples_describe(rd_samples *s, const rd_schema *schema, bool settled, rd_join_data *out,
                              rd_error *err) RD_MUST_CHECK;
/* What is told when asked to measure: JSON, free(). */
rd_status rd_samples_measure(const rd_samples *s, const rd_schema *schema, int step, char **json,
                             rd_error *err) RD_MUST_CHECK;
/* Makes samples, through a settled schema where the source is a table. RD_ERR_CONFIG: the command line asks for another
 * scale or label than the run has settled. */
rd_status rd_samples_settle(rd_samples *s, const rd_schema *schema, const rd_model *m, rd_error *err) RD_MUST_CHECK;

#endif
