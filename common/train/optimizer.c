/* optimizer.c: see optimizer.h. */
#include "train/optimizer.h"

extern void rd_sgd_step(const rd_step *s);
extern void rd_adam_step(const rd_step *s);
extern void rd_adagrad_step(const rd_step *s);
extern void rd_rmsprop_step(const rd_step *s);

const rd_optimizer rd_optimizers[] = {
    [RD_OPTIMIZER_SGD] = {"sgd", 1, rd_sgd_step},
    [RD_OPTIMIZER_ADAM] = {"adam", 2, rd_adam_step},
    [RD_OPTIMIZER_ADAMW] = {"adamw", 2, rd_adam_step},
    [RD_OPTIMIZER_ADAGRAD] = {"adagrad", 1, rd_adagrad_step},
    [RD_OPTIMIZER_RMSPROP] = {"rmsprop", 2, rd_rmsprop_step},
};

const char *const rd_optimizer_names[] = {"sgd", "adam", "adamw", "adagrad", "rmsprop", NULL};

bool rd_optimizer_in_place(const rd_training *t, double learning_rate, float *scale, float *rate)
{
    *scale = 1.0f - (float)learning_rate * t->weight_decay;
    *rate = -(float)learning_rate;
    return t->optimizer == RD_OPTIMIZER_SGD && t->momentum == 0.0f && t->clip_norm == 0.0f &&
           (t->decay_skip_count == 0 || t->weight_decay == 0.0f);
}

size_t rd_optimizer_vectors(const rd_training *t)
{
    bool nothing = t->optimizer == RD_OPTIMIZER_SGD && t->momentum == 0.0f;
    return nothing ? 1 : 1 + rd_optimizers[t->optimizer].states;
}
