#include "model/loss.h"

#include <math.h>

#include "model/elementwise.h"

/* The class whose output is the largest; of equal ones the first. */
static size_t largest(const float *y, size_t C)
{
    size_t best = 0;
    for (size_t c = 1; c < C; c++)
        if (y[c] > y[best])
            best = c;
    return best;
}

size_t rd_loss_class(rd_loss_kind kind, const float *y, size_t O)
{
    if (kind == RD_LOSS_INERTIA) {
        size_t nearest = 0;
        for (size_t c = 1; c < O; c++)
            if (y[c] < y[nearest])
                nearest = c;
        return nearest;
    }
    return O == 1 ? y[0] > 0.0f : largest(y, O);
}

/* The sum of exp(z - top) over C classes; each of them into e unless that is NULL. */
static double exponentials(const float *z, float top, float *e, size_t C)
{
    enum { BLOCK = 128 };
    float block[BLOCK];
    double sum = 0;
    for (size_t done = 0; done < C; done += BLOCK) {
        size_t n = C - done < BLOCK ? C - done : BLOCK;
        float *part = e != NULL ? e + done : block;
        for (size_t c = 0; c < n; c++)
            part[c] = z[done + c] - top;
        rd_exp(part, part, n);
        for (size_t c = 0; c < n; c++)
            sum += (double)part[c];
    }
    return sum;
}

/* Softmax cross-entropy over C classes.
 *   y      (rows,C)  logits
 *   labels (rows)    each in [0,C), or -1
 *   dy     (rows,C)  norm * (softmax(y) - target), or NULL
 * A row's loss is log(sum_c exp(y_c)) - sum_c target_c y_c, in nats, with the target 1 - s on the label and s
 * / C spread over all classes. The row maximum is subtracted first, so no finite input overflows. */
static rd_batch_result softmax_cross_entropy(const rd_loss *loss, const rd_predictions *p, float *dy, double norm)
{
    const size_t rows = p->rows, C = p->O;
    const float *y = p->y;
    const int32_t *labels = p->labels;
    rd_batch_result result = {0};
    const double smooth = (double)loss->label_smoothing, spread = smooth / (double)C;
    for (size_t b = 0; b < rows; b++) {
        const float *z = y + b * C;
        float *d = dy != NULL ? dy + b * C : NULL;
        if (labels[b] < 0) {
            for (size_t c = 0; c < C && d != NULL; c++)
                d[c] = 0.0f;
            continue;
        }
        size_t label = (size_t)labels[b], best = largest(z, C);
        float top = z[best];
        double sum, all = 0;
        sum = exponentials(z, top, d, C);
        if (d != NULL) {
            float factor = (float)(norm / sum), part = (float)(norm * spread);
            for (size_t c = 0; c < C; c++)
                d[c] = d[c] * factor - part;
            d[label] -= (float)(norm * (1 - smooth));
        }
        for (size_t c = 0; c < C && smooth > 0; c++)
            all += (double)(z[c] - top);
        result.loss_sum += log(sum) - (1 - smooth) * (double)(z[label] - top) - spread * all;
        result.correct += best == label;
        result.predictions++;
    }
    return result;
}

/* log(1 + exp(y)) - label * y, with y (rows,1) the logit of class 1. */
static rd_batch_result binary_cross_entropy(const rd_loss *loss, const rd_predictions *p, float *dy, double norm)
{
    (void)loss;
    const size_t rows = p->rows;
    const float *y = p->y;
    const int32_t *labels = p->labels;
    rd_batch_result result = {0};
    for (size_t b = 0; b < rows; b++) {
        double z = (double)y[b], label = labels[b] == 1;
        if (dy != NULL)
            dy[b] = labels[b] < 0 ? 0.0f : (float)(norm * (1 / (1 + exp(-z)) - label));
        if (labels[b] < 0)
            continue;
        result.loss_sum += log1p(exp(-fabs(z))) + (z > 0 ? z : 0 * z) - label * z;
        result.correct += (z > 0) == (labels[b] == 1);
        result.predictions++;
    }
    return result;
}

/* With margin m = 1 - s y, s = +1 for the label's class and -1 for every other: max(0, m) or its square,
 * summed over the outputs. One output stands for class 1 alone. */
static rd_batch_result hinge_of(const rd_predictions *p, float *dy, double norm, bool squared)
{
    const size_t rows = p->rows, C = p->O;
    const float *y = p->y;
    const int32_t *labels = p->labels;
    rd_batch_result result = {0};
    for (size_t b = 0; b < rows; b++) {
        for (size_t c = 0; c < C; c++) {
            double sign = (C == 1 ? labels[b] == 1 : (size_t)labels[b] == c) ? 1 : -1;
            double margin = 1 - sign * (double)y[b * C + c];
            bool inside = margin > 0 && labels[b] >= 0;
            if (dy != NULL)
                dy[b * C + c] = inside ? (float)(-sign * norm * (squared ? 2 * margin : 1)) : 0.0f;
            if (labels[b] >= 0 && !(margin <= 0)) /* NaN counts */
                result.loss_sum += squared ? margin * margin : margin;
        }
        if (labels[b] < 0)
            continue;
        result.correct += rd_loss_class(RD_LOSS_HINGE, y + b * C, C) == (size_t)labels[b];
        result.predictions++;
    }
    return result;
}

static rd_batch_result hinge(const rd_loss *loss, const rd_predictions *p, float *dy, double norm)
{
    (void)loss;
    return hinge_of(p, dy, norm, false);
}

static rd_batch_result squared_hinge(const rd_loss *loss, const rd_predictions *p, float *dy, double norm)
{
    (void)loss;
    return hinge_of(p, dy, norm, true);
}

/* Mean squared error over T targets: a row's loss is its mean of (y - t)^2, the gradient norm * 2 (y - t) /
 * T. */
static rd_batch_result mean_squared_error(const rd_loss *loss, const rd_predictions *p, float *dy, double norm)
{
    (void)loss;
    const size_t rows = p->rows, T = p->O;
    const float *y = p->y, *targets = p->targets;
    rd_batch_result result = {.predictions = rows};
    float factor = (float)(2 * norm / (double)T);
    for (size_t i = 0; i < rows * T; i++) {
        float difference = y[i] - targets[i];
        result.loss_sum += (double)difference * (double)difference;
        if (dy != NULL)
            dy[i] = factor * difference;
    }
    result.loss_sum /= (double)T;
    return result;
}

/* Mean absolute error; the gradient at 0 is 0. */
static rd_batch_result mean_absolute_error(const rd_loss *loss, const rd_predictions *p, float *dy, double norm)
{
    (void)loss;
    const size_t rows = p->rows, T = p->O;
    const float *y = p->y, *targets = p->targets;
    rd_batch_result result = {.predictions = rows};
    float factor = (float)(norm / (double)T);
    for (size_t i = 0; i < rows * T; i++) {
        float difference = y[i] - targets[i];
        result.loss_sum += fabs((double)difference);
        if (dy != NULL)
            dy[i] = difference > 0 ? factor : difference < 0 ? -factor : 0 * difference;
    }
    result.loss_sum /= (double)T;
    return result;
}

/* Huber 1964: with d = y - t, d^2 / 2 where |d| <= delta, and delta (|d| - delta / 2) beyond. */
static rd_batch_result huber(const rd_loss *loss, const rd_predictions *p, float *dy, double norm)
{
    const size_t rows = p->rows, T = p->O;
    const float *y = p->y, *targets = p->targets;
    rd_batch_result result = {.predictions = rows};
    const double delta = (double)loss->delta, factor = norm / (double)T;
    for (size_t i = 0; i < rows * T; i++) {
        double d = (double)y[i] - (double)targets[i];
        bool near = fabs(d) <= delta;
        result.loss_sum += near ? d * d / 2 : delta * (fabs(d) - delta / 2);
        if (dy != NULL)
            dy[i] = (float)(factor * (near ? d : d > 0 ? delta : d < 0 ? -delta : d));
    }
    result.loss_sum /= (double)T;
    return result;
}

/* k-means: the smallest of K squared distances. Centroids are not found by gradients, so there is none. */
static rd_batch_result inertia(const rd_loss *loss, const rd_predictions *p, float *dy, double norm)
{
    (void)loss, (void)norm;
    const size_t rows = p->rows, K = p->O;
    const float *y = p->y;
    rd_batch_result result = {.predictions = rows};
    for (size_t b = 0; b < rows; b++)
        result.loss_sum += (double)y[b * K + rd_loss_class(RD_LOSS_INERTIA, y + b * K, K)];
    for (size_t i = 0; i < rows * K && dy != NULL; i++)
        dy[i] = 0.0f;
    return result;
}

const rd_loss_type rd_loss_types[] = {
    [RD_LOSS_SOFTMAX_CROSS_ENTROPY] = {"softmax_cross_entropy", true, softmax_cross_entropy},
    [RD_LOSS_BINARY_CROSS_ENTROPY] = {"binary_cross_entropy", true, binary_cross_entropy},
    [RD_LOSS_HINGE] = {"hinge", true, hinge},
    [RD_LOSS_SQUARED_HINGE] = {"squared_hinge", true, squared_hinge},
    [RD_LOSS_MSE] = {"mse", false, mean_squared_error},
    [RD_LOSS_MAE] = {"mae", false, mean_absolute_error},
    [RD_LOSS_HUBER] = {"huber", false, huber},
    [RD_LOSS_INERTIA] = {"inertia", false, inertia},
};

const char *const rd_loss_names[] = {
    "softmax_cross_entropy", "binary_cross_entropy", "hinge", "squared_hinge", "mse", "mae", "huber", "inertia", NULL};
