/* adam.c: Adam (Kingma and Ba 2015), with weight decay in the gradient, and AdamW (Loshchilov and Hutter
 * 2019), with it on the parameters: p = p - lr decay p. With t the number of the step: m = b1 m + (1 - b1) g;
 * v = b2 v + (1 - b2) g^2 p = p - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + epsilon) */
#include <math.h>

#include "train/optimizer.h"

void rd_adam_step(const rd_step *s)
{
    const rd_training *t = s->training;
    const float b1 = t->beta1, b2 = t->beta2, epsilon = t->epsilon;
    const bool decoupled = t->optimizer == RD_OPTIMIZER_ADAMW;
    const float size = (float)(s->rate / (1 - pow((double)b1, (double)s->number)));
    const float correction = (float)(1 / sqrt(1 - pow((double)b2, (double)s->number)));
    const float shrink = decoupled ? (float)(1 - s->rate * (double)s->decay) : 1.0f,
                decay = decoupled ? 0.0f : s->decay;
    float *restrict m = s->state[0], *restrict v = s->state[1];
    float *restrict p = s->p;
    const float *restrict gradient = s->g;
    const size_t n = s->n;
    for (size_t i = 0; i < n; i++) {
        float g = gradient[i] + decay * p[i];
        m[i] = b1 * m[i] + (1.0f - b1) * g;
        v[i] = b2 * v[i] + (1.0f - b2) * g * g;
        p[i] = shrink * p[i] - size * m[i] / (sqrtf(v[i]) * correction + epsilon);
    }
}
