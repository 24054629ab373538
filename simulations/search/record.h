/* record.h: DIR/trials.jsonl, which says of every trial of a search where it began and what came of
 * it, and the ranked table of them. Lines are only ever added; one that was cut off by a crash is ignored. */
#ifndef RONDO_SIMULATIONS_SEARCH_RECORD_H
#define RONDO_SIMULATIONS_SEARCH_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "search/ask.h"

typedef struct search_record {
    int fd;
    search_trial *trials; /* (count) */
    uint64_t *rounds;     /* (count) */
    double *seconds;      /* (count) */
    size_t count, capacity;
} search_record;

/* RD_ERR_STATE: the search in this directory was for another space.json, run.json or number of clients. */
rd_status search_record_open(const char *directory, const char *space, const char *run, size_t clients,
                             search_record *out, rd_error *err) RD_MUST_CHECK;
void search_record_close(search_record *r);
/* Adds a trial at this point, without a result. */
rd_status search_record_begin(search_record *r, const search_space *s, const double point[SEARCH_KEYS],
                              rd_error *err) RD_MUST_CHECK;
rd_status search_record_end(search_record *r, size_t trial, double objective, uint64_t rounds, double seconds,
                            rd_error *err) RD_MUST_CHECK;
/* The finished trial with the smallest objective; SIZE_MAX: none. */
size_t search_record_best(const search_record *r);
/* One line of a trial: its objective and values. */
void search_record_print_one(const search_record *r, const search_space *s, size_t trial);
/* A table of all that have finished, best first. */
rd_status search_record_print(const search_record *r, const search_space *s, rd_error *err) RD_MUST_CHECK;

#endif
