/* scores.h: what beside loss and accuracy says how good a model is (run.json "evaluation.metrics"), measured
 * on data.test.
 *
 *   top2 to top10   share of predictions whose label is among so many largest outputs
 *   f1              two classes, class 1 positive: 2 TP / (2 TP + FP + FN)
 *   auc             two classes: the probability that a row of class 1 scores higher than one of class 0,
 *                   ties half (Mann-Whitney); the score is the output, or that of class 1 minus that of
 *                   class 0
 *   rmse            real targets: root of the mean over rows and targets of (y - t)^2
 *   r2              1 - sum (y - t)^2 / sum (t - mean t)^2, the mean by target, the sums over rows and targets
 *   perplexity      exp of the mean cross-entropy, without label smoothing
 *
 * What is not defined is NaN: f1 where class 1 neither is nor is said, auc of rows of one class, r2 of
 * targets that are all the same; rows that can give nothing better are refused (rd_score_check_rows). Sums are exact, or in the order of the rows, so that threads may share the
 * work in any way and find the same bits. */
#ifndef RONDO_TRAIN_SCORES_H
#define RONDO_TRAIN_SCORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/exact_sum.h"
#include "data/dataset.h"
#include "model/loss.h"
#include "model/model.h"

typedef enum rd_score {
    RD_SCORE_TOP2,
    RD_SCORE_TOP10 = RD_SCORE_TOP2 + 8,
    RD_SCORE_F1,
    RD_SCORE_AUC,
    RD_SCORE_RMSE,
    RD_SCORE_R2,
    RD_SCORE_PERPLEXITY,
    RD_SCORES,
} rd_score;

extern const char *const rd_score_names[RD_SCORES + 1]; /* ends with NULL */

typedef struct rd_scores {
    double value[RD_SCORES]; /* NaN: not measured */
} rd_scores;
rd_scores rd_scores_none(void);

/* RD_ERR_CONFIG, naming the score and the loss, where such a model cannot have it. */
rd_status rd_score_check(rd_score score, const rd_model *m, rd_error *err) RD_MUST_CHECK;

/* RD_ERR_DATA, naming the score, where it has no value on these rows. whose: "data.test". */
rd_status rd_score_check_rows(unsigned wanted, const rd_dataset *d, const char *whose, rd_error *err) RD_MUST_CHECK;

/* What an evaluation adds up for them. */
typedef struct rd_score_sums {
    unsigned wanted; /* bit 1 << score */
    uint64_t top[RD_SCORE_TOP10 - RD_SCORE_TOP2 + 1], true_positive, false_positive, false_negative;
    rd_exact_scalar entropy;
    double *by_row; /* (rows of the whole data set) each row's score for auc, or its squared error; NULL where
                       rd_scores_need_rows(wanted) is false. Shared. */
} rd_score_sums;
bool rd_scores_need_rows(unsigned wanted);

/* Adds the predictions of some samples, the first of them row `first`. */
rd_status rd_score_add(rd_score_sums *s, const rd_model *m, const rd_predictions *p, size_t first,
                       rd_error *err) RD_MUST_CHECK;
void rd_score_merge(rd_score_sums *into, const rd_score_sums *from);
/* Of all rows of d, which have `samples` predictions. */
rd_status rd_score_finish(const rd_score_sums *s, const rd_dataset *d, uint64_t samples, rd_scores *out,
                          rd_error *err) RD_MUST_CHECK;

#endif
