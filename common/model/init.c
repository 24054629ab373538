/* init.c: initial values of tensors. The stream is named by the tensor, so a layer added or taken away leaves
 * the initial values of all others as they were. */
#include <math.h>

#include "core/random.h"
#include "model/layer.h"

static rd_random stream_of(const rd_tensor *t, uint64_t seed)
{
    return rd_random_stream(seed, RD_PURPOSE_INIT, 0, rd_client_key(t->name));
}

void rd_init_normal(const rd_tensor *t, double deviation, uint64_t seed, float *parameters)
{
    rd_random random = stream_of(t, seed);
    for (size_t i = 0; i < t->count; i++)
        parameters[t->offset + i] = (float)(deviation * rd_random_normal(&random));
}

void rd_init_uniform(const rd_tensor *t, double bound, uint64_t seed, float *parameters)
{
    rd_random random = stream_of(t, seed);
    for (size_t i = 0; i < t->count; i++)
        parameters[t->offset + i] = (float)(bound * (2 * rd_random_uniform(&random) - 1));
}

void rd_init_he_normal(const rd_tensor *t, size_t fan_in, uint64_t seed, float *parameters)
{
    rd_init_normal(t, sqrt(2.0 / (double)fan_in), seed, parameters);
}

void rd_init_glorot_uniform(const rd_tensor *t, size_t fan_in, size_t fan_out, uint64_t seed, float *parameters)
{
    rd_init_uniform(t, sqrt(6.0 / ((double)fan_in + (double)fan_out)), seed, parameters);
}

void rd_init_constant(const rd_tensor *t, float value, float *parameters)
{
    for (size_t i = 0; i < t->count; i++)
        parameters[t->offset + i] = value;
}
