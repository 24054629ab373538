/* rmsprop.c: RMSProp (Tieleman and Hinton 2012), with momentum as PyTorch has it:
 *     v = alpha v + (1 - alpha) g^2;  m = mu m + g / (sqrt(v) + epsilon);  p = p - lr m */
#include <math.h>

#include "train/optimizer.h"

void rd_rmsprop_step(const rd_step *s)
{
    const rd_training *t = s->training;
    const float rate = (float)s->rate, alpha = t->alpha, mu = t->momentum, epsilon = t->epsilon;
    float *restrict v = s->state[0], *restrict m = s->state[1];
    float *restrict p = s->p;
    const float *restrict gradient = s->g;
    const float weight_decay = s->decay;
    const size_t n = s->n;
    for (size_t i = 0; i < n; i++) {
        float g = gradient[i] + weight_decay * p[i];
        v[i] = alpha * v[i] + (1.0f - alpha) * g * g;
        m[i] = mu * m[i] + g / (sqrtf(v[i]) + epsilon);
        p[i] -= rate * m[i];
    }
}
