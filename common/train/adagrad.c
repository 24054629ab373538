/* adagrad.c: AdaGrad (Duchi et al. 2011): v = v + g^2;  p = p - lr g / (sqrt(v) + epsilon) */
#include <math.h>

#include "train/optimizer.h"

void rd_adagrad_step(const rd_step *s)
{
    const float rate = (float)s->rate, epsilon = s->training->epsilon;
    float *restrict v = s->state[0];
    float *restrict p = s->p;
    const float *restrict gradient = s->g;
    const float weight_decay = s->decay;
    const size_t n = s->n;
    for (size_t i = 0; i < n; i++) {
        float g = gradient[i] + weight_decay * p[i];
        v[i] += g * g;
        p[i] -= rate * g / (sqrtf(v[i]) + epsilon);
    }
}
