/* pass.c: a batch through the layers and back.
 *
 * Forward keeps every layer's output, after its activation; that is all the backward pass needs. Backward
 * walks from the loss to the first layer with two gradient buffers that swap roles: what one layer writes as
 * dx, the next reads as dy. A layer's own parameters change only after its dx is done, so `into` may be the
 * parameters.
 */
#include <stdlib.h>

#include "model/loss.h"
#include "model/plan.h"

struct rd_workspace {
    float *x;           /* (B,D) */
    int32_t *labels;    /* (B), for classification */
    float *targets;     /* (B,T), for regression */
    float **y;          /* (layers) each (B,O) of its layer */
    float *gradient[2]; /* (B, widest O) */
};

/* Vectors start at a cache line, whichever they are. */
static void *allocate_rows(size_t rows, size_t width, size_t element, rd_status *status)
{
    enum { LINE = 64 };
    size_t bytes;
    if (*status != RD_OK)
        return NULL;
    void *p = NULL;
    if (!__builtin_mul_overflow(rows, width, &bytes) && !__builtin_mul_overflow(bytes, element, &bytes) &&
        bytes <= SIZE_MAX - LINE)
        p = aligned_alloc(LINE, (bytes + LINE - 1) / LINE * LINE);
    if (p == NULL)
        *status = RD_ERR_MEMORY;
    return p;
}

rd_status rd_workspace_create(const rd_model *m, size_t max_batch, rd_workspace **out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_workspace *w = calloc(1, sizeof *w);
    float **y = calloc(m->layer_count + 1, sizeof *y); /* ends with NULL */
    if (w == NULL || y == NULL) {
        free(w);
        free(y);
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a workspace");
    }
    size_t widest = 0;
    w->y = y;
    w->x = allocate_rows(max_batch, m->input_size, sizeof(float), &status);
    for (size_t i = 0; i < m->layer_count; i++) {
        size_t O = m->layers[i].outputs;
        w->y[i] = allocate_rows(max_batch, O, sizeof(float), &status);
        widest = O > widest ? O : widest;
    }
    for (int i = 0; i < 2; i++)
        w->gradient[i] = allocate_rows(max_batch, widest, sizeof(float), &status);
    if (m->loss == RD_LOSS_SOFTMAX_CROSS_ENTROPY)
        w->labels = allocate_rows(max_batch, 1, sizeof(int32_t), &status);
    else
        w->targets = allocate_rows(max_batch, rd_model_output_size(m), sizeof(float), &status);
    if (status != RD_OK) {
        rd_workspace_free(w);
        return rd_fail(err, status, "no memory for the activations of %zu samples", max_batch);
    }
    *out = w;
    return RD_OK;
}

void rd_workspace_free(rd_workspace *w)
{
    if (w == NULL)
        return;
    for (float **y = w->y; *y != NULL; y++)
        free(*y);
    free(w->y);
    free(w->x);
    free(w->labels);
    free(w->targets);
    free(w->gradient[0]);
    free(w->gradient[1]);
    free(w);
}

float *rd_workspace_x(rd_workspace *w)
{
    return w->x;
}

int32_t *rd_workspace_labels(rd_workspace *w)
{
    return w->labels;
}

float *rd_workspace_targets(rd_workspace *w)
{
    return w->targets;
}

const float *rd_model_forward(const rd_model *m, const float *parameters, rd_workspace *w, size_t B,
                              rd_batch_result *result)
{
    const float *x = w->x;
    for (size_t i = 0; i < m->layer_count; i++) {
        const rd_layer *l = &m->layers[i];
        rd_pass pass = {.B = B, .parameters = parameters, .x = x, .y = w->y[i]};
        l->type->forward(l, &pass);
        if (l->activation->forward != NULL)
            l->activation->forward(pass.y, B * l->outputs);
        x = pass.y;
    }
    if (result != NULL)
        *result = rd_loss_of(m->loss)(x, w->labels, w->targets, NULL, B, rd_model_output_size(m));
    return x;
}

void rd_model_backward(const rd_model *m, const float *parameters, rd_workspace *w, size_t B, float *into,
                       float scale, float rate, rd_batch_result *result)
{
    float *dy = w->gradient[0], *dx = w->gradient[1];
    const float *y = rd_model_forward(m, parameters, w, B, NULL);
    rd_batch_result loss = rd_loss_of(m->loss)(y, w->labels, w->targets, dy, B, rd_model_output_size(m));
    if (result != NULL)
        *result = loss;
    for (size_t i = m->layer_count; i-- > 0;) {
        const rd_layer *l = &m->layers[i];
        if (l->activation->backward != NULL)
            l->activation->backward(w->y[i], dy, B * l->outputs);
        rd_pass pass = {.B = B,
                        .parameters = parameters,
                        .x = i == 0 ? w->x : w->y[i - 1],
                        .y = w->y[i],
                        .dy = dy,
                        .dx = i == 0 ? NULL : dx,
                        .into = into,
                        .scale = scale,
                        .rate = rate};
        l->type->backward(l, &pass);
        dx = dy;
        dy = pass.dx;
    }
}
