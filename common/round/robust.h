/* robust.h: what rules are made of that a few arbitrary updates cannot carry away: coordinates in order of size,
 * distances between updates. The rules themselves are strategies (strategies/). Ties go to the update that comes first.
 * Sums are doubles in the order of the updates: the same updates give the same bits. */
#ifndef RONDO_ROUND_ROBUST_H
#define RONDO_ROUND_ROBUST_H

#include "round/strategy.h"

enum { RD_COLUMNS = 64, RD_ROBUST_BLOCK = 1024 };

/* RD_ERR_RANGE: there are fewer updates than the strategy needs to withstand what it promises. */
rd_status rd_robust_check(const rd_strategy *s, const rd_collected_updates *updates, rd_error *err) RD_MUST_CHECK;

/* ---- by coordinate ---- */

/* One number for each of the first `count` columns of x (k,RD_COLUMNS), each sorted from its smallest value on.
 * column: room for k. */
typedef void rd_coordinate_rule(const float *x, size_t k, size_t number, size_t count, float *column, float *out);
/* out (n): what the rule makes of each coordinate. number: for the rule. */
rd_status rd_robust_by_coordinate(const rd_collected_updates *updates, rd_coordinate_rule *rule, size_t number,
                                  float *out, rd_error *err) RD_MUST_CHECK;
double rd_robust_middle(const float *sorted, size_t n);
double rd_robust_mean(const float *x, size_t n);

/* ---- by distance ---- */

/* sum (RD_ROBUST_BLOCK) = sum of share[i] updates[i], in the order of the updates, for coordinates [first, first +
 * count). */
void rd_robust_add_updates(const rd_collected_updates *updates, const double *share, size_t first, size_t count,
                           double *sum);
/* Squared distance of v (n) and an update. */
double rd_robust_distance(const double *v, const float *update, size_t n);

/* Which updates are near which: each update's score is the sum of the squared distances to its nearest others
 * (Blanchard et al. 2017). */
typedef struct rd_ranking rd_ranking;
/* Memory: 24 k^2 bytes for k updates. */
rd_status rd_ranking_create(const rd_collected_updates *updates, rd_ranking **out, rd_error *err) RD_MUST_CHECK;
void rd_ranking_free(rd_ranking *r);
/* Scores anew, with `left` updates that were not taken, f of which may be anything. */
void rd_ranking_score(rd_ranking *r, size_t left, size_t f);
/* The update with the smallest score that was not taken, which it then is. */
size_t rd_ranking_take_best(rd_ranking *r);
/* out (n): the mean of the `chosen` updates with the smallest scores, in the order of the updates. */
rd_status rd_robust_mean_of_best(const rd_collected_updates *updates, size_t f, size_t chosen, float *out,
                                 rd_error *err) RD_MUST_CHECK;

#endif
