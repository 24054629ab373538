/* pass.c: a batch through the layers and back.
 *
 * Forward keeps every layer's output, after its activation, and what else a layer asks for; that is all the
 * backward pass needs. Backward walks from the loss to the first layer. The gradient of each layer's output
 * lies in a slot that plan.c chose; where two layers take the same output, the second one adds to what the
 * first has left there. A layer's own parameters change only after its dx is done, so `into` may be the
 * parameters. */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "model/blas.h"
#include "model/plan.h"

struct rd_workspace {
    size_t layers, slots, max_batch;
    float *x;         /* (B,D) */
    int32_t *labels;  /* (B, predictions), for classification */
    float *targets;   /* (B,T), for regression */
    float **y;        /* (layers) each (B,O) of its layer */
    float **z;        /* (layers) before the activation, where that is saved; else NULL */
    float **saved;    /* (layers) each (B, saved), or NULL */
    float **gradient; /* (slots + 1), the last for what is to be added */
    float *scratch;
};

/* ---- memory ---- */

static size_t widest(const rd_model *m)
{
    size_t most = 0;
    for (size_t i = 0; i < m->slot_count; i++)
        most = m->slot_size[i] > most ? m->slot_size[i] : most;
    return most;
}

/* Does some output go to two layers? */
static bool branches(const rd_model *m)
{
    for (size_t i = 0; i < m->layer_count; i++)
        if (m->layers[i].also != RD_LAYER_INPUT)
            return true;
    return false;
}

static size_t scratch_floats(const rd_model *m, size_t B)
{
    size_t most = 0;
    for (size_t i = 0; i < m->layer_count; i++) {
        size_t need = m->layers[i].scratch + B * m->layers[i].scratch_per_sample;
        most = need > most ? need : most;
    }
    return most;
}

size_t rd_workspace_bytes(const rd_model *m, size_t B)
{
    unsigned __int128 floats = (unsigned __int128)B * (rd_shape_count(&m->input) + rd_model_predictions(m));
    unsigned __int128 scratch = 0;
    for (size_t i = 0; i < m->layer_count; i++) {
        const rd_layer *l = &m->layers[i];
        floats += (unsigned __int128)B * (l->outputs * (l->activation->saves_input ? 2 : 1) + l->saved);
        unsigned __int128 need = l->scratch + (unsigned __int128)B * l->scratch_per_sample;
        scratch = need > scratch ? need : scratch;
    }
    for (size_t i = 0; i < m->slot_count; i++)
        floats += (unsigned __int128)B * m->slot_size[i];
    floats += (branches(m) ? (unsigned __int128)B * widest(m) : 0) + scratch;
    if (!rd_model_classifies(m))
        floats += (unsigned __int128)B * rd_model_output_size(m);
    return floats > SIZE_MAX / sizeof(float) ? SIZE_MAX : (size_t)floats * sizeof(float);
}

/* Vectors start at a cache line, whichever they are. */
static void *allocate_rows(size_t rows, size_t width, rd_status *status)
{
    enum { LINE = 64 };
    size_t bytes = rows * width * sizeof(float); /* rd_workspace_bytes has seen to it that this can be */
    if (*status != RD_OK || bytes == 0)
        return NULL;
    void *p = aligned_alloc(LINE, (bytes + LINE - 1) / LINE * LINE);
    if (p == NULL)
        *status = RD_ERR_MEMORY;
    return p;
}

static rd_status allocate(const rd_model *m, size_t B, rd_workspace *w)
{
    rd_status status = RD_OK;
    size_t layers = m->layer_count;
    w->layers = layers;
    w->slots = m->slot_count + 1;
    w->y = calloc(layers, sizeof *w->y);
    w->z = calloc(layers, sizeof *w->z);
    w->saved = calloc(layers, sizeof *w->saved);
    w->gradient = calloc(m->slot_count + 1, sizeof *w->gradient);
    if (w->y == NULL || w->z == NULL || w->saved == NULL || w->gradient == NULL)
        return RD_ERR_MEMORY;
    w->x = allocate_rows(B, rd_shape_count(&m->input), &status);
    for (size_t i = 0; i < layers; i++) {
        const rd_layer *l = &m->layers[i];
        w->y[i] = allocate_rows(B, l->outputs, &status);
        w->z[i] = allocate_rows(B, l->activation->saves_input ? l->outputs : 0, &status);
        w->saved[i] = allocate_rows(B, l->saved, &status);
    }
    for (size_t i = 0; i < m->slot_count; i++)
        w->gradient[i] = allocate_rows(B, m->slot_size[i], &status);
    w->gradient[m->slot_count] = allocate_rows(B, branches(m) ? widest(m) : 0, &status);
    w->scratch = allocate_rows(1, scratch_floats(m, B), &status);
    if (rd_model_classifies(m))
        w->labels = allocate_rows(B, rd_model_predictions(m), &status);
    else
        w->targets = allocate_rows(B, rd_model_output_size(m), &status);
    return status;
}

rd_status rd_workspace_create(const rd_model *m, size_t max_batch, rd_workspace **out, rd_error *err)
{
    rd_workspace *w = rd_workspace_bytes(m, max_batch) < SIZE_MAX ? calloc(1, sizeof *w) : NULL;
    if (w == NULL || allocate(m, max_batch, w) != RD_OK) {
        rd_workspace_free(w);
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the activations of %zu samples (%.0f MB)", max_batch,
                       (double)rd_workspace_bytes(m, max_batch) / 1e6);
    }
    w->max_batch = max_batch;
    *out = w;
    return RD_OK;
}

static void free_all(float **vectors, size_t count)
{
    for (size_t i = 0; vectors != NULL && i < count; i++)
        free(vectors[i]);
    free(vectors);
}

void rd_workspace_free(rd_workspace *w)
{
    if (w == NULL)
        return;
    free_all(w->y, w->layers);
    free_all(w->z, w->layers);
    free_all(w->saved, w->layers);
    free_all(w->gradient, w->slots);
    free(w->x);
    free(w->labels);
    free(w->targets);
    free(w->scratch);
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

/* ---- the passes ---- */

static const float *output_of(const rd_workspace *w, size_t layer)
{
    return layer == RD_LAYER_INPUT ? w->x : w->y[layer];
}

static rd_pass pass_of(const rd_workspace *w, size_t i, const rd_layer *l, size_t B, const float *parameters)
{
    return (rd_pass){.B = B,
                     .parameters = parameters,
                     .x = output_of(w, l->from),
                     .x2 = output_of(w, l->also),
                     .y = w->y[i],
                     .saved = w->saved[i],
                     .scratch = w->scratch};
}

/* training: NULL, or what training adds. */
static const float *forward(const rd_model *m, const float *parameters, rd_workspace *w, size_t B,
                            const rd_gradient_call *training)
{
    RD_ASSERT(B <= w->max_batch);
    for (size_t i = 0; i < m->layer_count; i++) {
        const rd_layer *l = &m->layers[i];
        rd_pass pass = pass_of(w, i, l, B, parameters);
        if (training != NULL) {
            pass.training = true;
            pass.random = training->random;
            pass.statistics = training->parameters;
        }
        if (w->z[i] != NULL)
            pass.y = w->z[i];
        l->type->forward(l, &pass);
        if (l->activation->forward != NULL)
            l->activation->forward(pass.y, w->y[i], B * l->outputs);
    }
    return w->y[m->layer_count - 1];
}

static rd_batch_result loss_of(const rd_model *m, const float *y, const rd_workspace *w, float *dy, size_t B,
                               double norm)
{
    const rd_predictions p = {.rows = B * rd_model_predictions(m),
                              .O = rd_model_output_size(m),
                              .y = y,
                              .labels = w->labels,
                              .targets = w->targets};
    return rd_loss_types[m->loss.kind].function(&m->loss, &p, dy, norm);
}

const float *rd_model_forward(const rd_model *m, const float *parameters, rd_workspace *w, size_t B,
                              rd_batch_result *result)
{
    const float *y = forward(m, parameters, w, B, NULL);
    if (result != NULL)
        *result = loss_of(m, y, w, NULL, B, 0);
    return y;
}

/* Where a layer may write the gradient of one of its inputs: the slot, or, where another layer has already
 * left its share there, the spare one. NULL: nobody needs it. */
static float *place_for(const rd_model *m, const rd_workspace *w, const rd_layer *l, size_t input, const bool *written)
{
    if (input == RD_LAYER_INPUT || !l->needs_dx)
        return NULL;
    return w->gradient[written[input] ? m->slot_count : m->slot_of[input]];
}

static void note_gradient(const rd_model *m, const rd_workspace *w, size_t input, float *got, size_t B, bool *written)
{
    if (got == NULL)
        return;
    if (written[input])
        cblas_saxpy((int)(B * m->layers[input].outputs), 1.0f, got, 1, w->gradient[m->slot_of[input]], 1);
    written[input] = true;
}

static void layer_backward(const rd_model *m, size_t i, const rd_gradient_call *call, rd_workspace *w, bool *written)
{
    const rd_layer *l = &m->layers[i];
    if (!l->trains && !l->needs_dx)
        return;
    rd_pass pass = pass_of(w, i, l, call->B, call->parameters);
    pass.training = true;
    pass.dy = w->gradient[m->slot_of[i]];
    if (l->activation->backward != NULL)
        l->activation->backward(w->z[i] != NULL ? w->z[i] : w->y[i], pass.dy, call->B * l->outputs);
    pass.dx = place_for(m, w, l, l->from, written);
    pass.dx2 = place_for(m, w, l, l->also, written);
    pass.into = call->into;
    pass.scale = call->scale;
    pass.rate = call->rate;
    pass.share = call->share;
    l->type->backward(l, &pass);
    note_gradient(m, w, l->from, pass.dx, call->B, written);
    note_gradient(m, w, l->also, pass.dx2, call->B, written);
}

void rd_model_backward(const rd_model *m, const rd_gradient_call *call, rd_workspace *w, rd_batch_result *result)
{
    bool written[m->layer_count];
    memset(written, 0, sizeof written);
    const float *y = forward(m, call->parameters, w, call->B, call);
    rd_batch_result loss =
        loss_of(m, y, w, w->gradient[m->slot_of[m->layer_count - 1]], call->B, 1.0 / (double)call->predictions);
    if (result != NULL)
        *result = loss;
    for (size_t i = m->layer_count; i-- > 0;)
        layer_backward(m, i, call, w, written);
}
