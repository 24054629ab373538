/* random.c: see random.h. */
#include "core/random.h"

#include <math.h>

void rd_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = UINT64_C(0xD2511F53) * c0, p1 = UINT64_C(0xCD9E8D57) * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += UINT32_C(0x9E3779B9);
        k1 += UINT32_C(0xBB67AE85);
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* A stream has 256 bits of name (seed 64, purpose, round 64, client 64) and Philox takes 64 of key and 128 of
 * counter. Two blocks of Philox under the seed mix the name down to a key and to the upper half of the
 * counter; the lower half counts. */
rd_random rd_random_stream(uint64_t seed, rd_purpose purpose, uint64_t round, uint64_t client)
{
    rd_random r = {.used = 4};
    uint32_t root[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t first[4] = {(uint32_t)purpose, (uint32_t)round, (uint32_t)(round >> 32), 0};
    uint32_t mixed[4];
    rd_philox(root, first, mixed);
    uint32_t second[4] = {mixed[0], mixed[1], (uint32_t)client, (uint32_t)(client >> 32)};
    uint32_t named[4];
    rd_philox(mixed + 2, second, named);
    r.key[0] = named[0];
    r.key[1] = named[1];
    r.counter[2] = named[2];
    r.counter[3] = named[3];
    return r;
}

uint32_t rd_random_u32(rd_random *r)
{
    if (r->used == 4) {
        rd_philox(r->key, r->counter, r->block);
        if (++r->counter[0] == 0)
            r->counter[1]++;
        r->used = 0;
    }
    return r->block[r->used++];
}

uint64_t rd_random_u64(rd_random *r)
{
    uint64_t high = rd_random_u32(r);
    return high << 32 | rd_random_u32(r);
}

uint32_t rd_random_below(rd_random *r, uint32_t bound)
{
    uint64_t product = (uint64_t)rd_random_u32(r) * bound;
    if ((uint32_t)product < bound) {
        uint32_t threshold = -bound % bound;
        while ((uint32_t)product < threshold)
            product = (uint64_t)rd_random_u32(r) * bound;
    }
    return (uint32_t)(product >> 32);
}

double rd_random_uniform(rd_random *r)
{
    return (double)(rd_random_u64(r) >> 11) * 0x1p-53;
}

double rd_random_normal(rd_random *r)
{
    double radius = sqrt(-2.0 * log(1.0 - rd_random_uniform(r)));
    return radius * cos(6.283185307179586476925 * rd_random_uniform(r));
}

double rd_random_gamma(rd_random *r, double shape)
{
    double boost = 1.0;
    if (shape < 1.0) {
        boost = pow(1.0 - rd_random_uniform(r), 1.0 / shape);
        shape += 1.0;
    }
    double d = shape - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = rd_random_normal(r), v = 1.0 + c * x;
        if (v <= 0.0)
            continue;
        v = v * v * v;
        double u = 1.0 - rd_random_uniform(r);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return boost * d * v;
    }
}

void rd_random_shuffle(rd_random *r, uint32_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = rd_random_below(r, (uint32_t)i);
        uint32_t saved = items[i - 1];
        items[i - 1] = items[j];
        items[j] = saved;
    }
}

uint64_t rd_client_key(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const unsigned char *p = (const unsigned char *)name; *p != '\0'; p++)
        hash = (hash ^ *p) * UINT64_C(0x100000001b3);
    return hash;
}
