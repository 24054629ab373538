/* adagrad.c: AdaGrad (Duchi et al. 2011): v = v + g^2;  p = p - lr g / (sqrt(v) + epsilon) */
#include <math.h>

#include "train/optimizer.h"

void rd_adagrad_step(const rd_step *s)
{
    const float rate = (float)s->rate, epsilon = s->training->epsilon;
    float *restrict v = s->state[0];
    for (size_t i = 0; i < s->n; i++) {
        float g = s->g[i] + s->decay * s->p[i];
        v[i] += g * g;
        s->p[i] -= rate * g / (sqrtf(v[i]) + epsilon);
    }
}
