/* scores.c: see scores.h. */
#include "train/scores.h"

#include <math.h>
#include <stdlib.h>

#include "model/loss.h"

enum { TOPS = RD_SCORE_TOP10 - RD_SCORE_TOP2 + 1 };

const char *const rd_score_names[RD_SCORES + 1] = {"top2",
                                                   "top3",
                                                   "top4",
                                                   "top5",
                                                   "top6",
                                                   "top7",
                                                   "top8",
                                                   "top9",
                                                   "top10",
                                                   [RD_SCORE_F1] = "f1",
                                                   [RD_SCORE_AUC] = "auc",
                                                   [RD_SCORE_RMSE] = "rmse",
                                                   [RD_SCORE_R2] = "r2",
                                                   [RD_SCORE_PERPLEXITY] = "perplexity"};

rd_scores rd_scores_none(void)
{
    rd_scores s;
    for (size_t i = 0; i < RD_SCORES; i++)
        s.value[i] = NAN;
    return s;
}

static bool wants(const rd_score_sums *s, rd_score score)
{
    return (s->wanted >> score & 1u) != 0;
}

bool rd_scores_need_rows(unsigned wanted)
{
    return (wanted & (1u << RD_SCORE_AUC | 1u << RD_SCORE_RMSE | 1u << RD_SCORE_R2)) != 0;
}

rd_status rd_score_check(rd_score score, const rd_model *m, rd_error *err)
{
    bool classifies = rd_model_classifies(m), cross_entropy = rd_model_loss(m) == RD_LOSS_SOFTMAX_CROSS_ENTROPY;
    const char *needs = NULL;
    if (score <= RD_SCORE_TOP10 && !(classifies && rd_model_output_size(m) > 2 + (size_t)(score - RD_SCORE_TOP2)))
        needs = "more classes than it counts";
    if ((score == RD_SCORE_F1 || score == RD_SCORE_AUC) &&
        !(classifies && rd_model_class_count(m) == 2 && rd_model_predictions(m) == 1))
        needs = "two classes";
    if ((score == RD_SCORE_RMSE || score == RD_SCORE_R2) && (classifies || rd_model_loss(m) == RD_LOSS_INERTIA))
        needs = "real targets";
    if (score == RD_SCORE_PERPLEXITY && !cross_entropy)
        needs = "the loss softmax_cross_entropy";
    if (needs == NULL)
        return RD_OK;
    return rd_fail(err, RD_ERR_CONFIG, "evaluation.metrics: %s needs %s, but the model has the loss %s and %zu outputs",
                   rd_score_names[score], needs, rd_model_loss_name(m), rd_model_output_size(m));
}

/* Sum over rows and targets of (t - mean t)^2. */
static double spread(const rd_dataset *d)
{
    double all = 0;
    for (size_t t = 0; t < d->target_count; t++) {
        double mean = 0;
        for (size_t i = 0; i < d->rows; i++)
            mean += (double)d->targets[i * d->target_count + t] / (double)d->rows;
        for (size_t i = 0; i < d->rows; i++) {
            double difference = (double)d->targets[i * d->target_count + t] - mean;
            all += difference * difference;
        }
    }
    return all;
}

rd_status rd_score_check_rows(unsigned wanted, const rd_dataset *d, const char *whose, rd_error *err)
{
    const unsigned two = 1u << RD_SCORE_F1 | 1u << RD_SCORE_AUC;
    size_t positives = 0;
    for (size_t i = 0; i < d->rows && (wanted & two) != 0; i++)
        positives += d->labels[i] == 1;
    if ((wanted & two) != 0 && positives == 0)
        return rd_fail(err, RD_ERR_DATA, "%s: evaluation.metrics: %s needs rows of class 1, but there is none", whose,
                       (wanted >> RD_SCORE_F1 & 1u) != 0 ? "f1" : "auc");
    if ((wanted >> RD_SCORE_AUC & 1u) != 0 && positives == d->rows)
        return rd_fail(err, RD_ERR_DATA, "%s: evaluation.metrics: auc needs rows of class 0, but there is none", whose);
    if ((wanted >> RD_SCORE_R2 & 1u) != 0 && !(spread(d) > 0))
        return rd_fail(err, RD_ERR_DATA, "%s: evaluation.metrics: r2 needs targets that differ", whose);
    return RD_OK;
}

/* ---- adding ---- */

static void add_top(rd_score_sums *s, const rd_predictions *p)
{
    const float *y = p->y;
    for (size_t r = 0; r < p->rows; r++, y += p->O) {
        size_t better = 0;
        if (p->labels[r] < 0)
            continue;
        size_t label = (size_t)p->labels[r];
        for (size_t o = 0; o < p->O; o++)
            better += y[o] > y[label] || (y[o] == y[label] && o < label);
        for (size_t k = 0; k < TOPS; k++)
            s->top[k] += better < k + 2;
    }
}

static void add_two_classes(rd_score_sums *s, const rd_model *m, const rd_predictions *p, size_t first)
{
    const float *y = p->y;
    for (size_t b = 0; b < p->rows; b++, y += p->O) {
        bool said = rd_loss_class(rd_model_loss(m), y, p->O) == 1, is = p->labels[b] == 1;
        s->true_positive += said && is;
        s->false_positive += said && !is;
        s->false_negative += !said && is;
        if (s->by_row != NULL)
            s->by_row[first + b] = p->O == 1 ? (double)y[0] : (double)y[1] - (double)y[0];
    }
}

static void add_squares(rd_score_sums *s, const rd_predictions *p, size_t first)
{
    for (size_t b = 0; b < p->rows; b++) {
        double sum = 0;
        for (size_t o = b * p->O; o < (b + 1) * p->O; o++) {
            double difference = (double)p->y[o] - (double)p->targets[o];
            sum += difference * difference;
        }
        s->by_row[first + b] = sum;
    }
}

static rd_status add_entropy(rd_score_sums *s, const rd_model *m, const rd_predictions *p, rd_error *err)
{
    const rd_loss plain = {.kind = rd_model_loss(m)};
    rd_batch_result r = rd_loss_types[plain.kind].function(&plain, p, NULL, 0);
    return r.predictions == 0
               ? RD_OK
               : rd_exact_scalar_add(&s->entropy, r.loss_sum / (double)r.predictions, r.predictions, err);
}

rd_status rd_score_add(rd_score_sums *s, const rd_model *m, const rd_predictions *p, size_t first, rd_error *err)
{
    const unsigned tops = (1u << TOPS) - 1;
    if ((s->wanted & tops) != 0)
        add_top(s, p);
    if (wants(s, RD_SCORE_F1) || wants(s, RD_SCORE_AUC))
        add_two_classes(s, m, p, first);
    if (wants(s, RD_SCORE_RMSE) || wants(s, RD_SCORE_R2))
        add_squares(s, p, first);
    return wants(s, RD_SCORE_PERPLEXITY) ? add_entropy(s, m, p, err) : RD_OK;
}

void rd_score_merge(rd_score_sums *into, const rd_score_sums *from)
{
    for (size_t k = 0; k < TOPS; k++)
        into->top[k] += from->top[k];
    into->true_positive += from->true_positive;
    into->false_positive += from->false_positive;
    into->false_negative += from->false_negative;
    into->entropy.sum += from->entropy.sum;
    into->entropy.weight += from->entropy.weight;
}

/* ---- finishing ---- */

typedef struct ranked {
    double score;
    bool positive;
} ranked;

static int by_score(const void *a, const void *b)
{
    double x = ((const ranked *)a)->score, y = ((const ranked *)b)->score;
    return (x > y) - (x < y);
}

/* From the sum of the positives' ranks, with ties at their mean rank. NaN where there is one class only. */
static rd_status area(const double *score, const rd_dataset *d, double *out, rd_error *err)
{
    ranked *all = malloc(d->rows * sizeof *all);
    double ranks = 0, positives = 0;
    if (all == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory to rank %zu samples", d->rows);
    for (size_t i = 0; i < d->rows; i++)
        all[i] = (ranked){score[i], d->labels[i] == 1};
    qsort(all, d->rows, sizeof *all, by_score);
    for (size_t begin = 0, end; begin < d->rows; begin = end) {
        double among = 0;
        for (end = begin; end < d->rows && all[end].score == all[begin].score; end++)
            among += all[end].positive;
        if (end == begin) /* NaN */
            end++;
        ranks += among * ((double)begin + 1 + (double)end) / 2;
        positives += among;
    }
    double negatives = (double)d->rows - positives;
    *out = positives > 0 && negatives > 0 ? (ranks - positives * (positives + 1) / 2) / (positives * negatives) : NAN;
    free(all);
    return RD_OK;
}

static void finish_regression(const rd_score_sums *s, const rd_dataset *d, double *all)
{
    double squares = 0, total = wants(s, RD_SCORE_R2) ? spread(d) : 0;
    for (size_t i = 0; i < d->rows; i++)
        squares += s->by_row[i];
    all[RD_SCORE_RMSE] = sqrt(squares / ((double)d->rows * (double)d->target_count));
    all[RD_SCORE_R2] = total > 0 ? 1 - squares / total : NAN;
}

rd_status rd_score_finish(const rd_score_sums *s, const rd_dataset *d, uint64_t samples, rd_scores *out, rd_error *err)
{
    double all[RD_SCORES], found = (double)(2 * s->true_positive + s->false_positive + s->false_negative);
    rd_status status = RD_OK;
    *out = rd_scores_none();
    for (size_t k = 0; k < TOPS; k++)
        all[RD_SCORE_TOP2 + k] = (double)s->top[k] / (double)samples;
    all[RD_SCORE_F1] = found > 0 ? 2 * (double)s->true_positive / found : NAN;
    all[RD_SCORE_PERPLEXITY] = exp(rd_exact_scalar_mean(&s->entropy));
    if (wants(s, RD_SCORE_AUC))
        status = area(s->by_row, d, &all[RD_SCORE_AUC], err);
    if (wants(s, RD_SCORE_RMSE) || wants(s, RD_SCORE_R2))
        finish_regression(s, d, all);
    for (size_t i = 0; i < RD_SCORES; i++)
        if (wants(s, (rd_score)i))
            out->value[i] = all[i];
    return status;
}
