/* sgd.c: stochastic gradient descent with momentum, Nesterov's if asked for, and L2 weight decay:
 *     g = dL/dp + decay p;  v = mu v + g;  p = p - lr v,  or with Nesterov  p = p - lr (g + mu v) */
#include "train/optimizer.h"

void rd_sgd_step(const rd_step *s)
{
    const float mu = s->training->momentum, rate = (float)s->rate;
    const bool nesterov = s->training->nesterov;
    float *restrict v = s->state[0];
    for (size_t i = 0; i < s->n; i++) {
        float g = s->g[i] + s->decay * s->p[i];
        v[i] = mu * v[i] + g;
        s->p[i] -= rate * (nesterov ? g + mu * v[i] : v[i]);
    }
}
