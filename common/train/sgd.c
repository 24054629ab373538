/* sgd.c: stochastic gradient descent with momentum, Nesterov's if asked for, and L2 weight decay:
 *     g = dL/dp + decay p;  v = mu v + g;  p = p - lr v,  or with Nesterov  p = p - lr (g + mu v)
 * Without momentum v is g. */
#include "train/optimizer.h"

void rd_sgd_step(const rd_step *s)
{
    const float mu = s->training->momentum, rate = (float)s->rate;
    const bool nesterov = s->training->nesterov;
    float *restrict v = s->state[0];
    float *restrict p = s->p;
    const float *restrict gradient = s->g;
    const float weight_decay = s->decay;
    const size_t n = s->n;
    for (size_t i = 0; i < n && mu == 0.0f; i++)
        p[i] -= rate * (gradient[i] + weight_decay * p[i]);
    for (size_t i = 0; i < n && mu != 0.0f; i++) {
        float g = gradient[i] + weight_decay * p[i];
        v[i] = mu * v[i] + g;
        p[i] -= rate * (nesterov ? g + mu * v[i] : v[i]);
    }
}
