/* attack.c: see attack.h. */
#include "attack.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"

rd_status rd_attack_check(const rd_attack_config *a, const rd_model *m, rd_error *err)
{
    bool classes = rd_model_classifies(m) && rd_model_predictions(m) == 1;
    if (rd_attack_poisons(a) && !classes)
        return rd_fail(err, RD_ERR_CONFIG,
                       "simulation.attack.type: this attack changes the classes of samples, but the model's "
                       "loss %s has none",
                       rd_model_loss_name(m));
    if (a->kind == RD_ATTACK_BACKDOOR && a->target >= rd_model_class_count(m))
        return rd_fail(err, RD_ERR_CONFIG, "simulation.attack.target: expected a class from 0 to %zu, found %llu",
                       rd_model_class_count(m) - 1, (unsigned long long)a->target);
    const rd_shape *s = rd_model_input(m);
    size_t room = s->rank == 3 ? (s->size[1] < s->size[2] ? s->size[1] : s->size[2]) : rd_model_input_size(m);
    if (a->kind == RD_ATTACK_BACKDOOR && (a->size > room || s->vocabulary > 0))
        return rd_fail(err, RD_ERR_CONFIG,
                       "simulation.attack.size: a trigger of %llu does not fit into the model's input",
                       (unsigned long long)a->size);
    return RD_OK;
}

static size_t count_attackers(const rd_attack_config *a, size_t clients)
{
    return (size_t)(a->fraction * (double)clients + 0.5);
}

rd_status rd_attack_check_fraction(const rd_attack_config *a, size_t clients, rd_error *err)
{
    if (a->kind == RD_ATTACK_NONE || a->fraction == 0 || count_attackers(a, clients) > 0)
        return RD_OK;
    return rd_fail(err, RD_ERR_CONFIG, "simulation.attack.fraction: %g of %zu clients is nobody", a->fraction, clients);
}

/* ---- who ---- */

static uint32_t scramble(uint64_t seed, uint32_t round, uint32_t half)
{
    rd_random r = rd_random_stream(seed, RD_PURPOSE_ATTACK, round, half);
    return rd_random_u32(&r);
}

/* A Feistel network permutes the numbers of so many bits; what lands outside is sent through again. */
static size_t permute(uint64_t seed, size_t x, size_t count)
{
    unsigned half = 1;
    while (((size_t)1 << (2 * half)) < count)
        half++;
    uint32_t mask = (uint32_t)(((uint64_t)1 << half) - 1);
    do {
        uint32_t left = (uint32_t)(x >> half) & mask, right = (uint32_t)x & mask;
        for (uint32_t round = 0; round < 4; round++) {
            uint32_t next = left ^ (scramble(seed, round, right) & mask);
            left = right;
            right = next;
        }
        x = (size_t)left << half | right;
    } while (x >= count);
    return x;
}

bool rd_attack_is_attacker(const rd_attack_config *a, uint64_t seed, size_t client, size_t clients)
{
    size_t attackers = count_attackers(a, clients);
    return a->kind != RD_ATTACK_NONE && attackers > 0 && permute(seed, client, clients) < attackers;
}

/* ---- what they send ---- */

void rd_attack_change(const rd_attack_config *a, uint64_t seed, uint64_t round, uint64_t client_key, float *delta,
                      size_t n)
{
    rd_random r = rd_random_stream(seed, RD_PURPOSE_ATTACK, round, client_key);
    float factor = a->kind == RD_ATTACK_SIGN_FLIP  ? (float)-a->scale
                   : a->kind == RD_ATTACK_BACKDOOR ? (float)a->scale
                                                   : 1.0f;
    for (size_t i = 0; i < n && factor != 1.0f; i++)
        delta[i] *= factor;
    for (size_t i = 0; i < n && a->kind == RD_ATTACK_GAUSSIAN; i++)
        delta[i] = (float)(a->deviation * rd_random_normal(&r));
}

bool rd_attack_colludes(const rd_attack_config *a)
{
    return a->kind == RD_ATTACK_LITTLE_IS_ENOUGH || a->kind == RD_ATTACK_INNER_PRODUCT;
}

/* Where the standard normal distribution reaches p, by halving. */
static double quantile(double p)
{
    double low = -10, high = 10;
    for (int i = 0; i < 80; i++) {
        double middle = (low + high) / 2;
        if (erfc(-middle / sqrt(2)) / 2 < p)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

double rd_attack_z(size_t cohort, size_t attackers)
{
    double n = (double)cohort, m = (double)attackers, supporters = floor(n / 2 + 1) - m;
    return n > m ? fmax(0, quantile((n - m - supporters) / (n - m))) : 0;
}

void rd_attack_craft(const rd_attack_config *a, const float *const *rows, size_t attackers, size_t cohort, size_t n,
                     float *out)
{
    double z = a->z > 0 ? a->z : rd_attack_z(cohort, attackers), m = (double)attackers;
    for (size_t i = 0; i < n; i++) {
        double sum = 0, squares = 0;
        for (size_t k = 0; k < attackers; k++)
            sum += (double)rows[k][i];
        for (size_t k = 0; k < attackers; k++)
            squares += ((double)rows[k][i] - sum / m) * ((double)rows[k][i] - sum / m);
        out[i] = a->kind == RD_ATTACK_INNER_PRODUCT ? (float)(-a->epsilon * sum / m)
                                                    : (float)(sum / m - z * sqrt(squares / m));
    }
}

/* ---- what they train on ---- */

bool rd_attack_poisons(const rd_attack_config *a)
{
    return a->kind == RD_ATTACK_LABEL_FLIP || a->kind == RD_ATTACK_BACKDOOR;
}

static void stamp(const rd_attack_config *a, const rd_model *m, float *x)
{
    const rd_shape *s = rd_model_input(m);
    size_t features = rd_model_input_size(m), size = (size_t)a->size;
    for (size_t i = features - size; i < features && s->rank != 3; i++)
        x[i] = (float)a->value;
    for (size_t c = 0; c < s->size[0] && s->rank == 3; c++)
        for (size_t h = s->size[1] - size; h < s->size[1]; h++)
            for (size_t w = s->size[2] - size; w < s->size[2]; w++)
                x[(c * s->size[1] + h) * s->size[2] + w] = (float)a->value;
}

void rd_attack_poison(void *user, float *x, int32_t *labels, size_t B)
{
    rd_poison *p = user;
    size_t features = rd_model_input_size(p->model);
    int32_t last = (int32_t)rd_model_class_count(p->model) - 1;
    rd_random r = rd_random_stream(p->state, RD_PURPOSE_ATTACK, 0, 0);
    p->state = rd_random_u64(&r);
    for (size_t b = 0; b < B; b++) {
        if (p->attack->kind == RD_ATTACK_LABEL_FLIP) {
            labels[b] = last - labels[b];
        } else if (rd_random_uniform(&r) < p->attack->share) {
            stamp(p->attack, p->model, x + b * features);
            labels[b] = (int32_t)p->attack->target;
        }
    }
}

rd_status rd_attack_stamp(const rd_attack_config *a, const rd_model *m, const rd_dataset *test, rd_dataset *out,
                          rd_error *err)
{
    size_t D = test->features, rows = 0;
    /* Its sizes, and nothing of what it owns. */
    *out = (rd_dataset){.features = D,
                        .rank = test->rank,
                        .tokens = test->tokens,
                        .label_count = test->label_count,
                        .classes = test->classes};
    memcpy(out->shape, test->shape, sizeof out->shape);
    out->x_f32 = malloc((test->rows * D + 1) * sizeof(float));
    out->labels = malloc((test->rows + 1) * sizeof *out->labels);
    if (out->x_f32 == NULL || out->labels == NULL) {
        rd_dataset_free(out);
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu samples with a trigger", test->rows);
    }
    for (size_t i = 0; i < test->rows; i++) {
        uint32_t pick = (uint32_t)i;
        if (test->labels[i] == (int32_t)a->target)
            continue;
        rd_dataset_gather(test, rd_dataset_all_rows(test), &pick, 1, out->x_f32 + rows * D, NULL, NULL);
        stamp(a, m, out->x_f32 + rows * D);
        out->labels[rows++] = (int32_t)a->target;
    }
    out->rows = rows;
    return RD_OK;
}
