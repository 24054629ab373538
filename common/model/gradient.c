/* gradient.c: the two loops that layers have in common when they write their gradients. */
#include "model/layer.h"

void rd_layer_scale(float *into, size_t n, float scale)
{
    if (scale == 1.0f)
        return;
    for (size_t i = 0; i < n; i++)
        into[i] = scale == 0.0f ? 0.0f : scale * into[i];
}

void rd_layer_add_rows(float *restrict into, size_t n, const float *restrict dy, size_t rows, float scale, float rate)
{
    rd_layer_scale(into, n, scale);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++)
            into[i] += rate * dy[r * n + i];
}
