/* sgd.c: stochastic gradient descent, with heavy-ball momentum and L2 weight decay as PyTorch defines them:
 *     g = dL/dp + decay p;  v = mu v + g;  p = p - lr v
 * Without momentum that is p = (1 - lr decay) p - lr dL/dp, which needs no vector. */
#include "train/optimizer.h"

static bool sgd_in_place(const rd_training *t, float learning_rate, float *scale, float *rate)
{
    *scale = 1.0f - learning_rate * t->weight_decay;
    *rate = -learning_rate;
    return t->momentum == 0.0f;
}

static float sgd_keep(const rd_training *t)
{
    return t->momentum;
}

/* p (n), v (n) = mu v_before + dL/dp */
static void sgd_update(const rd_training *t, float learning_rate, size_t n, float *restrict p,
                       float *restrict v)
{
    float decay = t->weight_decay;
    for (size_t i = 0; i < n; i++) {
        v[i] += decay * p[i];
        p[i] -= learning_rate * v[i];
    }
}

const rd_optimizer rd_sgd = {
    .name = "sgd",
    .in_place = sgd_in_place,
    .vectors = 1,
    .keep = sgd_keep,
    .update = sgd_update,
};
