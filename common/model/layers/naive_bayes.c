/* naive_bayes.c: Gaussian, multinomial and Bernoulli naive Bayes over C classes and D features, with
 * scikit-learn's names and definitions. What comes out is the joint log likelihood log P(c) + sum_i log P(x_i
 * | c), so softmax cross-entropy is the loss of its posterior.
 *
 * The sums, by class: rows (C); features (C,D): x, or 1 where x is above the threshold; and, Gaussian, x^2
 * (C,D). */
#include <math.h>
#include <stdlib.h>

#include "model/counting.h"
#include "model/json_key.h"
#include "model/layer.h"

/* Log prior of a class that nobody has a row of: as low as a parameter can be, and a number. */
#define NEVER (-8388607.0)

typedef enum kind { GAUSSIAN, MULTINOMIAL, BERNOULLI } kind;

typedef struct naive_bayes {
    kind kind;
    size_t C, D;
    double smoothing; /* Gaussian: times the largest variance of a feature, added to all; else alpha, added to
                         counts */
    float threshold;  /* Bernoulli: a feature above it is there */
} naive_bayes;

enum { PRIOR, FIRST, SECOND }; /* tensors: class prior; theta or feature_log_prob; var */

static const char *const gaussian_keys[] = {"classes", "smoothing", NULL};
static const char *const bernoulli_keys[] = {"classes", "smoothing", "threshold", NULL};

static size_t sum_count(const rd_layer *l)
{
    const naive_bayes *f = l->own;
    return f->C + (f->kind == GAUSSIAN ? 2 : 1) * f->C * f->D;
}

static rd_status plan_tensors(rd_plan *plan, rd_layer *l, rd_error *err)
{
    const naive_bayes *f = l->own;
    const size_t square[] = {f->C, f->D}, sums[] = {sum_count(l), 3};
    bool gaussian = f->kind == GAUSSIAN;
    rd_status status = RD_OK;
    RD_TRY(rd_plan_statistic(plan, l, gaussian ? "class_prior" : "class_log_prior", 1, square, err));
    RD_TRY(rd_plan_statistic(plan, l, gaussian ? "theta" : "feature_log_prob", 2, square, err));
    if (gaussian)
        RD_TRY(rd_plan_statistic(plan, l, "var", 2, square, err));
    RD_TRY(rd_plan_statistic(plan, l, "sums", 2, sums, err));
cleanup:
    return status;
}

static rd_status plan_kind(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err, kind k)
{
    double threshold;
    naive_bayes *f = rd_layer_own(l, sizeof *f, at.path, err);
    if (f == NULL)
        return RD_ERR_MEMORY;
    f->kind = k;
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_whole(at, "classes", 2, 65536, &f->C, err));
    RD_TRY(rd_json_key_number(at, "smoothing", 1e-15, 1e6, k == GAUSSIAN ? 1e-9 : 1.0, &f->smoothing, err));
    RD_TRY(rd_json_key_number(at, "threshold", -1e30, 1e30, 0, &threshold, err));
    f->threshold = (float)threshold;
    f->D = l->inputs;
    if (l->in.vocabulary > 0)
        return rd_plan_misfit(l, at.path, "features", err);
    l->out = (rd_shape){.rank = 1, .size = {f->C}};
    l->flops = 4 * (uint64_t)f->C * f->D;
    RD_TRY(plan_tensors(plan, l, err));
cleanup:
    return status;
}

static rd_status gaussian_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    return plan_kind(plan, l, at, err, GAUSSIAN);
}

static rd_status multinomial_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    return plan_kind(plan, l, at, err, MULTINOMIAL);
}

static rd_status bernoulli_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    return plan_kind(plan, l, at, err, BERNOULLI);
}

/* Nothing is known: every class and every value is as likely. */
static void init(const rd_layer *l, uint64_t seed, float *parameters)
{
    const naive_bayes *f = l->own;
    (void)seed;
    for (size_t i = 0; i < l->tensor_count; i++)
        rd_init_constant(l->tensors[i], 0.0f, parameters);
    if (f->kind == GAUSSIAN) {
        rd_init_constant(l->tensors[PRIOR], (float)(1.0 / (double)f->C), parameters);
        rd_init_constant(l->tensors[SECOND], 1.0f, parameters);
    } else if (f->kind == BERNOULLI) {
        rd_init_constant(l->tensors[FIRST], (float)log(0.5), parameters);
    }
}

static void forward(const rd_layer *l, const rd_pass *pass)
{
    const naive_bayes *f = l->own;
    const float *prior = rd_layer_read(l, pass, PRIOR), *first = rd_layer_read(l, pass, FIRST);
    for (size_t b = 0; b < pass->B; b++)
        for (size_t c = 0; c < f->C; c++) {
            const float *x = pass->x + b * f->D, *p = first + c * f->D;
            double sum = f->kind != GAUSSIAN ? (double)prior[c] : prior[c] > 0 ? log((double)prior[c]) : NEVER;
            for (size_t i = 0; i < f->D; i++) {
                if (f->kind == GAUSSIAN) {
                    double variance = (double)rd_layer_read(l, pass, SECOND)[c * f->D + i],
                           d = (double)x[i] - (double)p[i];
                    sum -= (log(6.283185307179586 * variance) + d * d / variance) / 2;
                } else if (f->kind == MULTINOMIAL) {
                    sum += (double)x[i] * (double)p[i];
                } else {
                    sum += x[i] > f->threshold ? (double)p[i] : log1p(-exp((double)p[i]));
                }
            }
            pass->y[b * f->C + c] = (float)sum;
        }
}

static void count(const rd_layer *l, const float *parameters, const float *x, const int32_t *labels, size_t B,
                  rd_sum *sums)
{
    const naive_bayes *f = l->own;
    (void)parameters;
    for (size_t b = 0; b < B; b++, x += f->D) {
        size_t c = (size_t)labels[b];
        rd_sum *values = sums + f->C + c * f->D;
        sums[c] += rd_sum_of(1);
        for (size_t i = 0; i < f->D; i++) {
            double value = f->kind == BERNOULLI ? x[i] > f->threshold : (double)x[i];
            values[i] += rd_sum_of(value);
            if (f->kind == GAUSSIAN)
                values[f->C * f->D + i] += rd_sum_of(value * value);
        }
    }
}

/* n sum(x^2) - sum(x)^2, without rounding where 128 bits hold it, which they do up to 2^20 rows of features
 * up to 2^9. */
static double spread(rd_sum n, rd_sum sum, rd_sum squares)
{
    rd_sum rows = n >> 24, most = (rd_sum)1 << 62;
    if (sum < most && sum > -most && squares < ((rd_sum)1 << 100) / (rows > 0 ? rows : 1))
        return ((double)((rows * squares << 24) - sum * sum)) / 281474976710656.0; /* 2^48 */
    return (double)rows * rd_sum_value(squares) - rd_sum_value(sum) * rd_sum_value(sum);
}

static void conclude_gaussian(const rd_layer *l, const rd_sum *sums, float *parameters)
{
    const naive_bayes *f = l->own;
    const rd_sum *x = sums + f->C, *xx = x + f->C * f->D;
    rd_sum all = 0;
    double widest = 0;
    for (size_t c = 0; c < f->C; c++)
        all += sums[c];
    for (size_t i = 0; i < f->D; i++) {
        rd_sum sum = 0, squares = 0;
        for (size_t c = 0; c < f->C; c++) {
            sum += x[c * f->D + i];
            squares += xx[c * f->D + i];
        }
        double rows = rd_sum_value(all);
        widest = fmax(widest, spread(all, sum, squares) / (rows * rows));
    }
    for (size_t c = 0; c < f->C; c++) {
        double rows = rd_sum_value(sums[c]);
        parameters[l->tensors[PRIOR]->offset + c] = (float)(rows / rd_sum_value(all));
        for (size_t i = 0; i < f->D && rows > 0; i++) {
            size_t at = c * f->D + i;
            parameters[l->tensors[FIRST]->offset + at] = (float)(rd_sum_value(x[at]) / rows);
            parameters[l->tensors[SECOND]->offset + at] =
                (float)(spread(sums[c], x[at], xx[at]) / (rows * rows) + f->smoothing * widest);
        }
    }
}

static void conclude_counts(const rd_layer *l, const rd_sum *sums, float *parameters)
{
    const naive_bayes *f = l->own;
    rd_sum all = 0;
    for (size_t c = 0; c < f->C; c++)
        all += sums[c];
    for (size_t c = 0; c < f->C; c++) {
        const rd_sum *x = sums + f->C + c * f->D;
        double rows = rd_sum_value(sums[c]), total;
        rd_sum features = 0;
        for (size_t i = 0; i < f->D; i++)
            features += x[i];
        total = f->kind == MULTINOMIAL ? rd_sum_value(features) + f->smoothing * (double)f->D : rows + 2 * f->smoothing;
        parameters[l->tensors[PRIOR]->offset + c] =
            rows > 0 ? (float)(log(rows) - log(rd_sum_value(all))) : (float)NEVER;
        for (size_t i = 0; i < f->D; i++)
            parameters[l->tensors[FIRST]->offset + c * f->D + i] =
                (float)(log(rd_sum_value(x[i]) + f->smoothing) - log(total));
    }
}

static const rd_counting_type gaussian = {.sum_count = sum_count, .count = count, .conclude = conclude_gaussian};
static const rd_counting_type counts = {.sum_count = sum_count, .count = count, .conclude = conclude_counts};

const rd_layer_type rd_layer_gaussian_naive_bayes = {.name = "gaussian_naive_bayes",
                                                     .prefix = "nb",
                                                     .keys = gaussian_keys,
                                                     .plan = gaussian_plan,
                                                     .init = init,
                                                     .forward = forward,
                                                     .counting = &gaussian};
const rd_layer_type rd_layer_multinomial_naive_bayes = {.name = "multinomial_naive_bayes",
                                                        .prefix = "nb",
                                                        .keys = gaussian_keys,
                                                        .plan = multinomial_plan,
                                                        .init = init,
                                                        .forward = forward,
                                                        .counting = &counts};
const rd_layer_type rd_layer_bernoulli_naive_bayes = {.name = "bernoulli_naive_bayes",
                                                      .prefix = "nb",
                                                      .keys = bernoulli_keys,
                                                      .plan = bernoulli_plan,
                                                      .init = init,
                                                      .forward = forward,
                                                      .counting = &counts};
