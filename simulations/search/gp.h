/* gp.h: where to look next. A Gaussian process with a Matern 5/2 kernel is fitted to what has been
 * seen, and the next point is one with the largest expected improvement (Jones, Schonlau and Welch 1998,
 * equation 15; kernel and fit as in Snoek, Larochelle and Adams 2012, with one length scale that maximises
 * the marginal likelihood). Linear algebra is LAPACK's.
 *
 * Everything is a function of what it is given: no state, no clock. */
#ifndef RONDO_SIMULATIONS_SEARCH_GP_H
#define RONDO_SIMULATIONS_SEARCH_GP_H

#include <stddef.h>

#include "core/error.h"

typedef struct search_gp {
    size_t n, d;
    double *x;     /* (n,d) */
    double *L;     /* (n,n) Cholesky factor of the kernel matrix, column-major */
    double *alpha; /* (n) kernel^-1 (y - mean) / deviation */
    double length, noise, mean, deviation;
    double likelihood; /* log, of the normalised observations */
} search_gp;

/* What has been seen: n points of d coordinates. */
typedef struct search_points {
    size_t n, d;
    const double *x; /* (n,d) */
    const double *y; /* (n) */
} search_points;

/* With given length scale and noise (variance, of observations normalised to mean 0 and deviation 1).
 * RD_ERR_RANGE: the kernel matrix is not positive definite. */
rd_status search_gp_fit(const search_points *seen, double length, double noise, search_gp *out,
                        rd_error *err) RD_MUST_CHECK;
/* The same with the length scale and noise of a fixed set that maximise the likelihood. */
rd_status search_gp_fit_best(const search_points *seen, search_gp *out, rd_error *err) RD_MUST_CHECK;
void search_gp_free(search_gp *g);
/* Mean and variance of the function at x (d), in the observations' own units. work (n) */
void search_gp_predict(const search_gp *g, const double *x, double *work, double *mean, double *variance);
/* E[max(0, best - f)] for f normal. */
double search_expected_improvement(double mean, double variance, double best);
/* Element `number` (0, 1, ...) of the van der Corput sequence in base b, which Halton's has in each
 * coordinate. */
double search_van_der_corput(unsigned long number, unsigned base);

#endif
