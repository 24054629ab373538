/* synthetic.c: see synthetic.h. Every client draws from streams of its own, so client 3 is the same among 10
 * as among 1000. */
#include "data/synthetic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"

enum { D = RD_SYNTHETIC_FEATURES, C = RD_SYNTHETIC_CLASSES, TENTH = 10 };

typedef struct owner {
    double W[C][D], b[C], v[D];
    size_t samples; /* of both parts */
} owner;

static rd_random stream(const rd_synthetic *s, uint64_t what, uint64_t client)
{
    return rd_random_stream(s->seed, RD_PURPOSE_SYNTHETIC, what, client);
}

static void draw_owner(const rd_synthetic *s, uint64_t client, owner *o)
{
    rd_random r = stream(s, 1, client), common = stream(s, 2, 0), *model = s->iid ? &common : &r;
    double samples = exp(4 + 2 * rd_random_normal(&r)), u = s->alpha * rd_random_normal(&r),
           B = s->beta * rd_random_normal(&r);
    o->samples = 50 + (samples < RD_SYNTHETIC_MOST ? (size_t)samples : RD_SYNTHETIC_MOST);
    for (size_t j = 0; j < D; j++)
        o->v[j] = s->iid ? 0 : B + rd_random_normal(&r);
    for (size_t c = 0; c < C; c++) {
        for (size_t j = 0; j < D; j++)
            o->W[c][j] = (s->iid ? 0 : u) + rd_random_normal(model);
        o->b[c] = (s->iid ? 0 : u) + rd_random_normal(model);
    }
}

static bool belongs(const rd_synthetic *s, size_t sample)
{
    bool tenth = sample % TENTH == TENTH - 1;
    return s->part == RD_SYNTHETIC_ALL || tenth == (s->part == RD_SYNTHETIC_TEST);
}

static size_t count_part(const rd_synthetic *s, size_t samples)
{
    size_t tenths = samples / TENTH;
    return s->part == RD_SYNTHETIC_ALL ? samples : s->part == RD_SYNTHETIC_TEST ? tenths : samples - tenths;
}

static int32_t classify(const owner *o, const float *x)
{
    int32_t best = 0;
    double most = -INFINITY;
    for (int32_t c = 0; c < C; c++) {
        double y = o->b[c];
        for (size_t j = 0; j < D; j++)
            y += o->W[c][j] * (double)x[j];
        if (y > most) {
            most = y;
            best = c;
        }
    }
    return best;
}

static void draw_samples(const rd_synthetic *s, uint64_t client, const owner *o, rd_dataset *d, size_t *next)
{
    rd_random r = stream(s, 3, client);
    double deviation[D];
    for (size_t j = 0; j < D; j++)
        deviation[j] = pow((double)j + 1, -0.6);
    for (size_t i = 0; i < o->samples; i++) {
        float x[D];
        for (size_t j = 0; j < D; j++)
            x[j] = (float)(o->v[j] + deviation[j] * rd_random_normal(&r));
        if (!belongs(s, i))
            continue;
        memcpy(d->x_f32 + *next * D, x, sizeof x);
        d->labels[*next] = classify(o, x);
        d->group[(*next)++] = (int32_t)client;
    }
}

static rd_status name_groups(const rd_synthetic *s, rd_dataset *d, rd_error *err)
{
    d->group_names = calloc(s->clients, sizeof *d->group_names);
    for (size_t i = 0; i < s->clients && d->group_names != NULL; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "synthetic-%zu", i + 1);
        d->group_names[i] = strdup(name);
        if (d->group_names[i] == NULL)
            return rd_fail(err, RD_ERR_MEMORY, "no memory for the names of %llu owners",
                           (unsigned long long)s->clients);
        d->group_count++;
    }
    return d->group_names != NULL
               ? RD_OK
               : rd_fail(err, RD_ERR_MEMORY, "no memory for the names of %llu owners", (unsigned long long)s->clients);
}

rd_status rd_synthetic_make(const rd_synthetic *s, rd_dataset *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_dataset d = {.features = D, .rank = 1, .shape = {D}, .label_count = 1, .classes = C};
    owner *o = malloc(sizeof *o);
    size_t next = 0;
    if (o == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for synthetic data");
    for (uint64_t k = 0; k < s->clients; k++) {
        draw_owner(s, k, o);
        d.rows += count_part(s, o->samples);
    }
    if (d.rows > UINT32_MAX)
        RD_THROW(RD_ERR_DATA, "synthetic data of %llu clients have %zu samples; at most %u can be",
                 (unsigned long long)s->clients, d.rows, UINT32_MAX);
    d.x_f32 = malloc((d.rows * D + 1) * sizeof *d.x_f32);
    d.labels = malloc((d.rows + 1) * sizeof *d.labels);
    d.group = malloc((d.rows + 1) * sizeof *d.group);
    if (d.x_f32 == NULL || d.labels == NULL || d.group == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for %zu synthetic samples", d.rows);
    RD_TRY(name_groups(s, &d, err));
    for (uint64_t k = 0; k < s->clients; k++) {
        draw_owner(s, k, o);
        draw_samples(s, k, o, &d, &next);
    }
    *out = d;
    memset(&d, 0, sizeof d);
cleanup:
    free(o);
    rd_dataset_free(&d);
    return status;
}
