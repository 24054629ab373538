#include "model/loss.h"

#include <math.h>

/* Softmax cross-entropy over C classes.
 *   y      (B,C)  logits
 *   labels (B)    each in [0,C)
 *   dy     (B,C)  (softmax(y) - onehot(label)) / B, or NULL
 * A sample's loss is log(sum_c exp(y_c)) - y_label, in nats. The row maximum is subtracted first, so no
 * finite input overflows. */
static rd_batch_result softmax_cross_entropy(const float *y, const int32_t *labels, const float *targets,
                                             float *dy, size_t B, size_t C)
{
    (void)targets;
    rd_batch_result result = {0};
    for (size_t b = 0; b < B; b++) {
        const float *z = y + b * C;
        size_t label = (size_t)labels[b], best = 0;
        for (size_t c = 1; c < C; c++)
            if (z[c] > z[best])
                best = c;
        float top = z[best];
        double sum = 0;
        if (dy == NULL) {
            for (size_t c = 0; c < C; c++)
                sum += (double)expf(z[c] - top);
        } else {
            float *d = dy + b * C;
            for (size_t c = 0; c < C; c++) {
                d[c] = expf(z[c] - top);
                sum += (double)d[c];
            }
            float norm = (float)(1 / (sum * (double)B));
            for (size_t c = 0; c < C; c++)
                d[c] *= norm;
            d[label] -= 1 / (float)B;
        }
        result.loss_sum += log(sum) - (double)(z[label] - top);
        result.correct += best == label;
    }
    return result;
}

/* Mean squared error over T targets.
 *   y, targets (B,T)
 *   dy         (B,T)  2 (y - t) / (B T), or NULL
 * A sample's loss is its mean over targets of (y - t)^2. */
static rd_batch_result mean_squared_error(const float *y, const int32_t *labels, const float *targets,
                                          float *dy, size_t B, size_t T)
{
    (void)labels;
    rd_batch_result result = {0};
    float norm = 2 / ((float)B * (float)T);
    for (size_t i = 0; i < B * T; i++) {
        float difference = y[i] - targets[i];
        result.loss_sum += (double)difference * (double)difference;
        if (dy != NULL)
            dy[i] = norm * difference;
    }
    result.loss_sum /= (double)T;
    return result;
}

const char *const rd_loss_names[] = {
    [RD_LOSS_SOFTMAX_CROSS_ENTROPY] = "softmax_cross_entropy",
    [RD_LOSS_MSE] = "mse",
    NULL,
};

rd_loss_function rd_loss_of(rd_loss_kind kind)
{
    static const rd_loss_function table[] = {
        [RD_LOSS_SOFTMAX_CROSS_ENTROPY] = softmax_cross_entropy,
        [RD_LOSS_MSE] = mean_squared_error,
    };
    return table[kind];
}
