#include "model/layer.h"

/* clang-format off */
#define EVERY_LAYER(X) \
    X(dense) \
    X(conv2d) \
    X(max_pool) \
    X(average_pool) \
    X(global_pool) \
    X(flatten) \
    X(dropout) \
    X(batch_norm) \
    X(layer_norm) \
    X(rms_norm) \
    X(group_norm) \
    X(embedding) \
    X(position) \
    X(sinusoid) \
    X(rnn) \
    X(gru) \
    X(lstm) \
    X(attention) \
    X(mixture) \
    X(tied_output) \
    X(last) \
    X(mean) \
    X(residual) \
    X(transformer) \
    X(adapter) \
    X(gaussian_naive_bayes) \
    X(multinomial_naive_bayes) \
    X(bernoulli_naive_bayes) \
    X(kmeans)
/* clang-format on */

#define DECLARE(name) extern const rd_layer_type rd_layer_##name;
EVERY_LAYER(DECLARE)

#define POINT_TO(name) &rd_layer_##name,
const rd_layer_type *const rd_layer_types[] = {EVERY_LAYER(POINT_TO) NULL};
