/* counting.h: models that learn by counting instead of by gradients: naive Bayes and k-means. Their
 * parameters follow from sums over all rows (how many, of what, how much), so a client sends its sums, the
 * aggregator adds them up, and one round gives what a single computer with all the rows would have found: the
 * same in every bit, because every number that enters a sum is first rounded to a multiple of 2^-24, and
 * whole numbers are added.
 *
 * Such a model is one layer. Its tensor "sums" (S,3) holds each sum as three floats, in units of 2^20, 1 and
 * 2^-24, which together are exact up to 2^43; what travels is this tensor, with the others unchanged. */
#ifndef RONDO_MODEL_COUNTING_H
#define RONDO_MODEL_COUNTING_H

#include "model/model.h"

typedef __int128 rd_sum; /* in units of 2^-24 */

/* Does the model learn by counting? */
bool rd_model_counts(const rd_model *m);
/* Have rows been counted already? If not, a k-means model has no centroids yet: then counting picks rows to
 * begin with. */
bool rd_model_has_counted(const rd_model *m, const float *parameters);
size_t rd_model_sum_count(const rd_model *m); /* S */

/* Adds what B rows x (B,D) with their labels (B; NULL where the model needs none) contribute to sums (S). */
void rd_model_count(const rd_model *m, const float *parameters, const float *x, const int32_t *labels, size_t B,
                    rd_sum *sums);
/* Of a k-means model that has no centroids: K rows of the client's, x (K,D). */
void rd_model_count_start(const rd_model *m, const float *x, size_t rows, rd_sum *sums);
size_t rd_model_start_rows(const rd_model *m); /* K; 0: no rows are needed to begin */

/* Writes the sums as floats to their place in update, a vector like the parameters; the rest of it is set to
 * 0. RD_ERR_RANGE: a sum is 2^43 or more. */
rd_status rd_model_write_sums(const rd_model *m, const rd_sum *sums, float *update, rd_error *err) RD_MUST_CHECK;
/* From the total of all clients' updates, in the same layout, to parameters. */
rd_status rd_model_conclude(const rd_model *m, const double *total, float *parameters, rd_error *err) RD_MUST_CHECK;

/* What a kind of layer that counts offers beside rd_layer_type's plan, init and forward. */
struct rd_layer;
typedef struct rd_counting_type {
    size_t (*sum_count)(const struct rd_layer *l);
    void (*count)(const struct rd_layer *l, const float *parameters, const float *x, const int32_t *labels, size_t B,
                  rd_sum *sums);
    /* NULL: none; or the sums of rows to begin with */
    void (*count_start)(const struct rd_layer *l, const float *x, size_t rows, rd_sum *sums);
    size_t (*start_rows)(const struct rd_layer *l);
    /* sums (S) -> parameters */
    void (*conclude)(const struct rd_layer *l, const rd_sum *sums, float *parameters);
} rd_counting_type;

/* A number that enters a sum. */
static inline rd_sum rd_sum_of(double x)
{
    return (rd_sum)__builtin_llrint(x * 16777216.0);
}
/* A sum as a number again. */
static inline double rd_sum_value(rd_sum s)
{
    return (double)s / 16777216.0;
}

#endif
