/* mixture.c: a mixture of experts in place of a feed-forward block (Shazeer et al. 2017). For every position
 * a gate chooses the top_k of N experts, each a two-layer network E -> F -> E with GELU, and mixes what they
 * say by the softmax of the chosen logits.
 *
 * So that not all go to one expert, training adds balance * N * sum_e f_e P_e to the loss (Fedus et al. 2021,
 * equation 4, with f_e over all top_k choices): f_e is the share of choices that fell on expert e, P_e the
 * mean probability that the gate gave it. The reported loss is without it.
 *
 * Positions are handled expert by expert: those that chose it are gathered into a matrix, so each expert
 * costs two products, and FLOPs count the top_k experts only. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/blas.h"
#include "model/json_key.h"
#include "model/layer.h"

enum { GATE, W1, B1, W2, B2 };

typedef struct mixture {
    size_t T, E, F, N, K; /* positions, width, hidden units, experts, chosen ones */
    float balance;
} mixture;

static const char *const mixture_keys[] = {"experts", "top_k", "units", "balance", NULL};

static rd_status mixture_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    double balance = 0;
    mixture *f = rd_layer_own(l, sizeof *f, at.path, err);
    if (f == NULL)
        return RD_ERR_MEMORY;
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_whole(at, "experts", 2, 1024, &f->N, err));
    RD_TRY(rd_json_key_whole(at, "top_k", 1, f->N, &f->K, err));
    RD_TRY(rd_json_key_whole(at, "units", 1, RD_LAYER_MAX_WIDTH, &f->F, err));
    RD_TRY(rd_json_key_number(at, "balance", 0, 100, 0.01, &balance, err));
    if (l->in.rank == 3 || l->in.vocabulary > 0)
        RD_TRY(rd_plan_misfit(l, at.path, "features (D) or a sequence (T, E)", err));
    f->balance = (float)balance;
    f->E = l->in.size[l->in.rank - 1];
    f->T = l->inputs / f->E;
    l->flops = f->T * (2 * (uint64_t)f->N * f->E + 4 * (uint64_t)f->K * f->E * f->F);
    /* Each choice's expert, weight and place among the expert's; the gate's probabilities; for each choice
     * its hidden units before and after GELU, and what its expert said. */
    l->saved = f->T * (3 * f->K + f->N + f->K * (2 * f->F + f->E));
    l->scratch_per_sample = f->T * (f->N + f->K * (2 * f->E + f->F));
    l->scratch = 2 * f->N;
    RD_TRY(rd_plan_tensor(plan, l, "gate.weight", 2, (const size_t[]){f->N, f->E}, err));
    RD_TRY(rd_plan_tensor(plan, l, "w1", 3, (const size_t[]){f->N, f->F, f->E}, err));
    RD_TRY(rd_plan_tensor(plan, l, "b1", 2, (const size_t[]){f->N, f->F}, err));
    RD_TRY(rd_plan_tensor(plan, l, "w2", 3, (const size_t[]){f->N, f->E, f->F}, err));
    RD_TRY(rd_plan_tensor(plan, l, "b2", 2, (const size_t[]){f->N, f->E}, err));
cleanup:
    return status;
}

static void mixture_init(const rd_layer *l, uint64_t seed, float *parameters)
{
    const mixture *f = l->own;
    rd_init_glorot_uniform(l->tensors[GATE], f->E, f->N, seed, parameters);
    rd_init_he_normal(l->tensors[W1], f->E, seed, parameters);
    rd_init_constant(l->tensors[B1], 0.0f, parameters);
    rd_init_glorot_uniform(l->tensors[W2], f->F, f->E, seed, parameters);
    rd_init_constant(l->tensors[B2], 0.0f, parameters);
}

/* What is saved of R = B T positions. A choice is one of R K; choices lie expert after expert ("sorted"). */
typedef struct routes {
    size_t R;
    uint32_t *expert, *place; /* (R,K) of each choice: its expert, its row among the sorted ones */
    float *weight;            /* (R,K) and its share */
    float *p;                 /* (R,N) softmax of all logits */
    float *z, *h, *out;       /* (R K, F), (R K, F), (R K, E) sorted */
} routes;

/* Whole numbers in the room of floats, which would be exact only to 2^24. */
static uint32_t *numbers(float *room)
{
    _Static_assert(sizeof(uint32_t) <= sizeof *room, "a number fits where a float does");
    return (uint32_t *)(void *)room;
}

static routes routes_of(const mixture *f, const rd_pass *pass)
{
    routes r = {.R = pass->B * f->T, .expert = numbers(pass->saved)};
    size_t choices = r.R * f->K;
    r.place = numbers(pass->saved + choices);
    r.weight = pass->saved + 2 * choices;
    r.p = r.weight + choices;
    r.z = r.p + r.R * f->N;
    r.h = r.z + choices * f->F;
    r.out = r.h + choices * f->F;
    return r;
}

static void softmax(float *y, const float *logits, size_t n)
{
    float top = logits[0], sum = 0.0f;
    for (size_t i = 1; i < n; i++)
        top = logits[i] > top ? logits[i] : top;
    for (size_t i = 0; i < n; i++) {
        y[i] = expf(logits[i] - top);
        sum += y[i];
    }
    for (size_t i = 0; i < n; i++)
        y[i] /= sum;
}

/* The K largest logits of a position, of equal ones the first; and their softmax. */
static void choose(const mixture *f, const float *logits, uint32_t *expert, float *weight)
{
    for (size_t k = 0; k < f->K; k++) {
        size_t best = SIZE_MAX;
        for (size_t e = 0; e < f->N; e++) {
            bool taken = false;
            for (size_t j = 0; j < k; j++)
                taken = taken || expert[j] == e;
            if (!taken && (best == SIZE_MAX || logits[e] > logits[best]))
                best = e;
        }
        expert[k] = (uint32_t)best;
        weight[k] = logits[best];
    }
    softmax(weight, weight, f->K);
}

/* Routes all positions; count (N) says how many choices each expert got, and places are set accordingly. */
static void route(const rd_layer *l, const rd_pass *pass, const routes *r, float *logits, uint32_t *count)
{
    const mixture *f = l->own;
    int R = (int)r->R, N = (int)f->N, E = (int)f->E;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, R, N, E, 1.0f, pass->x, E, rd_layer_read(l, pass, GATE), E,
                0.0f, logits, N);
    memset(count, 0, 2 * f->N * sizeof *count);
    for (size_t i = 0; i < r->R; i++) {
        softmax(r->p + i * f->N, logits + i * f->N, f->N);
        choose(f, logits + i * f->N, r->expert + i * f->K, r->weight + i * f->K);
        for (size_t k = 0; k < f->K; k++)
            count[r->expert[i * f->K + k]]++;
    }
    uint32_t *next = count + f->N;
    for (size_t e = 1; e < f->N; e++)
        next[e] = next[e - 1] + count[e - 1];
    for (size_t i = 0; i < r->R * f->K; i++)
        r->place[i] = next[r->expert[i]]++;
}

static void count_choices(const mixture *f, const routes *r, uint32_t *count)
{
    memset(count, 0, f->N * sizeof *count);
    for (size_t i = 0; i < r->R * f->K; i++)
        count[r->expert[i]]++;
}

/* x (R,E) -> sorted (R K, E) */
static void gather(const mixture *f, const routes *r, const float *x, float *sorted)
{
    for (size_t i = 0; i < r->R * f->K; i++)
        memcpy(sorted + r->place[i] * f->E, x + i / f->K * f->E, f->E * sizeof *x);
}

/* y (n,O) = x (n,I) W^T + b */
static void map(const float *x, const float *W, const float *b, float *y, size_t n, size_t I, size_t O)
{
    for (size_t i = 0; i < n; i++)
        memcpy(y + i * O, b, O * sizeof *b);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)O, (int)I, 1.0f, x, (int)I, W, (int)I, 1.0f, y,
                (int)O);
}

static void mixture_forward(const rd_layer *l, const rd_pass *pass)
{
    const mixture *f = l->own;
    routes r = routes_of(f, pass);
    uint32_t *count = numbers(pass->scratch);
    float *logits = pass->scratch + 2 * f->N, *sorted = logits + r.R * f->N;
    route(l, pass, &r, logits, count);
    gather(f, &r, pass->x, sorted);
    for (size_t e = 0, first = 0; e < f->N; e++) {
        size_t n = count[e];
        map(sorted + first * f->E, rd_layer_read(l, pass, W1) + e * f->F * f->E, rd_layer_read(l, pass, B1) + e * f->F,
            r.z + first * f->F, n, f->E, f->F);
        rd_activations[RD_ACTIVATION_GELU].forward(r.z + first * f->F, r.h + first * f->F, n * f->F);
        map(r.h + first * f->F, rd_layer_read(l, pass, W2) + e * f->E * f->F, rd_layer_read(l, pass, B2) + e * f->E,
            r.out + first * f->E, n, f->F, f->E);
        first += n;
    }
    memset(pass->y, 0, r.R * f->E * sizeof *pass->y);
    for (size_t i = 0; i < r.R * f->K; i++) {
        const float *out = r.out + r.place[i] * f->E;
        float *y = pass->y + i / f->K * f->E;
        for (size_t e = 0; e < f->E; e++)
            y[e] += r.weight[i] * out[e];
    }
}

/* Gradient of the gate's logits: of the mixture by the chosen softmax, and of the balance by the whole one.
 */
static void gate_backward(const rd_layer *l, const rd_pass *pass, const routes *r, const uint32_t *count,
                          float *dlogits)
{
    const mixture *f = l->own;
    float strength = pass->share * f->balance * (float)f->N / (float)(r->R * f->K) / (float)r->R;
    for (size_t i = 0; i < r->R; i++) {
        float *d = dlogits + i * f->N, mean = 0.0f, chosen = 0.0f, dweight[f->K];
        const float *p = r->p + i * f->N, *weight = r->weight + i * f->K, *dy = pass->dy + i * f->E;
        for (size_t e = 0; e < f->N; e++)
            mean += p[e] * (float)count[e];
        for (size_t e = 0; e < f->N; e++)
            d[e] = strength * p[e] * ((float)count[e] - mean);
        for (size_t k = 0; k < f->K; k++) {
            const float *out = r->out + r->place[i * f->K + k] * f->E;
            dweight[k] = cblas_sdot((int)f->E, dy, 1, out, 1);
            chosen += weight[k] * dweight[k];
        }
        for (size_t k = 0; k < f->K; k++)
            d[r->expert[i * f->K + k]] += weight[k] * (dweight[k] - chosen);
    }
}

/* Where the gradient of a map from I to O goes: its matrix's and its bias's, NULL where it is not wanted. */
typedef struct map_gradient {
    size_t I, O;
    float *W, *b; /* (O,I), (O) */
} map_gradient;

/* W = scale W + rate dy^T x;  b likewise. n may be 0: then only the scale is applied. */
static void add_gradient(const rd_pass *pass, const map_gradient *into, const float *x, const float *dy, size_t n)
{
    int I = (int)into->I, O = (int)into->O;
    if (into->W != NULL && n == 0)
        rd_layer_scale(into->W, into->I * into->O, pass->scale);
    else if (into->W != NULL)
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, O, I, (int)n, pass->rate, dy, O, x, I, pass->scale,
                    into->W, I);
    if (into->b != NULL)
        rd_layer_add_rows(into->b, into->O, dy, n, pass->scale, pass->rate);
}

static float *part_of(float *into, size_t offset)
{
    return into != NULL ? into + offset : NULL;
}

/* Expert e's second map for `second`, else its first. */
static map_gradient expert_gradient(const rd_layer *l, const rd_pass *pass, size_t e, bool second)
{
    const mixture *f = l->own;
    size_t I = second ? f->F : f->E, O = second ? f->E : f->F;
    return (map_gradient){I, O, part_of(rd_layer_into(l, pass, second ? W2 : W1), e * I * O),
                          part_of(rd_layer_into(l, pass, second ? B2 : B1), e * O)};
}

static void experts_backward(const rd_layer *l, const rd_pass *pass, const routes *r, const uint32_t *count,
                             float *sorted, float *dout, float *dh)
{
    const mixture *f = l->own;
    for (size_t e = 0, first = 0; e < f->N; e++) {
        size_t n = count[e], square = f->F * f->E;
        const float *w1 = rd_layer_read(l, pass, W1) + e * square, *w2 = rd_layer_read(l, pass, W2) + e * square;
        float *d = dout + first * f->E, *x = sorted + first * f->E;
        int rows = (int)n, E = (int)f->E, F = (int)f->F;
        if (n > 0)
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, F, E, 1.0f, d, E, w2, F, 0.0f, dh, F);
        const map_gradient to_first = expert_gradient(l, pass, e, false), to_second = expert_gradient(l, pass, e, true);
        add_gradient(pass, &to_second, r->h + first * f->F, d, n);
        rd_activations[RD_ACTIVATION_GELU].backward(r->z + first * f->F, dh, n * f->F);
        if (n > 0) /* d has been used: it becomes dx of the sorted rows */
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, E, F, 1.0f, dh, F, w1, E, 0.0f, d, E);
        add_gradient(pass, &to_first, x, dh, n);
        first += n;
    }
}

static void mixture_backward(const rd_layer *l, const rd_pass *pass)
{
    const mixture *f = l->own;
    routes r = routes_of(f, pass);
    size_t choices = r.R * f->K;
    uint32_t *count = numbers(pass->scratch);
    float *dlogits = pass->scratch + 2 * f->N, *sorted = dlogits + r.R * f->N;
    float *dout = sorted + choices * f->E, *dh = dout + choices * f->E;
    int R = (int)r.R, N = (int)f->N, E = (int)f->E;
    count_choices(f, &r, count);
    gate_backward(l, pass, &r, count, dlogits);
    gather(f, &r, pass->x, sorted);
    for (size_t i = 0; i < choices; i++)
        for (size_t e = 0; e < f->E; e++)
            dout[r.place[i] * f->E + e] = r.weight[i] * pass->dy[i / f->K * f->E + e];
    if (pass->dx != NULL)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, R, E, N, 1.0f, dlogits, N, rd_layer_read(l, pass, GATE),
                    E, 0.0f, pass->dx, E);
    const map_gradient gate = {.I = f->E, .O = f->N, .W = rd_layer_into(l, pass, GATE)};
    add_gradient(pass, &gate, pass->x, dlogits, r.R);
    experts_backward(l, pass, &r, count, sorted, dout, dh);
    for (size_t i = 0; i < choices && pass->dx != NULL; i++)
        for (size_t e = 0; e < f->E; e++)
            pass->dx[i / f->K * f->E + e] += dout[r.place[i] * f->E + e];
}

const rd_layer_type rd_layer_mixture = {.name = "mixture_of_experts",
                                        .prefix = "moe",
                                        .keys = mixture_keys,
                                        .plan = mixture_plan,
                                        .init = mixture_init,
                                        .forward = mixture_forward,
                                        .backward = mixture_backward};
